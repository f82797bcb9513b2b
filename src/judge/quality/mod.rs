//! Technical quality of a picture: pixels in, numbers out. Formulas and constants are the original's.

mod measure;

use serde::{Deserialize, Serialize};

pub use measure::measure;

/// What the four measures weigh in `overall`; divided by their sum, so only proportions matter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    pub sharpness: f64,
    pub exposure: f64,
    pub colorfulness: f64,
    pub contrast: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { sharpness: 0.4, exposure: 0.3, colorfulness: 0.2, contrast: 0.1 }
    }
}

/// The measures of one picture; all but the two raw ones lie in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    pub overall: f64,
    pub sharpness: f64,
    pub exposure: f64,
    pub colorfulness: f64,
    pub contrast: f64,
    /// Variance of the Laplacian.
    pub sharpness_raw: f64,
    /// Hasler and Süsstrunk's M.
    pub colorfulness_raw: f64,
}

//! Technical quality of a picture, measured from its pixels. Formulas and constants are those of the original.

mod measure;

use serde::{Deserialize, Serialize};

pub use measure::measure;

/// Weights of the four measures in `overall`. They are divided by their sum, so only their proportions matter.
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

/// The measures of one picture. All except the two raw ones are from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    pub overall: f64,
    pub sharpness: f64,
    pub exposure: f64,
    pub colorfulness: f64,
    pub contrast: f64,
    /// Variance of the Laplacian.
    pub sharpness_raw: f64,
    /// The colourfulness measure M of Hasler and Süsstrunk.
    pub colorfulness_raw: f64,
}

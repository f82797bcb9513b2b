//! A line of `classify`.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassifyRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// The likeliest class.
    pub label: String,
    /// How likely it is, 0 to 1.
    pub confidence: f32,
    /// All classes, and how likely each is.
    pub classes: BTreeMap<String, f32>,
    /// `name@version` of the model.
    pub classification_model: String,
}

impl ClassifyRecord {
    /// Of classes and their likelihoods, in the same order; `None` where there are none, or of another number.
    pub fn new(path: &Path, classes: &[String], likely: &[f32], model: String) -> Option<Self> {
        if classes.len() != likely.len() {
            return None;
        }
        let (label, confidence) = classes.iter().zip(likely).max_by(|a, b| a.1.total_cmp(b.1))?;
        Some(Self {
            path: PhotoPath::of(path),
            label: label.clone(),
            confidence: *confidence,
            classes: classes.iter().cloned().zip(likely.iter().copied()).collect(),
            classification_model: model,
        })
    }
}

impl Record for ClassifyRecord {
    const HEADINGS: &'static [&'static str] = &["photo", "class", ">confidence", "model"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::path(&self.path.image_path),
            Cell::plain(&self.label),
            Cell::score(f64::from(self.confidence)),
            Cell::faint(&self.classification_model),
        ]
    }
}

//! A line of `aesthetics`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::photo_report::AestheticRating;
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AestheticsRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// The rating, 1 to 10; higher is better.
    pub aesthetic_score: f64,
    /// The same value if the model was trained on AVA's ratings, else null.
    pub ava_score: Option<f64>,
    /// `name@version` of the model.
    pub aesthetic_model: String,
}

impl AestheticsRecord {
    pub fn new(path: &Path, rated: AestheticRating) -> Self {
        let AestheticRating { score, model, trained_on_ava, .. } = rated;
        let ava_score = trained_on_ava.then_some(score);
        Self { path: PhotoPath::of(path), aesthetic_score: score, ava_score, aesthetic_model: model }
    }
}

impl Record for AestheticsRecord {
    const HEADINGS: &'static [&'static str] = &["photo", ">aesthetic", "model"];

    fn cells(&self) -> Vec<Cell> {
        let share = (self.aesthetic_score - 1.0) / 9.0;
        let score = Cell { text: format!("{:.2}", self.aesthetic_score), ..Cell::score(share) };
        vec![Cell::path(&self.path.image_path), score, Cell::faint(&self.aesthetic_model)]
    }
}

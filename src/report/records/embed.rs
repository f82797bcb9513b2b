//! A line of `embed`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::photo_report::PhotoEmbedding;
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbedRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// `name@version` of the model.
    pub model: String,
    /// The dimension of the vector.
    pub dim: usize,
    /// The embedding, a unit vector.
    pub embedding: Vec<f32>,
}

impl EmbedRecord {
    pub fn new(path: &Path, PhotoEmbedding { vector, model }: PhotoEmbedding) -> Self {
        Self { path: PhotoPath::of(path), model, dim: vector.len(), embedding: vector.to_vec() }
    }
}

impl Record for EmbedRecord {
    const HEADINGS: &'static [&'static str] = &["photo", "model", ">dim", "begins"];

    fn cells(&self) -> Vec<Cell> {
        let start: Vec<_> = self.embedding.iter().take(4).map(|v| format!("{v:+.3}")).collect();
        vec![
            Cell::path(&self.path.image_path),
            Cell::faint(&self.model),
            Cell::plain(&self.dim),
            Cell::faint(&start.join(" ")),
        ]
    }
}

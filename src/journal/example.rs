//! A photo as it was when something was decided about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::photo_id::PhotoId;
use judge::select::Decision;

/// A photo that a taste is learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct TasteExample {
    pub photo: PhotoId,
    /// The same for all photos of one scene.
    pub scene: [u8; 32],
    /// What was decided about it; `None` for one that only takes part in pairs.
    pub decision: Option<Decision>,
    pub facts: Facts,
    /// `name@version` of what made the embedding.
    pub model: String,
    pub embedding: Vec<f32>,
}

/// What was known of a photo.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// From 0 to 1.
    pub composite: Option<f64>,
    pub kind: Option<String>,
    pub scores: BTreeMap<String, f64>,
}

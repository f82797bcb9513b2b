//! A line of `analyze`: all that is known of a photo, in one object; what `select --from` reads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DecisionWord;
use super::select::{Parts, TiebreakRecord};
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};
use judge::portrait::Face;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnalyzeRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// Technical quality over all, 0 to 1.
    pub iqa_score: f64,
    pub sharpness: f64,
    pub exposure: f64,
    pub colorfulness: f64,
    pub contrast: f64,
    pub sharpness_raw: f64,
    pub colorfulness_raw: f64,
    /// Upright width and height of the original in pixels.
    pub width: u32,
    pub height: u32,
    /// Long side in pixels at which the photo was measured.
    pub measured_at: u32,
    /// 1 to 10; null without an aesthetic model.
    pub aesthetic_score: Option<f64>,
    /// The same number when the model was trained on AVA.
    pub ava_score: Option<f64>,
    pub aesthetic_model: Option<String>,
    /// The face fields are null without a face model.
    pub has_face: Option<bool>,
    pub num_faces: Option<usize>,
    pub is_portrait: Option<bool>,
    pub eyes_open: Option<bool>,
    pub is_smiling: Option<bool>,
    pub smile_score: Option<f64>,
    pub eye_aspect_ratio: Option<f64>,
    pub face_ratio: Option<f64>,
    pub center_offset: Option<f64>,
    pub portrait_score: Option<f64>,
    pub faces: Option<Vec<Face>>,
    pub portrait_model: Option<String>,
    /// What made the embedding.
    pub model: String,
    pub dim: usize,
    pub embedding: Vec<f32>,
    pub cluster_id: i64,
    pub cluster_size: usize,
    pub is_noise: bool,
    pub method: String,
    /// When it was taken by the camera's clock; null when the file does not say.
    pub taken_at: Option<String>,
    /// 1 for the first pick; null for photos that would not be picked.
    pub rank: Option<usize>,
    pub selected: bool,
    pub composite_score: Option<f64>,
    pub parts: Parts,
    pub tiebreak: Option<TiebreakRecord>,
    pub reason: String,
    pub decision: Option<DecisionWord>,
    /// BLAKE3 of the photo's bytes, by which a decision finds it again.
    #[serde(default)]
    pub content: Option<String>,
}

impl Record for AnalyzeRecord {
    const HEADINGS: &'static [&'static str] =
        &["photo", ">score", ">aesthetic", ">technical", ">portrait", ">group", ">rank", "why"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::path(&self.path.image_path),
            Cell::score_or_dash(self.composite_score),
            self.aesthetic_score.map_or_else(|| Cell::faint("-"), |score| Cell::plain(&format!("{score:.2}"))),
            Cell::score(self.iqa_score),
            Cell::score_or_dash(self.portrait_score),
            if self.cluster_id < 0 { Cell::faint("-") } else { Cell::plain(&self.cluster_id) },
            self.rank.map_or_else(|| Cell::faint("-"), |rank| Cell::plain(&rank)),
            Cell::faint(&self.reason),
        ]
    }
}

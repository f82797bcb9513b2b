//! Lines of `compare`: one per pair, or one per photo of a ranking.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairRecord {
    pub image_path_1: String,
    /// The exact bytes of the first path in base64 if it is not UTF-8, else null.
    pub image_path_1_b64: Option<String>,
    pub image_path_2: String,
    /// The exact bytes of the second path in base64 if it is not UTF-8, else null.
    pub image_path_2_b64: Option<String>,
    /// 1 or 2; 1 if neither is better.
    pub winner: u8,
    /// The probability that the winner is the better one, 0.5 to 1.
    pub confidence: f64,
    /// `siamese`: a model for pairs; `album-mini`: the built-in model; `composite`: the album score.
    pub method: String,
    /// `name@version` of the model, null for `composite`.
    pub model: Option<String>,
    /// The compared scores, higher is better; null for a model for pairs, which has no scores.
    pub scores: Option<[f64; 2]>,
}

/// The method of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    pub name: &'static str,
    pub model: Option<String>,
}

impl PairRecord {
    /// `first_is_better` is a probability.
    pub fn new(paths: [&Path; 2], first_is_better: f64, method: &Method, scores: Option<[f64; 2]>) -> Self {
        let [first, second] = paths.map(PhotoPath::of);
        Self {
            image_path_1: first.image_path,
            image_path_1_b64: first.image_path_b64,
            image_path_2: second.image_path,
            image_path_2_b64: second.image_path_b64,
            winner: if first_is_better >= 0.5 { 1 } else { 2 },
            confidence: first_is_better.max(1.0 - first_is_better),
            method: method.name.into(),
            model: method.model.clone(),
            scores,
        }
    }
}

impl Record for PairRecord {
    const HEADINGS: &'static [&'static str] = &["first", "second", ">better", ">confidence", "method"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::path(&self.image_path_1),
            Cell::path(&self.image_path_2),
            Cell::plain(&self.winner),
            Cell::plain(&format!("{:.3}", self.confidence)),
            Cell::faint(&self.method),
        ]
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RankRecord {
    /// 1 is best.
    pub rank: usize,
    #[serde(flatten)]
    pub path: PhotoPath,
    /// The number of pairs that it won.
    pub wins: usize,
    /// The mean probability, over its pairs, of being the better photo.
    pub confidence: f64,
    /// `siamese`: a model for pairs; `album-mini`: the built-in model; `composite`: the album score.
    pub method: String,
    /// `name@version` of the model, null for `composite`.
    pub model: Option<String>,
}

impl RankRecord {
    pub fn new(rank: usize, path: &Path, wins: usize, confidence: f64, method: &Method) -> Self {
        let (name, model) = (method.name.into(), method.model.clone());
        Self { rank, path: PhotoPath::of(path), wins, confidence, method: name, model }
    }
}

impl Record for RankRecord {
    const HEADINGS: &'static [&'static str] = &[">rank", "photo", ">wins", ">confidence", "method"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::plain(&self.rank),
            Cell::path(&self.path.image_path),
            Cell::plain(&self.wins),
            Cell::plain(&format!("{:.3}", self.confidence)),
            Cell::faint(&self.method),
        ]
    }
}

//! Lines of `compare`: one for a pair, or one a photo of a ranking.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairRecord {
    pub image_path_1: String,
    /// The exact bytes of the first path in base64 where it is not UTF-8, else null.
    pub image_path_1_b64: Option<String>,
    pub image_path_2: String,
    /// The exact bytes of the second path in base64 where it is not UTF-8, else null.
    pub image_path_2_b64: Option<String>,
    /// 1 or 2; 1 where neither is better.
    pub winner: u8,
    /// 0.5 to 1: how sure it is that the winner is the better one.
    pub confidence: f64,
    /// `siamese`: by a model for pairs; `album-mini`: by the built-in one; `composite`: by what the album counts.
    pub method: String,
    /// `name@version` of the model, null for `composite`.
    pub model: Option<String>,
    /// What was compared, higher is better; null by a model for pairs, which knows no scores.
    pub scores: Option<[f64; 2]>,
}

/// How a comparison was made.
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
    /// Pairs it came out of as the better one.
    pub wins: usize,
    /// Mean over its pairs of the probability that it is the better one.
    pub confidence: f64,
    /// `siamese`: by a model for pairs; `album-mini`: by the built-in one; `composite`: by what the album counts.
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

//! Scored and grouped photos in, the album out: who is picked, in which order, and why, in one sentence each.
//!
//! The order in which photos are given decides nothing: what could tie ends with the path.

pub mod composite;
mod filter;
mod pick;
mod reason;
pub mod tournament;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use composite::{Parts, Portrait, Weights, Why};
pub use filter::Filters;
pub use pick::{needs_comparison, select};
pub use tournament::{Met, Tiebreak};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SelectError {
    #[error("the weights of the parts must be finite, not negative, and not all zero")]
    Weights,
    #[error("{name} must be a finite number of at least 0")]
    Margin { name: &'static str },
}

/// What a person said about a photo; it outranks everything computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Keep,
    Reject,
}

/// Where a person's word about a photo was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionSource {
    /// It was said to `decide`.
    Journal,
    /// Another program wrote it beside the photo.
    Sidecar,
    /// Another program wrote it into the photo.
    File,
}

/// One photo with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Photo {
    pub path: PathBuf,
    /// Its group; `None` when clustering left it out.
    pub group: Option<usize>,
    /// On 1–10.
    pub aesthetic: Result<f64, Why>,
    /// On 0–1.
    pub iqa: Result<f64, Why>,
    pub portrait: Result<Portrait, Why>,
    /// On 0–1.
    pub sharpness: Option<f64>,
    /// What the camera's clock showed, in milliseconds; `None` where only the day is known, or nothing.
    pub taken_ms: Option<i64>,
    pub decision: Option<Decision>,
    pub decision_source: Option<DecisionSource>,
    /// A hash of its bytes. Photos that have the same one are one picture, which takes one place.
    pub content: Option<[u8; 32]>,
}

/// How the album is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    pub weights: Weights,
    pub filters: Filters,
    /// At most so many picks; photos a person keeps are picked even beyond it.
    pub top: Option<usize>,
    /// Photos every group may give.
    pub per_group: usize,
    /// When `top` is not reached, groups may give more than `per_group`, if different enough.
    pub fill: bool,
    /// Cosine distance a further photo must have from those taken of its group.
    pub diversity: f64,
    /// Photos whose composite is this near the best of their group go into the tie-break.
    pub tiebreak_margin: f64,
    /// Where a group has a photo in which nobody blinks, one with a blink must lead it by more than this; 0: blinks count
    /// only as far as the composite has them.
    pub blink_margin: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            filters: Filters::default(),
            top: None,
            per_group: 1,
            fill: true,
            diversity: 0.1,
            tiebreak_margin: 0.05,
            blink_margin: 0.0,
        }
    }
}

impl Rules {
    fn check(&self) -> Result<(), SelectError> {
        self.weights.check()?;
        let margins = [
            ("diversity_threshold", self.diversity),
            ("tiebreak_margin", self.tiebreak_margin),
            ("blink_margin", self.blink_margin),
        ];
        for (name, value) in margins {
            if !(value.is_finite() && value >= 0.0) {
                return Err(SelectError::Margin { name });
            }
        }
        Ok(())
    }
}

/// What may be asked about two photos, by their index; both answers may be missing.
#[derive(Clone, Copy)]
pub struct Between<'a> {
    /// The probability that the first is the better photo: the comparison model. Absent, ties go by composite,
    /// sharpness, path.
    pub better: Option<&'a dyn Fn(usize, usize) -> Option<f64>>,
    /// Cosine distance of their embeddings; photos that cannot be compared count as different.
    pub distance: &'a dyn Fn(usize, usize) -> Option<f64>,
}

impl std::fmt::Debug for Between<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Between").field("better", &self.better.is_some()).finish_non_exhaustive()
    }
}

/// What became of one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Its index in the input.
    pub photo: usize,
    /// 1 for the first pick; `None` for photos not picked.
    pub rank: Option<usize>,
    pub composite: Option<f64>,
    pub parts: Parts,
    pub group_size: usize,
    pub tiebreak: Option<Tiebreak>,
    /// Whether it is the first or second of its group, and the tie-break could hardly tell the two apart.
    pub close_call: bool,
    /// One plain sentence.
    pub reason: String,
}

impl Verdict {
    pub fn selected(&self) -> bool {
        self.rank.is_some()
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

//! Selection of an album from scored and grouped photos: the picks in order, and one sentence of reason for each photo.
//!
//! The result does not depend on the order of the input, because every comparison ends with the path.

pub mod composite;
mod cover;
mod filter;
mod kind;
mod lids;
mod pick;
mod picks;
mod reason;
mod relevance;
mod representatives;
mod taste;
pub mod tournament;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::sequences::SequenceKind;

pub use composite::{MissingReason, Portrait, ScoreParts, Weights};
pub use cover::Quota;
pub use filter::{Filters, Orientation};
pub use kind::{Junk, LikelyKind, PictureKind};
pub use lids::SeenEyes;
pub use relevance::Relevance;
pub use taste::{Selection, select};
pub use tournament::{Meeting, Tiebreak};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SelectError {
    #[error("the weights of the parts must be finite, not negative, and not all zero")]
    Weights,
    #[error("{name} must be a finite number of at least 0")]
    Margin { name: &'static str },
}

/// A person's decision about a photo. It overrides everything computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Keep,
    Reject,
}

/// The place where a person's decision was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionSource {
    /// Recorded by the `decide` command.
    Journal,
    /// Written by another program into a sidecar file.
    Sidecar,
    /// Written by another program into the photo itself.
    File,
}

/// A photo with everything that the selection uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Photo {
    pub path: PathBuf,
    /// The group's number; `None` when clustering left the photo out.
    pub group: Option<usize>,
    /// From 1 to 10.
    pub aesthetic: Result<f64, MissingReason>,
    /// From 0 to 1.
    pub iqa: Result<f64, MissingReason>,
    pub portrait: Result<Portrait, MissingReason>,
    /// From 0 to 1.
    pub sharpness: Option<f64>,
    /// How sharp each prominent face is, from the left; empty if one of them could not be measured.
    pub face_sharpness: Vec<f64>,
    /// The eyes of each prominent face, from the left.
    pub eyes: Vec<SeenEyes>,
    /// Capture time by the camera's clock, in milliseconds; `None` when unknown or known only to the day.
    pub taken_ms: Option<i64>,
    pub decision: Option<Decision>,
    pub decision_source: Option<DecisionSource>,
    /// `None` when nothing told it: such a picture counts as a photograph.
    pub kind: Option<LikelyKind>,
    /// What is in it, where a classifier is sure. Photos with different subjects count as less alike.
    pub subject: Option<String>,
    /// Width and height of the upright original, where known.
    pub size: Option<(u32, u32)>,
    /// The day on which it was taken, `2026-05-04`.
    pub day: Option<String>,
    /// Who is on it: names, or numbers such as `p3`.
    pub people: Vec<String>,
    /// A hash of the file's bytes. Files with the same hash are one picture and fill one place in the album.
    pub content: Option<[u8; 32]>,
    pub sequence: Option<SequencePart>,
    /// What the person's taste adds to the composite score; `None` where it does not count.
    pub taste: Option<f64>,
    /// What it has to do with what was asked for; `None` where nothing was.
    pub relevance: Option<Relevance>,
    /// What it has to do with what is to be left out, where that is enough to leave it out.
    pub unwanted: Option<Relevance>,
}

/// The place of a photo in a sequence, of which one frame stands for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequencePart {
    /// The same for all frames of the sequence.
    pub number: usize,
    pub kind: SequenceKind,
    /// 0 for the middle frame, then by the distance from it.
    pub from_middle: usize,
    /// The number of frames.
    pub frames: usize,
}

impl Photo {
    /// By how much its faces are sharper than those of another photo, on average; `None` unless both have the same number of
    /// measured faces.
    fn sharper_faces_than(&self, other: &Self) -> Option<f64> {
        let (own, others) = (&self.face_sharpness, &other.face_sharpness);
        let lead: f64 = own.iter().zip(others).map(|(own, other)| own - other).sum();
        (own.len() == others.len() && !own.is_empty()).then(|| lead / own.len() as f64)
    }
}

/// The rules of a selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    pub weights: Weights,
    pub filters: Filters,
    /// The largest number of picks. Photos that a person keeps are picked even beyond it.
    pub top: Option<usize>,
    /// The number of photos that each group may contribute.
    pub per_group: usize,
    /// The largest number of picks of one day. Photos of unknown days are not limited.
    pub per_day: Option<usize>,
    /// The treatment of pictures that are not photographs.
    pub junk: Junk,
    /// Who shall be in the album.
    pub coverage: Vec<Quota>,
    /// Whether groups may contribute more than `per_group` photos, if different enough, until `top` is reached.
    pub fill: bool,
    /// The smallest cosine distance between an additional photo and the picks of the same group.
    pub diversity: f64,
    /// How much is added to that distance where two pictures differ in kind or subject.
    pub category_distance: f64,
    /// The largest distance from the best composite of a group at which a photo enters the tie-break.
    pub tiebreak_margin: f64,
    /// The lead in composite that a photo with a blink needs over one of the same group in which nobody blinks. Eyes that
    /// are half closed compared with the same face in another photo of the group count as a blink. At 0, blinks count only
    /// through the composite.
    pub blink_margin: f64,
    /// By how much the faces of a photo may be less sharp than those of another in the same tie-break. At 0, they are not
    /// compared.
    pub face_sharpness_margin: f64,
    /// Whether the best frame stands for a sequence in the place of the middle one.
    pub best_of_sequences: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            filters: Filters::default(),
            top: None,
            per_group: 1,
            per_day: None,
            junk: Junk::default(),
            coverage: Vec::new(),
            fill: true,
            diversity: 0.1,
            category_distance: 0.05,
            tiebreak_margin: 0.05,
            blink_margin: 0.0,
            face_sharpness_margin: 0.0,
            best_of_sequences: false,
        }
    }
}

impl Rules {
    fn check(&self) -> Result<(), SelectError> {
        self.weights.check()?;
        let margins = [
            ("diversity_threshold", self.diversity),
            ("category_distance", self.category_distance),
            ("tiebreak_margin", self.tiebreak_margin),
            ("blink_margin", self.blink_margin),
            ("face_sharpness_margin", self.face_sharpness_margin),
        ];
        for (name, value) in margins {
            if !(value.is_finite() && value >= 0.0) {
                return Err(SelectError::Margin { name });
            }
        }
        Ok(())
    }
}

/// Functions that compare two photos by index. Both may return `None`.
#[derive(Clone, Copy)]
pub struct Comparator<'a> {
    /// The comparison model: the probability that the first photo is the better one. Without a model, composite,
    /// sharpness and path break ties, in this order.
    pub better: Option<&'a dyn Fn(usize, usize) -> Option<f64>>,
    /// The cosine distance of the embeddings. Photos that cannot be compared count as different.
    pub distance: &'a dyn Fn(usize, usize) -> Option<f64>,
}

impl std::fmt::Debug for Comparator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comparator").field("better", &self.better.is_some()).finish_non_exhaustive()
    }
}

/// The result for one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Its index in the input.
    pub photo: usize,
    /// The rank among the picks, from 1; `None` when the photo was not picked.
    pub rank: Option<usize>,
    /// With what a taste adds.
    pub composite: Option<f64>,
    pub parts: ScoreParts,
    pub group_size: usize,
    pub tiebreak: Option<Tiebreak>,
    /// True for the first two photos of a group when the tie-break hardly distinguishes them.
    pub close_call: bool,
    /// One sentence for the user.
    pub reason: String,
}

impl Verdict {
    pub fn selected(&self) -> bool {
        self.rank.is_some()
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

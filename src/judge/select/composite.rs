//! The composite score of a photo: the weighted mean of its aesthetic, technical and portrait parts, each from 0 to 1; and, where a person
//! asked for something, its relevance.

use serde::{Deserialize, Serialize};

use super::{Photo, SelectError};

/// The reason why a part has no value. Such a part is left out, and the others share its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingReason {
    ModelMissing,
    NotMeasured,
    Failed,
}

/// Weights of the parts. Only their proportions matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    pub aesthetic: f64,
    pub iqa: f64,
    pub portrait: f64,
    /// Counts only where a person asked for something.
    pub relevance: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { aesthetic: 0.5, iqa: 0.2, portrait: 0.3, relevance: 0.2 }
    }
}

impl Weights {
    pub fn check(&self) -> Result<(), SelectError> {
        let parts = [self.aesthetic, self.iqa, self.portrait];
        let is_sound = |weight: &f64| weight.is_finite() && *weight >= 0.0;
        let sound = parts.iter().chain([&self.relevance]).all(is_sound) && parts.iter().any(|&weight| weight > 0.0);
        if sound { Ok(()) } else { Err(SelectError::Weights) }
    }
}

/// The result of the face analysis; `None` means that it cannot be determined.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Portrait {
    /// The portrait part of the composite, from 0 to 1.
    pub score: f64,
    pub is_portrait: bool,
    pub eyes_open: Option<bool>,
    pub is_smiling: Option<bool>,
    /// The number of prominent faces if every one of them can be judged, else 0.
    pub people: usize,
    /// The first prominent face whose eyes are not open, counted from the left, from 1.
    pub blinks: Option<usize>,
}

impl Portrait {
    /// Whether a prominent person blinks; `None` without prominent faces or when it cannot be determined.
    pub fn has_blink(&self) -> Option<bool> {
        self.eyes_open.filter(|_| self.is_portrait).map(|open| !open)
    }
}

/// One part of a composite, with the weight it had.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScorePart {
    /// From 0 to 1.
    pub value: Option<f64>,
    /// The effective weight. The weights of a photo sum to 1, or are all 0 when it has no composite.
    pub weight: f64,
    pub why: Option<MissingReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScoreParts {
    pub aesthetic: ScorePart,
    pub iqa: ScorePart,
    pub portrait: ScorePart,
    /// `None` where nothing was asked for.
    pub relevance: Option<ScorePart>,
}

impl ScoreParts {
    /// Scales the aesthetic score from 1–10 to 0–1.
    pub fn of(photo: &Photo, weights: &Weights) -> Self {
        let finite = |value: Result<f64, MissingReason>| match value {
            Ok(value) if !value.is_finite() => Err(MissingReason::Failed),
            other => other,
        };
        let unit = |value: f64| value.clamp(0.0, 1.0);
        let aesthetic = finite(photo.aesthetic).map(|score| unit((score - 1.0) / 9.0));
        let iqa = finite(photo.iqa).map(unit);
        let portrait = finite(photo.portrait.as_ref().map(|portrait| portrait.score).map_err(|why| *why)).map(unit);
        let relevance =
            photo.relevance.as_ref().map_or(Err(MissingReason::NotMeasured), |found| finite(Ok(found.score)));
        let given = [
            (aesthetic, weights.aesthetic),
            (iqa, weights.iqa),
            (portrait, weights.portrait),
            (relevance.map(unit), weights.relevance),
        ];
        let total: f64 = given.iter().filter(|(value, _)| value.is_ok()).map(|(_, weight)| weight).sum();
        let [aesthetic, iqa, portrait, relevance] = given.map(|(value, weight)| ScorePart {
            value: value.ok(),
            weight: if value.is_ok() && total > 0.0 { weight / total } else { 0.0 },
            why: value.err(),
        });
        Self { aesthetic, iqa, portrait, relevance: photo.relevance.is_some().then_some(relevance) }
    }

    /// The weighted mean; `None` when no part with a weight has a value.
    pub fn composite(&self) -> Option<f64> {
        let parts = [Some(self.aesthetic), Some(self.iqa), Some(self.portrait), self.relevance];
        let parts = parts.into_iter().flatten();
        let has_weight = parts.clone().any(|part| part.weight > 0.0);
        has_weight.then(|| parts.map(|part| part.value.unwrap_or(0.0) * part.weight).sum())
    }
}

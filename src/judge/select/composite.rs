//! One number a photo: aesthetic, technical and portrait parts, each on 0–1, by weight.

use serde::{Deserialize, Serialize};

use super::{Photo, SelectError};

/// Why a part has no value. Such a part is left out and the others share its weight; nothing is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    ModelMissing,
    NotMeasured,
    Failed,
}

/// Only proportions matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    pub aesthetic: f64,
    pub iqa: f64,
    pub portrait: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { aesthetic: 0.5, iqa: 0.2, portrait: 0.3 }
    }
}

impl Weights {
    pub fn check(&self) -> Result<(), SelectError> {
        let all = [self.aesthetic, self.iqa, self.portrait];
        let sound =
            all.iter().all(|weight| weight.is_finite() && *weight >= 0.0) && all.iter().any(|&weight| weight > 0.0);
        if sound { Ok(()) } else { Err(SelectError::Weights) }
    }
}

/// What the face analysis found; `None` is "cannot tell".
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Portrait {
    /// The part itself, 0 to 1.
    pub score: f64,
    pub is_portrait: bool,
    pub eyes_open: Option<bool>,
    pub is_smiling: Option<bool>,
    /// Prominent faces, where each of them can be judged; else 0.
    pub people: usize,
    /// Whose eyes are not open: the first such prominent face, counted from the left from 1.
    pub blinks: Option<usize>,
}

impl Portrait {
    /// Whether somebody blinks whom the photo is about; `None` where it is about nobody or cannot be told.
    pub fn has_blink(&self) -> Option<bool> {
        self.eyes_open.filter(|_| self.is_portrait).map(|open| !open)
    }
}

/// One part as it counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Part {
    /// On 0–1.
    pub value: Option<f64>,
    /// The weight in force; those of a photo sum to 1, or are all 0 when it has no composite.
    pub weight: f64,
    pub why: Option<Why>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Parts {
    pub aesthetic: Part,
    pub iqa: Part,
    pub portrait: Part,
}

impl Parts {
    pub fn of(photo: &Photo, weights: &Weights) -> Self {
        Self::new(photo.aesthetic, photo.iqa, &photo.portrait, weights)
    }

    /// An aesthetic score on 1–10 and a technical one on 0–1.
    pub fn new(
        aesthetic: Result<f64, Why>,
        iqa: Result<f64, Why>,
        portrait: &Result<Portrait, Why>,
        weights: &Weights,
    ) -> Self {
        let finite = |value: Result<f64, Why>| match value {
            Ok(value) if !value.is_finite() => Err(Why::Failed),
            other => other,
        };
        let unit = |value: f64| value.clamp(0.0, 1.0);
        let aesthetic = finite(aesthetic).map(|score| unit((score - 1.0) / 9.0));
        let iqa = finite(iqa).map(unit);
        let portrait = finite(portrait.as_ref().map(|portrait| portrait.score).map_err(|why| *why)).map(unit);
        let given = [(aesthetic, weights.aesthetic), (iqa, weights.iqa), (portrait, weights.portrait)];
        let in_force: f64 = given.iter().filter(|(value, _)| value.is_ok()).map(|(_, weight)| weight).sum();
        let [aesthetic, iqa, portrait] = given.map(|(value, weight)| Part {
            value: value.ok(),
            weight: if value.is_ok() && in_force > 0.0 { weight / in_force } else { 0.0 },
            why: value.err(),
        });
        Self { aesthetic, iqa, portrait }
    }

    /// `None` when no part that has a weight has a value.
    pub fn composite(&self) -> Option<f64> {
        let parts = [self.aesthetic, self.iqa, self.portrait];
        let has_weight = parts.iter().any(|part| part.weight > 0.0);
        has_weight.then(|| parts.iter().map(|part| part.value.unwrap_or(0.0) * part.weight).sum())
    }
}

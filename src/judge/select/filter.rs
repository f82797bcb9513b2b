//! Bars a photo must clear to be picked. What was not measured clears them: nobody is dropped for a missing model.

use super::{Photo, Portrait};

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Filters {
    /// On 0–1.
    pub min_iqa: f64,
    /// On 1–10.
    pub min_aesthetic: f64,
    /// On 0–1.
    pub min_sharpness: f64,
    /// Portraits with closed eyes are out. "Cannot tell" stays in: small faces would all fall otherwise.
    pub require_eyes_open: bool,
}

/// The bar a photo did not clear.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Failed {
    Iqa { value: f64, least: f64 },
    Aesthetic { value: f64, least: f64 },
    Sharpness { value: f64, least: f64 },
    EyesClosed,
}

impl Filters {
    pub(super) fn failed(&self, photo: &Photo) -> Option<Failed> {
        let below = |value: Option<f64>, least: f64| value.filter(|value| *value < least);
        if let Some(value) = below(photo.iqa.ok(), self.min_iqa) {
            return Some(Failed::Iqa { value, least: self.min_iqa });
        }
        if let Some(value) = below(photo.aesthetic.ok(), self.min_aesthetic) {
            return Some(Failed::Aesthetic { value, least: self.min_aesthetic });
        }
        if let Some(value) = below(photo.sharpness, self.min_sharpness) {
            return Some(Failed::Sharpness { value, least: self.min_sharpness });
        }
        let closed = |portrait: &Portrait| portrait.is_portrait && portrait.eyes_open == Some(false);
        (self.require_eyes_open && photo.portrait.as_ref().is_ok_and(closed)).then_some(Failed::EyesClosed)
    }
}

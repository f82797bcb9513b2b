//! Filters that a photo must pass to be picked. A value that was not measured passes, so that a missing model drops
//! no photo.

use super::{LikelyKind, Photo, Portrait};

/// Which way a photo is longer. Sides that differ by a twentieth at most are square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orientation {
    Landscape,
    Portrait,
    Square,
}

impl Orientation {
    pub const NAMES: [&str; 3] = ["landscape", "portrait", "square"];
    const ALL: [Self; 3] = [Self::Landscape, Self::Portrait, Self::Square];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub fn of((width, height): (u32, u32)) -> Self {
        let (long, short) = (u64::from(width.max(height)), u64::from(width.min(height)));
        match width > height {
            _ if 20 * long <= 21 * short => Self::Square,
            true => Self::Landscape,
            false => Self::Portrait,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Filters {
    /// From 0 to 1.
    pub min_iqa: f64,
    /// From 1 to 10.
    pub min_aesthetic: f64,
    /// From 0 to 1.
    pub min_sharpness: f64,
    /// Whether portraits with closed eyes are excluded. Portraits whose eyes cannot be judged pass, since otherwise all
    /// small faces would fail.
    pub require_eyes_open: bool,
    pub orientation: Option<Orientation>,
    /// From 0 to 1, for photos with a relevance. Without one a photo passes.
    pub min_relevance: f64,
}

/// The filter that a photo failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum FailedFilter {
    Iqa {
        value: f64,
        least: f64,
    },
    Aesthetic {
        value: f64,
        least: f64,
    },
    Sharpness {
        value: f64,
        least: f64,
    },
    EyesClosed,
    Orientation {
        found: Orientation,
        wanted: Orientation,
    },
    Relevance {
        value: f64,
        least: f64,
    },
    /// It has to do with what is to be left out.
    Unwanted,
    /// A picture that is no photograph, where those are left out.
    Junk(LikelyKind),
}

impl Filters {
    pub(super) fn failed(&self, photo: &Photo) -> Option<FailedFilter> {
        let below = |value: Option<f64>, least: f64| value.filter(|value| *value < least);
        if let Some(value) = below(photo.relevance.as_ref().map(|found| found.score), self.min_relevance) {
            return Some(FailedFilter::Relevance { value, least: self.min_relevance });
        }
        if photo.unwanted.is_some() {
            return Some(FailedFilter::Unwanted);
        }
        if let Some(value) = below(photo.iqa.ok(), self.min_iqa) {
            return Some(FailedFilter::Iqa { value, least: self.min_iqa });
        }
        if let Some(value) = below(photo.aesthetic.ok(), self.min_aesthetic) {
            return Some(FailedFilter::Aesthetic { value, least: self.min_aesthetic });
        }
        if let Some(value) = below(photo.sharpness, self.min_sharpness) {
            return Some(FailedFilter::Sharpness { value, least: self.min_sharpness });
        }
        let closed = |portrait: &Portrait| portrait.is_portrait && portrait.eyes_open == Some(false);
        if let (Some(wanted), Some(found)) = (self.orientation, photo.size.map(Orientation::of))
            && wanted != found
        {
            return Some(FailedFilter::Orientation { found, wanted });
        }
        (self.require_eyes_open && photo.portrait.as_ref().is_ok_and(closed)).then_some(FailedFilter::EyesClosed)
    }
}

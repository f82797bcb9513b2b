//! From a photo's bytes to what analyses look at.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::facts::PhotoFacts;
use super::{Analysis, Picture};
use photo::{self, DecodeError, Decoded, Limits, Place, Scale};

/// What is wanted of every photo of a job.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    pub limits: Limits,
    /// Long side at which photos are measured; `None` measures originals.
    pub medium: Option<u32>,
    /// Somebody looks at the photo as it was decoded, not only at that size.
    pub closely: bool,
}

#[derive(Debug)]
pub struct Seen {
    pub facts: PhotoFacts,
    pub picture: Picture,
    /// The part of the time that went into making it smaller.
    pub resizing: Duration,
}

/// Why a photo could not be decoded: a word for scripts and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: &'static str,
    pub cause: String,
}

impl From<DecodeError> for Refused {
    fn from(error: DecodeError) -> Self {
        Self { code: error.code(), cause: error.to_string() }
    }
}

impl Wanted {
    pub fn of(limits: Limits, medium: Option<u32>, analyses: &[&dyn Analysis]) -> Self {
        // JSON knows no infinity.
        let limits = Limits { max_seconds: limits.max_seconds.min(1e9), ..limits };
        Self { limits, medium, closely: analyses.iter().any(|analysis| analysis.looks_closely()) }
    }

    pub fn scale(&self) -> Scale {
        self.medium.map_or(Scale::Full, Scale::AtLeast)
    }
}

/// Decodes a photo in this process.
pub fn see(place: &Place, bytes: &[u8], wanted: &Wanted) -> Result<Seen, Refused> {
    let decoded = photo::decode_in(place, bytes, wanted.scale(), &wanted.limits)?;
    let facts = PhotoFacts::of(&decoded);
    let begun = Instant::now();
    let picture = Picture::new(decoded, wanted)?;
    Ok(Seen { facts, picture, resizing: begun.elapsed() })
}

impl Picture {
    fn new(mut photo: Decoded, wanted: &Wanted) -> Result<Self, DecodeError> {
        let as_stored = photo.as_stored.take();
        let reduce = |pixels| wanted.medium.map_or(Ok(None), |side| photo.reduced(pixels, side));
        let reduced = reduce(&photo.pixels)?;
        let as_stored = match as_stored {
            Some(stored) => Some(reduce(&stored)?.unwrap_or(stored)),
            None => None,
        };
        Ok(match reduced {
            Some(reduced) if !wanted.closely => Self { decoded: reduced, reduced: None, as_stored },
            reduced => Self { decoded: photo.pixels, reduced, as_stored },
        })
    }

    /// What it holds in memory.
    pub(super) fn bytes(&self) -> u64 {
        let held = [Some(&self.decoded), self.reduced.as_ref(), self.as_stored.as_ref()];
        held.into_iter().flatten().map(|pixels| pixels.data().len() as u64).sum()
    }
}

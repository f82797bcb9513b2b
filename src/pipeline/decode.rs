//! Decoding a photo's bytes into the picture that analyses are given.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::facts::PhotoFacts;
use super::{Analysis, Picture};
use base::pixels::Pixels;
use photo::{self, DecodeError, Decoded, Limits, Region, Reservation, Scale};

/// How every photo of a job is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecodeOptions {
    pub limits: Limits,
    /// Long side at which photos are measured; `None` measures originals.
    pub medium: Option<u32>,
    /// Whether an analysis needs the photo at the size at which it was decoded.
    pub keep_decoded_size: bool,
}

#[derive(Debug)]
pub struct DecodedPhoto {
    pub facts: PhotoFacts,
    pub picture: Picture,
    /// The time spent on resizing.
    pub resizing: Duration,
}

/// Why a photo could not be decoded: a fixed code for scripts and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeFailure {
    pub code: &'static str,
    pub cause: String,
}

impl From<DecodeError> for DecodeFailure {
    fn from(error: DecodeError) -> Self {
        Self { code: error.code(), cause: error.to_string() }
    }
}

impl DecodeOptions {
    pub fn of(limits: Limits, medium: Option<u32>, analyses: &[&dyn Analysis]) -> Self {
        // JSON cannot represent infinity.
        let limits = Limits { max_seconds: limits.max_seconds.min(1e9), ..limits };
        Self { limits, medium, keep_decoded_size: analyses.iter().any(|analysis| analysis.needs_decoded_size()) }
    }
}

/// The scale at which photos are decoded that are measured at `medium`.
pub fn scale_for(medium: Option<u32>) -> Scale {
    medium.map_or(Scale::Full, Scale::AtLeast)
}

/// Decodes a photo in this process.
pub fn decode(reservation: &Reservation, bytes: &[u8], options: &DecodeOptions) -> Result<DecodedPhoto, DecodeFailure> {
    let decoded = photo::decode_in(reservation, bytes, scale_for(options.medium), &options.limits)?;
    let facts = PhotoFacts::of(&decoded);
    let begun = Instant::now();
    let picture = Picture::new(decoded, options)?;
    Ok(DecodedPhoto { facts, picture, resizing: begun.elapsed() })
}

/// Decodes regions of a photo at full size in this process.
pub fn decode_regions(
    reservation: &Reservation,
    bytes: &[u8],
    regions: &[Region],
    options: &DecodeOptions,
) -> Result<Regions, DecodeFailure> {
    Ok(photo::decode_regions(reservation, bytes, regions, &options.limits)?)
}

/// The pixels of regions, each `None` where it has none.
pub type Regions = Vec<Option<Pixels>>;

impl Picture {
    fn new(mut photo: Decoded, options: &DecodeOptions) -> Result<Self, DecodeError> {
        let as_stored = photo.as_stored.take();
        let reduce = |pixels| options.medium.map_or(Ok(None), |side| photo.reduced(pixels, side));
        let reduced = reduce(&photo.pixels)?;
        let as_stored = match as_stored {
            Some(stored) => Some(reduce(&stored)?.unwrap_or(stored)),
            None => None,
        };
        Ok(match reduced {
            Some(reduced) if !options.keep_decoded_size => Self { decoded: reduced, reduced: None, as_stored },
            reduced => Self { decoded: photo.pixels, reduced, as_stored },
        })
    }

    /// The memory its pixels take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let images = [Some(&self.decoded), self.reduced.as_ref(), self.as_stored.as_ref()];
        images.into_iter().flatten().map(|pixels| pixels.data().len() as u64).sum()
    }
}

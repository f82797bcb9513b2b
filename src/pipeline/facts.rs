//! What a photo says of itself, kept in the store beside the findings.

use serde::{Deserialize, Serialize};

use photo::{Decoded, TakenAt};

/// Raised when the meaning of the fields changes.
pub const REVISION: &str = "facts/1";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhotoFacts {
    /// Upright size of the original.
    pub width: u32,
    pub height: u32,
    /// Local time of the shot as EXIF gives it, with its offset where it has one.
    pub taken_at: Option<String>,
    /// The same in milliseconds, for telling how far apart two shots are.
    pub taken_ms: Option<i64>,
}

impl PhotoFacts {
    pub fn of(photo: &Decoded) -> Self {
        let taken = photo.facts.taken_at.known();
        Self {
            width: photo.width,
            height: photo.height,
            taken_at: taken.map(TakenAt::text),
            taken_ms: taken.map(TakenAt::sort_key),
        }
    }
}

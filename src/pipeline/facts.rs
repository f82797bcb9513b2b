//! What a photo says of itself, kept in the store beside the findings.

use serde::{Deserialize, Serialize};

use crate::photo_report::PhotoReport;
use photo::{Decoded, TakenAt};

/// Raised when the meaning of the fields changes.
pub const REVISION: &str = "facts/1";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhotoFacts {
    /// Upright size of the original.
    pub width: u32,
    pub height: u32,
    /// Local time of the shot as EXIF gives it, with its offset where it has one.
    taken_at: Option<String>,
}

impl PhotoFacts {
    pub fn of(photo: &Decoded) -> Self {
        let taken_at = photo.facts.taken_at.known().map(TakenAt::text);
        Self { width: photo.width, height: photo.height, taken_at }
    }

    /// What is said without looking: `medium` is the long side at which photos are measured.
    pub fn tell(&self, medium: Option<u32>, report: &mut PhotoReport) {
        let long_side = self.width.max(self.height);
        (report.width, report.height) = (self.width, self.height);
        report.taken_at = self.taken_at.as_deref().and_then(|text| text.parse().ok());
        report.measured_at = medium.map_or(long_side, |medium| medium.min(long_side));
    }
}

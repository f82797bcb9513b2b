//! What a photo says of itself, kept in the store beside the findings.

use serde::{Deserialize, Serialize};

use crate::photo_report::{PhotoReport, TakenFrom};
use photo::identity::PictureId;
use photo::xmp::PersonsRating;
use photo::{Decoded, Taken, TakenAt};

/// Raised when the meaning of the fields changes.
pub const REVISION: &str = "facts/2";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhotoFacts {
    /// Upright size of the original.
    pub width: u32,
    pub height: u32,
    /// Local time of the shot as EXIF gives it, with its offset where it has one.
    taken_at: Option<String>,
    /// By what the picture is known.
    picture: String,
    /// What a person said of it in another program, inside the file.
    rating: Option<PersonsRating>,
}

impl PhotoFacts {
    pub fn of(photo: &Decoded) -> Self {
        let taken_at = photo.facts.taken_at.known().map(TakenAt::text);
        let (picture, rating) = (photo.picture.to_string(), photo.facts.rating);
        Self { width: photo.width, height: photo.height, taken_at, picture, rating }
    }

    pub fn picture(&self) -> Option<PictureId> {
        self.picture.parse().ok()
    }

    /// What is said without looking: `medium` is the long side at which photos are measured.
    pub fn tell(&self, medium: Option<u32>, report: &mut PhotoReport) {
        let long_side = self.width.max(self.height);
        (report.width, report.height) = (self.width, self.height);
        report.picture = self.picture();
        report.rating = self.rating;
        let by_camera = self.taken_at.as_deref().and_then(|text| text.parse().ok()).map(Taken::Moment);
        // A name belongs to the path and not to the content, so it is read anew and never kept.
        let name = report.path.file_name().unwrap_or_default().to_string_lossy();
        (report.taken_at, report.taken_from) = match by_camera {
            Some(taken) => (Some(taken), Some(TakenFrom::Exif)),
            None => photo::taken_in_name(&name).map(|taken| (taken, TakenFrom::FileName)).unzip(),
        };
        report.measured_at = medium.map_or(long_side, |medium| medium.min(long_side));
    }
}

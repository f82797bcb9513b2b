//! Facts read from the photo itself, stored beside the findings: its size, when it was taken, its picture identity,
//! how it was exposed.

use serde::{Deserialize, Serialize};

use crate::photo_report::{PhotoReport, TakenFrom};
use judge::sequences::Exposure;
use photo::identity::PictureId;
use photo::xmp::PersonsRating;
use photo::{Decoded, Taken, TakenAt};

/// Raised when the meaning of the fields changes.
pub const REVISION: &str = "facts/3";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhotoFacts {
    /// Upright size of the original.
    pub width: u32,
    pub height: u32,
    /// Local time of the shot from EXIF, with its offset where there is one.
    taken_at: Option<String>,
    /// The picture's identity.
    picture: String,
    /// A person's rating that another program wrote into the file.
    rating: Option<PersonsRating>,
    exposure: Exposure,
}

impl PhotoFacts {
    pub fn of(photo: &Decoded) -> Self {
        let taken_at = photo.facts.taken_at.known().map(TakenAt::text);
        let (picture, rating) = (photo.picture.to_string(), photo.facts.rating);
        let exposure = exposure(&photo.facts.exposure);
        Self { width: photo.width, height: photo.height, taken_at, picture, rating, exposure }
    }

    pub fn picture(&self) -> Option<PictureId> {
        self.picture.parse().ok()
    }

    /// Copies the facts into the report. `medium` is the long side at which photos are measured.
    pub fn fill(&self, medium: Option<u32>, report: &mut PhotoReport) {
        let long_side = self.width.max(self.height);
        (report.width, report.height) = (self.width, self.height);
        report.picture = self.picture();
        report.rating = self.rating;
        report.exposure = self.exposure;
        let by_camera = self.taken_at.as_deref().and_then(|text| text.parse().ok()).map(Taken::Moment);
        // The file name belongs to the path and not to the content, so it is never stored.
        let name = report.path.file_name().unwrap_or_default().to_string_lossy();
        (report.taken_at, report.taken_from) = match by_camera {
            Some(taken) => (Some(taken), Some(TakenFrom::Exif)),
            None => photo::taken_in_name(&name).map(|taken| (taken, TakenFrom::FileName)).unzip(),
        };
        report.measured_at = medium.map_or(long_side, |medium| medium.min(long_side));
    }
}

fn exposure(told: &photo::Exposure) -> Exposure {
    let photo::Exposure { bias, seconds, aperture, iso, focus_distance, is_bracketed } = *told;
    Exposure { bias, seconds, aperture, iso, focus_distance, is_bracketed }
}

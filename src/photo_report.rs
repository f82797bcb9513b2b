//! What is known of one photo: made by the pipeline, read back from a line of `analyze`, looked at by everything after.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::PhotoId;
use crate::thumbnail::Thumbnail;
use judge::portrait::Portrait;
use judge::quality::Quality;
use photo::Taken;
use photo::identity::{ContentId, PictureId};
use photo::xmp::PersonsRating;

/// Each part is there if it was asked for and its model is here.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoReport {
    pub path: PathBuf,
    /// `None` only for a photo that a file tells of without naming its content, and that is gone.
    pub content: Option<ContentId>,
    /// By what the picture is known whatever is written about it; `None` in files of an older `analyze`.
    pub picture: Option<PictureId>,
    /// What a person said of it in another program, inside the file.
    pub rating: Option<PersonsRating>,
    /// Upright size of the original.
    pub width: u32,
    pub height: u32,
    pub taken_at: Option<Taken>,
    /// What says so; `None` where nothing does.
    pub taken_from: Option<TakenFrom>,
    /// Long side at which it was measured.
    pub measured_at: u32,
    pub quality: Option<Quality>,
    pub aesthetic: Option<Rated>,
    pub portrait: Option<Portrait>,
    pub embedding: Option<Embedded>,
    /// As many numbers as the network tells, in its order.
    pub degradations: Option<Vec<f32>>,
    /// What a classifier says of it.
    pub classified: Option<Classified>,
    /// The group of one scene among the photos it was asked about with; photos that share it are of one scene.
    pub cluster_id: Option<i64>,
    /// What a comparison network compares pairs by.
    pub comparison: Option<Vec<f32>>,
    pub perceptual_hash: Option<u64>,
    pub thumbnail: Option<Thumbnail>,
}

/// What says when a photo was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TakenFrom {
    /// The camera, in the file.
    Exif,
    /// The name of the file.
    FileName,
}

/// How beautiful people would find it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rated {
    /// On 1–10.
    pub score: f64,
    /// `name@version` of the network that said so.
    pub model: String,
    pub trained_on_ava: bool,
    /// What the same network would compare it by, where it tells it.
    pub strength: Option<f32>,
}

/// What is in it, by one classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// All classes there are.
    pub classes: Arc<[String]>,
    /// How likely each is, in the same order.
    pub likely: Vec<f32>,
    /// Whether somebody chose the classes for albums, and wants to hear of all of them.
    pub own: bool,
    /// `name@version` of the network that said so.
    pub model: String,
}

impl Classified {
    /// The likeliest classes, best first; of those alike the first in the list.
    pub fn best(&self, most: usize) -> Vec<(&str, f32)> {
        let mut all: Vec<(&str, f32)> =
            self.classes.iter().map(String::as_str).zip(self.likely.iter().copied()).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(most);
        all
    }
}

/// The photo as a vector of length 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embedded {
    pub vector: Vec<f32>,
    /// `name@version` of what made it.
    pub model: String,
}

impl PhotoReport {
    /// Nothing but the name.
    pub fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            content: None,
            picture: None,
            rating: None,
            width: 0,
            height: 0,
            taken_at: None,
            taken_from: None,
            measured_at: 0,
            quality: None,
            aesthetic: None,
            portrait: None,
            embedding: None,
            degradations: None,
            classified: None,
            cluster_id: None,
            comparison: None,
            perceptual_hash: None,
            thumbnail: None,
        }
    }

    /// By what it is known again.
    pub fn id(&self) -> Option<PhotoId> {
        self.content.map(|content| PhotoId { content, picture: self.picture })
    }

    /// The same as written.
    pub fn taken_at_text(&self) -> Option<String> {
        self.taken_at.map(|taken| taken.text())
    }

    /// What the camera's clock showed, in milliseconds; `None` where only the day is known.
    pub fn taken_ms(&self) -> Option<i64> {
        self.taken_at.filter(|taken| matches!(taken, Taken::Moment(_))).map(|taken| taken.sort_key())
    }
}

//! The report on one photo, made by the pipeline or read back from a line of `analyze`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::{PersonFace, PhotoId, people};
use crate::thumbnail::Thumbnail;
use judge::portrait::Portrait;
use judge::quality::Quality;
use judge::select::LikelyKind;
use judge::sequences::{Exposure, FrameSketch, SequenceKind};
use networks::objects::Object;
use networks::text::TextLine;
use photo::Taken;
use photo::identity::{ContentId, PictureId};
use photo::xmp::PersonsRating;

/// All findings about one photo. A part is `None` where it was not asked for or its model is missing. Large parts that most
/// photos of a library lack are boxed, because all reports are in memory together.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoReport {
    pub path: PathBuf,
    /// `None` only for a photo read from an `analyze` file that does not name its content, if the photo itself is gone.
    pub content: Option<ContentId>,
    /// The picture's identity, which survives edits of the metadata; `None` in files of an older `analyze`.
    pub picture: Option<PictureId>,
    /// A person's rating that another program wrote into the file.
    pub rating: Option<PersonsRating>,
    /// Upright size of the original.
    pub width: u32,
    pub height: u32,
    pub taken_at: Option<Taken>,
    /// The source of `taken_at`.
    pub taken_from: Option<TakenFrom>,
    /// The long side at which it was measured.
    pub measured_at: u32,
    pub quality: Option<Quality>,
    pub aesthetic: Option<AestheticRating>,
    pub portrait: Option<Box<Portrait>>,
    pub embedding: Option<PhotoEmbedding>,
    /// The strength of each flaw, in the network's order.
    pub degradations: Option<Vec<f32>>,
    /// The result of the classifier.
    pub classified: Option<Box<Classified>>,
    /// What kind of picture it is.
    pub kind: Option<LikelyKind>,
    /// The faces on it, and whose they are.
    pub people: Option<Vec<PersonFace>>,
    pub text: Option<Box<PhotoText>>,
    /// The vector that texts are compared with.
    pub description: Option<Box<PhotoEmbedding>>,
    pub objects: Option<Box<PhotoObjects>>,
    /// The photo's group; photos of one batch with the same number show the same scene.
    pub cluster_id: Option<i64>,
    /// The feature vector by which a comparison network compares pairs.
    pub comparison: Option<Vec<f32>>,
    pub perceptual_hash: Option<u64>,
    pub exposure: Exposure,
    /// What tells whether it is a frame of a sequence.
    pub sketch: Option<FrameSketch>,
    /// The sequence that it is a frame of.
    pub sequence: Option<PhotoSequence>,
    pub thumbnail: Option<Thumbnail>,
}

/// The source of the time when a photo was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TakenFrom {
    /// The EXIF data that the camera wrote.
    Exif,
    /// The name of the file.
    FileName,
}

/// The aesthetic score of a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct AestheticRating {
    /// From 1 to 10.
    pub score: f64,
    /// `name@version` of the network.
    pub model: String,
    pub trained_on_ava: bool,
    /// The value by which the same network compares photos, if it has that output.
    pub strength: Option<f32>,
}

/// A sequence of photos that were taken as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoSequence {
    pub kind: SequenceKind,
    /// All frames, the middle one first.
    pub frames: Arc<[PathBuf]>,
}

/// The result of a classifier for one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// The names of all classes.
    pub classes: Arc<[String]>,
    /// Their probabilities, in the same order.
    pub likely: Vec<f32>,
    /// Whether the classes are a user's own, so that all of them are reported.
    pub own: bool,
    /// `name@version` of the network.
    pub model: String,
}

impl Classified {
    /// Returns the most probable classes, best first; of equal ones, the earlier in the list comes first.
    pub fn best(&self, most: usize) -> Vec<(&str, f32)> {
        let mut all: Vec<(&str, f32)> =
            self.classes.iter().map(String::as_str).zip(self.likely.iter().copied()).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(most);
        all
    }

    /// The most probable of ImageNet's classes if it is probable enough to be what the photo shows; with less, photos of one
    /// scene would differ by guesses.
    pub fn subject(&self) -> Option<&str> {
        const SURE: f32 = 0.5;
        let best = self.best(1).into_iter().find(|(_, score)| *score >= SURE && !self.own);
        best.map(|(label, _)| label)
    }
}

/// The text in a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoText {
    /// In reading order.
    pub lines: Vec<TextLine>,
    /// `name@version` of the model.
    pub model: String,
}

impl PhotoText {
    /// All lines, a line break between each two.
    pub fn joined(&self) -> String {
        self.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// The objects in a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoObjects {
    /// The surest first.
    pub objects: Vec<Object>,
    /// `name@version` of the model.
    pub model: String,
}

impl PhotoObjects {
    /// The score from which an object counts unless another is asked for.
    pub const SURE: f32 = 0.4;

    /// The objects with at least this score.
    pub fn with(&self, score: f32) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(move |object| object.score >= score)
    }
}

/// An embedding vector of length 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PhotoEmbedding {
    pub vector: Arc<[f32]>,
    /// `name@version` of the model.
    pub model: String,
}

impl PhotoReport {
    /// A report with nothing but the path.
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
            kind: None,
            people: None,
            text: None,
            description: None,
            objects: None,
            cluster_id: None,
            comparison: None,
            perceptual_hash: None,
            exposure: Exposure::default(),
            sketch: None,
            sequence: None,
            thumbnail: None,
        }
    }

    /// The identity by which the photo is recognised.
    pub fn id(&self) -> Option<PhotoId> {
        self.content.map(|content| PhotoId { content, picture: self.picture })
    }

    /// Who is on it: names, or numbers such as `p3`.
    pub fn who(&self) -> Vec<String> {
        let faces = self.people.iter().flatten();
        faces.filter_map(|face| face.name.clone().or_else(|| face.person.map(people::word))).collect()
    }

    /// The time when the photo was taken, as records show it.
    pub fn taken_at_text(&self) -> Option<String> {
        self.taken_at.map(|taken| taken.text())
    }

    /// The time on the camera's clock, in milliseconds; `None` where only the day is known.
    pub fn taken_ms(&self) -> Option<i64> {
        self.taken_at.filter(|taken| matches!(taken, Taken::Moment(_))).map(|taken| taken.sort_key())
    }
}

//! A line of `detect`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::photo_report::PhotoObjects;
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};
use networks::objects::Object;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DetectRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// The surest first; empty where there is none.
    pub objects: Vec<ObjectRecord>,
    /// `name@version` of the model.
    pub model: String,
}

/// An object in a photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRecord {
    /// What it is, in COCO's words.
    pub label: String,
    /// The number of its class; COCO's are 1 to 90.
    pub class_id: u32,
    /// How sure the model is, 0 to 1.
    pub score: f32,
    /// Left, top, width and height of the box around it, as shares of the upright picture.
    pub bbox: [f32; 4],
}

impl ObjectRecord {
    /// The objects of a photo with at least this score.
    pub fn all(found: &PhotoObjects, least: f32) -> Vec<Self> {
        found.with(least).map(Self::from).collect()
    }
}

impl From<&Object> for ObjectRecord {
    fn from(object: &Object) -> Self {
        let Object { label, class_id, score, bbox } = object.clone();
        Self { label, class_id, score, bbox }
    }
}

impl From<ObjectRecord> for Object {
    fn from(record: ObjectRecord) -> Self {
        let ObjectRecord { label, class_id, score, bbox } = record;
        Self { label, class_id, score, bbox }
    }
}

impl DetectRecord {
    pub fn new(path: &Path, found: &PhotoObjects, least: f32) -> Self {
        Self { path: PhotoPath::of(path), objects: ObjectRecord::all(found, least), model: found.model.clone() }
    }
}

impl Record for DetectRecord {
    const HEADINGS: &'static [&'static str] = &["photo", ">objects", ">score", "what…"];

    fn cells(&self) -> Vec<Cell> {
        let shown = |object: &ObjectRecord| format!("{} {:.2}", object.label, object.score);
        vec![
            Cell::path(&self.path.image_path),
            Cell::plain(&self.objects.len()),
            Cell::score_or_dash(self.objects.first().map(|surest| f64::from(surest.score))),
            Cell::faint(&self.objects.iter().map(shown).collect::<Vec<_>>().join(", ")),
        ]
    }
}

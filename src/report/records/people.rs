//! Lines of `people`: who is on a photo, and who is known.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::{Person, PersonFace, people};
use crate::photo_report::PhotoReport;
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};

/// The faces on a photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeopleRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// In the order of their confidence.
    pub faces: Vec<PersonRecord>,
    /// `name@version` of the recognition model.
    pub people_model: String,
}

/// A face, and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PersonRecord {
    /// Left, top, width and height as shares of the picture's; may reach outside.
    pub bbox: [f64; 4],
    /// How sure it is a face, 0 to 1.
    pub confidence: f64,
    /// A number that stays, such as `p3`; null for a face nobody knows.
    pub person: Option<String>,
    /// What you called them.
    pub name: Option<String>,
}

impl From<&PersonFace> for PersonRecord {
    fn from(face: &PersonFace) -> Self {
        Self {
            bbox: face.bbox,
            confidence: face.confidence,
            person: face.person.map(people::word),
            name: face.name.clone(),
        }
    }
}

impl From<PersonRecord> for PersonFace {
    fn from(record: PersonRecord) -> Self {
        let person = record.person.as_deref().and_then(people::number);
        Self { bbox: record.bbox, confidence: record.confidence, descriptor: Vec::new(), person, name: record.name }
    }
}

impl PeopleRecord {
    /// `None` for a photo whose faces were not analysed.
    pub fn new(report: &PhotoReport, model: &str) -> Option<Self> {
        let faces = report.people.as_ref()?.iter().map(PersonRecord::from).collect();
        Some(Self { path: PhotoPath::of(&report.path), faces, people_model: model.to_owned() })
    }
}

impl Record for PeopleRecord {
    const HEADINGS: &'static [&'static str] = &["photo", ">faces", "people"];

    fn cells(&self) -> Vec<Cell> {
        let called = self.faces.iter().filter_map(|face| face.name.clone().or_else(|| face.person.clone()));
        let unknown = self.faces.iter().filter(|face| face.person.is_none()).count();
        let unknown = (unknown > 0).then(|| format!("{unknown} unknown"));
        let people: Vec<String> = called.chain(unknown).collect();
        vec![Cell::path(&self.path.image_path), Cell::plain(&self.faces.len()), Cell::plain(&people.join(", "))]
    }
}

/// A person who is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KnownPersonRecord {
    /// Stays, and is never given to another: `p3`.
    pub person: String,
    /// What you called them.
    pub name: Option<String>,
    pub faces: usize,
    pub photos: usize,
    /// The first of these photos, where it lay when it was looked at.
    pub example: Option<PhotoPath>,
}

impl From<Person> for KnownPersonRecord {
    fn from(person: Person) -> Self {
        Self {
            person: people::word(person.id),
            name: person.name,
            faces: person.faces,
            photos: person.photos,
            example: person.path.as_deref().map(PhotoPath::of),
        }
    }
}

impl Record for KnownPersonRecord {
    const HEADINGS: &'static [&'static str] = &["person", "name", ">faces", ">photos", "on"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::plain(&self.person),
            self.name.as_ref().map_or_else(|| Cell::faint("-"), Cell::plain),
            Cell::plain(&self.faces),
            Cell::plain(&self.photos),
            self.example.as_ref().map_or_else(|| Cell::faint("-"), |path| Cell::path(&path.image_path)),
        ]
    }
}

//! A line of `analyze`: everything known of a photo, in one object. `select --from` reads it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::select::{Parts, TiebreakRecord};
use super::unit::UnitRecord;
use super::{DecisionPlace, DecisionWord, LabelRecord, ObjectRecord, PersonRecord, ScoreRecord, TextRecord};
use crate::journal::PersonFace;
use crate::photo_report::{AestheticRating, PhotoEmbedding, PhotoObjects, PhotoReport, PhotoText, TakenFrom};
use crate::report::{Cell, Record};
use judge::cluster::Clustering;
use judge::portrait::{self, Face, Portrait};
use judge::select::{self, LikelyKind, PictureKind, Verdict};
use photo::companions::Companions;
use photo::xmp::PersonsRating;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnalyzeRecord {
    #[serde(flatten)]
    pub score: ScoreRecord,
    /// The rating, 1 to 10; null without an aesthetic model.
    pub aesthetic_score: Option<f64>,
    /// The same value if the model was trained on AVA, else null.
    pub ava_score: Option<f64>,
    pub aesthetic_model: Option<String>,
    /// The face fields are null without a face model.
    pub has_face: Option<bool>,
    pub num_faces: Option<usize>,
    pub is_portrait: Option<bool>,
    pub eyes_open: Option<bool>,
    pub is_smiling: Option<bool>,
    pub smile_score: Option<f64>,
    pub eye_aspect_ratio: Option<f64>,
    pub face_ratio: Option<f64>,
    pub center_offset: Option<f64>,
    pub portrait_score: Option<f64>,
    pub faces: Option<Vec<Face>>,
    pub portrait_model: Option<String>,
    /// The model of the embedding.
    pub model: String,
    pub dim: usize,
    pub embedding: Vec<f32>,
    pub cluster_id: i64,
    pub cluster_size: usize,
    pub is_noise: bool,
    pub method: String,
    /// The time by the camera's clock, or only the day; null if neither the file nor its name has it.
    pub taken_at: Option<String>,
    /// The source of the time: the file's metadata or its name.
    #[serde(default)]
    pub taken_from: Option<TakenFrom>,
    /// 1 for the first pick; null for photos that would not be picked.
    pub rank: Option<usize>,
    pub selected: bool,
    pub composite_score: Option<f64>,
    pub parts: Parts,
    pub tiebreak: Option<TiebreakRecord>,
    /// Whether it is the first or second of its group, and the tie-break gave neither more than 55 % against the other.
    #[serde(default)]
    pub close_call: bool,
    pub reason: String,
    pub decision: Option<DecisionWord>,
    /// BLAKE3 of the photo's bytes, by which decisions refer to it.
    #[serde(default)]
    pub content: Option<String>,
    /// BLAKE3 of the picture without metadata, by which decisions refer to it.
    #[serde(default)]
    pub picture: Option<String>,
    /// The source of the decision.
    #[serde(default)]
    pub decision_source: Option<DecisionPlace>,
    /// A person's rating inside the photo, from another program: −1 rejected, 1 to 5 stars; a pick is 5.
    #[serde(default)]
    pub rating: Option<i8>,
    /// The likeliest ImageNet classes, best first; null without efficientnet-lite0.
    #[serde(default)]
    pub labels: Option<Vec<LabelRecord>>,
    /// What kind of picture it is.
    #[serde(default)]
    pub kind: Option<PictureKind>,
    /// How likely that is, 0 to 1.
    #[serde(default)]
    pub kind_confidence: Option<f64>,
    /// The faces on it, and whose they are; null where `albumctl models pull people` has brought no models.
    #[serde(default)]
    pub people: Option<Vec<PersonRecord>>,
    /// The text in it; null without pp-ocrv6-small.
    #[serde(default)]
    pub text: Option<TextRecord>,
    /// The objects in it with a score of at least 0.4, the surest first; null without ssd-mobilenet-v2.
    #[serde(default)]
    pub objects: Option<Vec<ObjectRecord>>,
    #[serde(flatten)]
    pub unit: UnitRecord,
    /// What it has to do with the words of `--about`, 0 to 1; null without them.
    #[serde(default)]
    pub relevance: Option<f64>,
    /// What your taste adds to the score, within `composite_score`; null where it does not count.
    #[serde(default)]
    pub taste: Option<f64>,
}

/// The number of labels in a line.
const LABELS: usize = 5;

impl AnalyzeRecord {
    /// Makes the line of a photo; `groups` are the groups of all photos. `None` for a photo that was not measured.
    pub fn new(
        report: PhotoReport,
        photos: &[select::Photo],
        verdict: Verdict,
        groups: (&Clustering, &str),
        companions: &mut Companions,
    ) -> Option<Self> {
        let photo = &photos[verdict.photo];
        let unit = UnitRecord::of(&report, companions);
        let (selected, measured, (clustering, method)) = (verdict.selected(), ScoreRecord::of(&report)?, groups);
        let (taken_at, taken_from, rated) = (report.taken_at_text(), report.taken_from, report.aesthetic);
        let score = rated.as_ref().map(|rated| rated.score);
        let (embedded, portrait) = (report.embedding.unwrap_or_default(), report.portrait);
        let faces = portrait.as_ref();
        Some(Self {
            score: measured,
            aesthetic_score: score,
            ava_score: score.filter(|_| rated.as_ref().is_some_and(|rated| rated.trained_on_ava)),
            aesthetic_model: rated.map(|rated| rated.model),
            has_face: faces.map(|found| found.has_face),
            num_faces: faces.map(|found| found.num_faces),
            is_portrait: faces.map(|found| found.is_portrait),
            eyes_open: faces.and_then(|found| found.eyes_open),
            is_smiling: faces.and_then(|found| found.is_smiling),
            smile_score: faces.and_then(|found| found.smile_score),
            eye_aspect_ratio: faces.and_then(|found| found.eye_aspect_ratio),
            face_ratio: faces.and_then(|found| found.face_ratio),
            center_offset: faces.and_then(|found| found.center_offset),
            portrait_score: verdict.parts.portrait.value,
            portrait_model: faces.map(|found| found.portrait_model.clone()),
            faces: portrait.map(|found| found.faces),
            model: embedded.model,
            dim: embedded.vector.len(),
            embedding: embedded.vector.to_vec(),
            cluster_id: clustering.labels[verdict.photo],
            cluster_size: clustering.size_of(verdict.photo),
            is_noise: clustering.is_noise[verdict.photo],
            method: method.to_owned(),
            taken_at,
            taken_from,
            rank: verdict.rank,
            selected,
            composite_score: verdict.composite,
            parts: verdict.parts.into(),
            tiebreak: verdict.tiebreak.as_ref().map(|tiebreak| TiebreakRecord::new(tiebreak, photos)),
            close_call: verdict.close_call,
            reason: verdict.reason,
            decision: photo.decision.map(Into::into),
            content: report.content.map(|content| content.to_string()),
            picture: report.picture.map(|picture| picture.to_string()),
            decision_source: photo.decision_source.map(Into::into),
            rating: report.rating.map(PersonsRating::number),
            labels: report.classified.map(|classified| LabelRecord::best(&classified, LABELS)),
            kind: report.kind.map(|kind| kind.what),
            kind_confidence: report.kind.map(|kind| kind.score),
            people: report.people.map(|faces| faces.iter().map(PersonRecord::from).collect()),
            text: report.text.as_deref().map(TextRecord::new),
            objects: report.objects.as_ref().map(|found| ObjectRecord::all(found, PhotoObjects::SURE)),
            unit,
            relevance: photo.relevance.as_ref().map(|found| found.score),
            taste: photo.taste,
        })
    }

    /// The report of the photo alone; groups and choices are computed anew.
    pub fn into_report(self) -> PhotoReport {
        let path = self.score.path.to_path();
        let portrait = self.is_portrait.map(|is_portrait| Portrait {
            has_face: self.has_face.unwrap_or(is_portrait),
            num_faces: self.num_faces.unwrap_or(usize::from(is_portrait)),
            is_portrait,
            eyes_open: self.eyes_open,
            is_smiling: self.is_smiling,
            smile_score: self.smile_score,
            eye_aspect_ratio: self.eye_aspect_ratio,
            face_ratio: self.face_ratio,
            center_offset: self.center_offset,
            portrait_score: self
                .portrait_score
                .unwrap_or_else(|| portrait::score(is_portrait, self.eyes_open, self.is_smiling, self.smile_score)),
            faces: self.faces.unwrap_or_default(),
            portrait_model: self.portrait_model.unwrap_or_default(),
        });
        PhotoReport {
            content: self.content.as_ref().and_then(|content| content.parse().ok()),
            rating: self.rating.and_then(|rating| PersonsRating::of_number(i64::from(rating))),
            picture: self.picture.as_ref().and_then(|picture| picture.parse().ok()),
            width: self.score.width,
            height: self.score.height,
            taken_at: self.taken_at.as_deref().and_then(|text| text.parse().ok()),
            taken_from: self.taken_from,
            measured_at: self.score.measured_at,
            quality: Some(self.score.quality()),
            aesthetic: self.aesthetic_score.map(|score| AestheticRating {
                score,
                model: self.aesthetic_model.unwrap_or_default(),
                trained_on_ava: self.ava_score.is_some(),
                strength: None,
            }),
            portrait: portrait.map(Box::new),
            sequence: self.unit.into_sequence(),
            embedding: Some(PhotoEmbedding { vector: self.embedding.into(), model: self.model }),
            classified: self.labels.map(LabelRecord::classified).map(Box::new),
            people: self.people.map(|faces| faces.into_iter().map(PersonFace::from).collect()),
            kind: self.kind.map(|what| LikelyKind { what, score: self.kind_confidence.unwrap_or(1.0) }),
            text: self.text.map(|text| Box::new(PhotoText { lines: text.into_lines(), model: String::new() })),
            objects: self.objects.map(|found| {
                let objects = found.into_iter().map(Into::into).collect();
                Box::new(PhotoObjects { objects, model: String::new() })
            }),
            ..PhotoReport::of(&path)
        }
    }
}

impl Record for AnalyzeRecord {
    const HEADINGS: &'static [&'static str] =
        &["photo", ">score", ">aesthetic", ">technical", ">portrait", ">group", ">rank", "why"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::path(&self.score.path.image_path),
            Cell::score_or_dash(self.composite_score),
            self.aesthetic_score.map_or_else(|| Cell::faint("-"), |score| Cell::plain(&format!("{score:.2}"))),
            Cell::score(self.score.iqa_score),
            Cell::score_or_dash(self.portrait_score),
            if self.cluster_id < 0 { Cell::faint("-") } else { Cell::plain(&self.cluster_id) },
            self.rank.map_or_else(|| Cell::faint("-"), |rank| Cell::plain(&rank)),
            Cell::faint(&self.reason),
        ]
    }
}

//! Lines of `taste`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DecisionWord;
use crate::journal::{PhotoId, TasteExample};
use crate::report::{Cell, Record};
use judge::taste::Learned;

/// The line of `taste show`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TasteRecord {
    /// Whether it is shown to order photos better than the scores alone, and so counts.
    pub counts: bool,
    /// Photos kept or rejected.
    pub decisions: usize,
    pub pairs: usize,
    /// Scenes that they are of.
    pub scenes: usize,
    /// How often the better of two photos of scenes that it did not learn from comes first with it; null where too little
    /// is decided to tell.
    pub concordance: Option<f64>,
    /// The same by the scores alone.
    pub default_concordance: Option<f64>,
    /// The interval of 98 % of the difference.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// What one standard deviation more of a score, or belonging to a kind, adds to the composite score; the strongest first.
    pub leanings: Vec<Leaning>,
    /// `name@version` of what made the embeddings that it knows photos by.
    pub model: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Leaning {
    pub name: String,
    pub adds: f64,
}

impl TasteRecord {
    pub fn new(learned: &Learned, model: &str) -> Self {
        let validation = learned.validation;
        let leanings = learned.taste.leanings();
        Self {
            counts: learned.helps(),
            decisions: learned.decisions,
            pairs: learned.pairs,
            scenes: learned.scenes,
            concordance: validation.map(|validation| validation.taste),
            default_concordance: validation.map(|validation| validation.default),
            low: validation.map(|validation| validation.low),
            high: validation.map(|validation| validation.high),
            leanings: leanings.into_iter().map(|(name, adds)| Leaning { name, adds }).collect(),
            model: model.to_owned(),
        }
    }
}

/// A line of `taste export`: a photo, or that one is better than another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TasteLessonRecord {
    /// BLAKE3 of the photo's bytes.
    pub content: String,
    /// BLAKE3 of its picture.
    pub picture: Option<String>,
    /// What was decided about it; null for a photo that only takes part in pairs.
    pub decision: Option<DecisionWord>,
    /// Of a pair: `content` of the photo that it is better than, and nothing else.
    pub better_than: Option<String>,
    pub better_than_picture: Option<String>,
    /// The same for photos of one scene.
    pub scene: Option<String>,
    /// 0 to 1, without what a taste adds.
    pub composite_score: Option<f64>,
    pub kind: Option<String>,
    pub scores: Option<BTreeMap<String, f64>>,
    /// `name@version` of what made the embedding.
    pub model: Option<String>,
    pub embedding: Option<Vec<f32>>,
}

impl TasteLessonRecord {
    pub fn of_example(example: &TasteExample) -> Self {
        Self {
            content: example.photo.content.to_string(),
            picture: example.photo.picture.map(|picture| picture.to_string()),
            decision: example.decision.map(Into::into),
            better_than: None,
            better_than_picture: None,
            scene: Some(photo::identity::ContentId(example.scene).to_string()),
            composite_score: example.facts.composite,
            kind: example.facts.kind.clone(),
            scores: Some(example.facts.scores.clone()),
            model: Some(example.model.clone()),
            embedding: Some(example.embedding.clone()),
        }
    }

    pub fn of_pair(better: &PhotoId, worse: &PhotoId) -> Self {
        Self {
            content: better.content.to_string(),
            picture: better.picture.map(|picture| picture.to_string()),
            decision: None,
            better_than: Some(worse.content.to_string()),
            better_than_picture: worse.picture.map(|picture| picture.to_string()),
            scene: None,
            composite_score: None,
            kind: None,
            scores: None,
            model: None,
            embedding: None,
        }
    }
}

impl Record for TasteRecord {
    const HEADINGS: &'static [&'static str] =
        &["counts", ">decisions", ">pairs", ">right", ">scores alone", "leanings…"];

    fn cells(&self) -> Vec<Cell> {
        let percent = |value: Option<f64>| {
            value.map_or_else(|| Cell::faint("-"), |value| Cell::plain(&format!("{:.0} %", 100.0 * value)))
        };
        let leanings = self.leanings.iter().take(4).map(|leaning| format!("{} {:+.3}", leaning.name, leaning.adds));
        vec![
            Cell::plain(if self.counts { "yes" } else { "no" }),
            Cell::plain(&self.decisions),
            Cell::plain(&self.pairs),
            percent(self.concordance),
            percent(self.default_concordance),
            Cell::faint(&leanings.collect::<Vec<_>>().join(", ")),
        ]
    }
}

impl Record for TasteLessonRecord {
    const HEADINGS: &'static [&'static str] = &["content", "decision", "better than"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::plain(&self.content),
            self.decision.map_or_else(|| Cell::faint("-"), |word| Cell::plain(word.word())),
            self.better_than.as_ref().map_or_else(|| Cell::faint("-"), Cell::plain),
        ]
    }
}

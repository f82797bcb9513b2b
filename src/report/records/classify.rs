//! A line of `classify`.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::photo_report::Classified;
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassifyRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// The likeliest class.
    pub label: String,
    /// Its probability, 0 to 1.
    pub confidence: f32,
    /// The probability of each class, for the built-in model and models of your own; empty for ImageNet's thousand classes.
    pub classes: BTreeMap<String, f32>,
    /// `name@version` of the model.
    pub classification_model: String,
    /// The likeliest classes, best first, as many as `--top`.
    #[serde(default)]
    pub labels: Vec<LabelRecord>,
}

/// A class and its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LabelRecord {
    pub label: String,
    /// 0 to 1.
    pub score: f32,
}

impl LabelRecord {
    /// The likeliest classes of a photo.
    pub fn best(classified: &Classified, most: usize) -> Vec<Self> {
        let best = classified.best(most).into_iter();
        best.map(|(label, score)| Self { label: label.to_owned(), score }).collect()
    }

    /// What a line tells of a classifier's answer: the likeliest classes alone.
    pub fn classified(labels: Vec<Self>) -> Classified {
        let likely = labels.iter().map(|one| one.score).collect();
        let classes = labels.into_iter().map(|one| one.label).collect();
        Classified { classes, likely, own: false, model: String::new() }
    }
}

impl ClassifyRecord {
    /// `None` if there is no class.
    pub fn new(path: &Path, classified: &Classified, top: usize) -> Option<Self> {
        let labels = LabelRecord::best(classified, top.max(1));
        let LabelRecord { label, score } = labels.first()?.clone();
        let all = classified.classes.iter().cloned().zip(classified.likely.iter().copied());
        Some(Self {
            path: PhotoPath::of(path),
            label,
            confidence: score,
            classes: all.filter(|_| classified.own).collect(),
            classification_model: classified.model.clone(),
            labels,
        })
    }
}

impl Record for ClassifyRecord {
    const HEADINGS: &'static [&'static str] = &["photo", "class", ">confidence", "or else", "model"];

    fn cells(&self) -> Vec<Cell> {
        let others = self.labels.iter().skip(1).map(|other| format!("{} {:.2}", other.label, other.score));
        vec![
            Cell::path(&self.path.image_path),
            Cell::plain(&self.label),
            Cell::score(f64::from(self.confidence)),
            Cell::faint(&others.collect::<Vec<_>>().join(", ")),
            Cell::faint(&self.classification_model),
        ]
    }
}

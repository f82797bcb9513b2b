//! A line of `search`.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record, Tone};
use judge::select::Relevance;

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SearchRecord {
    /// 1 for the most relevant; null for photos that were left out.
    pub rank: Option<usize>,
    #[serde(flatten)]
    pub path: PhotoPath,
    /// 0 to 1.
    pub relevance: f64,
    /// What speaks for it, in one sentence; what it is left out for.
    pub reason: String,
    #[serde(skip)]
    pub is_unwanted: bool,
}

impl SearchRecord {
    pub fn of(path: &Path) -> Self {
        Self { rank: None, path: PhotoPath::of(path), relevance: 0.0, reason: String::new(), is_unwanted: false }
    }

    /// Adds what the photo has to do with the words, and what it has to do with what is to be left out, if that suffices.
    pub fn answered(&mut self, found: &Relevance, unwanted: Option<&Relevance>) {
        self.relevance = found.score;
        self.is_unwanted = unwanted.is_some();
        self.reason = match unwanted {
            Some(unwanted) => format!("It {}, which is to be left out.", unwanted.shows),
            None if found.shows.is_empty() => "Nothing on it speaks for these words.".to_owned(),
            None => format!("It {}.", found.shows),
        };
    }
}

impl Record for SearchRecord {
    const HEADINGS: &'static [&'static str] = &[">rank", "photo", ">relevance", "why…"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.rank.map_or_else(|| Cell::faint("-"), |rank| Cell { text: rank.to_string(), tone: Tone::Good }),
            Cell::path(&self.path.image_path),
            Cell::score(self.relevance),
            if self.rank.is_some() { Cell::plain(&self.reason) } else { Cell::faint(&self.reason) },
        ]
    }
}

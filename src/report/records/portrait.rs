//! A line of `portrait`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record, Tone};
use judge::portrait::Portrait;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PortraitRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    #[serde(flatten)]
    pub portrait: Portrait,
}

impl PortraitRecord {
    pub fn new(path: &Path, portrait: Portrait) -> Self {
        Self { path: PhotoPath::of(path), portrait }
    }
}

impl Record for PortraitRecord {
    const HEADINGS: &'static [&'static str] = &["photo", ">faces", "portrait", "eyes", "smile", ">score"];

    fn cells(&self) -> Vec<Cell> {
        let told = |answer: Option<bool>, yes: &str, no: &str| match answer {
            Some(true) => Cell { text: yes.to_owned(), tone: Tone::Good },
            Some(false) => Cell { text: no.to_owned(), tone: Tone::Poor },
            None => Cell::faint(if self.portrait.has_face { "can't tell" } else { "-" }),
        };
        vec![
            Cell::path(&self.path.image_path),
            Cell::plain(&self.portrait.num_faces),
            if self.portrait.is_portrait { Cell::plain("yes") } else { Cell::faint("no") },
            told(self.portrait.eyes_open, "open", "closed"),
            told(self.portrait.is_smiling, "yes", "no"),
            Cell::score(self.portrait.portrait_score),
        ]
    }
}

//! What records tell of sequences.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::photo_report::{PhotoReport, PhotoSequence};
use judge::sequences::SequenceKind;

/// What a photo is taken for: itself, or a frame of a sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    #[default]
    Single,
    Bracket,
    Stack,
    Sweep,
}

impl Unit {
    pub fn of(report: &PhotoReport) -> Self {
        match report.sequence.as_ref().map(|sequence| sequence.kind) {
            None => Self::Single,
            Some(SequenceKind::Bracket) => Self::Bracket,
            Some(SequenceKind::Stack) => Self::Stack,
            Some(SequenceKind::Sweep) => Self::Sweep,
        }
    }

    fn kind(self) -> Option<SequenceKind> {
        match self {
            Self::Single => None,
            Self::Bracket => Some(SequenceKind::Bracket),
            Self::Stack => Some(SequenceKind::Stack),
            Self::Sweep => Some(SequenceKind::Sweep),
        }
    }

    /// The sequence as read from a line.
    pub fn sequence(self, frames: Option<Vec<String>>) -> Option<PhotoSequence> {
        let frames: Arc<[PathBuf]> = frames?.into_iter().map(PathBuf::from).collect();
        Some(PhotoSequence { kind: self.kind()?, frames })
    }
}

/// The paths of all frames of a photo's sequence.
pub fn frames(report: &PhotoReport) -> Option<Vec<String>> {
    let frames = &report.sequence.as_ref()?.frames;
    Some(frames.iter().map(|frame| frame.to_string_lossy().into_owned()).collect())
}

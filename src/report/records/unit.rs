//! What a photo is one with: the files beside it, the frames of its sequence.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::photo_report::{PhotoReport, PhotoSequence};
use judge::sequences::SequenceKind;
use photo::companions::{self, Companions};
use photo::is_motion_photo;

/// What a photo is taken for: itself, itself and the files beside it, or a frame of a sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    #[default]
    Single,
    Pair,
    Live,
    Bracket,
    Stack,
    Sweep,
}

impl Unit {
    fn of(report: &PhotoReport, beside: &[PathBuf]) -> Self {
        match report.sequence.as_ref().map(|sequence| sequence.kind) {
            Some(SequenceKind::Bracket) => Self::Bracket,
            Some(SequenceKind::Stack) => Self::Stack,
            Some(SequenceKind::Sweep) => Self::Sweep,
            None if beside.iter().any(|file| companions::is_film(file)) || is_motion_photo(&report.path) => Self::Live,
            None if beside.iter().any(|file| companions::is_raw(file)) => Self::Pair,
            None => Self::Single,
        }
    }

    fn sequence(self) -> Option<SequenceKind> {
        match self {
            Self::Single | Self::Pair | Self::Live => None,
            Self::Bracket => Some(SequenceKind::Bracket),
            Self::Stack => Some(SequenceKind::Stack),
            Self::Sweep => Some(SequenceKind::Sweep),
        }
    }
}

/// The fields of a line that tell of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnitRecord {
    /// `single`; `pair` (with its RAW file), `live` (with its film); or a frame of a `bracket` (exposures), `stack` (focus
    /// distances), `sweep` (a panorama).
    #[serde(default)]
    pub unit: Unit,
    /// All frames of its sequence, the middle one first; null for a single photo.
    #[serde(default)]
    pub sequence: Option<Vec<String>>,
    /// The files that belong to it: RAW file, film, sidecars.
    #[serde(default)]
    pub companions: Vec<String>,
}

impl UnitRecord {
    pub fn of(report: &PhotoReport, companions: &mut Companions) -> Self {
        let beside = companions.of(&report.path);
        Self {
            unit: Unit::of(report, &beside),
            sequence: report.sequence.as_ref().map(|sequence| texts(&sequence.frames)),
            companions: texts(&beside),
        }
    }

    /// The sequence as read from a line.
    pub fn into_sequence(self) -> Option<PhotoSequence> {
        let frames: Arc<[PathBuf]> = self.sequence?.into_iter().map(PathBuf::from).collect();
        Some(PhotoSequence { kind: self.unit.sequence()?, frames })
    }
}

fn texts(paths: &[impl AsRef<Path>]) -> Vec<String> {
    paths.iter().map(|path| path.as_ref().to_string_lossy().into_owned()).collect()
}

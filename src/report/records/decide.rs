//! Lines of `decide`: one a photo.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::{DecisionInForce, Logged};
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record, Tone};
use judge::select::{Decision, DecisionSource};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionWord {
    Keep,
    Reject,
}

impl DecisionWord {
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Reject => "reject",
        }
    }
}

impl From<Decision> for DecisionWord {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Keep => Self::Keep,
            Decision::Reject => Self::Reject,
        }
    }
}

impl From<DecisionWord> for Decision {
    fn from(word: DecisionWord) -> Self {
        match word {
            DecisionWord::Keep => Self::Keep,
            DecisionWord::Reject => Self::Reject,
        }
    }
}

/// Where a person's word about a photo was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionPlace {
    /// It was said to `albumctl decide`.
    Journal,
    /// Another program wrote it beside the photo.
    Sidecar,
    /// Another program wrote it into the photo.
    File,
}

impl From<DecisionSource> for DecisionPlace {
    fn from(source: DecisionSource) -> Self {
        match source {
            DecisionSource::Journal => Self::Journal,
            DecisionSource::Sidecar => Self::Sidecar,
            DecisionSource::File => Self::File,
        }
    }
}

/// A line of `decide keep`, `reject` and `clear`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// What holds from now on; null for nothing.
    pub decision: Option<DecisionWord>,
    /// What held before.
    pub before: Option<DecisionWord>,
    /// BLAKE3 of the photo's bytes.
    pub content: String,
    /// Whether it is written down now; false in a dry run.
    pub applied: bool,
    /// BLAKE3 of its picture without what is written about it, by which it is known again.
    pub picture: Option<String>,
}

/// A line of `decide list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecidedRecord {
    /// Where the photo lay when this was decided.
    #[serde(flatten)]
    pub path: PhotoPath,
    pub decision: DecisionWord,
    /// When, as UTC.
    pub decided_at: String,
    /// BLAKE3 of the photo's bytes then.
    pub content: String,
    /// BLAKE3 of its picture, by which it is known again; null where an older albumctl wrote this down.
    pub picture: Option<String>,
}

/// A line of `decide log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedRecord {
    /// Where the photo lay when this was said.
    #[serde(flatten)]
    pub path: PhotoPath,
    /// Null where a decision was taken back.
    pub decision: Option<DecisionWord>,
    /// When, as UTC.
    pub decided_at: String,
    /// BLAKE3 of the photo's bytes then.
    pub content: String,
    /// BLAKE3 of its picture, by which it is known again; null where an older albumctl wrote this down.
    pub picture: Option<String>,
}

/// What `decide --from` reads: lines of `decide` itself, and those that the page of a report saves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DecisionLine {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// Null takes back what was decided.
    pub decision: Option<DecisionWord>,
    pub content: String,
    pub picture: Option<String>,
}

fn moment(milliseconds: i64) -> String {
    format!("{:.0}", jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default())
}

impl From<Logged> for LoggedRecord {
    fn from(logged: Logged) -> Self {
        Self {
            path: PhotoPath::of(&logged.path),
            decision: logged.decision.map(Into::into),
            decided_at: moment(logged.decided_ms),
            content: logged.photo.content.to_string(),
            picture: logged.photo.picture.map(|picture| picture.to_string()),
        }
    }
}

impl From<DecisionInForce> for DecidedRecord {
    fn from(decided: DecisionInForce) -> Self {
        Self {
            path: PhotoPath::of(&decided.path),
            decision: decided.decision.into(),
            decided_at: moment(decided.decided_ms),
            content: decided.photo.content.to_string(),
            picture: decided.photo.picture.map(|picture| picture.to_string()),
        }
    }
}

fn cell(decision: Option<DecisionWord>) -> Cell {
    match decision {
        None => Cell::faint("-"),
        Some(word @ DecisionWord::Keep) => Cell { text: word.word().into(), tone: Tone::Good },
        Some(word @ DecisionWord::Reject) => Cell { text: word.word().into(), tone: Tone::Poor },
    }
}

impl Record for DecisionRecord {
    const HEADINGS: &'static [&'static str] = &["photo", "decision", "before"];

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::path(&self.path.image_path), cell(self.decision), cell(self.before)]
    }
}

impl Record for LoggedRecord {
    const HEADINGS: &'static [&'static str] = DecidedRecord::HEADINGS;

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::path(&self.path.image_path), cell(self.decision), Cell::faint(&self.decided_at)]
    }
}

impl Record for DecidedRecord {
    const HEADINGS: &'static [&'static str] = &["photo", "decision", "decided at"];

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::path(&self.path.image_path), cell(Some(self.decision)), Cell::faint(&self.decided_at)]
    }
}

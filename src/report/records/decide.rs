//! Lines of `decide`, one per photo.

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

/// The source of a person's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionPlace {
    /// `albumctl decide` or `review`.
    Journal,
    /// A sidecar of another program.
    Sidecar,
    /// Metadata of another program inside the photo.
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
    /// The new decision; null for none.
    pub decision: Option<DecisionWord>,
    /// The previous decision; null for none.
    pub before: Option<DecisionWord>,
    /// BLAKE3 of the photo's bytes.
    pub content: String,
    /// Whether it was stored; false in a dry run.
    pub applied: bool,
    /// BLAKE3 of the picture without metadata, by which it is recognised.
    pub picture: Option<String>,
}

/// A line of `decide list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecidedRecord {
    /// The path at the time of the decision.
    #[serde(flatten)]
    pub path: PhotoPath,
    pub decision: DecisionWord,
    /// The time of the decision, in UTC.
    pub decided_at: String,
    /// BLAKE3 of the photo's bytes at that time.
    pub content: String,
    /// BLAKE3 of the picture without metadata; null if an older albumctl stored it.
    pub picture: Option<String>,
}

/// A line of `decide log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedRecord {
    /// The path at the time of the decision.
    #[serde(flatten)]
    pub path: PhotoPath,
    /// Null if a decision was withdrawn.
    pub decision: Option<DecisionWord>,
    /// The time of the decision, in UTC.
    pub decided_at: String,
    /// BLAKE3 of the photo's bytes at that time.
    pub content: String,
    /// BLAKE3 of the picture without metadata; null if an older albumctl stored it.
    pub picture: Option<String>,
}

/// The input of `decide --from`: lines of `decide`, or saved by the page of a report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DecisionLine {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// Null withdraws the decision.
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

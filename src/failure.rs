//! The failure of one photo: its path, stage and cause. It is a value and does not end the run.

use std::fmt;
use std::path::PathBuf;

use crate::report::photo_path::shown;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Scan,
    Read,
    Decode,
    Analyse,
    /// Writing a copy, link, sidecar or the like.
    Write,
}

#[derive(Debug, Clone)]
pub struct Failure {
    pub path: PathBuf,
    pub stage: Stage,
    /// A fixed code that scripts can match.
    pub code: &'static str,
    pub cause: String,
}

impl Failure {
    /// The stage and the cause, without the path.
    pub fn reason(&self) -> String {
        format!("{}: {}", self.stage, self.cause)
    }

    /// Whether the same bytes will fail again with the same decoders.
    pub fn is_lasting(&self) -> bool {
        let lasting = ["empty", "truncated", "corrupt", "unsupported", "not_a_photo"];
        self.stage == Stage::Decode && lasting.contains(&self.code)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scan => "scan",
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Analyse => "analyse",
            Self::Write => "write",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown(&self.path), self.reason())
    }
}

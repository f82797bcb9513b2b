//! A photo that failed: which, where on its way, why. A value, never the end of a run.

use std::fmt;
use std::path::PathBuf;

use crate::report::photo_path::shown;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Scan,
    Read,
    Decode,
    Analyse,
    /// What was asked to be written for it: a copy, a link, a sidecar.
    Write,
}

#[derive(Debug, Clone)]
pub struct Failure {
    pub path: PathBuf,
    pub stage: Stage,
    /// A fixed word a script can match.
    pub code: &'static str,
    pub cause: String,
}

impl Failure {
    /// Where it failed and why, without its name.
    pub fn said(&self) -> String {
        format!("{}: {}", self.stage, self.cause)
    }

    /// Whether it will fail again for as long as its bytes are the same and the decoders are.
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
        write!(f, "{}: {}", shown(&self.path), self.said())
    }
}

//! Why a photo could not be decoded: a one-line message for people, and a stable code for programs.

use super::kind::Kind;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeError {
    #[error("the file is empty")]
    Empty,
    #[error("truncated {kind}: {cause}")]
    Truncated { kind: Kind, cause: String },
    #[error("broken {kind}: {cause}")]
    Corrupt { kind: Kind, cause: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("too large: {0}")]
    TooLarge(String),
    #[error("decoding the {kind} was given up after {seconds} s")]
    Timeout { kind: Kind, seconds: f64 },
    #[error("the {kind} decoder failed on this file: {message}")]
    Panicked { kind: Kind, message: String },
    #[error("not a photo: {0}")]
    NotAPhoto(String),
}

impl DecodeError {
    /// A stable code for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated { .. } => "truncated",
            Self::Corrupt { .. } => "corrupt",
            Self::Unsupported(_) => "unsupported",
            Self::TooLarge(_) => "too_large",
            Self::Timeout { .. } => "timeout",
            Self::Panicked { .. } => "panicked",
            Self::NotAPhoto(_) => "not_a_photo",
        }
    }
}

//! Why a photo could not be decoded: a one-line message for people, and a stable code for programs.

use super::file_format::FileFormat;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeError {
    #[error("the file is empty")]
    Empty,
    #[error("truncated {format}: {cause}")]
    Truncated { format: FileFormat, cause: String },
    #[error("broken {format}: {cause}")]
    Corrupt { format: FileFormat, cause: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("too large: {0}")]
    TooLarge(String),
    #[error("decoding the {format} was given up after {seconds} s")]
    Timeout { format: FileFormat, seconds: f64 },
    #[error("the {format} decoder failed on this file: {message}")]
    Panicked { format: FileFormat, message: String },
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

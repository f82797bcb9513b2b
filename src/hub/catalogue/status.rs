//! What is here of a model.

/// What is on disk of a model, from looking at the disk, and in a program whether it is in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    NotDownloaded,
    /// A running process fetches it; so many bytes are there.
    Downloading(u64),
    /// So many bytes of it are there, and nobody fetches the rest.
    Partial(u64),
    /// All there; something was not read through since it came or was touched.
    Unverified,
    /// All there, and a running process reads it through.
    Validating,
    Ready,
    /// Its network is being put together in this process.
    Loading,
    /// Ready, and a running process has it in use.
    Loaded,
    Error(String),
}

impl Status {
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotDownloaded => "not_downloaded",
            Self::Downloading(_) => "downloading",
            Self::Partial(_) => "partial",
            Self::Unverified => "unverified",
            Self::Validating => "validating",
            Self::Ready => "ready",
            Self::Loading => "loading",
            Self::Loaded => "loaded",
            Self::Error(_) => "error",
        }
    }

    /// All of it.
    pub fn is_here(&self) -> bool {
        matches!(self, Self::Ready | Self::Loading | Self::Loaded | Self::Unverified | Self::Validating)
    }

    /// Of a file of this size.
    pub fn bytes_here(&self, size: Option<u64>) -> u64 {
        match self {
            Self::Partial(bytes) | Self::Downloading(bytes) => *bytes,
            Self::NotDownloaded | Self::Error(_) => 0,
            _ => size.unwrap_or(0),
        }
    }
}

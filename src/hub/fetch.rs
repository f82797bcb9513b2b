//! Fetches files: resumes, retries, tries one source after the other, and keeps only files with the right hash.

mod address;
mod client;
mod network;
mod patience;
mod pip;
mod pull;
mod transfer;
mod turn;
mod unpack;
mod wheel;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache::CacheError;
use super::digest::Digest;
use super::sources::Source;

pub use client::{Client, read_text};
pub use network::NetworkSettings;
pub use pull::Puller;
pub use unpack::unpacked;

/// A file as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedFile {
    pub name: String,
    pub size: Option<u64>,
    pub sha256: Option<Digest>,
    /// The first digits of the sha256, for a file whose full hash is unknown; some publishers put them into the name.
    pub sha256_starts: Option<String>,
    pub sources: Vec<Source>,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// Never open a connection.
    pub offline: bool,
    /// Accept any file where the manifest has no hash. The caller stores the hash.
    pub trust_first: bool,
    /// Attempts in a row without progress before a source is abandoned.
    pub attempts: u32,
    pub connect_timeout: Duration,
    /// If nothing has answered for this long, there is no network.
    pub no_answer: Duration,
    /// If no byte arrives for this long, the connection is dead.
    pub stall_timeout: Duration,
    /// If less than `slowest` arrives in this span, the connection counts as dead.
    pub slow_span: Duration,
    /// Minimum bytes per second.
    pub slowest: u64,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// If a server asks for a longer pause than this, the next source is tried.
    pub longest_pause: Duration,
    pub parallel_files: usize,
    /// Wait while another process pulls the same file. This only saves traffic; correctness does not depend on it.
    pub take_turns: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            offline: false,
            trust_first: false,
            attempts: 6,
            connect_timeout: Duration::from_secs(4),
            no_answer: Duration::from_millis(500),
            stall_timeout: Duration::from_secs(30),
            slow_span: Duration::from_secs(30),
            slowest: 1024,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            parallel_files: 4,
            take_turns: true,
        }
    }
}

/// Progress events of a pull. Files are identified by their index in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The transfer starts at `from` bytes; above zero when an earlier pull is resumed.
    Begun {
        from: u64,
        total: Option<u64>,
    },
    /// This many bytes are there now.
    Bytes {
        have: u64,
        total: Option<u64>,
    },
    /// Waiting for another process that is pulling this file.
    Waiting,
    Retry {
        cause: String,
        after: Duration,
    },
    NextSource {
        failed: String,
        cause: String,
    },
    /// The cached file was wrong and has been quarantined.
    SetAside {
        cause: String,
    },
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    pub path: PathBuf,
    pub digest: Digest,
    pub bytes: u64,
    /// Bytes that this pull transferred.
    pub transferred: u64,
    pub already_there: bool,
}

/// The reason why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error("offline: {name} is not in the cache and may not be fetched")]
    Offline { name: String },
    #[error("{name}: no manifest knows its sha256, and it is not trusted yet")]
    NotTrusted { name: String },
    #[error("{name}: the manifest names no source")]
    NoSource { name: String },
    #[error("{name} needs {needed} bytes in {}, where {free} are free", folder.display())]
    NoRoom { name: String, needed: u64, free: u64, folder: PathBuf },
    #[error("{name}: the disk is full; the part of {bytes} bytes was removed")]
    DiskFull { name: String, bytes: u64 },
    #[error("{name}: {}", each(tried))]
    NoGoodSource { name: String, tried: Vec<(String, SourceError)> },
    #[error("{name}: interrupted; the next pull resumes here")]
    Interrupted { name: String },
    #[error(transparent)]
    Cache(#[from] CacheError),
}

fn each(tried: &[(String, SourceError)]) -> String {
    tried.iter().map(|(source, error)| format!("{source}: {error}")).collect::<Vec<_>>().join("; ")
}

fn by_hand(sha256: Option<&Digest>, folder: &Path) -> String {
    sha256
        .map_or_else(String::new, |sha256| format!(", or put the file with sha256 {sha256} into {}", folder.display()))
}

/// The reason why a source failed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("HTTP status {status}")]
    Status { status: u16 },
    #[error("{0}")]
    Connection(String),
    #[error("nothing answers, there seems to be no network")]
    NoNetwork,
    #[error("{0}; the certificate of an authority of your own is named in SSL_CERT_FILE")]
    NotTrusted(String),
    #[error("no byte came for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    #[error("slower than {0} bytes a second")]
    TooSlow(u64),
    #[error("the connection ended at {have} of {total} bytes")]
    CutShort { have: u64, total: u64 },
    #[error("given up after {attempts} attempts: {last}")]
    GivenUp { attempts: u32, last: Box<SourceError> },
    #[error("asks to wait {} s", .0.as_secs())]
    AsksTooMuch(Duration),
    #[error("redirected {0}")]
    Redirect(String),
    #[error("has {found} bytes, {expected} are expected")]
    Size { expected: u64, found: u64 },
    #[error("has sha256 {found}, {expected} is expected; what came was deleted")]
    Hash { expected: Digest, found: Digest },
    #[error("has sha256 {found}, one that starts with {expected} is expected; what came was deleted")]
    HashStart { expected: String, found: Digest },
    #[error("gives no length, and without a sha256 an incomplete file could not be recognised")]
    Endless,
    #[error("is a web page, not a file")]
    WebPage,
    #[error("is sent encoded as {0}, which was not asked for")]
    Encoded(String),
    #[error("`{0}` is no http or https address")]
    Address(String),
    #[error(
        "no package index is configured, and no pip is here to ask; name one as pip does, in PIP_INDEX_URL or index-url of pip.conf{}",
        by_hand(.sha256.as_ref(), folder)
    )]
    NoIndex { sha256: Option<Digest>, folder: PathBuf },
    #[error("pip could not bring it: {0}")]
    Pip(String),
    #[error("the package index does not list {0}")]
    NotListed(String),
    #[error("the package index has another file of that name: sha256 {found}, {expected} is expected")]
    OtherWheel { expected: Digest, found: Digest },
    #[error("the wheel is no readable archive: {0}")]
    Archive(String),
}

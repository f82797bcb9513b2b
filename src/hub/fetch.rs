//! Brings files: resumes, retries, tries one source after the other, and keeps nothing whose hash is not the right one.

mod address;
mod client;
mod network;
mod patience;
mod pull;
mod transfer;
mod turn;
mod unpack;
mod wheel;

use std::path::PathBuf;
use std::time::Duration;

use super::cache::CacheError;
use super::digest::Digest;
use super::sources::Source;

pub use client::{Client, read_text};
pub use network::Network;
pub use pull::Puller;
pub(crate) use unpack::unpacked;

/// A file as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    pub size: Option<u64>,
    pub sha256: Option<Digest>,
    /// The first digits of the sha256, for a file whose whole hash is not known; some publishers put them into its name.
    pub sha256_starts: Option<String>,
    pub sources: Vec<Source>,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// Never open a connection.
    pub offline: bool,
    /// Accept a file whose manifest knows no hash, whatever it is. The caller remembers the hash.
    pub trust_first: bool,
    /// How often in a row, without progress, before a source is given up.
    pub attempts: u32,
    pub connect_timeout: Duration,
    /// Where nothing has answered for so long, there is no network.
    pub no_answer: Duration,
    /// No byte for so long: the connection is dead.
    pub stall_timeout: Duration,
    /// Fewer bytes than `slowest` in such a span: as good as dead.
    pub slow_span: Duration,
    /// Bytes a second.
    pub slowest: u64,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// A server that asks for more patience than this is left for the next source.
    pub longest_pause: Duration,
    pub parallel_files: usize,
    /// Wait while another process pulls the same file. Only saves bytes; correctness does not depend on it.
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

/// What happens during a pull, for whoever watches. Files are told apart by their index in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Begins at `from` bytes: above zero when an earlier pull is continued.
    Begun {
        from: u64,
        total: Option<u64>,
    },
    /// So many bytes are there now.
    Bytes {
        have: u64,
        total: Option<u64>,
    },
    /// Another process pulls this file; we wait for it.
    Waiting,
    Retry {
        cause: String,
        after: Duration,
    },
    NextSource {
        failed: String,
        cause: String,
    },
    /// What was in the cache was wrong and has been set aside.
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
    /// Came over the network just now, by us.
    pub transferred: u64,
    pub already_there: bool,
}

/// Why a file could not be had.
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
    #[error("{name}: interrupted; the next pull goes on where this one ended")]
    Interrupted { name: String },
    #[error(transparent)]
    Cache(#[from] CacheError),
}

fn each(tried: &[(String, SourceError)]) -> String {
    tried.iter().map(|(source, error)| format!("{source}: {error}")).collect::<Vec<_>>().join("; ")
}

/// Why one source did not give the file.
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
    #[error(
        "says no length, so nobody could tell whether what comes is all of it, and no sha256 is known to tell it by"
    )]
    Endless,
    #[error("is a web page, not a file")]
    WebPage,
    #[error("is sent encoded as {0}, which was not asked for")]
    Encoded(String),
    #[error("`{0}` is no http or https address")]
    Address(String),
    #[error("no package index is configured; name one as pip does, in PIP_INDEX_URL or index-url of pip.conf")]
    NoIndex,
    #[error("the package index does not list {0}")]
    NotListed(String),
    #[error("the package index has another file of that name: sha256 {found}, {expected} is expected")]
    OtherWheel { expected: Digest, found: Digest },
    #[error("the wheel is no readable archive: {0}")]
    Archive(String),
}

//! A model folder and a server of one test's own.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hub::cache::Cache;
use hub::digest::Digest;
use hub::fetch::{Client, Event, ExpectedFile, NetworkSettings, PullError, Pulled, Puller, Settings, SourceError};
use hub::sources::Source;
use tempfile::TempDir;

use crate::server::Server;

pub struct Place {
    pub folder: TempDir,
    pub server: Server,
    pub settings: Settings,
    pub environment: Vec<(String, String)>,
    pub events: Mutex<Vec<Event>>,
    pub stop: AtomicBool,
}

/// Time limits that a test can wait for.
pub fn quick() -> Settings {
    Settings {
        attempts: 4,
        connect_timeout: Duration::from_secs(2),
        stall_timeout: Duration::from_millis(400),
        slow_span: Duration::from_millis(400),
        slowest: 2000,
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_secs(3),
        ..Settings::default()
    }
}

/// Bytes like no others, that do not compress.
pub fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

pub fn wanted(bytes: &[u8], addresses: &[&str]) -> ExpectedFile {
    ExpectedFile {
        name: "model.bin".into(),
        size: Some(bytes.len() as u64),
        sha256: Some(Digest::of(bytes)),
        sha256_starts: None,
        sources: addresses.iter().map(|address| Source::Address((*address).to_owned())).collect(),
    }
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: Server::start(),
            settings: quick(),
            environment: vec![("PIP_CONFIG_FILE".into(), "/dev/null".into())],
            events: Mutex::default(),
            stop: AtomicBool::new(false),
        }
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    pub fn cache(&self) -> Cache {
        Cache::new(self.root(), None)
    }

    pub fn pull(&self, wanted: &ExpectedFile) -> Result<Pulled, PullError> {
        self.pull_all(std::slice::from_ref(wanted)).remove(0)
    }

    pub fn pull_all(&self, wanted: &[ExpectedFile]) -> Vec<Result<Pulled, PullError>> {
        let environment = self.environment.iter().map(|(name, value)| (name.into(), value.into()));
        let client = Client::new(NetworkSettings::from_environment(environment), self.settings.clone()).unwrap();
        let cache = self.cache();
        let puller = Puller::new(&client, &cache, &self.stop);
        puller.pull(wanted, &|_, event| self.events.lock().unwrap().push(event))
    }

    pub fn retries(&self) -> usize {
        self.events.lock().unwrap().iter().filter(|event| matches!(event, Event::Retry { .. })).count()
    }

    /// Names of files below a folder of the cache.
    pub fn names(&self, below: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root().join(below)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[track_caller]
    pub fn assert_is_there(&self, bytes: &[u8]) {
        let path = self.cache().ready(&Digest::of(bytes)).unwrap().expect("the file is in the cache");
        assert!(std::fs::read(path).unwrap() == bytes);
        assert_eq!(self.names("parts"), [""; 0], "nothing is left over");
    }

    #[track_caller]
    pub fn assert_is_missing(&self, bytes: &[u8]) {
        assert!(self.cache().ready(&Digest::of(bytes)).unwrap().is_none());
        assert_eq!(self.names("blobs"), [""; 0], "no bad file was kept");
    }
}

/// The one source's error.
#[track_caller]
pub fn source_error(outcome: Result<impl std::fmt::Debug, PullError>) -> SourceError {
    match outcome.unwrap_err() {
        PullError::NoGoodSource { mut tried, .. } => tried.remove(0).1,
        other => panic!("{other}"),
    }
}

/// What a killed process leaves: `bytes` of the file that should become `whole`.
pub fn leave_a_part(place: &Place, whole: &[u8], bytes: &[u8], address: &str) {
    let origin = hub::cache::Origin { address: address.into(), ..Default::default() };
    place.cache().new_part(&Digest::of(whole).hex(), origin).unwrap().append(bytes).unwrap();
}

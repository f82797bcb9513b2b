//! Object stores: `s3://bucket/key`, `https://host/path`, `http://host/path`. Credentials, region and endpoint come from
//! the usual variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, AWS_ALLOW_HTTP, …).
//!
//! Everything else here reads and writes in its own threads and waits; the requests run in two threads of their own.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, parse_url_opts};
use url::Url;

use super::error::ScaleError;
use super::input::is_remote;

/// Read ahead at a time: a column chunk is read from one end to the other, in small pieces.
const AHEAD: u64 = 4 << 20;

/// An object that is there.
#[derive(Debug)]
pub struct Object {
    address: String,
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    /// The piece read last, and where it begins.
    ahead: Mutex<(u64, Bytes)>,
}

impl Object {
    pub fn open(address: &str) -> Result<Self, ScaleError> {
        let (store, key) = place(address)?;
        let meta = wait({
            let store = Arc::clone(&store);
            async move { store.head(&key).await }
        });
        let meta = meta.and_then(|meta| meta.map_err(io::Error::other)).map_err(ScaleError::io(address))?;
        Ok(Self { address: address.to_owned(), store, meta, ahead: Mutex::default() })
    }

    pub fn size(&self) -> u64 {
        self.meta.size
    }

    pub fn bytes(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let end = start + length as u64;
        if end > self.size() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{}: ends early", self.address)));
        }
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, piece) = &*ahead;
        if start < *from || end > from + piece.len() as u64 {
            let until = end.max(start + AHEAD).min(self.size());
            let (store, key) = (Arc::clone(&self.store), self.meta.location.clone());
            let fetched = wait(async move { store.get_range(&key, start..until).await })?;
            *ahead = (start, fetched.map_err(|error| io::Error::other(format!("{}: {error}", self.address)))?);
        }
        let (from, piece) = &*ahead;
        let at = (start - from) as usize;
        if piece.len() < at + length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{}: ends early", self.address)));
        }
        Ok(piece.slice(at..at + length))
    }
}

/// Reads an object from some place on.
#[derive(Debug)]
pub struct Reader {
    object: Arc<Object>,
    at: u64,
}

impl Reader {
    pub fn new(object: Arc<Object>, at: u64) -> Self {
        Self { object, at }
    }
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.object.size().saturating_sub(self.at);
        let wanted = (out.len() as u64).min(left) as usize;
        if wanted > 0 {
            out[..wanted].copy_from_slice(&self.object.bytes(self.at, wanted)?);
            self.at += wanted as u64;
        }
        Ok(wanted)
    }
}

/// Objects whose address matches a pattern; an address without wildcards is taken as it is.
pub fn matching(pattern: &str, paths: &mut Vec<PathBuf>) -> Result<(), ScaleError> {
    let wrong = |cause: String| ScaleError::Pattern { pattern: pattern.to_owned(), cause };
    let is_web = pattern.starts_with("http://") || pattern.starts_with("https://");
    let Some(wild) = pattern.find(['*', '?', '[', '{']).filter(|_| !is_web || pattern.contains('*')) else {
        paths.push(pattern.into());
        return Ok(());
    };
    if is_web {
        return Err(wrong("web servers do not say what they hold; name each file".into()));
    }
    let folder = &pattern[..=pattern[..wild].rfind('/').unwrap_or(0)];
    let root = Url::parse(folder).map_err(|error| wrong(error.to_string()))?;
    let (store, prefix) = place(folder)?;
    let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build();
    let glob = glob.map_err(|error| wrong(error.kind().to_string()))?.compile_matcher();
    let listed = wait(async move { store.list(Some(&prefix)).collect::<Vec<_>>().await });
    let listed = listed.map_err(ScaleError::io(folder))?;
    let start = format!("{}://{}/", root.scheme(), root.host_str().unwrap_or_default());
    for entry in listed {
        let entry = entry.map_err(|error| ScaleError::io(folder)(io::Error::other(error)))?;
        let address = format!("{start}{}", entry.location);
        if glob.is_match(&address) {
            paths.push(address.into());
        }
    }
    Ok(())
}

/// The whole of a file or an object.
pub fn read(name: &str) -> io::Result<Vec<u8>> {
    if !is_remote(Path::new(name)) {
        return std::fs::read(name);
    }
    let (store, key) = place(name).map_err(io::Error::other)?;
    let bytes = wait(async move { store.get(&key).await?.bytes().await })?;
    Ok(bytes.map_err(io::Error::other)?.to_vec())
}

pub fn write(name: &str, bytes: Vec<u8>) -> Result<(), ScaleError> {
    if !is_remote(Path::new(name)) {
        return super::work::write_whole(Path::new(name), &bytes);
    }
    let (store, key) = place(name)?;
    let written = wait(async move { store.put(&key, bytes.into()).await });
    written.and_then(|done| done.map_err(io::Error::other)).map(drop).map_err(ScaleError::io(name))
}

/// What cannot be removed stays.
pub fn remove(name: &str) {
    if !is_remote(Path::new(name)) {
        let _ = std::fs::remove_file(name);
    } else if let Ok((store, key)) = place(name) {
        let _ = wait(async move { store.delete(&key).await });
    }
}

/// The store of an address, one for all addresses of a bucket or host, and the key inside.
pub fn place(address: &str) -> Result<(Arc<dyn ObjectStore>, Key), ScaleError> {
    static STORES: OnceLock<Mutex<HashMap<String, Arc<dyn ObjectStore>>>> = OnceLock::new();
    let wrong = |cause: String| ScaleError::Pattern { pattern: address.to_owned(), cause };
    let url = Url::parse(address).map_err(|error| wrong(error.to_string()))?;
    let root = url[..url::Position::BeforePath].to_owned();
    let mut stores = STORES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = stores.get(&root) {
        let key = Key::from_url_path(url.path()).map_err(|error| wrong(error.to_string()))?;
        return Ok((Arc::clone(store), key));
    }
    let (store, key) = fresh(&url)?;
    stores.insert(root, Arc::clone(&store));
    Ok((store, key))
}

/// A store with connections of its own. Those of [`place`] live in the threads of this module; whoever runs threads of
/// another kind, and blocks them, would wait for ever on connections shared with it.
pub fn fresh(url: &Url) -> Result<(Arc<dyn ObjectStore>, Key), ScaleError> {
    let wrong = |cause: String| ScaleError::Pattern { pattern: url.to_string(), cause };
    if !matches!(url.scheme(), "s3" | "s3a" | "http" | "https") {
        return Err(wrong("addresses begin with s3://, https://, http:// or file://".into()));
    }
    let (store, key) = parse_url_opts(url, settings(url)).map_err(|error| wrong(error.to_string()))?;
    Ok((store.into(), key))
}

fn settings(url: &Url) -> Vec<(String, String)> {
    let told = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
    let mut settings: Vec<_> = told.filter(|(name, _)| name.starts_with("aws_")).collect();
    if url.scheme() == "http" {
        settings.push(("allow_http".into(), "true".into()));
    }
    settings
}

/// Runs a request to its end, from any thread.
fn wait<T: Send + 'static>(request: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = if let Some(runtime) = RUNTIME.get() {
        runtime
    } else {
        let made = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        RUNTIME.get_or_init(|| made)
    };
    let (told, heard) = std::sync::mpsc::sync_channel(1);
    runtime.spawn(async move {
        let _ = told.send(request.await);
    });
    heard.recv().map_err(io::Error::other)
}

//! Object stores: `s3://bucket/key`, `https://host/path`, `http://host/path`. Credentials, region and endpoint come from
//! the usual variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, AWS_ALLOW_HTTP, …).
//!
//! All other code here is blocking; requests run in two threads of their own.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, WriteMultipart, parse_url_opts};
use url::Url;

use super::error::ScaleError;

/// Read-ahead in bytes: column chunks are read sequentially in small pieces.
const AHEAD: u64 = 4 << 20;
/// Bytes per upload part; stores accept smaller ones only at the end.
const PART: usize = 5 << 20;

/// An existing object.
#[derive(Debug)]
pub struct Object {
    address: String,
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    /// The most recent piece and its offset.
    ahead: Mutex<(u64, Bytes)>,
}

impl Object {
    pub fn open(address: &str) -> Result<Self, ScaleError> {
        let (store, key) = place(address)?;
        let meta = wait({
            let store = Arc::clone(&store);
            async move { store.head(&key).await }
        });
        let meta = meta.and_then(|meta| meta.map_err(told)).map_err(ScaleError::io(address))?;
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

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub address: String,
    /// Changes whenever the object does.
    pub stamp: String,
}

impl Listed {
    fn of(address: String, meta: &ObjectMeta) -> Self {
        let version = meta.e_tag.as_deref().unwrap_or_default();
        Self { address, stamp: format!("{} {} {version}", meta.size, meta.last_modified.timestamp_millis()) }
    }
}

/// All objects below an address, in key order.
pub fn list(folder: &str) -> Result<Vec<Listed>, ScaleError> {
    if is_web(folder) {
        return Err(unlisted(folder));
    }
    let (store, prefix) = place(folder)?;
    let listed = wait(async move { store.list(Some(&prefix)).try_collect::<Vec<_>>().await });
    let mut listed = listed.and_then(|listed| listed.map_err(told)).map_err(ScaleError::io(folder))?;
    listed.sort_by(|a, b| a.location.cmp(&b.location));
    let start = folder[..folder.len() - below(folder).len()].trim_end_matches('/');
    Ok(listed.iter().map(|meta| Listed::of(format!("{start}/{}", meta.location), meta)).collect())
}

/// The objects that match a pattern; an address without wildcards is taken literally.
pub fn matching(pattern: &str, paths: &mut Vec<PathBuf>) -> Result<(), ScaleError> {
    let wrong = |cause: String| ScaleError::Pattern { pattern: pattern.to_owned(), cause };
    let Some(wild) = pattern.find(['*', '?', '[', '{']).filter(|_| !is_web(pattern) || pattern.contains('*')) else {
        paths.push(pattern.into());
        return Ok(());
    };
    if is_web(pattern) {
        return Err(unlisted(pattern));
    }
    let folder = &pattern[..=pattern[..wild].rfind('/').unwrap_or(0)];
    let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build();
    let glob = glob.map_err(|error| wrong(error.kind().to_string()))?.compile_matcher();
    let found = list(folder)?.into_iter().filter(|found| glob.is_match(&found.address));
    paths.extend(found.map(|found| PathBuf::from(found.address)));
    Ok(())
}

fn unlisted(pattern: &str) -> ScaleError {
    let cause = "web servers do not say what they hold; name each file".into();
    ScaleError::Pattern { pattern: pattern.to_owned(), cause }
}

fn is_web(address: &str) -> bool {
    address.starts_with("http://") || address.starts_with("https://")
}

/// Reads a whole object of at most `most` bytes; for a larger one, returns its size.
pub fn get(address: &str, most: u64) -> Result<Result<Vec<u8>, u64>, ScaleError> {
    let (store, key) = place(address)?;
    let fetched = wait(async move {
        let found = store.get(&key).await?;
        let size = found.meta.size;
        if size > most {
            return Ok(Err(size));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.try_next().await? {
            // A server may send more than it announced.
            if bytes.len() as u64 + piece.len() as u64 > most {
                return Ok(Err(bytes.len() as u64 + piece.len() as u64));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Ok(bytes))
    });
    fetched.and_then(|fetched| fetched.map_err(told)).map_err(ScaleError::io(address))
}

/// Uploads `content`; large contents in parts, a few of which are in memory.
pub fn put(address: &str, mut content: impl Read + Send + 'static) -> Result<(), ScaleError> {
    let (store, key) = place(address)?;
    let sent = wait(async move {
        let mut first = Vec::new();
        content.by_ref().take(PART as u64).read_to_end(&mut first)?;
        if first.len() < PART {
            return store.put(&key, first.into()).await.map(drop).map_err(told);
        }
        let mut upload = WriteMultipart::new_with_chunk_size(store.put_multipart(&key).await.map_err(told)?, PART);
        let mut part = first;
        while !part.is_empty() {
            upload.wait_for_capacity(4).await.map_err(told)?;
            upload.write(&part);
            part.clear();
            content.by_ref().take(PART as u64).read_to_end(&mut part)?;
        }
        upload.finish().await.map(drop).map_err(told)
    });
    sent.and_then(|sent| sent).map_err(ScaleError::io(address))
}

/// Removes a file if possible.
pub fn delete(address: &str) {
    if let Ok((store, key)) = place(address) {
        let _ = wait(async move { store.delete(&key).await });
    }
}

/// The object at an address; `None` if there is none or it cannot be determined.
pub fn look(address: &str) -> Result<Option<Listed>, ScaleError> {
    let (store, key) = place(address)?;
    let meta = wait(async move { store.head(&key).await });
    Ok(meta.ok().and_then(Result::ok).map(|meta| Listed::of(address.to_owned(), &meta)))
}

/// Converts an error; its kind tells what a user can do.
fn told(error: object_store::Error) -> io::Error {
    use object_store::Error;
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// The part after the bucket or host.
fn below(address: &str) -> &str {
    let behind = address.split_once("://").map_or(address, |(_, behind)| behind);
    behind.split_once('/').map_or("", |(_, key)| key)
}

/// The store of an address, shared by all addresses of a bucket or host, and the key inside.
pub fn place(address: &str) -> Result<(Arc<dyn ObjectStore>, Key), ScaleError> {
    static STORES: OnceLock<Mutex<HashMap<String, Arc<dyn ObjectStore>>>> = OnceLock::new();
    let wrong = |cause: String| ScaleError::Pattern { pattern: address.to_owned(), cause };
    let url = Url::parse(address).map_err(|error| wrong(error.to_string()))?;
    // Keys of buckets are not encoded in addresses and may contain `#` and `%`; those of web servers are encoded.
    let key = if is_web(address) {
        Key::from_url_path(url.path()).map_err(|error| wrong(error.to_string()))?
    } else {
        Key::parse(below(address)).map_err(|error| wrong(error.to_string()))?
    };
    let root = url[..url::Position::BeforePath].to_owned();
    let mut stores = STORES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = stores.get(&root) {
        return Ok((Arc::clone(store), key));
    }
    let store = fresh(&url)?;
    stores.insert(root, Arc::clone(&store));
    Ok((store, key))
}

fn fresh(url: &Url) -> Result<Arc<dyn ObjectStore>, ScaleError> {
    let wrong = |cause: String| ScaleError::Pattern { pattern: url.to_string(), cause };
    if !matches!(url.scheme(), "s3" | "s3a" | "http" | "https") {
        return Err(wrong("addresses begin with s3://, https://, http:// or file://".into()));
    }
    let root = Url::parse(&url[..url::Position::BeforePath]).map_err(|error| wrong(error.to_string()))?;
    let (store, _) = parse_url_opts(&root, settings(url)).map_err(|error| wrong(error.to_string()))?;
    Ok(store.into())
}

fn settings(url: &Url) -> Vec<(String, String)> {
    let told = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
    let mut settings: Vec<_> = told.filter(|(name, _)| name.starts_with("aws_")).collect();
    if url.scheme() == "http" {
        settings.push(("allow_http".into(), "true".into()));
    }
    settings
}

/// Runs a request to completion, from any thread.
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

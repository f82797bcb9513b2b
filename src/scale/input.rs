//! An input file: on this machine or, in builds with `object-stores`, in an object store.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::reader::{ChunkReader, Length};

use super::error::ScaleError;
use super::stores::Object;
use base::reading;

#[derive(Debug)]
pub enum Input {
    /// A local file with its length, which is read once, because a later failure would look like 0.
    Local(File, u64),
    Remote(Arc<Object>),
}

/// Whether it is a URL, not a path.
pub fn is_remote(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.contains("://") && !name.starts_with("file://")
}

impl Input {
    pub fn open(path: &Path) -> Result<Self, ScaleError> {
        if is_remote(path) {
            return Object::open(&path.to_string_lossy()).map(|object| Self::Remote(Arc::new(object)));
        }
        let file = reading::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        file.map(|(length, file)| Self::Local(file, length)).map_err(ScaleError::io(path))
    }

    /// Another handle to the same file.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Local(file, length) => Ok(Self::Local(file.try_clone()?, *length)),
            Self::Remote(object) => Ok(Self::Remote(Arc::clone(object))),
        }
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Self::Local(_, length) => *length,
            Self::Remote(object) => object.size(),
        }
    }
}

impl ChunkReader for Input {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        match self {
            Self::Local(file, _) => Ok(Box::new(file.get_read(start)?)),
            Self::Remote(object) => Ok(Box::new(FromObject { object: Arc::clone(object), at: start })),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Self::Local(file, _) => file.get_bytes(start, length),
            Self::Remote(object) => Ok(object.bytes(start, length)?),
        }
    }
}

/// Reads an object from an offset on.
#[derive(Debug)]
struct FromObject {
    object: Arc<Object>,
    at: u64,
}

impl Read for FromObject {
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

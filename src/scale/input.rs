//! A file of features: on this machine or, where the build has the feature `object-stores`, in an object store.

use std::fs::File;
use std::path::Path;
#[cfg(feature = "object-stores")]
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::reader::{ChunkReader, Length};

use super::error::ScaleError;
#[cfg(feature = "object-stores")]
use super::stores;

#[derive(Debug)]
pub enum Input {
    Local(File),
    #[cfg(feature = "object-stores")]
    Remote(Arc<stores::Object>),
}

/// An address, not a path.
pub fn is_remote(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.contains("://") && !name.starts_with("file://")
}

impl Input {
    pub fn open(path: &Path) -> Result<Self, ScaleError> {
        #[cfg(feature = "object-stores")]
        if is_remote(path) {
            let address = path.to_string_lossy();
            return stores::Object::open(&address).map(|object| Self::Remote(Arc::new(object)));
        }
        File::open(path).map(Self::Local).map_err(ScaleError::io(path))
    }

    /// Another hand on the same file.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        match self {
            Self::Local(file) => file.try_clone().map(Self::Local),
            #[cfg(feature = "object-stores")]
            Self::Remote(object) => Ok(Self::Remote(Arc::clone(object))),
        }
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Self::Local(file) => Length::len(file),
            #[cfg(feature = "object-stores")]
            Self::Remote(object) => object.size(),
        }
    }
}

impl ChunkReader for Input {
    type T = Box<dyn std::io::Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        match self {
            Self::Local(file) => Ok(Box::new(file.get_read(start)?)),
            #[cfg(feature = "object-stores")]
            Self::Remote(object) => Ok(Box::new(stores::Reader::new(Arc::clone(object), start))),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Self::Local(file) => file.get_bytes(start, length),
            #[cfg(feature = "object-stores")]
            Self::Remote(object) => Ok(object.bytes(start, length)?),
        }
    }
}

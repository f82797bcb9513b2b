//! Photos on disk, in an object store such as `s3://bucket/folder`, or in memory.

use std::path::Path;

use photo::identity::{Bytes, Disk, Files, ReadError, Stamp};
use scale::{ScaleError, files, is_remote};

/// Files of this machine and of object stores.
#[derive(Debug, Clone, Copy)]
pub struct PhotoSource;

impl Files for PhotoSource {
    fn stamp(&self, path: &Path) -> Result<Option<Stamp>, ReadError> {
        // A request for the stamp takes as long as reading the photo.
        if is_remote(path) { Ok(None) } else { Disk.stamp(path) }
    }

    fn read(&self, path: &Path, max_bytes: u64) -> Result<Bytes, ReadError> {
        if !is_remote(path) {
            return Disk.read(path, max_bytes);
        }
        let read = files::read_within(path, max_bytes).map_err(|error| match error {
            ScaleError::Io { cause, .. } => ReadError::from(cause),
            error => ReadError::Io(std::io::Error::other(error)),
        });
        let bytes = read?.map_err(|size| ReadError::too_large(size, max_bytes))?;
        Ok(Bytes { bytes, stamp: None })
    }
}

/// One photo in memory, for any path.
#[derive(Debug, Clone, Copy)]
pub struct InMemory<'a>(pub &'a [u8]);

impl Files for InMemory<'_> {
    fn stamp(&self, _: &Path) -> Result<Option<Stamp>, ReadError> {
        Ok(None)
    }

    fn read(&self, _: &Path, max_bytes: u64) -> Result<Bytes, ReadError> {
        let size = self.0.len() as u64;
        if size > max_bytes {
            return Err(ReadError::too_large(size, max_bytes));
        }
        Ok(Bytes { bytes: self.0.to_vec(), stamp: None })
    }
}

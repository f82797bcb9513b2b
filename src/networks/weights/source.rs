//! Positioned reads of a weight file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::checkpoint::WeightsError;
use base::reading;

/// A file or built-in bytes. Not a memory map: a file that shrinks while it is read must give an error, not a signal.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    bytes: Bytes,
    len: u64,
}

#[derive(Debug)]
enum Bytes {
    OnDisk(Mutex<File>),
    /// Part of the binary, or read already.
    InMemory(Cow<'static, [u8]>),
}

impl Source {
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let io = |source| WeightsError::Io { file: path.to_owned(), source };
        let file = reading::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        Ok(Self { path: path.to_owned(), bytes: Bytes::OnDisk(Mutex::new(file)), len })
    }

    /// Wraps bytes in memory; errors use `name` as the path.
    pub fn in_memory(name: &Path, bytes: Cow<'static, [u8]>) -> Self {
        Self { path: name.to_owned(), len: bytes.len() as u64, bytes: Bytes::InMemory(bytes) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Reads exactly `len` bytes from `offset`. Memory is allocated only if the file is that long.
    pub fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, WeightsError> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            let what = format!("{len} bytes at {offset} were expected, the file has {}", self.len);
            return Err(WeightsError::Truncated { file: self.path.clone(), what });
        }
        let file = match &self.bytes {
            Bytes::OnDisk(file) => file,
            Bytes::InMemory(bytes) => return Ok(bytes[offset as usize..(offset + len) as usize].to_vec()),
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = vec![0; len as usize];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|source| WeightsError::Io { file: self.path.clone(), source })?;
        Ok(bytes)
    }

    pub fn format_error(&self, why: impl Into<String>) -> WeightsError {
        WeightsError::Format { file: self.path.clone(), why: why.into() }
    }
}

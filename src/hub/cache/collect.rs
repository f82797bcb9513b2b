//! Garbage collection: leftovers of dead processes first, then the least recently used files.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{At, Blob, Cache, CacheError, listed};
use crate::digest::Digest;

/// A new file is protected for this long, so that another process cannot remove it before its first use.
const FRESH: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub files: usize,
    pub bytes: u64,
    pub max_bytes: Option<u64>,
    /// Bytes of running and interrupted pulls.
    pub partial_bytes: u64,
    pub quarantined_bytes: u64,
    /// Free bytes on the disk, if known.
    pub free_bytes: Option<u64>,
}

/// The scope of a collection.
#[derive(Debug, Clone, Default)]
pub struct Collection<'a> {
    /// Files to keep, as if in use.
    pub keep: &'a [Digest],
    /// The files that manifests name; if given, all others are collected.
    pub listed: Option<&'a HashSet<Digest>>,
    /// Whether to collect parts of dead processes and quarantined files.
    pub leftovers: bool,
    /// Whether to report only.
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    pub what: Leftover,
    pub bytes: u64,
    pub why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftover {
    Blob(Digest),
    File(PathBuf),
}

impl Cache {
    pub fn usage(&self) -> Result<Usage, CacheError> {
        let blobs = self.blobs()?;
        let quarantined = listed(&self.folder("quarantine"))?;
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        Ok(Usage {
            files: blobs.len(),
            bytes: blobs.iter().map(|blob| blob.bytes).sum(),
            max_bytes: self.max_bytes,
            partial_bytes: self.all_parts().iter().map(super::PartialFile::bytes).sum(),
            quarantined_bytes: quarantined.iter().map(size).sum(),
            free_bytes: self.free_bytes(),
        })
    }

    /// Free bytes of the file system that the folder is on, or would be on.
    pub fn free_bytes(&self) -> Option<u64> {
        let existing = self.root.ancestors().find(|folder| folder.is_dir())?;
        base::platform::free_bytes(existing)
    }

    /// Brings the cache below its limit, least recently used files first, and collects what is in scope. Files that are in
    /// use, new, or to be kept stay, even above the limit.
    pub fn collect(&self, collection: &Collection<'_>) -> Result<Vec<Collected>, CacheError> {
        self.collect_telling(collection, drop)
    }

    /// The same; `tell` is called with files that could not be removed.
    pub fn collect_telling(
        &self,
        collection: &Collection<'_>,
        mut tell: impl FnMut(CacheError),
    ) -> Result<Vec<Collected>, CacheError> {
        // Everything that can fail as a whole comes before the first removal, so that the caller learns of every removed
        // file.
        let blobs = self.blobs()?;
        let mut collected = Vec::new();
        if collection.leftovers {
            let quarantined = listed(&self.folder("quarantine"))?;
            self.collect_leftovers(quarantined, collection.dry_run, &mut collected, &mut tell);
        }
        let mut bytes: u64 = blobs.iter().map(|blob| blob.bytes).sum();
        for blob in blobs {
            let over = self.max_bytes.is_some_and(|max| bytes > max);
            let unlisted = collection.listed.is_some_and(|listed| !listed.contains(&blob.digest));
            let why = match (unlisted, over) {
                (true, _) => "no manifest names it",
                (_, true) => "least recently used, over the size limit",
                _ => continue,
            };
            if spared(&blob, collection.keep) {
                continue;
            }
            let removed = if collection.dry_run { Ok(true) } else { self.remove(&blob.digest) };
            match removed {
                Ok(_) => {
                    bytes -= blob.bytes;
                    collected.push(Collected { what: Leftover::Blob(blob.digest), bytes: blob.bytes, why });
                }
                // A process has begun to use it since, so it stays.
                Err(CacheError::InUse { .. }) => {}
                Err(error) => tell(error),
            }
        }
        Ok(collected)
    }

    fn collect_leftovers(
        &self,
        quarantined: Vec<PathBuf>,
        dry_run: bool,
        collected: &mut Vec<Collected>,
        tell: &mut impl FnMut(CacheError),
    ) {
        let mut take = |path: PathBuf, bytes: Result<u64, CacheError>, why| {
            let removed = bytes.and_then(|bytes| {
                if !dry_run {
                    fs::remove_file(&path).at(&path)?;
                }
                Ok(bytes)
            });
            match removed {
                Ok(bytes) => collected.push(Collected { what: Leftover::File(path), bytes, why }),
                // Another process is collecting, too.
                Err(CacheError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tell(error),
            }
        };
        for part in self.all_parts().into_iter().filter(super::PartialFile::is_abandoned) {
            take(part.path().to_owned(), Ok(part.bytes()), "a pull that was cut short");
            if !dry_run && !part.path().exists() {
                part.remove();
            }
        }
        if !dry_run {
            self.stray_notes().iter().for_each(|note| drop(fs::remove_file(note)));
        }
        for path in quarantined {
            let bytes = fs::metadata(&path).at(&path).map(|metadata| metadata.len());
            take(path, bytes, "failed verification");
        }
        if !dry_run {
            let marks = self.leases().into_iter().chain(self.checks());
            for mark in marks.filter(|mark| !mark.counts()) {
                let _ = fs::remove_file(&mark.path);
            }
        }
    }
}

fn spared(blob: &Blob, keep: &[Digest]) -> bool {
    let fresh = SystemTime::now().duration_since(blob.note.added).is_ok_and(|age| age < FRESH);
    blob.in_use || fresh || keep.contains(&blob.digest)
}

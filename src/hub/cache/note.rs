//! What is remembered of a blob: that it was verified, as it lay there then, and when it was used.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use base::atomic;
use base::reading;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub(super) stamp: Stamp,
    pub verified: SystemTime,
    pub added: SystemTime,
    pub last_used: SystemTime,
    /// How often it was made ready for use.
    #[serde(default)]
    pub uses: u64,
}

/// Differs as soon as somebody wrote to the file or put another one in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub bytes: u64,
    modified: Option<SystemTime>,
    /// Seconds, nanoseconds and inode: writing changes them even when the other times are set back.
    changed: (i64, i64, u64),
}

impl Note {
    /// Of a blob without a note of its own: the file's times stand in.
    pub(super) fn unread(stamp: Stamp) -> Self {
        let time = stamp.modified.unwrap_or(SystemTime::UNIX_EPOCH);
        Self { stamp, verified: SystemTime::UNIX_EPOCH, added: time, last_used: time, uses: 0 }
    }

    /// A damaged note is as good as none: the blob will be read through again.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&reading::read(path, reading::TEXT).ok()?).ok()
    }

    /// Not being able to remember costs time later, and nothing else.
    pub(super) fn write(&self, path: &Path) {
        let _ = serde_json::to_vec(self).map(|json| atomic::write(path, &json));
    }
}

impl Stamp {
    pub fn of(path: &Path) -> Option<Self> {
        Self::if_there(path).ok().flatten()
    }

    /// `None` where no file lies. One that can't be looked at is not taken for missing.
    pub fn if_there(path: &Path) -> io::Result<Option<Self>> {
        Ok(atomic::found(path)?.filter(Metadata::is_file).map(|metadata| Self::from(&metadata)))
    }

    pub fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let changed = {
            use std::os::unix::fs::MetadataExt;
            (metadata.ctime(), metadata.ctime_nsec(), metadata.ino())
        };
        #[cfg(not(unix))]
        let changed = (0, 0, 0);
        Self { bytes: metadata.len(), modified: metadata.modified().ok(), changed }
    }
}

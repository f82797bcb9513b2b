//! The note beside a blob: when and in which state it was verified, and when it was used.

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
    /// The number of uses.
    #[serde(default)]
    pub uses: u64,
}

/// Changes whenever the file is written to or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub bytes: u64,
    modified: Option<SystemTime>,
    /// Status change time (seconds, nanoseconds) and inode: writing changes them even if the other times are set back.
    changed: (i64, i64, u64),
}

impl Note {
    /// A note for a blob that has none: the file's times stand in.
    pub(super) fn unread(stamp: Stamp) -> Self {
        let time = stamp.modified.unwrap_or(SystemTime::UNIX_EPOCH);
        Self { stamp, verified: SystemTime::UNIX_EPOCH, added: time, last_used: time, uses: 0 }
    }

    /// Returns nothing for a damaged note; the blob is then verified again.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&reading::read(path, reading::TEXT).ok()?).ok()
    }

    /// A note that cannot be written only costs time later.
    pub(super) fn write(&self, path: &Path) {
        let _ = serde_json::to_vec(self).map(|json| atomic::write(path, &json));
    }
}

impl Stamp {
    pub fn of(path: &Path) -> Option<Self> {
        Self::if_there(path).ok().flatten()
    }

    /// `None` if the file does not exist. A file that cannot be examined is an error, not missing.
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

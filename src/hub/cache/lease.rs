//! Leases: each use of a file leaves a mark that names the process, so that files in use are not deleted.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::owner::{Life, Owner};
use super::{Cache, listed};
use crate::digest::Digest;

const LEASES: &str = "leases";
const CHECKS: &str = "checks";
/// Whether a process on another machine is alive cannot be seen from here; its marks count for a day.
const REMOTE_MARK_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A lease on a file; dropping it removes the mark. Marks of dead processes do not count.
#[derive(Debug)]
pub struct Lease {
    /// `None` in a read-only folder, where nothing can be deleted either.
    path: Option<PathBuf>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

impl Cache {
    pub fn lease(&self, digest: &Digest) -> Lease {
        self.marked(LEASES, digest)
    }

    /// Marks the file as being verified.
    pub(crate) fn check(&self, digest: &Digest) -> Lease {
        self.marked(CHECKS, digest)
    }

    /// Whether a running process is verifying the file.
    pub(super) fn is_checked(&self, digest: &Digest) -> bool {
        let wanted = digest.hex();
        self.marks(CHECKS).iter().any(|mark| mark.hex == wanted && mark.counts())
    }

    fn marked(&self, folder: &str, digest: &Digest) -> Lease {
        let made = self.made_folder(folder).ok().and_then(|folder| {
            let path = folder.join(format!("{digest}.{}", Owner::this()));
            fs::File::create(&path).ok().map(|_| path)
        });
        Lease { path: made }
    }

    /// Whether a running process has the file in use.
    pub fn is_in_use(&self, digest: &Digest) -> bool {
        self.holders(digest).next().is_some()
    }

    /// The processes that use the file, for messages.
    pub(super) fn holders(&self, digest: &Digest) -> impl Iterator<Item = String> {
        let wanted = digest.hex();
        self.leases().into_iter().filter(move |lease| lease.hex == wanted && lease.counts()).map(|lease| lease.holder())
    }

    pub(super) fn leases(&self) -> Vec<Mark> {
        self.marks(LEASES)
    }

    pub(super) fn checks(&self) -> Vec<Mark> {
        self.marks(CHECKS)
    }

    fn marks(&self, folder: &str) -> Vec<Mark> {
        let paths = listed(&self.folder(folder)).unwrap_or_default();
        let mark = |path: PathBuf| {
            let name = path.file_name()?.to_str()?;
            let (hex, owner) = name.split_once('.')?;
            Some(Mark { hex: hex.to_owned(), owner: owner.parse().ok()?, path })
        };
        paths.into_iter().filter_map(mark).collect()
    }
}

#[derive(Debug)]
pub(super) struct Mark {
    hex: String,
    owner: Owner,
    pub path: PathBuf,
}

impl Mark {
    pub fn counts(&self) -> bool {
        match self.owner.life() {
            Life::Ours | Life::Alive => true,
            Life::Dead => false,
            Life::Elsewhere => {
                let made = fs::metadata(&self.path).and_then(|metadata| metadata.modified());
                made.is_ok_and(|made| SystemTime::now().duration_since(made).unwrap_or_default() < REMOTE_MARK_LIFE)
            }
        }
    }

    fn holder(&self) -> String {
        match self.owner.life() {
            Life::Elsewhere => "a process on another machine or in another container".to_owned(),
            _ => format!("process {}", self.owner.pid()),
        }
    }
}

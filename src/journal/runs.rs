//! Which photos `--since last-run` runs have seen. A photo is new when its picture is, so that neither a wrong clock, a
//! memory card with older photos, a renamed folder nor a caption added later confuses it.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::photo_id::{PhotoId, SeenPhotos};
use super::rows::{self, Contents, FinishedRun};
use super::{Journal, JournalError, now_ms};
use crate::sqlite;

/// The last completed run of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// Milliseconds since 1970.
    pub finished_ms: i64,
    pub seen: SeenPhotos,
}

/// A lock held during a run; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// `None` while another process runs with the same key.
    pub fn take(folder: &Path, key: &str) -> Result<Option<Self>, JournalError> {
        let folder = folder.join("running");
        let place = folder.join(format!("{key}.lock"));
        let failed = |cause| JournalError::Io { file: place.clone(), action: "cannot be locked", cause };
        sqlite::make_private_folder(&folder).map_err(failed)?;
        // The file is never removed: otherwise two runs could lock two files of the same name.
        let file = File::options().create(true).truncate(false).write(true).open(&place).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }
}

impl Journal {
    /// `None` where no run of that key was ever completed.
    pub fn last_run(&self, key: &str) -> Result<Option<LastRun>, JournalError> {
        let contents = self.contents()?;
        let run = contents.runs.iter().position(|run| run.key == key);
        Ok(run.map(|at| LastRun { finished_ms: contents.runs[at].finished_ms, seen: seen_by(at, &contents) }))
    }

    /// Stores that a run was completed and which photos it looked at. `about` describes the run to a person.
    pub fn finish_run(&mut self, key: &str, about: &str, seen: &[PhotoId]) -> Result<(), JournalError> {
        let finished_ms = now_ms();
        self.change(|transaction, contents| {
            let at = contents.runs.iter().position(|run| run.key == key).unwrap_or(contents.runs.len());
            FinishedRun { key: key.into(), about: about.into(), finished_ms }.put(transaction, at + 1)?;
            let mut known = seen_by(at, &contents);
            let new = seen.iter().filter(|photo| known.add(**photo));
            (contents.seen.len() + 1..)
                .zip(new)
                .try_for_each(|(id, photo)| rows::put_seen(transaction, id, at as i64 + 1, photo))
        })
    }
}

fn seen_by(at: usize, contents: &Contents) -> SeenPhotos {
    let mut seen = SeenPhotos::default();
    contents.seen.iter().filter(|(run, _)| *run == at as i64 + 1).for_each(|(_, photo)| {
        seen.add(*photo);
    });
    seen
}

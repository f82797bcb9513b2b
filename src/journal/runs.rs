//! What runs that look at news only have seen, by content: a photo is new when its bytes are. Neither a clock set wrong,
//! nor a card whose photos are older than the last run, nor a renamed folder misleads it.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::path::Path;

use rusqlite::{OptionalExtension, params};

use super::{Journal, JournalError, now_ms};
use crate::photo::identity::ContentId;

/// What the last run of a key left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// Milliseconds since 1970.
    pub finished_ms: i64,
    pub seen: HashSet<ContentId>,
}

/// Held while a run is under way; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// `None` while another process runs with the same key.
    pub fn take(folder: &Path, key: &str) -> Result<Option<Self>, JournalError> {
        let folder = folder.join("running");
        let place = folder.join(format!("{key}.lock"));
        let failed = |source| JournalError::Io { file: place.clone(), action: "cannot be locked", source };
        fs::create_dir_all(&folder).map_err(failed)?;
        // The file stays: taking it away would let two runs hold two files of one name.
        let file = File::options().create(true).truncate(false).write(true).open(&place).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

impl Journal {
    /// `None` where no run of that key ever came to its end.
    pub fn last_run(&self, key: &str) -> Result<Option<LastRun>, JournalError> {
        let read = || -> rusqlite::Result<Option<LastRun>> {
            let run: Option<(i64, i64)> = self
                .connection
                .query_row("SELECT id, finished_ms FROM run WHERE key = ?1", [key], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let Some((id, finished_ms)) = run else { return Ok(None) };
            let mut statement = self.connection.prepare("SELECT content FROM seen WHERE run = ?1")?;
            let seen = statement.query_map([id], |row| Ok(ContentId(row.get(0)?)))?.collect::<Result<_, _>>()?;
            Ok(Some(LastRun { finished_ms, seen }))
        };
        read().map_err(self.failed("cannot be read"))
    }

    /// Writes down that a run came to its end and what it looked at. `about` tells a person which run this is.
    pub fn finish_run(&mut self, key: &str, about: &str, seen: &[ContentId]) -> Result<(), JournalError> {
        let now = now_ms();
        self.change(|transaction| {
            transaction.execute(
                "INSERT INTO run (key, about, finished_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (key) DO UPDATE SET about = excluded.about, finished_ms = excluded.finished_ms",
                params![key, about, now],
            )?;
            let id: i64 = transaction.query_row("SELECT id FROM run WHERE key = ?1", [key], |row| row.get(0))?;
            let mut add = transaction.prepare("INSERT OR IGNORE INTO seen (run, content) VALUES (?1, ?2)")?;
            seen.iter().try_for_each(|content| add.execute(params![id, content.0]).map(|_| ()))
        })
    }
}

//! What must not be forgotten: what a person decided about photos, and what runs that look at news only have seen.
//!
//! One SQLite file in the data folder, shared by any number of processes. It is no cache: nothing in it is thrown away
//! to go on, and damage ends the run that meets it. Every change is one transaction on disk: a kill or a power cut
//! leaves the state before it or after it.

mod decisions;
mod runs;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use thiserror::Error;

pub use decisions::{Decided, Entry};
pub use runs::{LastRun, RunLock};

pub const FILE_NAME: &str = "journal.sqlite";

/// Raised when an older albumctl could no longer read the file rightly.
const LAYOUT: i64 = 1;
/// Longer than any transaction of ours by orders of magnitude, so that only a stuck process trips it.
const PATIENCE: Duration = Duration::from_secs(30);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS decision (
        id         INTEGER PRIMARY KEY,
        content    BLOB NOT NULL,
        word       TEXT,
        decided_ms INTEGER NOT NULL,
        path       BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS decision_by_content ON decision (content, id);
    CREATE TABLE IF NOT EXISTS run (
        id          INTEGER PRIMARY KEY,
        key         TEXT NOT NULL UNIQUE,
        about       TEXT NOT NULL,
        finished_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS seen (
        run     INTEGER NOT NULL REFERENCES run,
        content BLOB NOT NULL,
        PRIMARY KEY (run, content)
    ) WITHOUT ROWID;
    PRAGMA user_version = 1;
";

#[derive(Debug, Error)]
pub enum JournalError {
    #[error("the journal {}: {action}: {source}", file.display())]
    Sql { file: PathBuf, action: &'static str, source: rusqlite::Error },
    #[error("the journal {}: {action}: {source}", file.display())]
    Io { file: PathBuf, action: &'static str, source: io::Error },
    #[error("the journal {} was written by a newer albumctl (layout {found}, this one knows {LAYOUT})", file.display())]
    Newer { file: PathBuf, found: i64 },
}

#[derive(Debug)]
pub struct Journal {
    file: PathBuf,
    connection: Connection,
}

impl Journal {
    /// For writing in; the file and its folder are made where there are none.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let file = folder.join(FILE_NAME);
        fs::create_dir_all(folder).map_err(|source| JournalError::Io {
            file: file.clone(),
            action: "cannot make its folder",
            source,
        })?;
        let journal = Self::connect(file, OpenFlags::SQLITE_OPEN_CREATE)?;
        if journal.layout()? < LAYOUT {
            let made = journal.connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"));
            made.map_err(journal.failed("cannot be written"))?;
        }
        Ok(journal)
    }

    /// For reading; `None` where nothing was ever written down.
    pub fn open_to_read(folder: &Path) -> Result<Option<Self>, JournalError> {
        let file = folder.join(FILE_NAME);
        if !file.exists() {
            return Ok(None);
        }
        // Not read-only: what a killed process left half-done is rolled back by whoever comes next. SQLite itself makes
        // do with reading where it may not write.
        let journal = Self::connect(file, OpenFlags::empty())?;
        Ok((journal.layout()? > 0).then_some(journal))
    }

    fn connect(file: PathBuf, flags: OpenFlags) -> Result<Self, JournalError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&file, flags).and_then(|connection| {
            connection.busy_timeout(PATIENCE)?;
            // A decision outlives a power cut, too. The store can afford less; there is only one of this.
            connection.pragma_update(None, "synchronous", "FULL")?;
            Ok(connection)
        });
        let connection =
            opened.map_err(|source| JournalError::Sql { file: file.clone(), action: "cannot be opened", source })?;
        let journal = Self { file, connection };
        match journal.layout()? {
            found if found > LAYOUT => Err(JournalError::Newer { file: journal.file, found }),
            _ => Ok(journal),
        }
    }

    fn layout(&self) -> Result<i64, JournalError> {
        let asked = self.connection.pragma_query_value(None, "user_version", |row| row.get(0));
        asked.map_err(self.failed("cannot be read"))
    }

    /// All of `work` is on disk when this returns, or none of it.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        let changed =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
                let told = work(&transaction)?;
                transaction.commit()?;
                Ok(told)
            });
        changed.map_err(|source| JournalError::Sql { file: self.file.clone(), action: "cannot be written", source })
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(rusqlite::Error) -> JournalError + use<> {
        let file = self.file.clone();
        move |source| JournalError::Sql { file, action, source }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

//! The journal: data that cannot be computed again. It holds a person's decisions about photos, what a taste is learned
//! from, and which photos earlier `--since last-run` runs have seen.
//!
//! It is one SQLite file in the data folder, shared by any number of processes. It is not a cache: its content is never
//! discarded, and damage ends the run. Every change is one transaction, so a kill or a power cut leaves the state before
//! it or after it. The file is made under a temporary name and renamed when it is complete, so a file without tables is
//! damaged, not new. SQLite keeps no log file beside it between changes, so the one file can be backed up by copying it.

mod decisions;
mod example;
pub mod people;
mod photo_id;
mod rows;
mod runs;
mod taste;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, Transaction};
use thiserror::Error;

use crate::sqlite::{self, LockDeadline};
use base::atomic::{Draft, Folders, is_unfinished};
use rows::Contents;

pub use decisions::{DecisionInForce, Logged, NewDecision};
pub use example::{Facts, TasteExample};
pub use people::{LookedAt, PeopleError, PeopleFile, Person, PersonFace};
pub use photo_id::{Decisions, PhotoId, SeenPhotos};
pub use runs::{LastRun, RunLock};
pub use taste::{PreferredPair, TasteMemory};

pub const FILE_NAME: &str = "journal.sqlite";

/// The layout's version, raised when an older albumctl could misread the file. Version 3 adds picture identities,
/// version 4 what a taste is learned from.
const LAYOUT: i64 = 4;
/// The first layout whose rows have checksums.
const FIRST_WITH_CHECKSUMS: i64 = 2;

/// Each message includes its cause; a `source` as well would print the cause twice.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("the journal {} is damaged and left as it is: {what}", file.display())]
    Damaged { file: PathBuf, what: String },
    #[error("the journal {}: {action}: another process holds it, or its file system offers no locks", file.display())]
    Locked { file: PathBuf, action: &'static str },
    #[error("the journal {}: {action}: {cause}", file.display())]
    Sql { file: PathBuf, action: &'static str, cause: rusqlite::Error },
    #[error("the journal {}: {action}: {cause}", file.display())]
    Io { file: PathBuf, action: &'static str, cause: io::Error },
    #[error("the journal {} was written by a newer albumctl (layout {found}, this one knows {LAYOUT})", file.display())]
    Newer { file: PathBuf, found: i64 },
}

impl JournalError {
    fn of(file: PathBuf, action: &'static str, cause: rusqlite::Error) -> Self {
        if sqlite::is_damage(&cause) {
            Self::Damaged { file, what: cause.to_string() }
        } else if sqlite::is_locked(&cause) {
            Self::Locked { file, action }
        } else {
            Self::Sql { file, action, cause }
        }
    }

    pub fn hint(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => "bring back a copy of the journal, or move it away to go on without your decisions",
            Self::Locked { .. } => {
                "try again when that process has ended, or let XDG_DATA_HOME name a folder on a local disk"
            }
            Self::Sql { .. } | Self::Io { .. } => "see that the file and its folder may be read and written",
            Self::Newer { .. } => "use that albumctl, or move the journal away to go on without your decisions",
        }
    }
}

#[derive(Debug)]
pub struct Journal {
    file: PathBuf,
    connection: Connection,
    deadline: LockDeadline,
}

impl Journal {
    /// Opens the journal for writing; makes the file and its folder where they are missing.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let file = folder.join(FILE_NAME);
        let failed = |cause| JournalError::Io { file: file.clone(), action: "cannot make its folder", cause };
        sqlite::make_private_folder(folder).map_err(failed)?;
        if !exists(folder, &file)? {
            create(folder, &file)?;
        }
        let mut journal = Self::connect(folder, file)?;
        if journal.connection.is_readonly("main").map_err(journal.failed("cannot be opened"))? {
            let cause = io::ErrorKind::PermissionDenied.into();
            return Err(JournalError::Io { file: journal.file, action: "cannot be written", cause });
        }
        // Another tool may have switched the file to a write-ahead log, which would stay beside it.
        let without_log = journal.connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()));
        without_log.map_err(journal.failed("cannot be written"))?;
        if journal.layout()? < LAYOUT {
            journal.migrate()?;
        }
        journal.contents()?;
        Ok(journal)
    }

    /// Opens the journal for reading; `None` where there is none yet.
    pub fn open_to_read(folder: &Path) -> Result<Option<Self>, JournalError> {
        let file = folder.join(FILE_NAME);
        // Not opened read-only, so that SQLite can roll back the unfinished transaction of a killed process. Without the
        // right to write, SQLite falls back to reading on its own.
        if exists(folder, &file)? { Self::connect(folder, file).map(Some) } else { Ok(None) }
    }

    fn connect(folder: &Path, file: PathBuf) -> Result<Self, JournalError> {
        sqlite::make_private(folder);
        sqlite::make_files_private(folder, FILE_NAME);
        let deadline = LockDeadline::begin();
        let opened = open(&file, &deadline);
        let connection = opened.map_err(|cause| JournalError::of(file.clone(), "cannot be opened", cause))?;
        let journal = Self { file, connection, deadline };
        let layout = match journal.layout()? {
            found if found > LAYOUT => return Err(JournalError::Newer { file: journal.file, found }),
            found if found < 1 => return Err(journal.damaged("it has no layout number")),
            found => found,
        };
        // Rows of the first layout have no checksums, but its index holds the contents a second time.
        sqlite::check_pages(&journal.connection, layout < FIRST_WITH_CHECKSUMS)
            .map_err(journal.failed("cannot be read"))?;
        Ok(journal)
    }

    fn layout(&self) -> Result<i64, JournalError> {
        rows::layout(&self.connection).map_err(self.failed("cannot be read"))
    }

    /// Reads all rows and verifies their checksums.
    fn contents(&self) -> Result<Contents, JournalError> {
        self.deadline.restart();
        let read = self.connection.unchecked_transaction().and_then(|transaction| rows::read(&transaction));
        read.map_err(self.failed("cannot be read"))
    }

    /// Runs `work` in a transaction, with the contents before it. All of it is on disk when this returns, or none.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, Contents) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        self.transact(|transaction| {
            let result = work(transaction, rows::read(transaction)?)?;
            rows::seal(transaction)?;
            Ok(result)
        })
    }

    /// Brings an older file to this layout, unless another process has done so meanwhile.
    fn migrate(&mut self) -> Result<(), JournalError> {
        self.transact(|transaction| match rows::layout(transaction)? {
            LAYOUT => Ok(()),
            _ => rows::migrate(transaction),
        })
    }

    fn transact<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        let done = sqlite::transact(&mut self.connection, &self.deadline, work);
        done.map_err(self.failed("cannot be written"))
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(rusqlite::Error) -> JournalError + use<> {
        let file = self.file.clone();
        move |cause| JournalError::of(file, action, cause)
    }

    fn damaged(&self, what: &str) -> JournalError {
        JournalError::Damaged { file: self.file.clone(), what: what.to_owned() }
    }
}

/// Whether there is a journal. An unreadable folder or a dangling symbolic link is an error and not an absent journal.
fn exists(folder: &Path, file: &Path) -> Result<bool, JournalError> {
    let failed = |cause| JournalError::Io { file: file.to_owned(), action: "cannot be looked at", cause };
    for place in [folder, file] {
        match fs::symlink_metadata(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            found => fs::metadata(found.map(|_| place).map_err(failed)?).map_err(failed)?,
        };
    }
    Ok(true)
}

fn open(file: &Path, deadline: &LockDeadline) -> rusqlite::Result<Connection> {
    if fs::metadata(file).is_ok_and(|metadata| metadata.len() == 0) {
        return Err(sqlite::damage("it is empty"));
    }
    let mut connection =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    deadline.apply_to(&mut connection)?;
    // A decision must survive a power cut; the results store, which can be computed again, uses a faster mode.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Makes the file under a temporary name and renames it when it is complete on disk. The first of several processes wins.
fn create(folder: &Path, file: &Path) -> Result<(), JournalError> {
    const ACTION: &str = "cannot be made";
    let failed = |cause| JournalError::Io { file: file.to_owned(), action: ACTION, cause };
    let make = |folders: &mut Folders| -> Result<bool, JournalError> {
        let draft = Draft::private(file).map_err(failed)?;
        write_tables(draft.path()).map_err(|cause| JournalError::of(file.to_owned(), ACTION, cause))?;
        draft.place_new(folders).map_err(failed)
    };
    let mut folders = Folders::default();
    match make(&mut folders) {
        // Another process made the journal first and removed this temporary file.
        Err(_) if file.exists() => return Ok(()),
        made => made?,
    };
    remove_unfinished(folder).map_err(failed)?;
    folders.changed_by(folder);
    folders.sync().map_err(failed)
}

fn write_tables(file: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA journal_mode = OFF;")?;
    rows::create(&connection)?;
    rows::seal(&connection)
}

/// Removes temporary files that killed processes left behind.
fn remove_unfinished(folder: &Path) -> io::Result<()> {
    let unfinished = |entry: &fs::DirEntry| is_unfinished(&entry.path());
    fs::read_dir(folder)?.flatten().filter(unfinished).for_each(|entry| {
        let _ = fs::remove_file(entry.path());
    });
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

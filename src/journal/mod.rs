//! What must not be forgotten: what a person decided about photos, and what runs that look at news only have seen.
//!
//! One SQLite file in the data folder, shared by any number of processes. It is no cache: nothing in it is thrown away
//! to go on, and damage ends the run that meets it. Every change is one transaction on disk: a kill or a power cut
//! leaves the state before it or after it. It appears whole, under a temporary name before, so that a file without
//! tables is damage and no beginning. No log lies beside it after a change: the one file holds everything.

mod decisions;
mod photo_id;
mod rows;
mod runs;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use thiserror::Error;

use crate::sqlite::{self, Patience};
use base::atomic::{Draft, Folders, is_unfinished};
use rows::Contents;

pub use decisions::{Decided, Entry, Logged};
pub use photo_id::{Decisions, PhotoId, SeenPhotos};
pub use runs::{LastRun, RunLock};

pub const FILE_NAME: &str = "journal.sqlite";

/// Raised when an older albumctl could no longer read the file rightly. The third names pictures beside contents.
const LAYOUT: i64 = 3;
/// The first layout whose rows have checks.
const CHECKED: i64 = 2;

/// Each tells its cause itself: as a `source` it would be told twice.
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

    pub fn way_out(&self) -> &'static str {
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
    patience: Patience,
}

impl Journal {
    /// For writing in; the file and its folder are made where there are none.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let file = folder.join(FILE_NAME);
        let failed = |cause| JournalError::Io { file: file.clone(), action: "cannot make its folder", cause };
        sqlite::make_private_folder(folder).map_err(failed)?;
        if !is_there(folder, &file)? {
            create(folder, &file)?;
        }
        let mut journal = Self::connect(folder, file)?;
        if journal.connection.is_readonly("main").map_err(journal.failed("cannot be opened"))? {
            let cause = io::ErrorKind::PermissionDenied.into();
            return Err(JournalError::Io { file: journal.file, action: "cannot be written", cause });
        }
        // A tool that put a log beside the file must not leave us with it.
        let alone = journal.connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()));
        alone.map_err(journal.failed("cannot be written"))?;
        if journal.layout()? < LAYOUT {
            journal.take_over()?;
        }
        journal.contents()?;
        Ok(journal)
    }

    /// For reading; `None` where nothing was ever written down.
    pub fn open_to_read(folder: &Path) -> Result<Option<Self>, JournalError> {
        let file = folder.join(FILE_NAME);
        // Not read-only: what a killed process left half-done is rolled back by whoever comes next. SQLite itself makes
        // do with reading where it may not write.
        if is_there(folder, &file)? { Self::connect(folder, file).map(Some) } else { Ok(None) }
    }

    fn connect(folder: &Path, file: PathBuf) -> Result<Self, JournalError> {
        sqlite::make_private(folder);
        sqlite::make_files_private(folder, FILE_NAME);
        let patience = Patience::begin();
        let opened = open(&file, &patience);
        let connection = opened.map_err(|cause| JournalError::of(file.clone(), "cannot be opened", cause))?;
        let journal = Self { file, connection, patience };
        let layout = match journal.layout()? {
            found if found > LAYOUT => return Err(JournalError::Newer { file: journal.file, found }),
            found if found < 1 => return Err(journal.damaged("it has no layout number")),
            found => found,
        };
        // Rows of the first layout have no checks of their own; its index told the contents a second time.
        sqlite::check_pages(&journal.connection, layout < CHECKED).map_err(journal.failed("cannot be read"))?;
        Ok(journal)
    }

    fn layout(&self) -> Result<i64, JournalError> {
        rows::layout(&self.connection).map_err(self.failed("cannot be read"))
    }

    /// Everything, proved whole.
    fn contents(&self) -> Result<Contents, JournalError> {
        self.patience.again();
        let read = self.connection.unchecked_transaction().and_then(|transaction| rows::read(&transaction));
        read.map_err(self.failed("cannot be read"))
    }

    /// All of `work` is on disk when this returns, or none of it. It is handed what is there before.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, Contents) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        self.transact(|transaction| {
            let told = work(transaction, rows::read(transaction)?)?;
            rows::seal(transaction)?;
            Ok(told)
        })
    }

    /// Another process may have been faster.
    fn take_over(&mut self) -> Result<(), JournalError> {
        self.transact(|transaction| match rows::layout(transaction)? {
            LAYOUT => Ok(()),
            _ => rows::take_over(transaction),
        })
    }

    fn transact<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        self.patience.again();
        let done = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
            let told = work(&transaction)?;
            transaction.commit()?;
            Ok(told)
        });
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

/// Whether there is a journal. One that cannot be looked at, or hangs on a link to nowhere, is not taken for none.
fn is_there(folder: &Path, file: &Path) -> Result<bool, JournalError> {
    let failed = |cause| JournalError::Io { file: file.to_owned(), action: "cannot be looked at", cause };
    for place in [folder, file] {
        match fs::symlink_metadata(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            found => fs::metadata(found.map(|_| place).map_err(failed)?).map_err(failed)?,
        };
    }
    Ok(true)
}

fn open(file: &Path, patience: &Patience) -> rusqlite::Result<Connection> {
    if fs::metadata(file).is_ok_and(|metadata| metadata.len() == 0) {
        return Err(sqlite::damage("it is empty"));
    }
    let mut connection =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    patience.govern(&mut connection)?;
    // A decision outlives a power cut, too. The store can afford less; there is only one of this.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Makes the file under another name and moves it here once it is whole on disk. Whoever comes first wins.
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
        // Another process made it meanwhile, and swept our beginning away.
        Err(_) if file.exists() => return Ok(()),
        made => made?,
    };
    sweep(folder).map_err(failed)?;
    folders.changed_by(folder);
    folders.sync().map_err(failed)
}

fn write_tables(file: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA journal_mode = OFF;")?;
    connection.execute_batch(rows::SCHEMA)?;
    rows::seal(&connection)
}

/// What killed processes left of journals that never were one.
fn sweep(folder: &Path) -> io::Result<()> {
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

//! Shared code for the SQLite files of the store and the journal: access rights, waiting for locks, recognising damage.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::platform::{for_owner, keep_from_others};
use rusqlite::{Connection, Error, ErrorCode, Transaction, TransactionBehavior, ffi};

/// Longer than any transaction here, so that only a stuck process or a file system without locks exceeds it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const CHECKSUM_BYTES: usize = 8;

/// A wall-clock deadline for all waiting of one operation, over all its statements, attempts and connections.
#[derive(Debug, Clone)]
pub struct LockDeadline(Arc<Mutex<Instant>>);

impl LockDeadline {
    pub fn begin() -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + LOCK_TIMEOUT)))
    }

    /// Restarts the deadline for the next operation.
    pub fn restart(&self) {
        *self.end() = Instant::now() + LOCK_TIMEOUT;
    }

    /// Sleeps briefly and returns true; returns false at once when the deadline has passed.
    pub fn wait(&self) -> bool {
        let left = self.end().saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(Duration::from_millis(5)));
        !left.is_zero()
    }

    /// Makes the connection wait for locks until this deadline.
    pub fn apply_to(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let deadline = self.clone();
        connection.busy_handler(Some(move |_| deadline.wait()))
    }

    fn end(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` in a transaction that is committed if it succeeds, with a new deadline for waiting.
pub fn transact<T>(
    connection: &mut Connection,
    deadline: &LockDeadline,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    deadline.restart();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// The error for damage that SQLite itself does not detect.
pub fn damage(what: impl Into<String>) -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(what.into()))
}

pub fn is_damage(error: &Error) -> bool {
    match error {
        // A value of a type or length that is never written, or no row where there is always one.
        Error::InvalidColumnType(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::QueryReturnedNoRows => true,
        // A plain SQL error for a tested statement means that tables or columns have other names.
        error => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
        ),
    }
}

/// Whether the lock was not obtained in time. SQLite reports the same for a file system that refuses locks.
pub fn is_locked(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed)
    )
}

/// Returns `Ok` where SQLite finds the file's pages sound. `thorough` also compares the indices with the tables.
pub fn check_pages(connection: &Connection, thorough: bool) -> rusqlite::Result<()> {
    let check = if thorough { "PRAGMA integrity_check(1)" } else { "PRAGMA quick_check(1)" };
    let verdict: String = connection.query_row(check, [], |row| row.get(0))?;
    match read_error(&verdict) {
        _ if verdict == "ok" => Ok(()),
        Some(code) => Err(Error::SqliteFailure(ffi::Error::new(code), None)),
        None => Err(damage(verdict)),
    }
}

/// The I/O error code in the check's output. A page that could not be read is not a damaged page, but the check lists both
/// alike.
fn read_error(verdict: &str) -> Option<std::ffi::c_int> {
    const PRIMARY: std::ffi::c_int = 0xff;
    let number = verdict.split("error code").nth(1)?.trim_start_matches([' ', '=']);
    let number = number.split(|c: char| !c.is_ascii_digit()).next()?;
    let code: std::ffi::c_int = number.parse().ok()?;
    // A page beyond the end of the file is damage.
    (code & PRIMARY == ffi::SQLITE_IOERR && code != ffi::SQLITE_IOERR_SHORT_READ).then_some(code)
}

/// The checksum of a row, which detects a flipped bit where SQLite detects only a torn page. Each part is hashed with its
/// length, so that different lists never feed the same bytes.
pub fn checksum_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().as_bytes()[..CHECKSUM_BYTES].try_into().expect("a hash is longer than its beginning")
}

/// Makes a missing folder with access for its owner only; missing parents get the usual mode.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    for_owner(&mut builder);
    match builder.create(folder) {
        Err(error) if !folder.is_dir() => Err(error),
        _ => Ok(()),
    }
}

/// Restricts a folder to its owner. A symbolic link is left alone: the user has set it up on purpose.
pub fn make_private(folder: &Path) {
    if !folder.is_symlink() {
        keep_from_others(folder);
    }
}

/// Restricts the files whose names begin with `name` to their owner: the database, SQLite's files beside it, and damaged
/// ones that were set aside.
pub fn make_files_private(folder: &Path, name: &str) {
    let ours = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(name.as_bytes());
    let Ok(entries) = fs::read_dir(folder) else { return };
    entries.flatten().filter(ours).for_each(|entry| keep_from_others(&entry.path()));
}

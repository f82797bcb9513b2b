//! What the store and the journal share as SQLite files: who may read them, how long other processes are waited for, and
//! what counts as damage.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Error, ErrorCode, ffi};

/// Longer than any transaction of ours, so that only a stuck process or a file system without locks trips it.
const PATIENCE: Duration = Duration::from_secs(5);
const CHECK_BYTES: usize = 8;

/// One wall-clock deadline for all that an operation waits: every statement, every attempt, every connection it governs.
#[derive(Debug, Clone)]
pub struct Patience(Arc<Mutex<Instant>>);

impl Patience {
    pub fn begin() -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + PATIENCE)))
    }

    /// The next operation begins.
    pub fn again(&self) {
        *self.end() = Instant::now() + PATIENCE;
    }

    /// Sleeps a little; false, at once, when the deadline has passed.
    pub fn wait(&self) -> bool {
        let left = self.end().saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(Duration::from_millis(5)));
        !left.is_zero()
    }

    /// Lets the connection wait for locks until this deadline.
    pub fn govern(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let patience = self.clone();
        connection.busy_handler(Some(move |_| patience.wait()))
    }

    fn end(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error for damage that SQLite itself does not see.
pub fn damage(what: impl Into<String>) -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(what.into()))
}

pub fn is_damage(error: &Error) -> bool {
    match error {
        // A value of another type or length than we write, and no row where we write one.
        Error::InvalidColumnType(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::QueryReturnedNoRows => true,
        // A plain SQL error about statements that have been tested means that tables or columns have other names.
        error => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
        ),
    }
}

/// Whether the patience ran out. A file system that refuses locks looks to SQLite like another process that holds one.
pub fn is_locked(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed)
    )
}

/// `Ok` where SQLite finds the file's pages sound. `thorough` holds the indices against the tables as well.
pub fn check_pages(connection: &Connection, thorough: bool) -> rusqlite::Result<()> {
    let check = if thorough { "PRAGMA integrity_check(1)" } else { "PRAGMA quick_check(1)" };
    let verdict: String = connection.query_row(check, [], |row| row.get(0))?;
    match refused(&verdict) {
        _ if verdict == "ok" => Ok(()),
        Some(code) => Err(Error::SqliteFailure(ffi::Error::new(code), None)),
        None => Err(damage(verdict)),
    }
}

/// A page that the system did not hand out says nothing about the page: the check tells of it among the damages, by the
/// number of SQLite's error.
fn refused(verdict: &str) -> Option<std::ffi::c_int> {
    const PRIMARY: std::ffi::c_int = 0xff;
    let number = verdict.split("error code").nth(1)?.trim_start_matches([' ', '=']);
    let number = number.split(|c: char| !c.is_ascii_digit()).next()?;
    let code: std::ffi::c_int = number.parse().ok()?;
    // A page that lies beyond the end of the file is damage.
    (code & PRIMARY == ffi::SQLITE_IOERR && code != ffi::SQLITE_IOERR_SHORT_READ).then_some(code)
}

/// SQLite notices a torn page, not a flipped bit inside a row: that is what this is for. No two different lists of parts
/// give the same bytes to the hash.
pub fn check_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().as_bytes()[..CHECK_BYTES].try_into().expect("a hash is longer than its beginning")
}

/// Makes a folder that only its owner may look into, where there is none; its parents get the usual mode.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if !folder.is_dir() => Err(error),
        _ => Ok(()),
    }
}

/// Takes from everybody but the owner what a folder of ours grants; one that lies elsewhere through a link is somebody's
/// own arrangement.
pub fn make_private(folder: &Path) {
    if !folder.is_symlink() {
        owner_only(folder);
    }
}

/// The same for the files of ours in a folder, which begin with `name`: the database, what SQLite lays beside it, and
/// what became of older ones.
pub fn make_files_private(folder: &Path, name: &str) {
    let ours = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(name.as_bytes());
    let Ok(entries) = fs::read_dir(folder) else { return };
    entries.flatten().filter(ours).for_each(|entry| owner_only(&entry.path()));
}

/// Where it cannot be done the file is another user's, or its file system knows no modes.
#[cfg(unix)]
fn owner_only(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = fs::metadata(path) else { return };
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700));
    }
}

#[cfg(not(unix))]
fn owner_only(_: &Path) {}

//! The SQL of the store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::Entry;
use crate::photo::identity::{ContentId, Stamp};

/// Longer than any transaction of ours by orders of magnitude, so that only a stuck process trips it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of BLAKE3 kept with each payload: SQLite notices a torn page, not a flipped bit inside one.
const CHECK_BYTES: usize = 8;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS file (
        path        BLOB PRIMARY KEY,
        size        INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        changed_ns  INTEGER NOT NULL,
        inode       INTEGER NOT NULL,
        content     BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS finding (
        content  BLOB NOT NULL,
        analysis BLOB NOT NULL,
        payload  BLOB NOT NULL,
        PRIMARY KEY (content, analysis)
    ) WITHOUT ROWID;
";

#[derive(Debug)]
pub struct Database {
    connection: Connection,
}

impl Database {
    pub fn open(file: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open_with_flags(
            file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(PATIENCE)?;
        use_write_ahead_log(&connection)?;
        // A killed process loses nothing in this mode; a power cut may lose the last transactions, never the file.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let tables: u32 = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('file', 'finding')",
            [],
            |row| row.get(0),
        )?;
        if tables < 2 {
            connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"))?;
        }
        Ok(Self { connection })
    }

    pub fn open_to_read(file: &Path) -> rusqlite::Result<Self> {
        // Where not even the lock file of the log can be made, nobody else of our rights writes either: the file may be
        // read as if it stood still. Each payload carries its own check, should somebody of greater rights write.
        let still = format!("file:{}?immutable=1", escaped(file));
        Self::open_with(file, OpenFlags::SQLITE_OPEN_READ_ONLY, &file.to_string_lossy())
            .or_else(|_| Self::open_with(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI, &still))
    }

    fn open_with(file: &Path, flags: OpenFlags, name: &str) -> rusqlite::Result<Self> {
        if !file.exists() {
            return Err(rusqlite::Error::InvalidPath(file.to_owned()));
        }
        let connection = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(PATIENCE)?;
        let database = Self { connection };
        // Opening is lazy: only a question shows whether the file can be read.
        database.finding(&ContentId([0; 32]), &[0; 16])?;
        Ok(database)
    }

    pub fn content(&self, path: &Path, stamp: &Stamp) -> rusqlite::Result<Option<ContentId>> {
        self.connection
            .prepare_cached(
                "SELECT content FROM file
                 WHERE path = ?1 AND size = ?2 AND modified_ns = ?3 AND changed_ns = ?4 AND inode = ?5",
            )?
            .query_row(
                params![key(path), stamp.size as i64, stamp.modified_ns, stamp.changed_ns, stamp.inode as i64],
                |row| row.get::<_, [u8; 32]>(0),
            )
            .optional()
            .map(|content| content.map(ContentId))
    }

    /// `None` for a payload whose check does not fit: computing it again is always right.
    pub fn finding(&self, content: &ContentId, analysis: &[u8; 16]) -> rusqlite::Result<Option<Vec<u8>>> {
        let stored: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT payload FROM finding WHERE content = ?1 AND analysis = ?2")?
            .query_row(params![content.0, analysis], |row| row.get(0))
            .optional()?;
        Ok(stored.and_then(|mut payload| {
            let length = payload.len().checked_sub(CHECK_BYTES)?;
            let check = payload.split_off(length);
            (check == check_of(&payload)).then_some(payload)
        }))
    }

    pub fn keep(&mut self, entries: &[Entry<'_>]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut file = transaction.prepare_cached("INSERT OR REPLACE INTO file VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            let mut finding = transaction.prepare_cached("INSERT OR REPLACE INTO finding VALUES (?1, ?2, ?3)")?;
            for entry in entries {
                if let Some(stamp) = entry.stamp {
                    file.execute(params![
                        key(entry.path),
                        stamp.size as i64,
                        stamp.modified_ns,
                        stamp.changed_ns,
                        stamp.inode as i64,
                        entry.content.0
                    ])?;
                }
                for (analysis, payload) in &entry.findings {
                    let checked = [*payload, &check_of(payload)[..]].concat();
                    finding.execute(params![entry.content.0, analysis.0, checked])?;
                }
            }
        }
        transaction.commit()
    }
}

fn check_of(payload: &[u8]) -> Vec<u8> {
    blake3::hash(payload).as_bytes()[..CHECK_BYTES].to_vec()
}

/// Two relative names of one file share a row; the bytes of a name need not be UTF-8.
fn key(path: &Path) -> Vec<u8> {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).into_os_string().into_encoded_bytes()
}

/// Readers and a writer at the same time, and a commit is one append. SQLite does not wait for others when the mode
/// changes, so processes that meet on a new file must.
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        let current: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if current == "wal" {
            return Ok(());
        }
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            // A file system without shared memory keeps the older journal, which is slower and as safe.
            Ok(_) => return Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && waited < PATIENCE => {
                let pause = Duration::from_millis(5);
                std::thread::sleep(pause);
                waited += pause;
            }
            Err(error) => return Err(error),
        }
    }
}

#[derive(Debug)]
pub enum SetAside {
    Moved(PathBuf),
    /// Another process found the damage first.
    AlreadyMended,
}

/// Moves a damaged store out of the way, together with its journal. One process at a time: the second one finds a
/// sound store and leaves it alone.
pub fn set_aside(file: &Path) -> io::Result<SetAside> {
    let lock_name = with_suffix(file, ".mending");
    let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&lock_name)?;
    lock.lock()?;
    let outcome = if is_sound(file) { Ok(SetAside::AlreadyMended) } else { move_away(file).map(SetAside::Moved) };
    let _ = fs::remove_file(&lock_name);
    outcome
}

fn is_sound(file: &Path) -> bool {
    let check = || -> rusqlite::Result<String> {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(PATIENCE)?;
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
    };
    check().is_ok_and(|verdict| verdict == "ok")
}

fn move_away(file: &Path) -> io::Result<PathBuf> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let aside = (0..1000)
        .map(|n: u32| {
            with_suffix(file, &if n == 0 { format!(".damaged-{now}") } else { format!(".damaged-{now}-{n}") })
        })
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| with_suffix(file, ".damaged"));
    // The journal first: a new database must never meet the old one's journal.
    for suffix in ["-wal", "-shm", "-journal"] {
        match fs::rename(with_suffix(file, suffix), with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(file, &aside)?;
    Ok(aside)
}

/// The path as part of an SQLite URI.
fn escaped(file: &Path) -> String {
    file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

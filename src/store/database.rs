//! The SQL of the store.

use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};

use super::Entry;
use crate::sqlite::{self, Patience, check_of};
use photo::identity::{ContentId, Stamp};

/// What SQLite keeps behind `CREATE TABLE`, letter by letter.
const TABLES: [&str; 2] = [
    "file (
        path        BLOB PRIMARY KEY,
        size        INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        changed_ns  INTEGER NOT NULL,
        inode       INTEGER NOT NULL,
        content     BLOB NOT NULL
    ) WITHOUT ROWID",
    "finding (
        content  BLOB NOT NULL,
        analysis BLOB NOT NULL,
        payload  BLOB NOT NULL,
        PRIMARY KEY (content, analysis)
    ) WITHOUT ROWID",
];

#[derive(Debug)]
pub struct Database {
    connection: Connection,
}

impl Database {
    pub fn open(file: &Path, patience: &Patience) -> rusqlite::Result<Self> {
        make_private_file(file);
        let mut connection = Connection::open_with_flags(
            file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        patience.govern(&mut connection)?;
        use_write_ahead_log(&connection, patience)?;
        // A killed process loses nothing in this mode; a power cut may lose the last transactions, never the file.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "cell_size_check", true)?;
        if !has_tables(&connection)? {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for table in TABLES {
                transaction.execute(&format!("CREATE TABLE IF NOT EXISTS {table}"), [])?;
            }
            transaction.commit()?;
        }
        Ok(Self { connection })
    }

    pub fn open_to_read(file: &Path, patience: &Patience) -> rusqlite::Result<Self> {
        // Where not even the lock file of the log can be made, nobody else of our rights writes either: the file may be
        // read as if it stood still. Each row carries its own check, should somebody of greater rights write.
        let still = format!("file:{}?immutable=1", escaped(file));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Self::open_with(file, flags, &file.to_string_lossy(), patience)
            .or_else(|_| Self::open_with(file, flags | OpenFlags::SQLITE_OPEN_URI, &still, patience))
    }

    fn open_with(file: &Path, flags: OpenFlags, name: &str, patience: &Patience) -> rusqlite::Result<Self> {
        if !file.exists() {
            return Err(rusqlite::Error::InvalidPath(file.to_owned()));
        }
        let mut connection = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        patience.govern(&mut connection)?;
        let database = Self { connection };
        // Opening is lazy: only a question shows whether the file can be read.
        database.finding(&ContentId([0; 32]), &[0; 16])?;
        Ok(database)
    }

    pub fn content(&self, path: &Path, stamp: &Stamp) -> rusqlite::Result<Option<ContentId>> {
        let (path, numbers) = (key(path), numbers(stamp));
        let [size, modified_ns, changed_ns, inode] = numbers;
        let stored = self
            .connection
            .prepare_cached(
                "SELECT content FROM file
                 WHERE path = ?1 AND size = ?2 AND modified_ns = ?3 AND changed_ns = ?4 AND inode = ?5",
            )?
            .query_row(params![path, size, modified_ns, changed_ns, inode], bytes)
            .optional()?;
        Ok(stored.and_then(|stored| opened(&file_key(&path, &numbers), stored?)?.try_into().ok()).map(ContentId))
    }

    /// `None` for a row whose check does not fit: computing it again is always right.
    pub fn finding(&self, content: &ContentId, analysis: &[u8; 16]) -> rusqlite::Result<Option<Vec<u8>>> {
        let stored = self
            .connection
            .prepare_cached("SELECT payload FROM finding WHERE content = ?1 AND analysis = ?2")?
            .query_row(params![content.0, analysis], bytes)
            .optional()?;
        Ok(stored.and_then(|stored| opened(&[&content.0[..], analysis].concat(), stored?)))
    }

    pub fn keep(&mut self, entries: &[Entry<'_>]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut file = transaction.prepare_cached("INSERT OR REPLACE INTO file VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            let mut finding = transaction.prepare_cached("INSERT OR REPLACE INTO finding VALUES (?1, ?2, ?3)")?;
            for entry in entries {
                if let Some(stamp) = &entry.stamp {
                    let (path, numbers) = (key(entry.path), numbers(stamp));
                    let [size, modified_ns, changed_ns, inode] = numbers;
                    let checked = checked(&file_key(&path, &numbers), &entry.content.0);
                    file.execute(params![path, size, modified_ns, changed_ns, inode, checked])?;
                }
                for (analysis, payload) in &entry.findings {
                    let checked = checked(&[&entry.content.0[..], &analysis.0].concat(), payload);
                    finding.execute(params![entry.content.0, analysis.0, checked])?;
                }
            }
        }
        transaction.commit()
    }
}

/// A value with a check behind it that binds it to its row: neither a flipped bit nor the value of another row is taken
/// for this one.
fn checked(key: &[u8], value: &[u8]) -> Vec<u8> {
    [value, &check_of([key, value])].concat()
}

/// The other way round, where the check fits.
fn opened(key: &[u8], mut stored: Vec<u8>) -> Option<Vec<u8>> {
    let check = stored.split_off(stored.len().checked_sub(check_of([]).len())?);
    (check == check_of([key, stored.as_slice()])).then_some(stored)
}

/// What was written as bytes; anything else is damage of this one row.
fn bytes(row: &Row<'_>) -> rusqlite::Result<Option<Vec<u8>>> {
    Ok(row.get_ref(0)?.as_blob().ok().map(<[u8]>::to_vec))
}

fn numbers(stamp: &Stamp) -> [i64; 4] {
    [stamp.size as i64, stamp.modified_ns, stamp.changed_ns, stamp.inode as i64]
}

fn file_key(path: &[u8], numbers: &[i64; 4]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).chain(path.iter().copied()).collect()
}

/// Two relative names of one file share a row; the bytes of a name need not be UTF-8.
fn key(path: &Path) -> Vec<u8> {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).into_os_string().into_encoded_bytes()
}

/// False where a table is still to be made; one of another make is damage.
fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let mut made = 0;
    for table in TABLES {
        let name = table.split_whitespace().next();
        let sql: Option<String> = connection
            .query_row("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1", [name], |row| row.get(0))
            .optional()?;
        match sql {
            Some(sql) if sql != format!("CREATE TABLE {table}") => return Err(sqlite::damage("a table is not ours")),
            found => made += usize::from(found.is_some()),
        }
    }
    Ok(made == TABLES.len())
}

/// The store holds thumbnails of private photos. SQLite gives what it lays beside a file the file's own mode.
fn make_private_file(file: &Path) {
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Where it cannot be made the opening of the database will say why; where it is there its mode is mended already.
    let _ = options.open(file);
}

/// Readers and a writer at the same time, and a commit is one append. SQLite does not wait for others when the mode
/// changes, so processes that meet on a new file must.
fn use_write_ahead_log(connection: &Connection, patience: &Patience) -> rusqlite::Result<()> {
    loop {
        let current: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if current == "wal" {
            return Ok(());
        }
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            // A file system without shared memory keeps the older journal, which is slower and as safe.
            Ok(_) => return Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && patience.wait() => {}
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
pub fn set_aside(file: &Path, patience: &Patience) -> io::Result<SetAside> {
    let lock_name = with_suffix(file, ".mending");
    let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&lock_name)?;
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if patience.wait() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let outcome =
        if is_sound(file, patience) { Ok(SetAside::AlreadyMended) } else { move_away(file).map(SetAside::Moved) };
    let _ = fs::remove_file(&lock_name);
    outcome
}

/// Whether the system hands out all of the file and of what SQLite keeps beside it.
pub fn read_through(file: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-journal"] {
        match fs::File::open(with_suffix(file, suffix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => {
                io::copy(&mut opened?, &mut io::sink())?;
            }
        }
    }
    Ok(())
}

fn is_sound(file: &Path, patience: &Patience) -> bool {
    let check = || -> rusqlite::Result<()> {
        let mut connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        patience.govern(&mut connection)?;
        sqlite::check_pages(&connection, true)?;
        has_tables(&connection).map(|_| ())
    };
    check().is_ok()
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

//! The SQL of the store.

use std::collections::{HashMap, HashSet};
use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};

use super::{Fingerprint, StoreEntry};
use crate::sqlite::{self, LockDeadline, checksum_of};
use base::platform::for_owner_only;
use photo::identity::{ContentId, Stamp};

/// The table definitions, exactly as SQLite stores them behind `CREATE TABLE`.
const TABLES: [&str; 2] = [
    "file (
        path        BLOB PRIMARY KEY,
        size        INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        changed_ns  INTEGER NOT NULL,
        inode       INTEGER NOT NULL,
        content     BLOB NOT NULL
    ) WITHOUT ROWID",
    // With row numbers, because rows are long: in their key's own tree few would fit on a page, and photos that follow each
    // other would lie far apart.
    "finding (
        content  BLOB NOT NULL,
        analysis BLOB NOT NULL,
        payload  BLOB NOT NULL,
        UNIQUE (content, analysis)
    )",
];

/// Takes over what an attached store of the layout before holds, whose rows have the same checks.
const TAKE_OVER: &str = "
    INSERT OR IGNORE INTO finding SELECT finding.content, analysis, payload
        FROM older.file JOIN older.finding ON finding.content = substr(file.content, 1, 32) ORDER BY path;
    INSERT OR IGNORE INTO file SELECT path, size, modified_ns, changed_ns, inode, content FROM older.file;";

/// The number of rows that are removed in one transaction.
const TRIMMED_AT_ONCE: usize = 10_000;

/// The bytes of a page of a new store. On the usual 4,096 there is room for one long row only, and a third of the file is
/// empty.
const PAGE_BYTES: u32 = 8_192;

/// The number of keys in one query.
const KEYS: usize = 256;

/// More findings than a photo has.
const MOST_ROWS: i64 = 16;

/// Stored findings, by content and analysis.
pub type Findings = HashMap<ContentId, HashMap<Fingerprint, Vec<u8>>>;

#[derive(Debug)]
pub struct Database {
    connection: Connection,
}

impl Database {
    /// Opens the store, making it where it is missing; `older` is the file of the layout before.
    pub fn open(file: &Path, older: &Path, deadline: &LockDeadline) -> rusqlite::Result<Self> {
        make_private_file(file);
        let mut connection = Connection::open_with_flags(
            file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        deadline.apply_to(&mut connection)?;
        // Does nothing to a file that has pages already.
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        use_write_ahead_log(&connection, deadline)?;
        // A killed process loses nothing in this mode; a power cut may lose the last transactions, never the file.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "cell_size_check", true)?;
        if !has_tables(&connection)? {
            // Whatever is wrong with the older file, its results are then computed again.
            let is_attached = older.is_file() && connection.execute("ATTACH ? AS older", [key(older)]).is_ok();
            if !is_attached || make_tables(&mut connection, TAKE_OVER).is_err() {
                make_tables(&mut connection, "")?;
            }
            if is_attached {
                // While it is attached nothing is read from it: the tables of the store itself come first.
                let _ = connection.execute("DETACH older", []);
            }
        }
        Ok(Self { connection })
    }

    pub fn open_to_read(file: &Path, deadline: &LockDeadline) -> rusqlite::Result<Self> {
        // Where the log's lock file cannot be made, no other process with our rights can write either, so the file may be
        // read as immutable. The checksums of the rows detect writes by a process with more rights.
        let immutable = format!("file:{}?immutable=1", escaped(file));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Self::open_with(file, flags, &file.to_string_lossy(), deadline)
            .or_else(|_| Self::open_with(file, flags | OpenFlags::SQLITE_OPEN_URI, &immutable, deadline))
    }

    fn open_with(file: &Path, flags: OpenFlags, name: &str, deadline: &LockDeadline) -> rusqlite::Result<Self> {
        if !file.exists() {
            return Err(rusqlite::Error::InvalidPath(file.to_owned()));
        }
        let mut connection = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        deadline.apply_to(&mut connection)?;
        let database = Self { connection };
        // SQLite opens lazily: only a query shows whether the file can be read.
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
        Ok(stored.and_then(|stored| verified(&file_key(&path, &numbers), stored?)?.try_into().ok()).map(ContentId))
    }

    /// The contents of those of the files whose stamps are unchanged, by path.
    pub fn contents<'a>(&self, files: &[(&'a Path, Stamp)]) -> rusqlite::Result<HashMap<&'a Path, ContentId>> {
        // The current folder is asked for once and not for each path.
        let here = std::env::current_dir().unwrap_or_default();
        let keys: Vec<Vec<u8>> = files.iter().map(|(path, _)| key(&here.join(path))).collect();
        let by_key: HashMap<&[u8], &(&Path, Stamp)> = keys.iter().map(Vec::as_slice).zip(files).collect();
        let mut contents = HashMap::new();
        let sql = "SELECT content, path, size, modified_ns, changed_ns, inode FROM file WHERE path IN";
        self.each_of(sql, &keys, |row| {
            let (Some(stored), Ok(path)) = (bytes(row)?, row.get_ref(1)?.as_blob()) else { return Ok(()) };
            let Some((file, stamp)) = by_key.get(path) else { return Ok(()) };
            let numbers = numbers(stamp);
            for (column, number) in (2..).zip(numbers) {
                if row.get_ref(column)?.as_i64() != Ok(number) {
                    return Ok(());
                }
            }
            let content = verified(&file_key(path, &numbers), stored).and_then(|content| content.try_into().ok());
            contents.extend(content.map(|content| (*file, ContentId(content))));
            Ok(())
        })?;
        Ok(contents)
    }

    /// The findings of the wanted analyses, by content, without rows with a wrong checksum.
    pub fn findings(&self, contents: &[ContentId], wanted: &[Fingerprint]) -> rusqlite::Result<Findings> {
        let mut found = Findings::new();
        let analyses = wanted.iter().map(|wanted| format!("x'{wanted}'")).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT payload, content, analysis FROM finding WHERE analysis IN ({analyses}) AND");
        if let Some([first, last]) = self.span(contents)? {
            let asked: HashSet<&[u8]> = contents.iter().map(|content| &content.0[..]).collect();
            let mut statement = self.connection.prepare_cached(&format!("{sql} rowid BETWEEN ?1 AND ?2"))?;
            let mut rows = statement.query([first, last])?;
            while let Some(row) = rows.next()? {
                if asked.contains(row.get_ref(1)?.as_blob().unwrap_or_default()) {
                    take(&mut found, row)?;
                }
            }
        }
        let lacks = |content: &&ContentId| found.get(content).is_none_or(|found| found.len() < wanted.len());
        let keys: Vec<&[u8]> = contents.iter().filter(lacks).map(|content| &content.0[..]).collect();
        self.each_of(&format!("{sql} content IN"), &keys, |row| take(&mut found, row))?;
        Ok(found)
    }

    /// The numbers of the first and the last row of photos that were stored one after the other; `None` where others lie
    /// between them. One sweep over such rows takes much less time than their keys.
    fn span(&self, contents: &[ContentId]) -> rusqlite::Result<Option<[i64; 2]>> {
        let (Some(first), Some(last)) = (contents.first(), contents.last()) else { return Ok(None) };
        let mut statement = self.connection.prepare_cached("SELECT max(rowid) FROM finding WHERE content = ?1")?;
        let mut row = |content: &ContentId| statement.query_row([content.0], |row| row.get::<_, Option<i64>>(0));
        let (Some(first), Some(last)) = (row(first)?, row(last)?) else { return Ok(None) };
        // Threads finish photos that follow each other in any order.
        let span = [first.min(last) - MOST_ROWS, first.max(last) + MOST_ROWS];
        Ok(Some(span).filter(|[first, last]| last - first <= MOST_ROWS * (contents.len() as i64 + 1)))
    }

    /// Calls `each` with every row of a query that ends with a list of keys, [`KEYS`] of them at a time.
    fn each_of(
        &self,
        sql: &str,
        keys: &[impl AsRef<[u8]>],
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let sql = format!("{sql} (?{})", ", ?".repeat(KEYS - 1));
        for keys in keys.chunks(KEYS) {
            let mut statement = self.connection.prepare_cached(&sql)?;
            // A shorter list repeats its last key, so that one prepared statement serves lists of all lengths.
            let padded = keys.iter().chain(std::iter::repeat(&keys[keys.len() - 1])).take(KEYS);
            let mut rows = statement.query(rusqlite::params_from_iter(padded.map(AsRef::as_ref)))?;
            while let Some(row) = rows.next()? {
                each(row)?;
            }
        }
        Ok(())
    }

    /// `None` for a row with a wrong checksum: its finding is computed again.
    pub fn finding(&self, content: &ContentId, analysis: &[u8; 16]) -> rusqlite::Result<Option<Vec<u8>>> {
        let stored = self
            .connection
            .prepare_cached("SELECT payload FROM finding WHERE content = ?1 AND analysis = ?2")?
            .query_row(params![content.0, analysis], bytes)
            .optional()?;
        Ok(stored.and_then(|stored| verified(&[&content.0[..], analysis].concat(), stored?)))
    }

    pub fn keep(&mut self, entries: &[StoreEntry<'_>]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut file = transaction.prepare_cached("INSERT OR REPLACE INTO file VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            let mut finding = transaction.prepare_cached("INSERT OR REPLACE INTO finding VALUES (?1, ?2, ?3)")?;
            for entry in entries {
                if let Some(stamp) = &entry.stamp {
                    let (path, numbers) = (key(entry.path), numbers(stamp));
                    let [size, modified_ns, changed_ns, inode] = numbers;
                    let with_checksum = with_checksum(&file_key(&path, &numbers), &entry.content.0);
                    file.execute(params![path, size, modified_ns, changed_ns, inode, with_checksum])?;
                }
                for (analysis, payload) in &entry.findings {
                    let with_checksum = with_checksum(&[&entry.content.0[..], &analysis.0].concat(), payload);
                    finding.execute(params![entry.content.0, analysis.0, with_checksum])?;
                }
            }
        }
        transaction.commit()
    }

    /// Removes the oldest findings if the store takes more than `limit` bytes, down to about nine tenths of that. The file
    /// stays as long as it is; what was removed makes room for new results. Returns the number of findings removed.
    pub fn trim_to(&mut self, limit: u64) -> rusqlite::Result<usize> {
        let number = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = number("page_count")? - number("freelist_count")?;
        let used = pages as f64 * number("page_size")? as f64;
        if used <= limit as f64 {
            return Ok(0);
        }
        // Rows have numbers in the order in which they were written, and are of many sizes everywhere.
        let ends = "SELECT ifnull(min(rowid), 0), ifnull(max(rowid), 0) FROM finding";
        let (first, last): (i64, i64) = self.connection.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let end = first + ((last - first + 1) as f64 * (1.0 - 0.9 * limit as f64 / used)).ceil() as i64;
        let mut removed = 0;
        // In steps, so that other processes need not wait long.
        for begin in (first..end).step_by(TRIMMED_AT_ONCE) {
            let to = end.min(begin + TRIMMED_AT_ONCE as i64);
            removed += self.connection.execute("DELETE FROM finding WHERE rowid < ?1", [to])?;
        }
        Ok(removed)
    }
}

/// Adds a row of payload, content and analysis, unless its checksum is wrong.
fn take(found: &mut Findings, row: &Row<'_>) -> rusqlite::Result<()> {
    let blob = |column: usize| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_blob().unwrap_or_default());
    let (content, analysis) = (blob(1)?, blob(2)?);
    let payload = bytes(row)?.and_then(|stored| verified(&[content, analysis].concat(), stored));
    if let (Some(payload), Ok(content), Ok(analysis)) = (payload, content.try_into(), analysis.try_into()) {
        found.entry(ContentId(content)).or_default().insert(Fingerprint(analysis), payload);
    }
    Ok(())
}

/// The value with a checksum behind it that covers the row's key, so that neither a flipped bit nor the value of another
/// row is accepted.
fn with_checksum(key: &[u8], value: &[u8]) -> Vec<u8> {
    [value, &checksum_of([key, value])].concat()
}

/// Returns the value without its checksum, or `None` where the checksum is wrong.
fn verified(key: &[u8], mut stored: Vec<u8>) -> Option<Vec<u8>> {
    let (value, checksum) = stored.split_at(stored.len().checked_sub(checksum_of([]).len())?);
    let (length, is_right) = (value.len(), checksum == checksum_of([key, value]));
    stored.truncate(length);
    is_right.then_some(stored)
}

/// The first column where it is a blob; anything else is damage to this one row.
fn bytes(row: &Row<'_>) -> rusqlite::Result<Option<Vec<u8>>> {
    Ok(row.get_ref(0)?.as_blob().ok().map(<[u8]>::to_vec))
}

fn numbers(stamp: &Stamp) -> [i64; 4] {
    [stamp.size as i64, stamp.modified_ns, stamp.changed_ns, stamp.inode as i64]
}

fn file_key(path: &[u8], numbers: &[i64; 4]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).chain(path.iter().copied()).collect()
}

/// The absolute path as bytes, which need not be UTF-8: two relative names of one file share a row.
fn key(path: &Path) -> Vec<u8> {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).into_os_string().into_encoded_bytes()
}

fn make_tables(connection: &mut Connection, and_then: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for table in TABLES {
        transaction.execute(&format!("CREATE TABLE IF NOT EXISTS {table}"), [])?;
    }
    transaction.execute_batch(and_then)?;
    transaction.commit()
}

/// Whether all tables exist; a table with another definition is damage.
fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let mut made = 0;
    for table in TABLES {
        let name = table.split_whitespace().next();
        let sql: Option<String> = connection
            .query_row("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1", [name], |row| row.get(0))
            .optional()?;
        match sql {
            Some(sql) if sql != format!("CREATE TABLE {table}") => {
                return Err(sqlite::damage("a table has another definition"));
            }
            found => made += usize::from(found.is_some()),
        }
    }
    Ok(made == TABLES.len())
}

/// Makes the file readable by its owner only, as it holds thumbnails of private photos. SQLite gives the log files beside
/// it the same mode.
fn make_private_file(file: &Path) {
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    for_owner_only(&mut options);
    // If it cannot be made, opening the database reports why; if it exists, its mode has been corrected already.
    let _ = options.open(file);
}

/// Switches to a write-ahead log, which allows readers during a write and makes a commit one append. SQLite does not wait
/// for other processes when it changes the mode, so this does.
fn use_write_ahead_log(connection: &Connection, deadline: &LockDeadline) -> rusqlite::Result<()> {
    loop {
        let current: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if current == "wal" {
            return Ok(());
        }
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            // On a file system without shared memory SQLite keeps the rollback journal, which is slower and as safe.
            Ok(_) => return Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && deadline.wait() => {}
            Err(error) => return Err(error),
        }
    }
}

#[derive(Debug)]
pub enum SetAside {
    Moved(PathBuf),
    /// Another process found the damage first.
    AlreadyRepaired,
}

/// Renames a damaged store together with its log files. One process at a time: the second one finds a sound store and
/// leaves it alone.
pub fn set_aside(file: &Path, deadline: &LockDeadline) -> io::Result<SetAside> {
    let lock_name = with_suffix(file, ".mending");
    let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&lock_name)?;
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if deadline.wait() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let outcome =
        if is_sound(file, deadline) { Ok(SetAside::AlreadyRepaired) } else { move_away(file).map(SetAside::Moved) };
    let _ = fs::remove_file(&lock_name);
    outcome
}

/// Checks that the file and the log files beside it can be read to their ends.
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

fn is_sound(file: &Path, deadline: &LockDeadline) -> bool {
    let check = || -> rusqlite::Result<()> {
        let mut connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        deadline.apply_to(&mut connection)?;
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
    // The log files first: a new database must never be opened with the logs of the old one.
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

//! The rows of the journal's tables. Each row has a checksum, and the seal is a hash over all of them, so that a flipped
//! bit or a lost row is detected. Rows are read in the order they were written and without an index, so that exactly what
//! is read has been verified.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::photo_id::PhotoId;
use super::{FIRST_WITH_CHECKSUMS, LAYOUT};
use crate::sqlite::{checksum_of, damage};
use judge::select::Decision;

pub struct Table {
    pub name: &'static str,
    /// Without `id`, which counts rows from 1, and the checksum.
    columns: &'static [&'static str],
    /// The query for the same columns in the first layout, which had no checksums.
    first_layout: &'static str,
}

pub const DECISION: Table = Table {
    name: "decision",
    columns: &["content", "word", "decided_ms", "path"],
    first_layout: "SELECT content, word, decided_ms, path FROM decision ORDER BY id",
};
pub const RUN: Table = Table {
    name: "run",
    columns: &["key", "about", "finished_ms"],
    first_layout: "SELECT key, about, finished_ms FROM run ORDER BY id",
};
pub const SEEN: Table = Table {
    name: "seen",
    columns: &["run", "content"],
    first_layout: "SELECT (SELECT count(*) FROM run WHERE id <= seen.run), content FROM seen ORDER BY run, content",
};
pub const TABLES: [Table; 3] = [DECISION, RUN, SEEN];

pub const SCHEMA: &str = "
    CREATE TABLE decision (
        id         INTEGER PRIMARY KEY,
        content    BLOB NOT NULL,
        word       TEXT,
        decided_ms INTEGER NOT NULL,
        path       BLOB NOT NULL,
        digest     BLOB NOT NULL
    );
    CREATE TABLE run (
        id          INTEGER PRIMARY KEY,
        key         TEXT NOT NULL,
        about       TEXT NOT NULL,
        finished_ms INTEGER NOT NULL,
        digest      BLOB NOT NULL
    );
    CREATE TABLE seen (
        id      INTEGER PRIMARY KEY,
        run     INTEGER NOT NULL,
        content BLOB NOT NULL,
        digest  BLOB NOT NULL
    );
    CREATE TABLE seal (digest BLOB NOT NULL);
    PRAGMA user_version = 3;
";

/// One row of a person's decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDecision {
    pub photo: PhotoId,
    /// `None` takes back the decision before.
    pub decision: Option<Decision>,
    pub decided_ms: i64,
    pub path: Vec<u8>,
}

/// The last completed run of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedRun {
    pub key: String,
    pub about: String,
    pub finished_ms: i64,
}

/// All rows of the file, in the order they were written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub decisions: Vec<StoredDecision>,
    pub runs: Vec<FinishedRun>,
    /// The `id` of a run, and a photo it looked at.
    pub seen: Vec<(i64, PhotoId)>,
}

impl StoredDecision {
    pub fn put(&self, connection: &Connection, id: usize) -> rusqlite::Result<()> {
        let word = self.decision.map_or(Value::Null, |decision| Value::Text(word(decision).into()));
        let values = [self.photo.blob().into(), word, self.decided_ms.into(), self.path.clone().into()];
        put(connection, &DECISION, id, &values)
    }
}

impl FinishedRun {
    pub fn put(&self, connection: &Connection, id: usize) -> rusqlite::Result<()> {
        let values = [self.key.clone().into(), self.about.clone().into(), self.finished_ms.into()];
        put(connection, &RUN, id, &values)
    }
}

pub fn put_seen(connection: &Connection, id: usize, run: i64, photo: &PhotoId) -> rusqlite::Result<()> {
    put(connection, &SEEN, id, &[run.into(), photo.blob().into()])
}

/// Reads and verifies all rows. Must be called within a transaction.
pub fn read(connection: &Connection) -> rusqlite::Result<Contents> {
    let mut contents = Contents::default();
    let layout = layout(connection)?;
    let hash = visit(connection, layout, |table, id, values| match contents.take(table, values) {
        Some(()) => Ok(()),
        None => Err(damage(format!("row {id} of `{}` has values of the wrong type", table.name))),
    })?;
    if layout >= FIRST_WITH_CHECKSUMS {
        let seals: Vec<Vec<u8>> = connection
            .prepare("SELECT digest FROM seal")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if seals != [hash.as_bytes()] {
            return Err(damage("rows or the seal over them are missing"));
        }
    }
    Ok(contents)
}

/// Stores the hash over the checksums of all rows. Must be called within the transaction that changed them, after `read`
/// has verified the others.
pub fn seal(connection: &Connection) -> rusqlite::Result<()> {
    let mut hasher = blake3::Hasher::new();
    for table in &TABLES {
        let mut statement = connection.prepare(&format!("SELECT digest FROM {} ORDER BY id", table.name))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            hasher.update(&row.get::<_, Vec<u8>>(0)?);
        }
    }
    connection.execute("DELETE FROM seal", [])?;
    connection.execute("INSERT INTO seal VALUES (?1)", [hasher.finalize().as_bytes()]).map(|_| ())
}

/// Brings an older layout to this one. Must be called within a transaction.
pub fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    if layout(connection)? >= FIRST_WITH_CHECKSUMS {
        // Rows without a picture identity are valid in this layout, too.
        return connection.pragma_update(None, "user_version", LAYOUT);
    }
    let Contents { decisions, runs, seen } = read(connection)?;
    connection.execute_batch("DROP TABLE seen; DROP TABLE run; DROP TABLE decision;")?;
    connection.execute_batch(SCHEMA)?;
    (1..).zip(&decisions).try_for_each(|(id, decision)| decision.put(connection, id))?;
    (1..).zip(&runs).try_for_each(|(id, run)| run.put(connection, id))?;
    (1..).zip(&seen).try_for_each(|(id, (run, photo))| put_seen(connection, id, *run, photo))?;
    seal(connection)
}

pub fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Calls `each` with every verified row and returns the hash over all checksums.
fn visit(
    connection: &Connection,
    layout: i64,
    mut each: impl FnMut(&Table, i64, &[Value]) -> rusqlite::Result<()>,
) -> rusqlite::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    for table in &TABLES {
        let columns = table.columns.len();
        let mut statement = if layout >= FIRST_WITH_CHECKSUMS {
            let names = table.columns.join(", ");
            connection.prepare(&format!("SELECT {names}, id, digest FROM {} ORDER BY id", table.name))?
        } else {
            connection.prepare(table.first_layout)?
        };
        let mut rows = statement.query([])?;
        let mut id = 0;
        while let Some(row) = rows.next()? {
            id += 1;
            let values = (0..columns).map(|at| row.get(at)).collect::<Result<Vec<Value>, _>>()?;
            let checksum = checksum(table, id, &values);
            if layout >= FIRST_WITH_CHECKSUMS {
                let (stored_id, stored_checksum): (i64, Vec<u8>) = (row.get(columns)?, row.get(columns + 1)?);
                if stored_id != id || stored_checksum != checksum {
                    return Err(damage(format!("row {id} of `{}` is missing or altered", table.name)));
                }
            }
            hasher.update(&checksum);
            each(table, id, &values)?;
        }
    }
    Ok(hasher.finalize())
}

fn put(connection: &Connection, table: &Table, id: usize, values: &[Value]) -> rusqlite::Result<()> {
    let id = id as i64;
    let all = values.iter().cloned().chain([id.into(), checksum(table, id, values).to_vec().into()]);
    let (names, places) = (table.columns.join(", "), vec!["?"; values.len() + 2].join(", "));
    let sql = format!("INSERT OR REPLACE INTO {} ({names}, id, digest) VALUES ({places})", table.name);
    connection.prepare_cached(&sql)?.execute(params_from_iter(all)).map(|_| ())
}

fn checksum(table: &Table, id: i64, values: &[Value]) -> [u8; 8] {
    let mut parts = vec![table.name.as_bytes().to_vec(), id.to_le_bytes().to_vec()];
    for value in values {
        parts.push(match value {
            Value::Null => vec![b'n'],
            Value::Integer(number) => [&b"i"[..], &number.to_le_bytes()].concat(),
            Value::Real(number) => [&b"r"[..], &number.to_le_bytes()].concat(),
            Value::Text(text) => [b"t", text.as_bytes()].concat(),
            Value::Blob(bytes) => [b"b", bytes.as_slice()].concat(),
        });
    }
    checksum_of(parts.iter().map(Vec::as_slice))
}

impl Contents {
    /// Adds a row; `None` for one whose columns have unexpected types or values.
    fn take(&mut self, table: &Table, values: &[Value]) -> Option<()> {
        match (table.name, values) {
            ("decision", [Value::Blob(photo), decision, Value::Integer(decided_ms), Value::Blob(path)]) => {
                let decision = match decision {
                    Value::Null => None,
                    Value::Text(text) => {
                        Some([Decision::Keep, Decision::Reject].into_iter().find(|&one| word(one) == text)?)
                    }
                    _ => return None,
                };
                let (photo, decided_ms, path) = (PhotoId::from_blob(photo)?, *decided_ms, path.clone());
                self.decisions.push(StoredDecision { photo, decision, decided_ms, path });
            }
            ("run", [Value::Text(key), Value::Text(about), Value::Integer(finished_ms)]) => {
                self.runs.push(FinishedRun { key: key.clone(), about: about.clone(), finished_ms: *finished_ms });
            }
            ("seen", [Value::Integer(run), Value::Blob(photo)]) => self.seen.push((*run, PhotoId::from_blob(photo)?)),
            _ => return None,
        }
        Some(())
    }
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Keep => "keep",
        Decision::Reject => "reject",
    }
}

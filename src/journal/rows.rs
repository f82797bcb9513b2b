//! The rows of the journal's tables. Each row has a checksum, and the seal is a hash over all of them, so that a flipped
//! bit or a lost row is detected. Rows are read in the order they were written and without an index, so that exactly what
//! is read has been verified.

use rusqlite::types::Value;
use rusqlite::{Connection, Error, params_from_iter};

use super::FIRST_WITH_CHECKSUMS;
use super::example::TasteExample;
use super::photo_id::PhotoId;
use crate::sqlite::{checksum_of, damage};
use judge::select::Decision;

pub struct Table {
    pub name: &'static str,
    /// Without `id`, which counts rows from 1, and the checksum.
    columns: &'static [&'static str],
    /// The query for the same columns in the first layout, which had no checksums.
    first_layout: &'static str,
    /// The first layout that has this table.
    since: i64,
}

pub const DECISION: Table = Table {
    name: "decision",
    columns: &["content", "word", "decided_ms", "path"],
    first_layout: "SELECT content, word, decided_ms, path FROM decision ORDER BY id",
    since: 1,
};
pub const RUN: Table = Table {
    name: "run",
    columns: &["key", "about", "finished_ms"],
    first_layout: "SELECT key, about, finished_ms FROM run ORDER BY id",
    since: 1,
};
pub const SEEN: Table = Table {
    name: "seen",
    columns: &["run", "content"],
    first_layout: "SELECT (SELECT count(*) FROM run WHERE id <= seen.run), content FROM seen ORDER BY run, content",
    since: 1,
};
pub const EXAMPLE: Table = Table {
    name: "example",
    columns: &["photo", "scene", "word", "facts", "model", "embedding", "told_ms"],
    first_layout: "",
    since: 4,
};
pub const PREFERENCE: Table =
    Table { name: "preference", columns: &["photos", "withdrawn", "told_ms"], first_layout: "", since: 4 };
pub const TABLES: [Table; 5] = [DECISION, RUN, SEEN, EXAMPLE, PREFERENCE];

/// The tables that layout 4 added.
const TASTE_SCHEMA: &str = "
    CREATE TABLE example (
        id        INTEGER PRIMARY KEY,
        photo     BLOB NOT NULL,
        scene     BLOB NOT NULL,
        word      TEXT,
        facts     TEXT NOT NULL,
        model     TEXT NOT NULL,
        embedding BLOB NOT NULL,
        told_ms   INTEGER NOT NULL,
        digest    BLOB NOT NULL
    );
    CREATE TABLE preference (
        id        INTEGER PRIMARY KEY,
        photos    BLOB NOT NULL,
        withdrawn INTEGER NOT NULL,
        told_ms   INTEGER NOT NULL,
        digest    BLOB NOT NULL
    );
    PRAGMA user_version = 4;
";

const SCHEMA: &str = "
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
";

/// Makes all tables in an empty file. Must be called within a transaction, or on a file that nobody else has open.
pub fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch(TASTE_SCHEMA)
}

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

/// A person's preference between two photos, or its withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPreference {
    /// The better one first; `None` marks that everything before is forgotten.
    pub photos: Option<(PhotoId, PhotoId)>,
    pub is_withdrawn: bool,
    pub told_ms: i64,
}

/// All rows of the file, in the order they were written.
#[derive(Debug, Default, PartialEq)]
pub struct Contents {
    pub decisions: Vec<StoredDecision>,
    pub runs: Vec<FinishedRun>,
    /// The `id` of a run, and a photo it looked at.
    pub seen: Vec<(i64, PhotoId)>,
    pub examples: Vec<TasteExample>,
    pub preferences: Vec<StoredPreference>,
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

impl TasteExample {
    pub fn put(&self, connection: &Connection, id: usize, told_ms: i64) -> rusqlite::Result<()> {
        let facts = serde_json::to_string(&self.facts).map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
        let embedding: Vec<u8> = self.embedding.iter().flat_map(|value| value.to_le_bytes()).collect();
        let values = [
            self.photo.blob().into(),
            self.scene.to_vec().into(),
            self.decision.map_or(Value::Null, |decision| Value::Text(word(decision).into())),
            facts.into(),
            self.model.clone().into(),
            embedding.into(),
            told_ms.into(),
        ];
        put(connection, &EXAMPLE, id, &values)
    }
}

impl StoredPreference {
    pub fn put(&self, connection: &Connection, id: usize) -> rusqlite::Result<()> {
        // Each identity after its length, because one without a picture is shorter.
        let photos = self.photos.map(|(better, worse)| [better.blob(), worse.blob()]);
        let photos: Vec<u8> =
            photos.iter().flatten().flat_map(|blob| std::iter::once(blob.len() as u8).chain(blob.clone())).collect();
        let values = [photos.into(), i64::from(self.is_withdrawn).into(), self.told_ms.into()];
        put(connection, &PREFERENCE, id, &values)
    }
}

/// Must be called within the transaction that is sealed.
pub fn remove_examples(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM example", []).map(|_| ())
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
        // Rows without a picture identity are valid in this layout, too, and empty tables do not change the seal.
        return connection.execute_batch(TASTE_SCHEMA);
    }
    let Contents { decisions, runs, seen, .. } = read(connection)?;
    connection.execute_batch("DROP TABLE seen; DROP TABLE run; DROP TABLE decision;")?;
    create(connection)?;
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
    for table in TABLES.iter().filter(|table| table.since <= layout) {
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
                let decision = decided(decision).ok()?;
                let (photo, decided_ms, path) = (PhotoId::from_blob(photo)?, *decided_ms, path.clone());
                self.decisions.push(StoredDecision { photo, decision, decided_ms, path });
            }
            ("run", [Value::Text(key), Value::Text(about), Value::Integer(finished_ms)]) => {
                self.runs.push(FinishedRun { key: key.clone(), about: about.clone(), finished_ms: *finished_ms });
            }
            ("seen", [Value::Integer(run), Value::Blob(photo)]) => self.seen.push((*run, PhotoId::from_blob(photo)?)),
            (
                "example",
                [
                    Value::Blob(photo),
                    Value::Blob(scene),
                    decision,
                    Value::Text(facts),
                    Value::Text(model),
                    Value::Blob(embedding),
                    Value::Integer(_),
                ],
            ) => {
                let (numbers, rest) = embedding.as_chunks::<4>();
                self.examples.push(TasteExample {
                    photo: PhotoId::from_blob(photo)?,
                    scene: scene.as_slice().try_into().ok()?,
                    decision: decided(decision).ok()?,
                    facts: serde_json::from_str(facts).ok()?,
                    model: model.clone(),
                    embedding: rest
                        .is_empty()
                        .then(|| numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())?,
                });
            }
            ("preference", [Value::Blob(photos), Value::Integer(withdrawn), Value::Integer(told_ms)]) => {
                let photos = if photos.is_empty() { None } else { Some(both(photos)?) };
                self.preferences.push(StoredPreference { photos, is_withdrawn: *withdrawn != 0, told_ms: *told_ms });
            }
            _ => return None,
        }
        Some(())
    }
}

/// The decision in a column; an error for a value that is never written.
fn decided(value: &Value) -> Result<Option<Decision>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => {
            let known = [Decision::Keep, Decision::Reject].into_iter().find(|&one| word(one) == text);
            known.map(Some).ok_or(())
        }
        _ => Err(()),
    }
}

fn both(bytes: &[u8]) -> Option<(PhotoId, PhotoId)> {
    let (&length, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_at_checked(length.into())?;
    let (&length, second) = rest.split_first()?;
    (second.len() == usize::from(length)).then_some(())?;
    Some((PhotoId::from_blob(first)?, PhotoId::from_blob(second)?))
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Keep => "keep",
        Decision::Reject => "reject",
    }
}

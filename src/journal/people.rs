//! The recognised faces and their persons. A separate file beside the journal, so that all data about people can be deleted:
//! descriptors are stored nowhere else.
//!
//! A face that belongs to a person stays with that person in later runs; only the user can change it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::JournalError;
use super::photo_id::PhotoId;
use crate::sqlite::{self, LockDeadline, damage};
use base::platform::path_from_bytes;
use judge::people::{self, LINKED, descriptor_of};
use photo::identity::ContentId;

pub const PEOPLE_FILE: &str = "people.sqlite";

const LAYOUT: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE photo (
        id      INTEGER PRIMARY KEY,
        content BLOB NOT NULL UNIQUE,
        picture BLOB,
        model   TEXT NOT NULL,
        path    BLOB NOT NULL
    );
    CREATE INDEX photo_of_picture ON photo (picture);
    CREATE TABLE person (
        id   INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT UNIQUE
    );
    CREATE TABLE face (
        id         INTEGER PRIMARY KEY,
        photo      INTEGER NOT NULL REFERENCES photo ON DELETE CASCADE,
        x          REAL NOT NULL,
        y          REAL NOT NULL,
        width      REAL NOT NULL,
        height     REAL NOT NULL,
        confidence REAL NOT NULL,
        descriptor BLOB NOT NULL,
        person     INTEGER REFERENCES person ON DELETE CASCADE
    );
    CREATE INDEX face_of_photo ON face (photo);
    CREATE INDEX face_of_person ON face (person);
    PRAGMA user_version = 1;
";

/// The overlap (intersection over union) from which two boxes are the same face.
const SAME_FACE: f64 = 0.4;

/// A face on a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonFace {
    /// Left, top, width and height relative to the photo.
    pub bbox: [f64; 4],
    pub confidence: f64,
    /// Empty where it was read from a file of `analyze`.
    pub descriptor: Vec<f32>,
    /// `None` for a face nobody knows.
    pub person: Option<u32>,
    pub name: Option<String>,
}

/// A person, as the file knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: u32,
    pub name: Option<String>,
    pub faces: usize,
    pub photos: usize,
    /// The path of the first of these photos when it was analysed.
    pub path: Option<PathBuf>,
}

/// An analysed photo.
#[derive(Debug, Clone, Copy)]
pub struct LookedAt<'a> {
    pub photo: PhotoId,
    pub path: &'a Path,
    pub faces: &'a [PersonFace],
}

/// Errors of changes to persons.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("nobody is called `{0}`; `albumctl people list` shows who is known")]
    Unknown(String),
    #[error("`{name}` is {other} already; `albumctl people merge {other} {person}` makes both one")]
    Taken { name: String, other: String, person: String },
    #[error("`{0}` is no name: it is empty, holds a comma, or reads like the number of a person")]
    NoName(String),
    #[error("{0} is on none of these photos")]
    NotThere(String),
}

#[derive(Debug)]
pub struct PeopleFile {
    file: PathBuf,
    connection: Connection,
    deadline: LockDeadline,
}

/// The label of a person without a name: `p3`.
pub fn word(person: u32) -> String {
    format!("p{person}")
}

pub fn number(word: &str) -> Option<u32> {
    word.strip_prefix(['p', 'P'])?.parse().ok()
}

impl PeopleFile {
    /// Opens the file for writing; makes it and its folder where they are missing.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let file = folder.join(PEOPLE_FILE);
        let failed = |cause| JournalError::Io { file: file.clone(), action: "cannot make its folder", cause };
        sqlite::make_private_folder(folder).map_err(failed)?;
        let mut people = Self::connect(folder, file)?;
        people.transact(|transaction| match layout(transaction)? {
            0 => transaction.execute_batch(SCHEMA),
            _ => Ok(()),
        })?;
        sqlite::make_files_private(folder, PEOPLE_FILE);
        Ok(people)
    }

    /// Opens the file for reading; `None` where there is none.
    pub fn open_to_read(folder: &Path) -> Result<Option<Self>, JournalError> {
        let file = folder.join(PEOPLE_FILE);
        if file.exists() { Self::connect(folder, file).map(Some) } else { Ok(None) }
    }

    /// Removes all data about people. Returns whether there was any.
    pub fn remove(folder: &Path) -> Result<bool, JournalError> {
        let mut removed = false;
        for ending in ["", "-journal", "-wal", "-shm"] {
            let file = folder.join(format!("{PEOPLE_FILE}{ending}"));
            match fs::remove_file(&file) {
                Ok(()) => removed = true,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(cause) => return Err(JournalError::Io { file, action: "cannot be removed", cause }),
            }
        }
        Ok(removed)
    }

    fn connect(folder: &Path, file: PathBuf) -> Result<Self, JournalError> {
        sqlite::make_private(folder);
        let deadline = LockDeadline::begin();
        let open = || {
            let mut connection = Connection::open(&file)?;
            deadline.apply_to(&mut connection)?;
            // Deleted data is overwritten.
            connection.pragma_update(None, "secure_delete", true)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
            sqlite::check_pages(&connection, false)?;
            Ok((layout(&connection)?, connection))
        };
        let (found, connection) = open().map_err(|cause| JournalError::of(file.clone(), "cannot be opened", cause))?;
        if found > LAYOUT {
            return Err(JournalError::Newer { file, found });
        }
        Ok(Self { file, connection, deadline })
    }

    fn transact<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        let done = sqlite::transact(&mut self.connection, &self.deadline, work);
        done.map_err(|cause| JournalError::of(self.file.clone(), "cannot be written", cause))
    }

    fn ask<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        self.deadline.restart();
        ask(&self.connection).map_err(|cause| JournalError::of(self.file.clone(), "cannot be read", cause))
    }

    /// The faces of all photos analysed with this model.
    pub fn known(&self, model: &str) -> Result<HashMap<ContentId, Vec<PersonFace>>, JournalError> {
        self.ask(|connection| {
            let mut known: HashMap<ContentId, Vec<PersonFace>> = HashMap::new();
            let mut photos = connection.prepare("SELECT content FROM photo WHERE model = ?1")?;
            for content in photos.query_map([model], |row| row.get::<_, [u8; 32]>(0))? {
                known.insert(ContentId(content?), Vec::new());
            }
            let mut faces = connection.prepare(
                "SELECT photo.content, x, y, width, height, confidence, descriptor, face.person, person.name FROM face
                 JOIN photo ON photo.id = face.photo LEFT JOIN person ON person.id = face.person
                 WHERE photo.model = ?1 ORDER BY face.id",
            )?;
            let mut rows = faces.query([model])?;
            while let Some(row) = rows.next()? {
                let descriptor: Vec<u8> = row.get(6)?;
                let face = PersonFace {
                    bbox: [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
                    confidence: row.get(5)?,
                    descriptor: descriptor_of(&descriptor).ok_or_else(|| damage("a face of odd length"))?,
                    person: row.get(7)?,
                    name: row.get(8)?,
                };
                known.entry(ContentId(row.get(0)?)).or_default().push(face);
            }
            Ok(known)
        })
    }

    /// Stores the faces of new photos and assigns them to persons.
    pub fn record(&mut self, model: &str, photos: &[LookedAt<'_>]) -> Result<(), JournalError> {
        self.transact(|transaction| {
            let mut new = Vec::new();
            for photo in photos {
                new.extend(record_photo(transaction, model, photo)?);
            }
            if new.is_empty() { Ok(()) } else { link(transaction, &new) }
        })
    }

    /// All persons, by number.
    pub fn persons(&self) -> Result<Vec<Person>, JournalError> {
        self.ask(|connection| {
            let mut persons = connection.prepare(
                "SELECT counted.id, name, faces, photos, path FROM
                   (SELECT person.id, name, count(face.id) AS faces, count(DISTINCT face.photo) AS photos,
                      min(face.photo) AS first
                    FROM person LEFT JOIN face ON face.person = person.id GROUP BY person.id) AS counted
                 LEFT JOIN photo ON photo.id = first ORDER BY counted.id",
            )?;
            let rows = persons.query_map([], |row| {
                let path: Option<Vec<u8>> = row.get(4)?;
                Ok(Person {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    faces: row.get::<_, u32>(2)? as usize,
                    photos: row.get::<_, u32>(3)? as usize,
                    path: path.map(path_from_bytes),
                })
            })?;
            rows.collect()
        })
    }

    /// A person by name or number.
    pub fn find(&self, who: &str) -> Result<Person, PeopleError> {
        let persons = self.persons()?;
        let by_name = |person: &&Person| person.name.as_deref() == Some(who);
        let by_letters =
            |person: &&Person| person.name.as_ref().is_some_and(|name| name.to_lowercase() == who.to_lowercase());
        let found = persons.iter().find(by_name).or_else(|| persons.iter().find(by_letters));
        let found = found.or_else(|| persons.iter().find(|person| number(who) == Some(person.id)));
        found.cloned().ok_or_else(|| PeopleError::Unknown(who.to_owned()))
    }

    pub fn name(&mut self, who: &str, name: &str) -> Result<Person, PeopleError> {
        let (person, name) = (self.find(who)?, name.trim());
        if name.is_empty() || name.contains(',') || number(name).is_some() || name.chars().any(char::is_control) {
            return Err(PeopleError::NoName(name.to_owned()));
        }
        if let Some(other) = self.find(name).ok().filter(|other| other.id != person.id) {
            return Err(PeopleError::Taken { name: name.to_owned(), other: word(other.id), person: word(person.id) });
        }
        self.transact(|transaction| {
            transaction.execute("UPDATE person SET name = ?1 WHERE id = ?2", params![name, person.id])
        })?;
        self.find(&word(person.id))
    }

    /// Merges several persons into the first. Without a name it takes that of the next one that has one.
    pub fn merge(&mut self, who: &str, others: &[String]) -> Result<Person, PeopleError> {
        let first = self.find(who)?;
        let others = others.iter().map(|other| self.find(other)).collect::<Result<Vec<_>, _>>()?;
        let others: Vec<Person> = others.into_iter().filter(|other| other.id != first.id).collect();
        let name = first.name.clone().or_else(|| others.iter().find_map(|other| other.name.clone()));
        self.transact(|transaction| {
            for other in &others {
                transaction.execute("UPDATE face SET person = ?1 WHERE person = ?2", [first.id, other.id])?;
                transaction.execute("DELETE FROM person WHERE id = ?1", [other.id])?;
            }
            transaction.execute("UPDATE person SET name = ?1 WHERE id = ?2", params![name, first.id])
        })?;
        self.find(&word(first.id))
    }

    /// Makes a new person of a person's faces on these photos.
    pub fn split(&mut self, who: &str, photos: &[PhotoId]) -> Result<[Person; 2], PeopleError> {
        let person = self.find(who)?;
        let new = self.transact(|transaction| {
            let mut faces: Vec<i64> = Vec::new();
            for photo in photos {
                let on = known_photo(transaction, photo)?;
                let mut there = transaction.prepare_cached("SELECT id FROM face WHERE photo = ?1 AND person = ?2")?;
                for face in there.query_map(params![on, person.id], |row| row.get(0))? {
                    faces.push(face?);
                }
            }
            if faces.is_empty() {
                return Ok(None);
            }
            transaction.execute("INSERT INTO person (name) VALUES (NULL)", [])?;
            let new = transaction.last_insert_rowid();
            for face in faces {
                transaction.execute("UPDATE face SET person = ?1 WHERE id = ?2", [new, face])?;
            }
            remove_empty(transaction, person.id)?;
            Ok(Some(new as u32))
        })?;
        let new = new.ok_or_else(|| PeopleError::NotThere(who.to_owned()))?;
        let new = self.find(&word(new))?;
        let left = self.find(&word(person.id)).unwrap_or(Person { faces: 0, photos: 0, path: None, ..person });
        Ok([left, new])
    }

    /// Deletes the faces of a person. Analysed photos are not searched for them again.
    pub fn forget(&mut self, who: &str) -> Result<Person, PeopleError> {
        let person = self.find(who)?;
        self.transact(|transaction| transaction.execute("DELETE FROM person WHERE id = ?1", [person.id]))?;
        Ok(person)
    }
}

fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Removes persons without faces, unless they have a name.
fn remove_empty(transaction: &Transaction<'_>, person: u32) -> rusqlite::Result<usize> {
    let empty =
        "DELETE FROM person WHERE id = ?1 AND name IS NULL AND NOT EXISTS (SELECT 1 FROM face WHERE person = ?1)";
    transaction.execute(empty, [person])
}

/// The row of a photo, by its bytes, else by its picture.
fn known_photo(transaction: &Transaction<'_>, photo: &PhotoId) -> rusqlite::Result<Option<i64>> {
    let picture = photo.picture.map(|picture| picture.0);
    let ask = "SELECT id FROM photo WHERE content = ?1 OR picture = ?2 ORDER BY content = ?1 DESC LIMIT 1";
    transaction.query_row(ask, params![photo.content.0, picture], |row| row.get(0)).optional()
}

/// Adds the faces of a photo that was not analysed with this model. Faces found again keep their person.
fn record_photo(transaction: &Transaction<'_>, model: &str, looked: &LookedAt<'_>) -> rusqlite::Result<Vec<i64>> {
    let LookedAt { photo, path, faces } = *looked;
    let here = "SELECT 1 FROM photo WHERE content = ?1 AND model = ?2";
    if transaction.query_row(here, params![photo.content.0, model], |_| Ok(())).optional()?.is_some() {
        return Ok(Vec::new());
    }
    let mut before: Vec<([f64; 4], Option<u32>)> = Vec::new();
    if let Some(known) = known_photo(transaction, &photo)? {
        let mut old = transaction.prepare("SELECT x, y, width, height, person FROM face WHERE photo = ?1")?;
        let row = |row: &rusqlite::Row<'_>| Ok(([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?], row.get(4)?));
        before = old.query_map([known], row)?.collect::<rusqlite::Result<_>>()?;
    }
    transaction.execute("DELETE FROM photo WHERE content = ?1", [photo.content.0])?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    transaction.execute(
        "INSERT INTO photo (content, picture, model, path) VALUES (?1, ?2, ?3, ?4)",
        params![
            photo.content.0,
            photo.picture.map(|picture| picture.0),
            model,
            OsString::from(path).into_encoded_bytes()
        ],
    )?;
    let row = transaction.last_insert_rowid();
    let mut new = Vec::with_capacity(faces.len());
    for face in faces {
        let again = before.iter().position(|(bbox, _)| people::overlap(bbox, &face.bbox) >= SAME_FACE);
        let person = again.and_then(|at| before.swap_remove(at).1);
        let [x, y, width, height] = face.bbox;
        let descriptor: Vec<u8> = face.descriptor.iter().flat_map(|v| v.to_le_bytes()).collect();
        transaction.execute(
            "INSERT INTO face (photo, x, y, width, height, confidence, descriptor, person)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![row, x, y, width, height, face.confidence, descriptor, person],
        )?;
        new.push(transaction.last_insert_rowid());
    }
    Ok(new)
}

/// Links new faces to persons, to each other and to unknown faces.
fn link(transaction: &Transaction<'_>, new: &[i64]) -> rusqlite::Result<()> {
    let mut rows: Vec<(i64, i64, Option<u32>, Vec<f32>)> = Vec::new();
    // Files of one picture are one photo.
    let mut faces = transaction.prepare(
        "SELECT face.id, ifnull((SELECT min(id) FROM photo AS same WHERE same.picture = photo.picture), photo.id), person,
           descriptor
         FROM face JOIN photo ON photo.id = face.photo ORDER BY face.id",
    )?;
    let mut found = faces.query([])?;
    while let Some(row) = found.next()? {
        let descriptor: Vec<u8> = row.get(3)?;
        let descriptor = descriptor_of(&descriptor).ok_or_else(|| damage("a face of odd length"))?;
        rows.push((row.get(0)?, row.get(1)?, row.get(2)?, descriptor));
    }
    let faces: Vec<people::Face<'_>> = rows
        .iter()
        .map(|(id, photo, person, descriptor)| people::Face {
            descriptor,
            photo: *photo as usize,
            person: *person,
            is_new: new.binary_search(id).is_ok(),
        })
        .collect();
    let last: Option<u32> = transaction
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'person'", [], |row| row.get(0))
        .optional()?;
    for ((id, _, before, _), person) in rows.iter().zip(people::linked(&faces, LINKED, last.unwrap_or(0) + 1)) {
        if *before != person {
            transaction.execute("INSERT OR IGNORE INTO person (id, name) VALUES (?1, NULL)", [person])?;
            transaction.execute("UPDATE face SET person = ?1 WHERE id = ?2", params![person, id])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use photo::identity::PictureId;

    fn face(at: f32, left: f64) -> PersonFace {
        let mut descriptor = vec![0.0; 128];
        descriptor[0] = at;
        PersonFace { bbox: [left, 0.1, 0.2, 0.2], confidence: 0.9, descriptor, person: None, name: None }
    }

    fn id(n: u8, edits: u8) -> PhotoId {
        PhotoId { content: ContentId([n ^ (edits << 4); 32]), picture: Some(PictureId([n; 32])) }
    }

    fn look(people: &mut PeopleFile, n: u8, faces: &[PersonFace]) {
        people.record("m", &[LookedAt { photo: id(n, 0), path: Path::new("/photos/a.jpg"), faces }]).unwrap();
    }

    fn on(people: &PeopleFile, n: u8) -> Vec<Option<u32>> {
        people.known("m").unwrap()[&id(n, 0).content].iter().map(|face| face.person).collect()
    }

    #[test]
    fn persons_grow_and_keep_their_number_and_a_new_face_is_unknown_until_seen_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut people = PeopleFile::open(folder.path()).unwrap();
        look(&mut people, 1, &[face(0.0, 0.1), face(5.0, 0.5)]);
        assert_eq!(on(&people, 1), [None, None]);
        look(&mut people, 2, &[face(0.1, 0.1)]);
        assert_eq!((on(&people, 1), on(&people, 2)), (vec![Some(1), None], vec![Some(1)]));
        people.name("p1", "Anna").unwrap();
        drop(people);
        let mut people = PeopleFile::open(folder.path()).unwrap();
        look(&mut people, 3, &[face(5.1, 0.1), face(0.05, 0.6)]);
        assert_eq!(on(&people, 3), [Some(2), Some(1)]);
        assert_eq!(people.find("anna").unwrap().photos, 3);
        // The same photos again change nothing; neither does an edit of a photo's metadata, nor another model.
        let before = people.persons().unwrap();
        look(&mut people, 3, &[face(9.0, 0.1)]);
        assert_eq!(people.persons().unwrap(), before);
        let edited = LookedAt { photo: id(1, 1), path: Path::new("b.jpg"), faces: &[face(0.0, 0.12)] };
        people.record("m", &[edited]).unwrap();
        assert_eq!(people.known("m").unwrap()[&id(1, 1).content][0].person, Some(1));
        let anew = LookedAt { photo: id(2, 0), path: Path::new("b.jpg"), faces: &[face(77.0, 0.11)] };
        people.record("another", &[anew]).unwrap();
        assert_eq!(people.known("another").unwrap()[&id(2, 0).content][0].person, Some(1));
    }

    #[test]
    fn a_users_word_stays_and_what_is_forgotten_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut people = PeopleFile::open(folder.path()).unwrap();
        for n in 1..=4 {
            look(&mut people, n, &[face(0.0, 0.1), face(5.0, 0.5)]);
        }
        people.name("p1", "Anna").unwrap();
        assert!(matches!(people.name("p2", "anna"), Err(PeopleError::Taken { .. })));
        for bad in ["", "p7", "a,b"] {
            assert!(matches!(people.name("p1", bad), Err(PeopleError::NoName(_))), "{bad}");
        }
        assert!(matches!(people.find("Ben"), Err(PeopleError::Unknown(_))));
        let [left, new] = people.split("Anna", &[id(1, 0), id(2, 0)]).unwrap();
        assert_eq!((left.photos, new.photos, new.id), (2, 2, 3));
        assert!(matches!(people.split("Anna", &[id(1, 0)]), Err(PeopleError::NotThere(_))));
        look(&mut people, 5, &[face(0.01, 0.1)]);
        assert_eq!(on(&people, 1)[0], Some(3));
        let merged = people.merge("p3", &["Anna".to_owned()]).unwrap();
        assert_eq!((merged.name.as_deref(), merged.id, merged.photos), (Some("Anna"), 3, 5));
        people.forget("p3").unwrap();
        assert_eq!(on(&people, 1), [Some(2)]);
        let bytes = fs::read(folder.path().join(PEOPLE_FILE)).unwrap();
        assert!(!bytes.windows(4).any(|bytes| bytes == b"Anna"));
        // Numbers are not given twice.
        for n in 6..=7 {
            look(&mut people, n, &[face(0.0, 0.1)]);
        }
        assert_eq!(on(&people, 7), [Some(4)]);
        drop(people);
        assert!(PeopleFile::remove(folder.path()).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(PeopleFile::open_to_read(folder.path()).unwrap().is_none());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(PEOPLE_FILE), vec![b'x'; 4096]).unwrap();
        assert!(matches!(PeopleFile::open(folder.path()), Err(JournalError::Damaged { .. })));
        assert!(matches!(PeopleFile::open_to_read(folder.path()), Err(JournalError::Damaged { .. })));
        assert_eq!(fs::read(folder.path().join(PEOPLE_FILE)).unwrap(), vec![b'x'; 4096]);
    }
}

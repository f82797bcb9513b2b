//! The results store: what was found about a photo, by the photo's content and by the analysis that found it.
//!
//! One SQLite file, shared by any number of processes. It is a cache: it may be deleted at any time, and nothing that
//! happens to it may stop a run. Problems are collected as warnings for the caller to show.

mod database;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::ErrorCode;

use crate::photo::identity::{ContentId, Stamp};
use database::Database;

/// The name carries the layout's version: an older albumctl beside a newer one keeps its own file.
const FILE_NAME: &str = "results-v1.sqlite";

/// Everything that shapes a result, hashed: the analysis, its settings, its model's bytes, the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Fingerprint {
    /// `parts` in order; no two different lists of parts give the same bytes to the hash.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(short)
    }
}

/// What one finished photo adds to the store.
#[derive(Debug)]
pub struct Entry<'a> {
    pub path: &'a Path,
    pub stamp: Option<Stamp>,
    pub content: ContentId,
    pub findings: Vec<(Fingerprint, &'a [u8])>,
}

#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None`: working without a store from here on.
    database: Option<Database>,
    writable: bool,
    warnings: Vec<String>,
}

impl Store {
    /// A store that remembers nothing, for `--no-cache`.
    pub fn none() -> Self {
        let state = State { database: None, writable: false, warnings: Vec::new() };
        Self { file: PathBuf::new(), state: Mutex::new(state) }
    }

    /// Opens the store in a folder, making both. Never fails: at worst it is a store that remembers nothing.
    pub fn open(folder: &Path) -> Self {
        let file = folder.join(FILE_NAME);
        let mut state = State { database: None, writable: true, warnings: Vec::new() };
        // A folder that cannot be made shows itself when the file cannot be opened.
        let _ = std::fs::create_dir_all(folder);
        match Database::open(&file) {
            Ok(database) => state.database = Some(database),
            Err(error) if is_damage(&error) => state.set_aside(&file),
            Err(error) => state.without_writing(&file, &error),
        }
        Self { file, state: Mutex::new(state) }
    }

    /// Where the store lies, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.lock().database.is_some().then_some(self.file.as_path())
    }

    /// The content of a file, if it was read before and its stamp has not changed since.
    pub fn content(&self, path: &Path, stamp: &Stamp) -> Option<ContentId> {
        self.ask(|database| database.content(path, stamp))
    }

    pub fn finding(&self, content: &ContentId, analysis: &Fingerprint) -> Option<Vec<u8>> {
        self.ask(|database| database.finding(content, &analysis.0))
    }

    /// Writes finished photos in one transaction: all of them are kept from here on, or none.
    pub fn keep(&self, entries: &[Entry<'_>]) {
        let mut state = self.lock();
        if !state.writable || entries.is_empty() {
            return;
        }
        let Some(database) = &mut state.database else { return };
        if let Err(error) = database.keep(entries) {
            state.mend(&self.file, &error);
            // A store set aside starts empty; what was to be kept still is.
            if let (true, Some(database)) = (state.writable, &mut state.database) {
                let _ = database.keep(entries);
            }
        }
    }

    /// Problems since the last call, in words for the user.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().warnings)
    }

    fn ask<T>(&self, question: impl Fn(&Database) -> rusqlite::Result<Option<T>>) -> Option<T> {
        let mut state = self.lock();
        match question(state.database.as_ref()?) {
            Ok(answer) => answer,
            Err(error) => {
                state.mend(&self.file, &error);
                None
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere leaves a database handle that SQLite itself keeps consistent.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn mend(&mut self, file: &Path, error: &rusqlite::Error) {
        if is_damage(error) {
            self.database = None;
            self.set_aside(file);
        } else if self.writable {
            self.writable = false;
            self.warnings.push(format!(
                "the results store {} cannot be written ({error}); new results of this run are not remembered",
                file.display()
            ));
        }
    }

    fn set_aside(&mut self, file: &Path) {
        match database::set_aside(file) {
            Ok(database::SetAside::Moved(to)) => self.warnings.push(format!(
                "the results store {} is damaged; it was set aside as {} and is rebuilt",
                file.display(),
                to.display()
            )),
            Ok(database::SetAside::AlreadyMended) => {}
            Err(cause) => {
                self.warnings.push(format!(
                    "the results store {} is damaged and cannot be set aside ({cause}); working without it",
                    file.display()
                ));
                return;
            }
        }
        match Database::open(file) {
            Ok(database) => self.database = Some(database),
            Err(error) => self.without_writing(file, &error),
        }
    }

    /// What was found before is still worth reading when nothing new can be written.
    fn without_writing(&mut self, file: &Path, error: &rusqlite::Error) {
        self.writable = false;
        self.database = Database::open_to_read(file).ok();
        let consequence =
            if self.database.is_some() { "it is only read" } else { "working without it, nothing is remembered" };
        self.warnings.push(format!(
            "the results store {} cannot be written ({error}); {consequence} (another place: --cache-dir DIR)",
            file.display()
        ));
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

#[cfg(test)]
mod tests;

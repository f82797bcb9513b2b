//! The results store: what was found about a photo, by the photo's content and by the analysis that found it.
//!
//! One SQLite file, shared by any number of processes. It is a cache: it may be deleted at any time, and nothing that
//! happens to it may stop a run. Problems are collected as warnings for the caller to show.

mod database;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::sqlite::{self, Patience, is_damage, is_locked};
use database::Database;
use photo::identity::{ContentId, Stamp};

/// The name carries the layout's version: an older albumctl beside a newer one keeps its own file.
const FILE_NAME: &str = "results-v2.sqlite";
/// What the names of all layouts begin with, and of what lies beside them.
const FILE_NAMES: &str = "results-v";

const LOCKED: &str = "is held by another process, or lies where files cannot be locked";

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
    /// Met damage in this run, and found a sound file when it looked again.
    mended: bool,
    patience: Patience,
    warnings: Vec<String>,
}

impl Store {
    /// A store that remembers nothing, for `--no-cache`.
    pub fn none() -> Self {
        Self { file: PathBuf::new(), state: Mutex::new(State::new(false)) }
    }

    /// Opens the store in the folder that is albumctl's own: nobody else looks into it any more. One that the user chose
    /// may be meant for others, too.
    pub fn open_own(folder: &Path) -> Self {
        sqlite::make_private(folder);
        Self::open(folder)
    }

    /// Opens the store in a folder, making both. Never fails: at worst it is a store that remembers nothing.
    pub fn open(folder: &Path) -> Self {
        let file = folder.join(FILE_NAME);
        let mut state = State::new(true);
        // A folder that cannot be made shows itself when the file cannot be opened.
        let _ = sqlite::make_private_folder(folder);
        sqlite::make_files_private(folder, FILE_NAMES);
        match Database::open(&file, &state.patience) {
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
        state.patience.again();
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
        state.patience.again();
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
    fn new(writable: bool) -> Self {
        Self { database: None, writable, mended: false, patience: Patience::begin(), warnings: Vec::new() }
    }

    fn mend(&mut self, file: &Path, error: &rusqlite::Error) {
        if is_damage(error) {
            self.database = None;
            self.set_aside(file);
        } else if is_locked(error) {
            self.without(file, LOCKED);
        } else if self.writable {
            self.writable = false;
            self.warnings.push(format!(
                "the results store {} cannot be written ({error}); new results of this run are not remembered",
                file.display()
            ));
        }
    }

    fn set_aside(&mut self, file: &Path) {
        // SQLite takes some of what it cannot read for damage.
        if let Err(cause) = database::read_through(file) {
            return self.without(file, &format!("cannot be read ({cause})"));
        }
        match database::set_aside(file, &self.patience) {
            Ok(database::SetAside::Moved(to)) => self.warnings.push(format!(
                "the results store {} is damaged; it was set aside as {} and is rebuilt",
                file.display(),
                to.display()
            )),
            // Another process found the damage first. Whoever meets it again has met what no check of the file shows.
            Ok(database::SetAside::AlreadyMended) if !self.mended => self.mended = true,
            Ok(database::SetAside::AlreadyMended) => return self.without(file, "is damaged"),
            Err(cause) => return self.without(file, &format!("is damaged and cannot be set aside ({cause})")),
        }
        match Database::open(file, &self.patience) {
            Ok(database) => self.database = Some(database),
            Err(error) => self.without_writing(file, &error),
        }
    }

    /// What was found before is still worth reading when nothing new can be written.
    fn without_writing(&mut self, file: &Path, error: &rusqlite::Error) {
        if is_locked(error) {
            return self.without(file, LOCKED);
        }
        self.database = Database::open_to_read(file, &self.patience).ok();
        if self.database.is_none() {
            return self.without(file, &format!("cannot be written ({error})"));
        }
        self.writable = false;
        self.warnings.push(format!(
            "the results store {} cannot be written ({error}); it is only read (another place: --cache-dir DIR)",
            file.display()
        ));
    }

    fn without(&mut self, file: &Path, why: &str) {
        (self.database, self.writable) = (None, false);
        self.warnings.push(format!(
            "the results store {} {why}; working without it, nothing is remembered (another place: --cache-dir DIR)",
            file.display()
        ));
    }
}

#[cfg(test)]
mod tests;

//! The results store: a cache of findings, by the photo's content and by the fingerprint of the analysis, and of the groups
//! of large albums, by a hash of what is grouped.
//!
//! It is one SQLite file, shared by any number of processes. It may be deleted at any time, and no problem with it may
//! stop a run. Problems are collected as warnings for the caller to show.

mod database;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

use crate::sqlite::{self, LockDeadline, is_damage, is_locked};
use database::{Database, Findings};
use photo::identity::{ContentId, Stamp};

/// The name carries the layout's version: an older albumctl beside a newer one keeps its own file.
const FILE_NAME: &str = "results-v3.sqlite";
/// The file of the layout before, which a new store takes over.
const OLDER_NAME: &str = "results-v2.sqlite";
/// The common prefix of the files of all layouts, their log files included.
const FILE_NAME_PREFIX: &str = "results-v";

const LOCKED: &str = "is locked by another process, or lies where files cannot be locked";

/// A hash of everything that determines a result: the analysis, its settings, its model's bytes, the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Fingerprint {
    /// Hashes `parts` in order, each with its length, so that different lists never feed the same bytes.
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

/// The new data of one finished photo.
#[derive(Debug)]
pub struct StoreEntry<'a> {
    pub path: &'a Path,
    pub stamp: Option<Stamp>,
    pub content: ContentId,
    pub findings: Vec<(Fingerprint, &'a [u8])>,
}

#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    state: Mutex<State>,
    /// Connections that read while [`Self::state`] is in use; opened when first needed.
    beside: [Mutex<Option<Database>>; BESIDE],
    /// Set at the first problem. All that follows goes through [`Self::state`], which handles problems.
    has_problem: AtomicBool,
}

/// More threads than this rarely look photos up at once, for each look-up is of many.
const BESIDE: usize = 3;

#[derive(Debug)]
struct State {
    /// `None` once the run works without a store.
    database: Option<Database>,
    writable: bool,
    /// Whether this run has met damage and then found the file repaired by another process.
    found_repaired: bool,
    deadline: LockDeadline,
    warnings: Vec<String>,
}

impl Store {
    /// A store that remembers nothing, for `--no-cache`.
    pub fn none() -> Self {
        Self::with(PathBuf::new(), State::new(false))
    }

    fn with(file: PathBuf, state: State) -> Self {
        let has_problem = AtomicBool::new(state.database.is_none() || !state.warnings.is_empty());
        Self { file, state: Mutex::new(state), beside: [const { Mutex::new(None) }; BESIDE], has_problem }
    }

    /// Opens the store in albumctl's own folder and makes that folder private. A folder that the user chose may be shared
    /// on purpose.
    pub fn open_own(folder: &Path) -> Self {
        sqlite::make_private(folder);
        Self::open(folder)
    }

    /// Opens the store in a folder, making both. Never fails: at worst it is a store that remembers nothing.
    pub fn open(folder: &Path) -> Self {
        let file = folder.join(FILE_NAME);
        let mut state = State::new(true);
        // If the folder cannot be made, opening the file fails and reports it.
        let _ = sqlite::make_private_folder(folder);
        sqlite::make_files_private(folder, FILE_NAME_PREFIX);
        match Database::open(&file, &folder.join(OLDER_NAME), &state.deadline) {
            Ok(database) => state.database = Some(database),
            Err(error) if is_damage(&error) => state.set_aside(&file),
            Err(error) => state.read_only(&file, &error),
        }
        Self::with(file, state)
    }

    /// Removes the oldest findings of a store that takes more bytes than `limit`.
    #[must_use]
    pub fn trimmed_to(self, limit: Option<u64>) -> Self {
        let mut state = self.lock();
        if let (true, Some(limit), Some(database)) = (state.writable, limit, &mut state.database) {
            match database.trim_to(limit) {
                Ok(0) => {}
                Ok(removed) => log::info!("the results store was trimmed: {removed} of the oldest results are gone"),
                Err(error) => self.handle(&mut state, &error),
            }
        }
        drop(state);
        self
    }

    /// The store's file, if the run has a store.
    pub fn file(&self) -> Option<&Path> {
        self.lock().database.is_some().then_some(self.file.as_path())
    }

    /// The content of a file, if the file was read before and its stamp is unchanged.
    pub fn content(&self, path: &Path, stamp: &Stamp) -> Option<ContentId> {
        self.query(|database| database.content(path, stamp))
    }

    /// The content of those of the files that were read before and have the same stamp, by path.
    pub fn contents<'a>(&self, files: &[(&'a Path, Stamp)]) -> HashMap<&'a Path, ContentId> {
        self.read(|database| database.contents(files)).unwrap_or_default()
    }

    /// The findings of the wanted analyses, by content. Quickest for contents in the order in which they were stored.
    pub fn findings(&self, contents: &[ContentId], wanted: &[Fingerprint]) -> Findings {
        self.read(|database| database.findings(contents, wanted)).unwrap_or_default()
    }

    pub fn finding(&self, content: &ContentId, analysis: &Fingerprint) -> Option<Vec<u8>> {
        self.query(|database| database.finding(content, &analysis.0))
    }

    /// Writes finished photos in one transaction: all of them, or none.
    pub fn keep(&self, entries: &[StoreEntry<'_>]) {
        let mut state = self.lock();
        if !state.writable || entries.is_empty() {
            return;
        }
        state.deadline.restart();
        let Some(database) = &mut state.database else { return };
        if let Err(error) = database.keep(entries) {
            self.handle(&mut state, &error);
            // After a damaged store was set aside, the entries go into the new one.
            if let (true, Some(database)) = (state.writable, &mut state.database) {
                let _ = database.keep(entries);
            }
        }
    }

    /// Writes a finding that belongs to no file.
    pub fn keep_finding(&self, content: ContentId, analysis: Fingerprint, finding: &[u8]) {
        self.keep(&[StoreEntry { path: Path::new(""), stamp: None, content, findings: vec![(analysis, finding)] }]);
    }

    /// Returns the warnings since the last call, worded for the user.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().warnings)
    }

    fn query<T>(&self, query_database: impl Fn(&Database) -> rusqlite::Result<Option<T>>) -> Option<T> {
        let mut state = self.lock();
        state.deadline.restart();
        match query_database(state.database.as_ref()?) {
            Ok(answer) => answer,
            Err(error) => {
                self.handle(&mut state, &error);
                None
            }
        }
    }

    /// Like [`Self::query`], beside other threads that read or write.
    fn read<T>(&self, query_database: impl Fn(&Database) -> rusqlite::Result<T>) -> Option<T> {
        let is_busy = matches!(self.state.try_lock(), Err(TryLockError::WouldBlock));
        let free = self.beside.iter().filter(|_| is_busy).find_map(|beside| beside.try_lock().ok());
        if let Some(mut beside) = free.filter(|_| !self.has_problem.load(Ordering::Relaxed)) {
            if beside.is_none() {
                *beside = Database::open_to_read(&self.file, &LockDeadline::begin()).ok();
            }
            // If this fails, the same query shows the connection that writes what is wrong.
            if let Some(Ok(answer)) = beside.as_ref().map(&query_database) {
                return Some(answer);
            }
        }
        self.query(|database| query_database(database).map(Some))
    }

    fn handle(&self, state: &mut State, error: &rusqlite::Error) {
        self.has_problem.store(true, Ordering::Relaxed);
        state.handle(&self.file, error);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // After a panic in another thread the handle is still usable: SQLite keeps it consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(writable: bool) -> Self {
        Self { database: None, writable, found_repaired: false, deadline: LockDeadline::begin(), warnings: Vec::new() }
    }

    fn handle(&mut self, file: &Path, error: &rusqlite::Error) {
        if is_damage(error) {
            self.database = None;
            self.set_aside(file);
        } else if is_locked(error) {
            self.without(file, LOCKED);
        } else if self.writable {
            self.writable = false;
            self.warnings.push(format!(
                "the results store {} cannot be written ({error}); new results of this run are not stored",
                file.display()
            ));
        }
    }

    fn set_aside(&mut self, file: &Path) {
        // SQLite reports some read errors as damage.
        if let Err(cause) = database::read_through(file) {
            return self.without(file, &format!("cannot be read ({cause})"));
        }
        match database::set_aside(file, &self.deadline) {
            Ok(database::SetAside::Moved(to)) => self.warnings.push(format!(
                "the results store {} is damaged; it was set aside as {} and is rebuilt",
                file.display(),
                to.display()
            )),
            // Another process repaired the file first. Damage again after that is damage that no check of the file finds.
            Ok(database::SetAside::AlreadyRepaired) if !self.found_repaired => self.found_repaired = true,
            Ok(database::SetAside::AlreadyRepaired) => return self.without(file, "is damaged"),
            Err(cause) => return self.without(file, &format!("is damaged and cannot be set aside ({cause})")),
        }
        match Database::open(file, &file.with_file_name(OLDER_NAME), &self.deadline) {
            Ok(database) => self.database = Some(database),
            Err(error) => self.read_only(file, &error),
        }
    }

    /// Opens the store for reading only: old results are useful even when new ones cannot be written.
    fn read_only(&mut self, file: &Path, error: &rusqlite::Error) {
        if is_locked(error) {
            return self.without(file, LOCKED);
        }
        self.database = Database::open_to_read(file, &self.deadline).ok();
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
            "the results store {} {why}; working without it, nothing is stored (another place: --cache-dir DIR)",
            file.display()
        ));
    }
}

#[cfg(test)]
mod tests;

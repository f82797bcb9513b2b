//! Temporary files of unfinished writes. Their names distinguish them from photos, and a lock marks those being
//! written. Files left behind by a killed run are removed by a later run that writes to the same folder.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The prefix of their names.
pub(super) const PREFIX: &str = ".albumctl-";
/// The number of random letters and digits after the prefix.
pub(super) const RANDOM_LENGTH: usize = 6;
/// The age below which files are never removed, since older versions of albumctl and some file systems do not lock.
const MIN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a file is a temporary file of albumctl.
pub fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
}

/// Cleans a folder, at most once per run.
pub(super) fn clean_once(folder: &Path) {
    static CLEANED: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut cleaned = CLEANED.lock().unwrap_or_else(PoisonError::into_inner);
    if cleaned.get_or_insert_default().insert(folder.to_owned()) {
        clean(folder);
    }
}

/// Removes unlocked temporary files older than [`MIN_AGE`]. Errors are ignored.
fn clean(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_old = |metadata: fs::Metadata| {
            metadata.is_file() && metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > MIN_AGE))
        };
        if is_draft(&entry.file_name()) && entry.metadata().is_ok_and(is_old) && is_unlocked(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a name has exactly the form of our temporary files. A user's file with a similar name is left alone.
fn is_draft(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    random
        .is_some_and(|random| random.len() == RANDOM_LENGTH && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_unlocked(path: &Path) -> bool {
    File::options().read(true).write(true).open(path).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::atomic::{Draft, Folders};

    #[test]
    fn only_old_unlocked_temporary_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let old = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, "x").unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - 2 * MIN_AGE).unwrap();
            file
        };
        let (kept, young) = ([".albumctl-notes.jpg", ".albumctl-1234567", "photo.jpg"], ".albumctl-Young1");
        kept.iter().for_each(|name| drop(old(name)));
        drop(old(".albumctl-Ab12cd"));
        let locked = old(".albumctl-Held12");
        locked.lock().unwrap();
        fs::write(folder.path().join(young), "x").unwrap();
        let mut draft = Draft::beside(&folder.path().join("album")).unwrap();
        // See `Draft::create`.
        if cfg!(unix) {
            draft.file().unwrap().set_modified(SystemTime::now() - 2 * MIN_AGE).unwrap();
        }
        clean(folder.path());
        let left = |name: &str| folder.path().join(name).exists();
        assert!(!left(".albumctl-Ab12cd"));
        assert!(kept.into_iter().chain([young, ".albumctl-Held12"]).all(left));
        assert!(draft.place_new(&mut Folders::default()).unwrap(), "what is being written stays, however old it looks");
        assert!(is_unfinished(Path::new("photos/.albumctl-Ab12cd")) && !is_unfinished(Path::new("albumctl-1.jpg")));
    }
}

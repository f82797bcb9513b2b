//! Files that are not finished yet. Their name tells them apart from photos, a lock tells that they are being written, and
//! what killed runs left behind is removed by a later run that writes beside it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How their names begin.
pub(super) const PREFIX: &str = ".albumctl-";
/// How many letters and digits follow.
pub(super) const RANDOM: usize = 6;
/// Younger files stay: older versions of albumctl lock nothing, and some file systems know no locks.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a file is none of the user's but one of ours that is not finished.
pub fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
}

/// Once for each folder in a run.
pub(super) fn sweep_once(folder: &Path) {
    static SWEPT: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if swept.get_or_insert_default().insert(folder.to_owned()) {
        sweep(folder);
    }
}

/// Removes what lies there since a day or longer and no process holds. What cannot be removed stays.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_old = |metadata: fs::Metadata| {
            metadata.is_file() && metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > OLD))
        };
        if is_draft(&entry.file_name()) && entry.metadata().is_ok_and(is_old) && is_let_go(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Exactly a name that we give; a file that a person named alike is left alone.
fn is_draft(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    random.is_some_and(|random| random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_let_go(path: &Path) -> bool {
    File::options().read(true).write(true).open(path).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::atomic::{Draft, Folders};

    #[test]
    fn only_old_files_of_ours_that_nobody_holds_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let old = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, "x").unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - 2 * OLD).unwrap();
            file
        };
        let (kept, young) = ([".albumctl-notes.jpg", ".albumctl-1234567", "photo.jpg"], ".albumctl-Young1");
        kept.iter().for_each(|name| drop(old(name)));
        drop(old(".albumctl-Ab12cd"));
        let held = old(".albumctl-Held12");
        held.lock().unwrap();
        fs::write(folder.path().join(young), "x").unwrap();
        let mut draft = Draft::beside(&folder.path().join("album")).unwrap();
        draft.file().unwrap().set_modified(SystemTime::now() - 2 * OLD).unwrap();
        sweep(folder.path());
        let left = |name: &str| folder.path().join(name).exists();
        assert!(!left(".albumctl-Ab12cd"));
        assert!(kept.into_iter().chain([young, ".albumctl-Held12"]).all(left));
        assert!(draft.place_new(&mut Folders::default()).unwrap(), "what is being written stays, however old it looks");
        assert!(is_unfinished(Path::new("photos/.albumctl-Ab12cd")) && !is_unfinished(Path::new("albumctl-1.jpg")));
    }
}

//! Files and folders among photos that do not belong in an album: hidden ones, trash, and caches of other programs.

use std::ffi::OsStr;

/// Names of folders that are skipped, in lower case.
const FOLDERS: [&str; 12] = [
    // Thumbnails and trash of network storage.
    "@eadir",
    "#recycle",
    "@recycle",
    "#snapshot",
    "@recently-snapshot",
    // Trash of operating systems.
    "trash",
    "$recycle.bin",
    "recycler",
    "recycled",
    "lost+found",
    "system volume information",
    // Added to archives by macOS.
    "__macosx",
];
/// Suffixes of the names of Lightroom's preview folders, in lower case.
const SUFFIXES: [&str; 2] = [".lrdata", ".lrcat-data"];

/// Whether a file or folder of this name is scanned only on request.
pub fn is_hidden(name: &OsStr, is_folder: bool) -> bool {
    if name.as_encoded_bytes().starts_with(b".") {
        return true;
    }
    let name = name.to_string_lossy().to_lowercase();
    is_folder && (FOLDERS.contains(&name.as_str()) || SUFFIXES.iter().any(|end| name.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trash_and_previews_are_hidden_and_folders_of_people_are_not() {
        let hidden = |name: &str| is_hidden(name.as_ref(), true);
        for name in [".thumbnails", "@eaDir", "$RECYCLE.BIN", ".Trash-1000", "Album Previews.lrdata", "__MACOSX"] {
            assert!(hidden(name), "{name}");
        }
        for name in ["2026", "Holiday @ sea", "Recycled art", "previews"] {
            assert!(!hidden(name), "{name}");
        }
        assert!(is_hidden("._IMG_1.JPG".as_ref(), false) && !is_hidden("trash".as_ref(), false));
    }
}

//! What lies among photos and is no part of an album: hidden files, trash, and what other programs keep for themselves.

use std::ffi::OsStr;

/// Folders that are passed over, in lower case.
const FOLDERS: [&str; 12] = [
    // Thumbnails of network storage, and its trash.
    "@eadir",
    "#recycle",
    "@recycle",
    "#snapshot",
    "@recently-snapshot",
    // Trash of systems.
    "trash",
    "$recycle.bin",
    "recycler",
    "recycled",
    "lost+found",
    "system volume information",
    // What macOS puts into archives.
    "__macosx",
];
/// Ends of the names of folders, in lower case: the previews of Lightroom.
const ENDS: [&str; 2] = [".lrdata", ".lrcat-data"];

/// Whether a file or folder of this name is looked at only when it is asked for.
pub fn is_hidden(name: &OsStr, is_folder: bool) -> bool {
    if name.as_encoded_bytes().starts_with(b".") {
        return true;
    }
    let name = name.to_string_lossy().to_lowercase();
    is_folder && (FOLDERS.contains(&name.as_str()) || ENDS.iter().any(|end| name.ends_with(end)))
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

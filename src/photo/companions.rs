//! Files that belong to a photo: the video of a Live Photo, the RAW file of the same shot, sidecars.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::kind::is_raw_name;

/// Extensions of videos and sidecars; Apple stores edits in `.AAE`.
const BESIDE: [&str; 4] = ["mov", "mp4", "xmp", "aae"];

/// Finds companions, reading each folder once.
#[derive(Debug, Default)]
pub struct Companions {
    folders: HashMap<PathBuf, Vec<OsString>>,
}

impl Companions {
    /// Returns the companions by name: `IMG_1.MOV`, `IMG_1.CR3`, `IMG_1.xmp`, `IMG_1.AAE` and `IMG_1.HEIC.xmp` belong
    /// to `IMG_1.HEIC`. Links are excluded, so that a foreign list cannot lead to files elsewhere.
    pub fn of(&mut self, photo: &Path) -> Vec<PathBuf> {
        let (Some(name), Some(folder)) = (photo.file_name(), photo.parent()) else { return Vec::new() };
        let files = self.folders.entry(folder.to_owned()).or_insert_with_key(|folder| files_in(folder));
        let mut found: Vec<&OsString> = files.iter().filter(|file| belongs(file, name)).collect();
        // Of two names that differ only in case, keeps the one spelled like the photo, because a case-insensitive
        // target has room for one only.
        let is_other = |file: &OsString| Path::new(file).file_stem() != photo.file_stem();
        found.sort_by_key(|file| (file.to_ascii_lowercase(), is_other(file)));
        found.dedup_by_key(|file| file.to_ascii_lowercase());
        found.into_iter().map(|file| folder.join(file)).collect()
    }
}

/// The new name of a companion when its photo is renamed from `photo` to `new`.
pub fn renamed(companion: &Path, photo: &Path, new: &Path) -> PathBuf {
    let extension = companion.extension().unwrap_or_default();
    if companion.file_stem() == photo.file_name() {
        let mut name = new.as_os_str().to_owned();
        name.push(".");
        name.push(extension);
        return name.into();
    }
    new.with_extension(extension)
}

fn belongs(file: &OsStr, photo: &OsStr) -> bool {
    let (stem, extension) = (Path::new(file).file_stem(), Path::new(file).extension());
    let (Some(stem), Some(extension)) = (stem, extension) else { return false };
    let is_beside = BESIDE.iter().any(|beside| extension.eq_ignore_ascii_case(beside));
    if stem == photo {
        return extension.eq_ignore_ascii_case("xmp");
    }
    let is_raw = is_raw_name(file) && !is_raw_name(photo);
    file != photo
        && (is_beside || is_raw)
        && Path::new(photo).file_stem().is_some_and(|of_photo| of_photo.eq_ignore_ascii_case(stem))
}

fn files_in(folder: &Path) -> Vec<OsString> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let files = std::fs::read_dir(listed).into_iter().flatten().flatten();
    let is_file = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
    let can_belong = |name: &OsString| {
        let extension = Path::new(name).extension().unwrap_or_default();
        is_raw_name(name) || BESIDE.iter().any(|beside| extension.eq_ignore_ascii_case(beside))
    };
    let mut names: Vec<OsString> = files.filter(is_file).map(|entry| entry.file_name()).filter(can_belong).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_names_that_differ_in_case_the_one_spelled_as_the_photo_goes_along() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["IMG_1.mov", "img_1.mov", "img_1.AAE", "IMG_10.mov", "IMG_1.jpg.xmp"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let of = |photo: &str| -> Vec<String> {
            let found = Companions::default().of(&folder.path().join(photo));
            found.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        };
        // Where case does not count, the folder has the first spelling only.
        if files_in(folder.path()).len() == 5 {
            assert_eq!(of("IMG_1.jpg"), ["img_1.AAE", "IMG_1.jpg.xmp", "IMG_1.mov"]);
            assert_eq!(of("img_1.png"), ["img_1.AAE", "img_1.mov"]);
        }
    }
}

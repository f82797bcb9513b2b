//! Files that belong to a photo: the film of a Live Photo, the RAW file of the same shot, sidecars.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::file_format::is_raw_name;
use super::live;

const FILMS: [&str; 2] = ["mov", "mp4"];
/// Extensions of sidecars; Apple stores edits in `.AAE`.
const SIDECARS: [&str; 2] = ["xmp", "aae"];

/// Finds companions, reading each folder once.
#[derive(Debug, Default)]
pub struct Companions {
    folders: HashMap<PathBuf, Folder>,
}

#[derive(Debug)]
struct Folder {
    files: Vec<OsString>,
    /// The films by the identifiers of their Live Photos; read where a photo has one.
    films: OnceCell<HashMap<OsString, String>>,
}

impl Companions {
    /// Returns the companions by name: `IMG_1.MOV`, `IMG_1.CR3`, `IMG_1.xmp`, `IMG_1.AAE` and `IMG_1.HEIC.xmp` belong
    /// to `IMG_1.HEIC`; and whatever its name, the film that has the photo's identifier. A film with the identifier of
    /// another photo is none. Links are excluded, so that a foreign list cannot lead to files elsewhere.
    pub fn of(&mut self, photo: &Path) -> Vec<PathBuf> {
        let (Some(name), Some(folder)) = (photo.file_name(), photo.parent()) else { return Vec::new() };
        let beside = self.folders.entry(folder.to_owned()).or_insert_with_key(|folder| Folder::read(folder));
        let by_identifier = beside.film_of(folder, photo);
        let mut found: Vec<&OsString> = beside.files.iter().filter(|file| belongs(file, name)).collect();
        if let Some((identifier, film)) = &by_identifier {
            // A film of the photo's name without an identifier may be an older copy of the very film.
            let is_others = |file: &OsString| beside.films().get(file).is_some_and(|of_film| of_film != identifier);
            found.retain(|file| !has_extension(file, &FILMS) || (film.is_none() && !is_others(file)));
            found.extend(film);
        }
        // Of two names that differ only in case, keeps the one spelled like the photo, because a case-insensitive
        // target has room for one only.
        let is_other = |file: &OsString| Path::new(file).file_stem() != photo.file_stem();
        found.sort_by_key(|file| (file.to_ascii_lowercase(), is_other(file)));
        found.dedup_by_key(|file| file.to_ascii_lowercase());
        found.into_iter().map(|file| folder.join(file)).collect()
    }
}

/// Whether a companion is a film.
pub fn is_film(companion: &Path) -> bool {
    companion.file_name().is_some_and(|name| has_extension(name, &FILMS))
}

/// Whether a companion is the RAW file of the same shot.
pub fn is_raw(companion: &Path) -> bool {
    companion.file_name().is_some_and(is_raw_name)
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
    let is_beside = has_extension(file, &FILMS) || has_extension(file, &SIDECARS);
    if stem == photo {
        return extension.eq_ignore_ascii_case("xmp");
    }
    let is_raw = is_raw_name(file) && !is_raw_name(photo);
    file != photo
        && (is_beside || is_raw)
        && Path::new(photo).file_stem().is_some_and(|of_photo| of_photo.eq_ignore_ascii_case(stem))
}

fn has_extension(file: &OsStr, known: &[&str]) -> bool {
    Path::new(file).extension().is_some_and(|extension| known.iter().any(|one| extension.eq_ignore_ascii_case(one)))
}

impl Folder {
    fn read(folder: &Path) -> Self {
        Self { files: files_in(folder), films: OnceCell::new() }
    }

    /// The photo's identifier, and the first film that has it; `None` for a photo without.
    fn film_of(&self, folder: &Path, photo: &Path) -> Option<(String, Option<&OsString>)> {
        let mut films = self.files.iter().filter(|file| has_extension(file, &FILMS)).peekable();
        films.peek()?;
        let identifier = live::of_photo(photo)?;
        let known = self.films.get_or_init(|| {
            let of_film = |film: &OsString| Some((film.clone(), live::of_film(&folder.join(film))?));
            films.clone().filter_map(of_film).collect()
        });
        let film = films.find(|film| known.get(*film) == Some(&identifier));
        Some((identifier, film))
    }

    fn films(&self) -> &HashMap<OsString, String> {
        self.films.get_or_init(HashMap::new)
    }
}

fn files_in(folder: &Path) -> Vec<OsString> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let files = std::fs::read_dir(listed).into_iter().flatten().flatten();
    let is_file = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
    let can_belong =
        |name: &OsString| is_raw_name(name) || has_extension(name, &FILMS) || has_extension(name, &SIDECARS);
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

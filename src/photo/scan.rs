//! From what was typed to a list of photos: files, folders, lists; each photo once, in a stable order.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use thiserror::Error;
use walkdir::{DirEntry, WalkDir};

use super::hidden::is_hidden;
use super::identity::{self, ReadError};
use super::kind::{is_heic_name, is_jpeg_name, is_photo_name, is_raw_name, sniff};
use base::atomic::is_unfinished;

/// As much of a file as is needed to tell what it is.
const HEAD_BYTES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// As given, or as found below the folder that was given.
    pub path: PathBuf,
    /// The RAW files of the same shot, when this is the JPEG or HEIC of a pair.
    pub raws: Vec<PathBuf>,
}

/// A path that should have been readable and is not.
#[derive(Debug)]
pub struct Unreadable {
    pub path: PathBuf,
    pub cause: ReadError,
}

#[derive(Debug, Default)]
pub struct Scan {
    pub photos: Vec<Photo>,
    pub unreadable: Vec<Unreadable>,
    /// Files in folders that are no photos, neither by name nor by content.
    pub passed_over: usize,
    /// Hidden files and folders that were passed over.
    pub hidden: usize,
    /// Folders that were met and not looked into, because the run writes there.
    pub left_out: Vec<PathBuf>,
}

#[derive(Debug, Error)]
pub enum ScanError {
    #[error("the pattern `{pattern}` of --exclude: {cause}")]
    Pattern { pattern: String, cause: ignore::Error },
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Look at hidden files and folders, too, and at what `is_hidden` counts among them.
    pub hidden: bool,
    /// Descend into symbolic links to folders.
    pub follow: bool,
    /// gitignore patterns, matched below each given folder.
    pub exclude: Vec<String>,
    /// Folders the run writes to: what lies there came from photos and is none to look at again.
    pub written_to: Vec<PathBuf>,
}

impl Options {
    fn excludes(&self, root: &Path) -> Result<Gitignore, ScanError> {
        let mut builder = GitignoreBuilder::new(root);
        for pattern in &self.exclude {
            let fail = |cause| ScanError::Pattern { pattern: pattern.clone(), cause };
            builder.add_line(None, pattern).map_err(fail)?;
        }
        builder.build().map_err(|cause| ScanError::Pattern { pattern: self.exclude.join(" "), cause })
    }
}

/// The names in a list of photos: one a line, or NUL-separated. Empty names are dropped.
pub fn listed(bytes: &[u8], null: bool) -> Vec<PathBuf> {
    let separator = if null { 0 } else { b'\n' };
    let names = bytes.split(|&byte| byte == separator).map(|name| {
        // A list written on another system may end its lines with CR LF.
        if null { name } else { name.strip_suffix(b"\r").unwrap_or(name) }
    });
    names.filter(|name| !name.is_empty()).map(path_from_bytes).collect()
}

#[cfg(unix)]
fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Every file named outright brings along the RAW files and the JPEG or HEIC that are the same shot and lie beside it.
pub fn with_partners(named: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut folders: HashMap<PathBuf, HashMap<PathBuf, Vec<PathBuf>>> = HashMap::new();
    let mut all = Vec::with_capacity(named.len());
    for path in named {
        if of_a_pair(&path) && path.is_file() {
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            let shots = folders.entry(folder).or_insert_with_key(|folder| shots_in(folder));
            let files = shots.get(&path.with_extension("")).map_or(&[][..], Vec::as_slice);
            let first = |is_wanted: fn(&OsStr) -> bool| files.iter().find(|file| is_wanted(file.as_os_str()));
            let developed = first(is_jpeg_name).or_else(|| first(is_heic_name));
            // Of several of one name the first has the RAW files, as in `pair_raws`.
            if is_raw_name(path.as_os_str()) || developed == Some(&path) {
                let raws = files.iter().filter(|file| is_raw_name(file.as_os_str()));
                all.extend(developed.into_iter().chain(raws).filter(|file| **file != path).cloned());
            }
        }
        all.push(path);
    }
    all
}

fn of_a_pair(path: &Path) -> bool {
    [is_jpeg_name, is_heic_name, is_raw_name].iter().any(|is_named| is_named(path.as_os_str()))
}

/// The JPEGs, HEICs and RAW files of a folder by shot, in the order of names.
fn shots_in(folder: &Path) -> HashMap<PathBuf, Vec<PathBuf>> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut shots: HashMap<PathBuf, Vec<PathBuf>> = HashMap::new();
    for entry in std::fs::read_dir(listed).into_iter().flatten().flatten() {
        let file = folder.join(entry.file_name());
        if of_a_pair(&file) {
            shots.entry(file.with_extension("")).or_default().push(file);
        }
    }
    shots.values_mut().for_each(|files| files.sort());
    shots
}

pub fn scan(paths: &[PathBuf], options: &Options) -> Result<Scan, ScanError> {
    let mut scanner = Scanner { options, seen: HashSet::new(), scan: Scan::default() };
    for path in paths {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => scanner.folder(path)?,
            Ok(_) if is_unfinished(path) => {
                scanner.scan.unreadable.push(Unreadable { path: path.clone(), cause: ReadError::Unfinished });
            }
            // It may be a folder: what cannot be looked at is not taken for a file.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                scanner.scan.unreadable.push(Unreadable { path: path.clone(), cause: error.into() });
            }
            // A missing or odd file named outright is kept as a photo: reading it says what is wrong, in its place.
            _ => scanner.take(path.clone()),
        }
    }
    Ok(scanner.finish())
}

/// The photos among files that were listed elsewhere, told by their names alone.
pub fn among(root: &Path, files: Vec<PathBuf>, options: &Options) -> Result<Scan, ScanError> {
    let mut scan = Scan::default();
    let excludes = options.excludes(Path::new(""))?;
    for path in files {
        let below = path.strip_prefix(root).unwrap_or(&path);
        if excludes.matched_path_or_any_parents(below, false).is_ignore() {
            continue;
        }
        let mut parents = below.ancestors();
        let itself = parents.next().and_then(Path::file_name).is_some_and(|name| is_hidden(name, false));
        let hidden = itself || parents.filter_map(Path::file_name).any(|name| is_hidden(name, true));
        if hidden && !options.hidden {
            scan.hidden += 1;
            continue;
        }
        if is_photo_name(path.as_os_str()) {
            scan.photos.push(Photo { path, raws: Vec::new() });
        } else {
            scan.passed_over += 1;
        }
    }
    pair_raws(&mut scan.photos);
    Ok(scan)
}

struct Scanner<'a> {
    options: &'a Options,
    /// Real path of every photo taken, so that no photo is taken twice under two names.
    seen: HashSet<PathBuf>,
    scan: Scan,
}

impl Scanner<'_> {
    fn folder(&mut self, root: &Path) -> Result<(), ScanError> {
        let excludes = self.options.excludes(root)?;
        // A folder that is not there yet holds nothing.
        let written_to: Vec<PathBuf> = self.options.written_to.iter().filter_map(|it| it.canonicalize().ok()).collect();
        let (mut left_out, mut hidden) = (Vec::new(), 0);
        let keep = |entry: &DirEntry| {
            let is_folder = entry.file_type().is_dir();
            if entry.depth() == 0 {
                return true;
            }
            if excludes.matched(entry.path(), is_folder).is_ignore() {
                return false;
            }
            if !self.options.hidden && !is_unfinished(entry.path()) && is_hidden(entry.file_name(), is_folder) {
                hidden += 1;
                return false;
            }
            let written = is_folder
                && !written_to.is_empty()
                && entry.path().canonicalize().is_ok_and(|real| written_to.contains(&real));
            left_out.extend(written.then(|| entry.path().to_owned()));
            !written
        };
        let walk = WalkDir::new(root).follow_links(self.options.follow).follow_root_links(true).sort_by_file_name();
        for entry in walk.into_iter().filter_entry(keep) {
            match entry {
                Ok(entry) => self.entry(&entry),
                Err(error) => self.walk_error(root, error),
            }
        }
        self.scan.left_out.extend(left_out);
        self.scan.hidden += hidden;
        Ok(())
    }

    fn entry(&mut self, entry: &DirEntry) {
        let kind = entry.file_type();
        let path = entry.path();
        let regular = kind.is_file() || (kind.is_symlink() && path.metadata().is_ok_and(|m| m.is_file()));
        if kind.is_dir() {
            return;
        }
        if regular && !is_unfinished(path) && (is_photo_name(path.as_os_str()) || is_photo_by_content(path)) {
            self.take(path.to_owned());
        } else {
            self.scan.passed_over += 1;
        }
    }

    fn walk_error(&mut self, root: &Path, error: walkdir::Error) {
        // A loop has been walked once already; going round again would find nothing new.
        if error.loop_ancestor().is_some() {
            return;
        }
        let path = error.path().unwrap_or(root).to_owned();
        let cause = error.into_io_error().unwrap_or_else(|| io::Error::other("cannot be walked"));
        // A dangling link, met when links are followed, hides no photo.
        if cause.kind() == io::ErrorKind::NotFound && path.is_symlink() {
            self.scan.passed_over += 1;
            return;
        }
        self.scan.unreadable.push(Unreadable { path, cause: cause.into() });
    }

    fn take(&mut self, path: PathBuf) {
        let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if self.seen.insert(real) {
            self.scan.photos.push(Photo { path, raws: Vec::new() });
        }
    }

    fn finish(mut self) -> Scan {
        pair_raws(&mut self.scan.photos);
        self.scan
    }
}

fn is_photo_by_content(path: &Path) -> bool {
    identity::head(path, HEAD_BYTES).is_ok_and(|head| sniff(&head).is_some())
}

/// `IMG_1.CR2` beside `IMG_1.JPG` is the same shot: the JPEG, or else the HEIC, stands for both.
fn pair_raws(photos: &mut Vec<Photo>) {
    let shot = |path: &Path| path.with_extension("");
    let mut developed: HashMap<PathBuf, usize> = HashMap::new();
    for is_wanted in [is_jpeg_name, is_heic_name] {
        for (index, photo) in photos.iter().enumerate().filter(|(_, photo)| is_wanted(photo.path.as_os_str())) {
            developed.entry(shot(&photo.path)).or_insert(index);
        }
    }
    if developed.is_empty() {
        return;
    }
    let mut raws = Vec::new();
    for photo in photos.iter().filter(|photo| is_raw_name(photo.path.as_os_str())) {
        if let Some(&index) = developed.get(&shot(&photo.path)) {
            raws.push((index, photo.path.clone()));
        }
    }
    for (index, raw) in &raws {
        photos[*index].raws.push(raw.clone());
    }
    let paired: HashSet<_> = raws.into_iter().map(|(_, raw)| raw).collect();
    photos.retain(|photo| !paired.contains(&photo.path));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_may_end_lines_either_way_and_hold_odd_names() {
        let names = listed(b"a.jpg\r\n\nb c.jpg\nlast", false);
        assert_eq!(names, ["a.jpg", "b c.jpg", "last"].map(PathBuf::from));
        let names = listed(b"line\nbreak.jpg\0b.jpg\0", true);
        assert_eq!(names, ["line\nbreak.jpg", "b.jpg"].map(PathBuf::from));
    }

    #[test]
    fn what_is_named_brings_its_shot_along() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.CR2", "a.jpg", "a.txt", "b.jpg", "b.jpeg", "b.png", "b.nef"] {
            std::fs::write(at(name), name).unwrap();
        }
        let named = vec![at("a.CR2"), at("b.jpg"), at("b.jpeg"), at("gone.jpg"), folder.path().to_owned()];
        let (jpegs, others) = ([at("b.jpg"), at("b.nef"), at("b.jpeg")], [at("gone.jpg"), folder.path().to_owned()]);
        let expected: Vec<_> = [at("a.jpg"), at("a.CR2")].into_iter().chain(jpegs).chain(others).collect();
        assert_eq!(with_partners(named), expected);
    }

    #[test]
    fn a_raw_beside_its_jpeg_is_no_second_photo() {
        let photo = |name: &str| Photo { path: name.into(), raws: Vec::new() };
        let mut photos = ["d/a.CR2", "d/a.jpg", "d/b.nef", "e/a.cr2"].map(photo).to_vec();
        pair_raws(&mut photos);
        let paths: Vec<_> = photos.iter().map(|photo| photo.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["d/a.jpg", "d/b.nef", "e/a.cr2"]);
        assert_eq!(photos[0].raws, [PathBuf::from("d/a.CR2")]);
        let mut photos = ["a.HEIC", "a.dng", "b.cr3", "b.hif", "b.jpg"].map(photo).to_vec();
        pair_raws(&mut photos);
        let names: Vec<_> = photos.iter().map(|photo| (photo.path.to_str().unwrap(), photo.raws.len())).collect();
        assert_eq!(names, [("a.HEIC", 1), ("b.hif", 0), ("b.jpg", 1)]);
    }
}

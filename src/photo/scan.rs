//! Turns the given files, folders and lists into a list of photos: each photo once, in a stable order.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use thiserror::Error;
use walkdir::{DirEntry, WalkDir};

use super::file_format::{is_heic_name, is_jpeg_name, is_photo_name, is_raw_name, sniff};
use super::hidden::is_hidden;
use super::identity::{self, ReadError};
use base::atomic::is_unfinished;
use base::platform::path_from_bytes;

/// How many bytes are read to recognise the format of a file.
const HEAD_BYTES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// The path as given, or as found below a given folder.
    pub path: PathBuf,
    /// The RAW files of the same shot, if this is its JPEG or HEIC.
    pub raws: Vec<PathBuf>,
}

/// A path that could not be read.
#[derive(Debug)]
pub struct Unreadable {
    pub path: PathBuf,
    pub cause: ReadError,
}

#[derive(Debug, Default)]
pub struct Scan {
    pub photos: Vec<Photo>,
    pub unreadable: Vec<Unreadable>,
    /// Number of files in folders that are no photos, neither by name nor by content.
    pub passed_over: usize,
    /// Number of hidden files and folders that were skipped.
    pub hidden: usize,
    /// Folders that were skipped because the run writes to them.
    pub left_out: Vec<PathBuf>,
}

#[derive(Debug, Error)]
pub enum ScanError {
    #[error("the pattern `{pattern}` of --exclude: {cause}")]
    Pattern { pattern: String, cause: ignore::Error },
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Include hidden files and folders, as defined by `is_hidden`.
    pub hidden: bool,
    /// Follow symbolic links to folders.
    pub follow: bool,
    /// Patterns in gitignore syntax, relative to each given folder.
    pub exclude: Vec<String>,
    /// Folders that the run writes to; their files are outputs and are not scanned.
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

/// The names in a list of photos, one per line or separated by NUL. Empty names are dropped.
pub fn listed(bytes: &[u8], null: bool) -> Vec<PathBuf> {
    let separator = if null { 0 } else { b'\n' };
    let names = bytes.split(|&byte| byte == separator).map(|name| {
        // A list written on Windows ends its lines with CR LF.
        if null { name } else { name.strip_suffix(b"\r").unwrap_or(name) }
    });
    names.filter(|name| !name.is_empty()).map(|name| path_from_bytes(name.to_vec())).collect()
}

/// Adds to every named file the RAW files and the JPEG or HEIC of the same shot in its folder.
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
            // If several files share the name, the first one gets the RAW files, as in `pair_raws`.
            if is_raw_name(path.as_os_str()) || developed == Some(&path) {
                let raws = files.iter().filter(|file| is_raw_name(file.as_os_str()));
                all.extend(developed.into_iter().chain(raws).filter(|file| **file != path).cloned());
            }
        }
        all.push(path);
    }
    all
}

/// The other files that `with_partners` adds to each photo.
pub fn partners_of<'a>(photos: impl IntoIterator<Item = &'a Path>) -> Vec<Vec<PathBuf>> {
    let photos: Vec<PathBuf> = photos.into_iter().map(Path::to_owned).collect();
    let mut partners = with_partners(photos.clone()).into_iter();
    // The partners of each photo come before it.
    photos.iter().map(|photo| partners.by_ref().take_while(|partner| partner != photo).collect()).collect()
}

fn of_a_pair(path: &Path) -> bool {
    [is_jpeg_name, is_heic_name, is_raw_name].iter().any(|is_named| is_named(path.as_os_str()))
}

/// The JPEG, HEIC and RAW files of a folder by shot, sorted by name.
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
    let mut scanner = Scanner { options, seen: HashSet::new(), folder: None, scan: Scan::default() };
    for path in paths {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => scanner.folder(path)?,
            Ok(_) if is_unfinished(path) => {
                scanner.scan.unreadable.push(Unreadable { path: path.clone(), cause: ReadError::Unfinished });
            }
            // This may be a folder, so it is not treated as a file.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                scanner.scan.unreadable.push(Unreadable { path: path.clone(), cause: error.into() });
            }
            // A named file that is missing or odd is kept, so that its error is reported in its position.
            _ => scanner.take(path.clone()),
        }
    }
    Ok(scanner.finish())
}

/// The photos among already listed files, recognised by their names.
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
    /// The canonical path of every photo, so that none is listed under two names.
    seen: HashSet<PathBuf>,
    /// The folder that was met last, as the walk names it, and its canonical path.
    folder: Option<(PathBuf, PathBuf)>,
    scan: Scan,
}

impl Scanner<'_> {
    fn folder(&mut self, root: &Path) -> Result<(), ScanError> {
        let excludes = self.options.excludes(root)?;
        // A folder that does not exist yet contains no files to skip.
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
            let real = if entry.path_is_symlink() { None } else { self.real_in_folder(path) };
            self.take_as(path.to_owned(), real);
        } else {
            self.scan.passed_over += 1;
        }
    }

    fn walk_error(&mut self, root: &Path, error: walkdir::Error) {
        // The target of a link loop has already been visited.
        if error.loop_ancestor().is_some() {
            return;
        }
        let path = error.path().unwrap_or(root).to_owned();
        let cause = error.into_io_error().unwrap_or_else(|| io::Error::other("cannot be walked"));
        // A dangling link is not an error.
        if cause.kind() == io::ErrorKind::NotFound && path.is_symlink() {
            self.scan.passed_over += 1;
            return;
        }
        self.scan.unreadable.push(Unreadable { path, cause: cause.into() });
    }

    /// The canonical path of a file that is no link: that of its folder, which is found once for all its files, and the
    /// name.
    fn real_in_folder(&mut self, file: &Path) -> Option<PathBuf> {
        let folder = file.parent()?;
        if self.folder.as_ref().is_none_or(|(name, _)| name != folder) {
            self.folder = Some((folder.to_owned(), std::fs::canonicalize(folder).ok()?));
        }
        Some(self.folder.as_ref()?.1.join(file.file_name()?))
    }

    fn take(&mut self, path: PathBuf) {
        self.take_as(path, None);
    }

    /// Takes a photo whose canonical path may be known.
    fn take_as(&mut self, path: PathBuf, real: Option<PathBuf>) {
        let real = real.or_else(|| std::fs::canonicalize(&path).ok()).unwrap_or_else(|| path.clone());
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

/// Attaches `IMG_1.CR2` to `IMG_1.JPG`, or else to the HEIC, of the same shot.
fn pair_raws(photos: &mut Vec<Photo>) {
    if !photos.iter().any(|photo| is_raw_name(photo.path.as_os_str())) {
        return;
    }
    let shot = |path: &Path| path.with_extension("");
    let mut developed: HashMap<PathBuf, usize> = HashMap::new();
    for is_wanted in [is_jpeg_name, is_heic_name] {
        for (index, photo) in photos.iter().enumerate().filter(|(_, photo)| is_wanted(photo.path.as_os_str())) {
            developed.entry(shot(&photo.path)).or_insert(index);
        }
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

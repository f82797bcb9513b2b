//! The data source: finding the files of features, checking them, and listing their row groups.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

pub use super::data_file::{DataFile, FEATURE, Group, ID};
use super::error::ScaleError;
use super::files;
use super::input::is_remote;
use super::stores;
use base::reading::{self, Stream};

/// Maximum numbers per row; features have a few thousand. Memory grows in proportion.
const WIDEST: usize = 1 << 16;
/// The files in the order of their paths, so that nothing depends on the order of the arguments.
#[derive(Debug, Clone)]
pub struct Source {
    pub files: Vec<DataFile>,
    pub rows: u64,
    /// Numbers in a row.
    pub dim: usize,
}

impl Source {
    /// Opens all files and checks their columns; rows are checked as they are read.
    pub fn open(paths: &[PathBuf]) -> Result<Self, ScaleError> {
        let mut paths = paths.to_vec();
        paths.sort();
        paths.dedup();
        let files = paths.into_iter().map(DataFile::open).collect::<Result<Vec<_>, _>>()?;
        let rows = files.iter().map(DataFile::rows).sum();
        let first = files.iter().find(|file| file.rows() > 0).ok_or(ScaleError::Empty)?;
        let dim = match first.array() {
            Some(array) => array.dim(),
            None => super::arrow_rows::dimension(first)?,
        };
        if dim > WIDEST {
            let cause = format!("its rows have {dim} numbers; {WIDEST} is the most that is taken");
            return Err(ScaleError::Parquet { path: first.path.clone(), cause });
        }
        Ok(Self { files, rows, dim })
    }

    /// The same for a single `.npy` file with ids in another.
    pub fn with_ids(mut self, ids: &Path) -> Result<Self, ScaleError> {
        self.files.iter_mut().try_for_each(|file| file.take_ids(ids))?;
        Ok(self)
    }

    /// The row groups with rows, in the order of the data.
    pub fn groups(&self) -> Vec<Group> {
        let mut groups = Vec::new();
        let mut first_row = 0;
        for (file, data) in self.files.iter().enumerate() {
            for (group, rows) in data.group_rows().into_iter().enumerate() {
                if rows > 0 {
                    groups.push(Group { file, group, first_row, rows });
                }
                first_row += rows;
            }
        }
        groups
    }
}

/// Makes a path absolute.
pub fn absolute(path: &Path) -> PathBuf {
    if is_remote(path) { path.to_owned() } else { std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) }
}

/// Expands patterns to files: plain paths, or paths with `*`, `?`, `[…]`, `**`.
pub fn expand(patterns: &[String]) -> Result<Vec<PathBuf>, ScaleError> {
    let mut paths = Vec::new();
    for pattern in patterns {
        let pattern = pattern.strip_prefix("file://").unwrap_or(pattern);
        let there = std::fs::metadata(pattern);
        if there.as_ref().is_ok_and(std::fs::Metadata::is_file) {
            paths.push(PathBuf::from(pattern));
            continue;
        }
        let before = paths.len();
        if is_remote(Path::new(pattern)) {
            stores::matching(pattern, &mut paths)?;
        } else {
            matching(pattern, &mut paths)?;
        }
        if paths.len() == before {
            return Err(match there {
                Err(cause) if cause.kind() != ErrorKind::NotFound => ScaleError::Io { path: pattern.into(), cause },
                _ => ScaleError::NoFile { pattern: pattern.to_owned() },
            });
        }
    }
    Ok(paths)
}

/// Reads a list of files or patterns, one per line; blank lines and lines that begin with `#` are skipped. A local list may
/// be a pipe, which is read until `stop` becomes true.
pub fn read_list(list: &Path, stop: &AtomicBool) -> Result<Vec<PathBuf>, ScaleError> {
    let text = if is_remote(list) {
        String::from_utf8(files::read(list)?)
            .map_err(|error| std::io::Error::new(ErrorKind::InvalidData, error.utf8_error()))
    } else {
        Stream::open(list, stop).and_then(|list| list.text(reading::LIST))
    };
    let text = text.map_err(ScaleError::io(list))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    expand(&lines.map(str::to_owned).collect::<Vec<_>>())
}

/// Walks from the last folder without wildcards.
fn matching(pattern: &str, paths: &mut Vec<PathBuf>) -> Result<(), ScaleError> {
    let wrong = |cause: String| ScaleError::Pattern { pattern: pattern.to_owned(), cause };
    let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build();
    let glob = glob.map_err(|error| wrong(error.kind().to_string()))?.compile_matcher();
    let is_wild = |part: &std::ffi::OsStr| part.to_string_lossy().contains(['*', '?', '[', '{']);
    let root: PathBuf = Path::new(pattern).iter().take_while(|part| !is_wild(part)).collect();
    let in_place = root.as_os_str().is_empty();
    let depth =
        if pattern.contains("**") { usize::MAX } else { Path::new(pattern).iter().count() - root.iter().count() };
    let walk = walkdir::WalkDir::new(if in_place { Path::new(".") } else { &root });
    for entry in walk.follow_links(true).max_depth(depth).sort_by_file_name() {
        let Ok(entry) = entry else { continue };
        let path = if in_place { entry.path().strip_prefix(".").unwrap_or(entry.path()) } else { entry.path() };
        if entry.file_type().is_file() && glob.is_match(path) {
            paths.push(path.to_owned());
        }
    }
    Ok(())
}

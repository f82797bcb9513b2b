//! Which Parquet files are meant, what they hold, and how their row groups are listed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use arrow_schema::{DataType, Field};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::reader::Length as _;

use super::error::ScaleError;
use super::files;
use super::input::{Input, is_remote};
use super::stores;
use crate::contain::contained;
use crate::reading::{self, Stream};

pub const ID: &str = "id";
pub const FEATURE: &str = "feature";

/// Numbers in a row; features have some thousands. What is worked out about rows takes memory in proportion.
const WIDEST: usize = 1 << 16;
/// Rows of a file; what a damaged one says is far beyond.
const MOST_ROWS: i64 = 1 << 40;

/// Files in the order of their paths, so that nothing depends on the order they were named in.
#[derive(Debug, Clone)]
pub struct Source {
    pub files: Vec<DataFile>,
    pub rows: u64,
    /// Numbers in a row.
    pub dim: usize,
}

#[derive(Debug, Clone)]
pub struct DataFile {
    pub path: PathBuf,
    pub bytes: u64,
    pub(super) metadata: ArrowReaderMetadata,
}

/// A row group of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub file: usize,
    pub group: usize,
    /// Rows of the data before this group.
    pub first_row: u64,
    pub rows: u64,
}

impl Source {
    /// Opens every file and checks its columns; rows are checked as they are read.
    pub fn open(paths: &[PathBuf]) -> Result<Self, ScaleError> {
        let mut paths = paths.to_vec();
        paths.sort();
        paths.dedup();
        let files = paths.into_iter().map(DataFile::open).collect::<Result<Vec<_>, _>>()?;
        let rows = files.iter().map(DataFile::rows).sum();
        let first = files.iter().find(|file| file.rows() > 0).ok_or(ScaleError::Empty)?;
        let dim = super::features::dimension(first)?;
        if dim > WIDEST {
            let cause = format!("its rows have {dim} numbers; {WIDEST} is the most that is taken");
            return Err(ScaleError::Parquet { path: first.path.clone(), cause });
        }
        Ok(Self { files, rows, dim })
    }

    /// Row groups that hold rows, in the order of the data.
    pub fn groups(&self) -> Vec<Group> {
        let mut groups = Vec::new();
        let mut first_row = 0;
        for (file, data) in self.files.iter().enumerate() {
            for (group, metadata) in data.metadata.metadata().row_groups().iter().enumerate() {
                let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
                if rows > 0 {
                    groups.push(Group { file, group, first_row, rows });
                }
                first_row += rows;
            }
        }
        groups
    }
}

impl DataFile {
    fn open(path: PathBuf) -> Result<Self, ScaleError> {
        let file = Input::open(&path)?;
        let metadata = contained(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))
            .and_then(|metadata| metadata.map_err(|error| error.to_string()))
            .map_err(|cause| ScaleError::Parquet { path: path.clone(), cause })?;
        let data = Self { bytes: file.len(), path, metadata };
        let feature = data.column(FEATURE)?;
        if !is_vector(feature.data_type()) {
            return Err(data.wrong_type(feature, FEATURE, "a list of f32, f64 or f16"));
        }
        let id = data.column(ID)?;
        if !matches!(id.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
            return Err(data.wrong_type(id, ID, "a string"));
        }
        data.check_rows()?;
        Ok(data)
    }

    fn check_rows(&self) -> Result<(), ScaleError> {
        let metadata = self.metadata.metadata();
        let said = metadata.file_metadata().num_rows();
        let plausible = |rows: &i64| (0..=MOST_ROWS).contains(rows);
        let groups = metadata.row_groups().iter().map(|group| Some(group.num_rows()).filter(plausible));
        let sum = groups.sum::<Option<i64>>().filter(plausible);
        if sum != Some(said) {
            let cause = format!("it says it has {said} rows, and its row groups say otherwise");
            return Err(ScaleError::Parquet { path: self.path.clone(), cause });
        }
        Ok(())
    }

    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Where a row group begins in the file, as engines over Parquet understand it.
    #[cfg(feature = "distributed")]
    pub(super) fn begin(&self, group: usize) -> i64 {
        let column = self.metadata.metadata().row_group(group).column(0);
        column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset())
    }

    pub(super) fn column(&self, name: &'static str) -> Result<&Field, ScaleError> {
        self.metadata.schema().field_with_name(name).map_err(|_| {
            let names: Vec<_> = self.metadata.schema().fields().iter().map(|f| format!("`{}`", f.name())).collect();
            ScaleError::NoColumn { path: self.path.clone(), column: name, found: names.join(", ") }
        })
    }

    fn wrong_type(&self, field: &Field, column: &'static str, wanted: &'static str) -> ScaleError {
        ScaleError::ColumnType { path: self.path.clone(), column, found: field.data_type().to_string(), wanted }
    }
}

fn is_vector(list: &DataType) -> bool {
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) = list else {
        return false;
    };
    matches!(item.data_type(), DataType::Float16 | DataType::Float32 | DataType::Float64)
}

/// A path that means the same wherever one stands.
pub fn absolute(path: &Path) -> PathBuf {
    if is_remote(path) { path.to_owned() } else { std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) }
}

/// The files that patterns name: a path as it is, or one with `*`, `?`, `[…]`, `**`.
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

/// A list of files or patterns, one a line; blank lines and lines that begin with `#` are passed over.
/// A list on this machine may come out of a pipe, until `stop` becomes true.
pub fn read_list(list: &Path, stop: &AtomicBool) -> Result<Vec<PathBuf>, ScaleError> {
    let text = if is_remote(list) {
        String::from_utf8(files::read(list)?)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error()))
    } else {
        Stream::open(list, stop).and_then(|list| list.text(reading::LIST))
    };
    let text = text.map_err(ScaleError::io(list))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    expand(&lines.map(str::to_owned).collect::<Vec<_>>())
}

/// Walks from the last folder that is named without wildcards.
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

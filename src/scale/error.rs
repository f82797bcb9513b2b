//! Errors of features, models and work folders, with their location.

use std::path::PathBuf;

use base::reading::was_stopped;

/// A location in the data: a row group of a file and, for errors of a row, its number inside the group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataLocation {
    pub file: PathBuf,
    pub group: usize,
    pub row: Option<u64>,
}

impl std::fmt::Display for DataLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: row group {}", self.file.display(), self.group)?;
        self.row.map_or(Ok(()), |row| write!(f, ", row {row}"))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ScaleError {
    #[error("`{pattern}` names no file")]
    NoFile { pattern: String },
    #[error("`{pattern}`: {cause}")]
    Pattern { pattern: String, cause: String },
    #[error(
        "`{address}`: object stores are not read by this build, which lacks the feature `object-stores`; copy the files, or \
         mount the bucket, and give a path"
    )]
    ObjectStore { address: String },
    #[error("the data has no rows")]
    Empty,
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: std::io::Error },
    #[error("{}: not a readable Parquet file: {cause}", path.display())]
    Parquet { path: PathBuf, cause: String },
    #[error("{}: no column `{column}`; it has {found}", path.display())]
    NoColumn { path: PathBuf, column: &'static str, found: String },
    #[error("{}: row group 0: column `{column}` is {found}; wanted {wanted}", path.display())]
    ColumnType { path: PathBuf, column: &'static str, found: String, wanted: &'static str },
    #[error("{place}: {cause}")]
    Row { place: DataLocation, cause: RowError },
    #[error("{clusters} clusters were asked for, but the data has only {rows}")]
    TooFewRows { clusters: usize, rows: String },
    #[error("{}: made by another fit ({difference}); give another --work folder, or remove this one", path.display())]
    OtherFit { path: PathBuf, difference: String },
    #[error("{}: {cause}", path.display())]
    Model { path: PathBuf, cause: String },
    #[error("{}: has {found} numbers a row where the model has {wanted}", path.display())]
    OtherDimension { path: PathBuf, found: usize, wanted: usize },
    #[error("{cause}")]
    Engine { cause: String },
    #[error("cannot start threads: {cause}")]
    Threads { cause: String },
    #[error("interrupted")]
    Stopped,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowError {
    #[error("{cause}")]
    Unreadable { cause: String },
    #[error("no feature (null)")]
    Null,
    #[error("{found} numbers where the first row of the data has {wanted}")]
    Length { found: usize, wanted: usize },
    #[error("{value} at position {position}")]
    NotFinite { value: f32, position: usize },
    #[error("too large for f32 at position {position}")]
    TooLarge { position: usize },
    #[error("all zeros: it has no direction to normalise")]
    NoDirection,
}

impl ScaleError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |cause| if was_stopped(&cause) { Self::Stopped } else { Self::Io { path, cause } }
    }
}

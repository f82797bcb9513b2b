//! A file of features, Parquet or `.npy`: columns and row groups are checked before anything is read.

use std::path::{Path, PathBuf};

use arrow_schema::{DataType, Field};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::reader::Length as _;

use super::arrays::Array;
use super::error::ScaleError;
use super::input::Input;
use super::thrift;
use base::contain::contained;

pub const ID: &str = "id";
pub const FEATURE: &str = "feature";

/// Maximum rows of a file; damaged ones claim far more.
const MOST_ROWS: i64 = 1 << 40;

#[derive(Debug, Clone)]
pub struct DataFile {
    pub path: PathBuf,
    pub bytes: u64,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Parquet(ArrowReaderMetadata),
    Array(Array),
}

/// A row group of a Parquet file, or a part of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub file: usize,
    pub group: usize,
    /// The number of rows of the data before this group.
    pub first_row: u64,
    pub rows: u64,
}

impl DataFile {
    pub(super) fn open(path: PathBuf) -> Result<Self, ScaleError> {
        let file = Input::open(&path)?;
        if let Some(array) = Array::open(&path, &file)? {
            return Ok(Self { bytes: file.len(), path, content: Content::Array(array) });
        }
        let load =
            || thrift::check_footer(&file).and_then(|()| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()));
        let metadata = contained(load)
            .and_then(|metadata| metadata.map_err(|error| error.to_string()))
            .map_err(|cause| ScaleError::Parquet { path: path.clone(), cause })?;
        let data = Self { bytes: file.len(), path, content: Content::Parquet(metadata.clone()) };
        let feature = data.column(&metadata, FEATURE)?;
        if !is_vector(feature.data_type()) {
            return Err(data.wrong_type(feature, FEATURE, "a list of f32, f64 or f16"));
        }
        let id = data.column(&metadata, ID)?;
        if !matches!(id.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
            return Err(data.wrong_type(id, ID, "a string"));
        }
        data.check_rows(&metadata)?;
        Ok(data)
    }

    /// Takes the ids of an array from a separate file.
    pub(super) fn take_ids(&mut self, ids: &Path) -> Result<(), ScaleError> {
        match &mut self.content {
            Content::Array(array) => array.take_ids(ids),
            Content::Parquet(_) => Ok(()),
        }
    }

    /// The metadata, if it is a Parquet file.
    pub(super) fn parquet(&self) -> Option<&ArrowReaderMetadata> {
        if let Content::Parquet(metadata) = &self.content { Some(metadata) } else { None }
    }

    /// The array, if it is an `.npy` file.
    pub(super) fn array(&self) -> Option<&Array> {
        if let Content::Array(array) = &self.content { Some(array) } else { None }
    }

    pub fn is_array(&self) -> bool {
        self.array().is_some()
    }

    fn check_rows(&self, metadata: &ArrowReaderMetadata) -> Result<(), ScaleError> {
        let metadata = metadata.metadata();
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
        self.group_rows().iter().sum()
    }

    /// The number of rows of each row group.
    pub fn group_rows(&self) -> Vec<u64> {
        match &self.content {
            Content::Array(array) => array.group_rows(),
            Content::Parquet(metadata) => {
                let groups = metadata.metadata().row_groups().iter();
                groups.map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).collect()
            }
        }
    }

    pub(super) fn column<'a>(
        &self,
        metadata: &'a ArrowReaderMetadata,
        name: &'static str,
    ) -> Result<&'a Field, ScaleError> {
        metadata.schema().field_with_name(name).map_err(|_| {
            let names: Vec<_> = metadata.schema().fields().iter().map(|f| format!("`{}`", f.name())).collect();
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

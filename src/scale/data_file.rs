//! One Parquet file of features: its columns and row groups, checked before anything is read.

use std::path::PathBuf;

use arrow_schema::{DataType, Field};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::reader::Length as _;

use super::error::ScaleError;
use super::input::Input;
use base::contain::contained;

pub const ID: &str = "id";
pub const FEATURE: &str = "feature";

/// Rows of a file; what a damaged one says is far beyond.
const MOST_ROWS: i64 = 1 << 40;

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

impl DataFile {
    pub(super) fn open(path: PathBuf) -> Result<Self, ScaleError> {
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

//! The general reader: rows of a file through Arrow, for all column types.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::data_file::{DataFile, FEATURE, ID};
use super::error::{DataLocation, RowError, ScaleError};
use super::input::Input;
use super::page_headers;
use base::contain::contained;

/// The options of a reader.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub ids: bool,
    /// Whether to normalise rows to length 1.
    pub normalize: bool,
    pub batch_rows: usize,
}

impl Reading {
    /// The number of rows that fit into the L2 cache between decoding and summation.
    pub fn rows_for(dim: usize) -> usize {
        ((1 << 20) / (4 * dim.max(1))).clamp(64, 8192)
    }
}

/// The length of the first row of a Parquet file.
pub fn dimension(data: &DataFile) -> Result<usize, ScaleError> {
    let metadata = data.parquet().ok_or(ScaleError::Empty)?;
    if let DataType::FixedSizeList(_, dim) = data.column(metadata, FEATURE)?.data_type() {
        return Ok(usize::try_from(*dim).unwrap_or(0).max(1));
    }
    let group = metadata.metadata().row_groups().iter().position(|group| group.num_rows() > 0).unwrap_or(0);
    let place = DataLocation { file: data.path.clone(), group, row: Some(0) };
    let wrong = |cause: RowError| ScaleError::Row { place: place.clone(), cause };
    let unreadable = |cause: String| wrong(RowError::Unreadable { cause });
    let file = Input::open(&data.path)?;
    let reading = Reading { ids: false, normalize: false, batch_rows: 1 };
    // The Parquet reader may panic on damaged files.
    let first = contained(|| -> parquet::errors::Result<_> {
        Ok(arrow(metadata, file, group, reading, 0)?.next().transpose()?)
    });
    let first = first.and_then(|first| first.map_err(|error| error.to_string()));
    let rows = first.map_err(unreadable)?.ok_or_else(|| unreadable("no rows".into()))?;
    let column = rows.column_by_name(FEATURE).ok_or_else(|| unreadable("no feature".into()))?;
    let lengths = lengths(column);
    match lengths.first() {
        Some(Some(0)) | None => Err(wrong(RowError::Length { found: 0, wanted: 1 })),
        Some(None) => Err(wrong(RowError::Null)),
        Some(Some(length)) => Ok(*length),
    }
}

pub fn arrow(
    metadata: &ArrowReaderMetadata,
    file: Input,
    group: usize,
    reading: Reading,
    skip: usize,
) -> parquet::errors::Result<ParquetRecordBatchReader> {
    let columns: &[&str] = if reading.ids { &[ID, FEATURE] } else { &[FEATURE] };
    let roots: Vec<usize> = columns.iter().filter_map(|name| metadata.schema().index_of(name).ok()).collect();
    page_headers::check(metadata, &file, &[group], &roots)?;
    let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
    ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
        .with_row_groups(vec![group])
        .with_projection(mask)
        .with_batch_size(reading.batch_rows)
        .with_offset(skip)
        .build()
}

/// The length of each row; `None` for a null.
pub fn lengths(column: &ArrayRef) -> Vec<Option<usize>> {
    let length = |row: usize| match column.data_type() {
        DataType::List(_) => column.as_list::<i32>().value_length(row) as usize,
        DataType::LargeList(_) => column.as_list::<i64>().value_length(row) as usize,
        _ => column.as_fixed_size_list().value_length() as usize,
    };
    (0..column.len()).map(|row| (!column.is_null(row)).then(|| length(row))).collect()
}

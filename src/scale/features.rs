//! Reads row groups as batches of checked f32 rows. A general reader serves all column types; plain lists of f32, which
//! `embed` and most writers produce, use the faster [`super::pages`].

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::arrays::{ArrayError, ArrayReader};
pub use super::arrow_rows::Reading;
use super::arrow_rows::{arrow, lengths};
use super::error::{DataLocation, RowError, ScaleError};
use super::exact::squared_norm;
use super::input::Input;
use super::pages::PlainLists;
use super::source::{FEATURE, Group, ID, Source};

/// A batch of rows.
#[derive(Debug, Default)]
pub struct Batch {
    pub group: Option<Group>,
    /// The number of the first row inside the row group.
    pub first_row: u64,
    /// The rows one after the other, `dim` numbers each.
    pub values: Vec<f32>,
    /// The squared length of each row.
    pub norms: Vec<f64>,
    /// The ids, if requested.
    pub ids: Vec<String>,
}

/// Reads a row group batch by batch.
pub struct GroupReader<'a> {
    source: &'a Source,
    group: Group,
    reading: Reading,
    next_row: u64,
    rows: Rows,
}

enum Rows {
    Unopened,
    Plain(Box<PlainLists>),
    Arrow(Box<ParquetRecordBatchReader>),
    Array(Box<ArrayReader>),
}

impl<'a> GroupReader<'a> {
    pub fn open(source: &'a Source, group: Group, reading: Reading) -> Result<Self, ScaleError> {
        let data = &source.files[group.file];
        let mut reader = Self { source, group, reading, next_row: 0, rows: Rows::Unopened };
        reader.rows = match (data.array(), data.parquet()) {
            (Some(array), _) if array.dim() != source.dim => {
                return Err(reader.at(Some(0), RowError::Length { found: array.dim(), wanted: source.dim }));
            }
            (Some(array), _) => Rows::Array(Box::new(ArrayReader::open(&data.path, array, group.group)?)),
            (None, Some(metadata)) if !reading.ids => {
                let file = Input::open(&data.path)?;
                match PlainLists::open(metadata, &file, group.group, source.dim) {
                    Some(plain) => Rows::Plain(Box::new(plain)),
                    None => reader.general()?,
                }
            }
            _ => reader.general()?,
        };
        Ok(reader)
    }

    /// The general reader, from the next row on.
    fn general(&self) -> Result<Rows, ScaleError> {
        let data = &self.source.files[self.group.file];
        let Some(metadata) = data.parquet() else { return Ok(Rows::Unopened) };
        let file = Input::open(&data.path)?;
        let reader = arrow(metadata, file, self.group.group, self.reading, self.next_row as usize);
        let reader = reader.map_err(|error| self.at(None, RowError::Unreadable { cause: error.to_string() }))?;
        Ok(Rows::Arrow(Box::new(reader)))
    }

    /// Fills `batch` with the next rows; returns `false` at the end.
    pub fn next(&mut self, batch: &mut Batch) -> Result<bool, ScaleError> {
        batch.group = Some(self.group);
        batch.first_row = self.next_row;
        batch.values.clear();
        batch.ids.clear();
        let dim = self.source.dim;
        if let Rows::Plain(plain) = &mut self.rows
            && plain.read(self.reading.batch_rows, &mut batch.values).is_err()
        {
            batch.values.clear();
            self.rows = self.general()?;
        }
        let filled = match &mut self.rows {
            Rows::Unopened | Rows::Plain(_) => Ok(()),
            Rows::Array(array) => {
                let ids = self.reading.ids.then_some(&mut batch.ids);
                match array.read(self.next_row, self.reading.batch_rows, &mut batch.values, ids) {
                    Ok(()) => Ok(()),
                    Err(ArrayError::Row(row, cause)) => Err((Some(row), cause)),
                    Err(ArrayError::File(error)) => return Err(error),
                }
            }
            Rows::Arrow(reader) => match reader.next() {
                None => Ok(()),
                Some(Ok(rows)) => fill(&rows, dim, self.reading.ids, batch),
                Some(Err(error)) => Err((None, RowError::Unreadable { cause: error.to_string() })),
            },
        };
        filled.and_then(|()| check(batch, dim, self.reading.normalize)).map_err(|(row, cause)| self.at(row, cause))?;
        let rows = (batch.values.len() / dim) as u64;
        self.next_row += rows;
        if self.next_row > self.group.rows {
            let cause = format!("has more than the {} rows it says", self.group.rows);
            return Err(self.at(None, RowError::Unreadable { cause }));
        }
        if rows == 0 && self.next_row != self.group.rows {
            let cause = format!("ends after {} of {} rows", self.next_row, self.group.rows);
            return Err(self.at(None, RowError::Unreadable { cause }));
        }
        Ok(rows > 0)
    }

    /// The error for a row of the batch.
    fn at(&self, row: Option<u64>, cause: RowError) -> ScaleError {
        let file = self.source.files[self.group.file].path.clone();
        let place = DataLocation { file, group: self.group.group, row: row.map(|row| self.next_row + row) };
        ScaleError::Row { place, cause }
    }
}

/// A row within its batch, if known, and its error.
pub(super) type Wrong = (Option<u64>, RowError);

fn fill(rows: &RecordBatch, dim: usize, ids: bool, batch: &mut Batch) -> Result<(), Wrong> {
    let missing = |name: &str| (None, RowError::Unreadable { cause: format!("no column `{name}`") });
    let column = rows.column_by_name(FEATURE).ok_or_else(|| missing(FEATURE))?;
    for (row, length) in lengths(column).into_iter().enumerate() {
        match length {
            None => return Err((Some(row as u64), RowError::Null)),
            Some(found) if found != dim => {
                return Err((Some(row as u64), RowError::Length { found, wanted: dim }));
            }
            Some(_) => {}
        }
    }
    append(&items(column, dim), dim, &mut batch.values)?;
    if ids {
        let column = rows.column_by_name(ID).ok_or_else(|| missing(ID))?;
        append_ids(column, &mut batch.ids)?;
    }
    Ok(())
}

/// The values of all rows, whose lengths were checked.
fn items(column: &ArrayRef, dim: usize) -> ArrayRef {
    match column.data_type() {
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            list.values().slice(list.value_offsets()[0] as usize, list.len() * dim)
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            list.values().slice(list.value_offsets()[0] as usize, list.len() * dim)
        }
        _ => {
            let list = column.as_fixed_size_list();
            list.values().slice(list.value_offset_at(0), list.len() * dim)
        }
    }
}

fn append(items: &ArrayRef, dim: usize, values: &mut Vec<f32>) -> Result<(), Wrong> {
    if items.null_count() > 0 {
        let first = (0..items.len()).find(|&i| items.is_null(i)).unwrap_or(0);
        return Err((Some((first / dim) as u64), RowError::Null));
    }
    match items.data_type() {
        DataType::Float32 => values.extend_from_slice(items.as_primitive::<Float32Type>().values()),
        DataType::Float16 => values.extend(items.as_primitive::<Float16Type>().values().iter().map(|v| v.to_f32())),
        _ => {
            let wide = items.as_primitive::<Float64Type>().values();
            if let Some(at) = wide.iter().position(|v| v.is_finite() && v.abs() > f64::from(f32::MAX)) {
                return Err((Some((at / dim) as u64), RowError::TooLarge { position: at % dim }));
            }
            values.extend(wide.iter().map(|&v| v as f32));
        }
    }
    Ok(())
}

fn append_ids(column: &ArrayRef, ids: &mut Vec<String>) -> Result<(), Wrong> {
    if let Some(row) = (0..column.len()).find(|&row| column.is_null(row)) {
        return Err((Some(row as u64), RowError::Unreadable { cause: "no id (null)".into() }));
    }
    match column.data_type() {
        DataType::Utf8 => ids.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned)),
        DataType::LargeUtf8 => ids.extend(column.as_string::<i64>().iter().flatten().map(str::to_owned)),
        _ => ids.extend(column.as_string_view().iter().flatten().map(str::to_owned)),
    }
    Ok(())
}

fn check(batch: &mut Batch, dim: usize, normalize: bool) -> Result<(), Wrong> {
    batch.norms.clear();
    for (row, values) in batch.values.chunks_exact_mut(dim).enumerate() {
        let norm = prepare(values, normalize).map_err(|cause| (Some(row as u64), cause))?;
        batch.norms.push(norm);
    }
    Ok(())
}

/// Refuses a row that is not finite, normalises it if requested, and returns its squared length. The sum of squares of
/// finite f32 values is finite in f64, so one check covers both.
pub(super) fn prepare(values: &mut [f32], normalize: bool) -> Result<f64, RowError> {
    let norm = squared_norm(values);
    if !norm.is_finite() {
        let position = values.iter().position(|v| !v.is_finite()).unwrap_or(0);
        return Err(RowError::NotFinite { value: values[position], position });
    }
    if !normalize {
        return Ok(norm);
    }
    if norm == 0.0 {
        return Err(RowError::NoDirection);
    }
    let length = norm.sqrt();
    for value in values.iter_mut() {
        *value = (f64::from(*value) / length) as f32;
    }
    Ok(squared_norm(values))
}

//! Reads other columns of the data, ids and scores, in the order of the data.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::error::ScaleError;
use super::input::Input;
use super::page_headers;
use super::source::{DataFile, ID, Source};
use base::contain::contained;

impl Source {
    /// Calls `each` with every row's number and id.
    pub fn each_id<E: From<ScaleError>>(&self, mut each: impl FnMut(u64, &str) -> Result<(), E>) -> Result<(), E> {
        let mut row = 0;
        self.each_batch(ID, |data, column| {
            let missing = || ScaleError::Parquet { path: data.path.clone(), cause: "a row has no id (null)".into() };
            let mut told = |id: Option<&str>| {
                each(row, id.ok_or_else(missing)?)?;
                row += 1;
                Ok(())
            };
            match column.data_type() {
                DataType::Utf8 => column.as_string::<i32>().iter().try_for_each(&mut told),
                DataType::LargeUtf8 => column.as_string::<i64>().iter().try_for_each(&mut told),
                _ => column.as_string_view().iter().try_for_each(&mut told),
            }
        })
    }

    /// Reads a numeric column; `None` for nulls and values that are not numbers.
    pub fn scores(&self, name: &str) -> Result<Vec<Option<f32>>, ScaleError> {
        let mut scores = Vec::new();
        self.each_batch(name, |data, column| {
            let finite = |score: Option<f64>| score.filter(|score| score.is_finite()).map(|score| score as f32);
            match column.data_type() {
                DataType::Float32 => {
                    scores.extend(column.as_primitive::<Float32Type>().iter().map(|s| finite(s.map(f64::from))));
                }
                DataType::Float64 => scores.extend(column.as_primitive::<Float64Type>().iter().map(finite)),
                DataType::Int32 => {
                    scores.extend(column.as_primitive::<Int32Type>().iter().map(|s| finite(s.map(f64::from))));
                }
                DataType::Int64 => {
                    scores.extend(column.as_primitive::<Int64Type>().iter().map(|s| finite(s.map(|s| s as f64))));
                }
                other => {
                    let cause = format!("column `{name}` is {other}; scores are numbers");
                    return Err(ScaleError::Parquet { path: data.path.clone(), cause });
                }
            }
            Ok(())
        })?;
        Ok(scores)
    }

    fn each_batch<E: From<ScaleError>>(
        &self,
        name: &str,
        mut each: impl FnMut(&DataFile, &ArrayRef) -> Result<(), E>,
    ) -> Result<(), E> {
        for data in &self.files {
            let unreadable = |cause: String| ScaleError::Parquet { path: data.path.clone(), cause };
            let metadata = match (data.array(), data.parquet()) {
                (Some(array), _) if name == ID => {
                    for first in (0..array.rows()).step_by(8192) {
                        let ids = array.ids(first, (array.rows() - first).min(8192) as usize)?;
                        each(data, &(Arc::new(StringArray::from(ids)) as ArrayRef))?;
                    }
                    continue;
                }
                (None, Some(metadata)) => metadata,
                _ => {
                    let cause = std::io::Error::other(format!("an .npy file has no column `{name}`"));
                    return Err(ScaleError::Io { path: data.path.clone(), cause }.into());
                }
            };
            let place = metadata.schema().index_of(name).map_err(|error| unreadable(error.to_string()))?;
            let file = Input::open(&data.path)?;
            let mask = ProjectionMask::roots(metadata.parquet_schema(), [place]);
            // The Parquet reader may panic on damaged files.
            let groups: Vec<usize> = (0..metadata.metadata().num_row_groups()).collect();
            let batches = contained(|| {
                page_headers::check(metadata, &file, &groups, &[place])?;
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
                builder.with_projection(mask).with_batch_size(8192).build()
            });
            let batches = batches.map_err(unreadable)?;
            let mut batches = batches.map_err(|error| unreadable(error.to_string()))?;
            while let Some(batch) = contained(|| batches.next()).map_err(unreadable)? {
                let batch = batch.map_err(|error| unreadable(error.to_string()))?;
                each(data, batch.column(0))?;
            }
        }
        Ok(())
    }
}

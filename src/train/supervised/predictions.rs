//! The predictions for all validation or test items beside their labels: Parquet, with the original system's columns.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use crate::TrainError;
use crate::checkpoint::replace;

/// A table whose columns are filled row by row.
#[derive(Debug, Default)]
pub struct Predictions {
    texts: Vec<(String, Vec<String>)>,
    numbers: Vec<(String, Vec<f64>)>,
}

impl Predictions {
    pub fn text(&mut self, column: &str, value: String) {
        push(&mut self.texts, column, value);
    }

    pub fn number(&mut self, column: &str, value: f64) {
        push(&mut self.numbers, column, value);
    }

    pub fn write(self, path: &Path) -> Result<(), TrainError> {
        let wrong = |error: parquet::errors::ParquetError| TrainError::at(path, error);
        let texts =
            self.texts.into_iter().map(|(name, values)| (name, Arc::new(StringArray::from(values)) as ArrayRef));
        let numbers =
            self.numbers.into_iter().map(|(name, values)| (name, Arc::new(Float64Array::from(values)) as ArrayRef));
        let rows = RecordBatch::try_from_iter(texts.chain(numbers)).map_err(|error| wrong(error.into()))?;
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), None).map_err(wrong)?;
        writer.write(&rows).map_err(wrong)?;
        writer.close().map_err(wrong)?;
        let folder = path.parent().unwrap_or(path);
        std::fs::create_dir_all(folder).map_err(|error| TrainError::at(folder, error))?;
        replace(path, &file)
    }
}

fn push<T>(columns: &mut Vec<(String, Vec<T>)>, name: &str, value: T) {
    match columns.iter_mut().find(|(column, _)| column == name) {
        Some((_, values)) => values.push(value),
        None => columns.push((name.to_owned(), vec![value])),
    }
}

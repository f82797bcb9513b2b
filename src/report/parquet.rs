//! Vectors as Parquet: columns `id` (the path) and `feature` (a list of float32), as k-means and de-duplication read them.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;

/// The number of rows converted to columns at a time.
const CHUNK: usize = 4096;

fn schema() -> Arc<Schema> {
    let number = Field::new("item", DataType::Float32, false);
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("feature", DataType::List(Arc::new(number)), false),
    ]))
}

/// Writes a row for each id and vector.
pub fn write(out: impl Write + Send, rows: &[(String, Vec<f32>)]) -> Result<()> {
    // Compression is worthwhile for the paths; features hardly compress.
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(out, schema(), Some(properties))?;
    for chunk in rows.chunks(CHUNK) {
        writer.write(&columns(chunk)?)?;
    }
    writer.close()?;
    Ok(())
}

fn columns(rows: &[(String, Vec<f32>)]) -> Result<RecordBatch> {
    let mut ids = StringBuilder::new();
    let number = Field::new("item", DataType::Float32, false);
    let mut features = ListBuilder::new(Float32Builder::new()).with_field(number);
    for (id, feature) in rows {
        ids.append_value(id);
        features.values().append_slice(feature);
        features.append(true);
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(ids.finish()), Arc::new(features.finish())];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float32Type;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let rows: Vec<_> = (0..5000u16).map(|i| (format!("photo {i}.jpg"), vec![f32::from(i), -1.0, 0.5])).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.reopen().unwrap(), &rows).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen().unwrap()).unwrap().build().unwrap();
        let mut read = Vec::new();
        for batch in reader {
            let batch = batch.unwrap();
            let (ids, features) = (batch.column(0).as_string::<i32>(), batch.column(1).as_list::<i32>());
            for i in 0..batch.num_rows() {
                let feature = features.value(i).as_primitive::<Float32Type>().values().to_vec();
                read.push((ids.value(i).to_owned(), feature));
            }
        }
        assert_eq!(read, rows);
    }
}

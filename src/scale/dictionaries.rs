//! A look at the dictionaries of a column before the general reader takes room for them: a damaged one claims billions of
//! entries in a few bytes.

use std::sync::Arc;

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::serialized_reader::SerializedPageReader;

use super::input::Input;

/// Refuses a dictionary with more entries than bytes, in these groups of the columns at these places of the schema.
pub fn check(metadata: &ArrowReaderMetadata, file: &Input, groups: &[usize], roots: &[usize]) -> Result<()> {
    let schema = metadata.parquet_schema();
    for &group in groups {
        let group = metadata.metadata().row_group(group);
        let rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
        for leaf in (0..schema.num_columns()).filter(|&leaf| roots.contains(&schema.get_column_root_idx(leaf))) {
            let mut pages = SerializedPageReader::new(Arc::new(file.try_clone()?), group.column(leaf), rows, None)?;
            while let Some(next) = pages.peek_next_page()? {
                if !next.is_dict {
                    pages.skip_next_page()?;
                } else if let Some(Page::DictionaryPage { buf, num_values, .. }) = pages.get_next_page()?
                    && num_values as usize > buf.len()
                {
                    let cause = format!("a dictionary claims {num_values} entries in {} bytes", buf.len());
                    return Err(ParquetError::General(cause));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float32Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

    use super::{Input, check};

    const ENTRIES: u32 = 20_000;
    /// As the page header holds the number: twice it, seven bits a byte.
    const WRITTEN: [u8; 3] = [0xc0, 0xb8, 0x02];
    const A_MILLION_AND_MORE: [u8; 3] = [0xfe, 0xff, 0x7f];

    fn checked(file: &[u8]) -> parquet::errors::Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.parquet");
        std::fs::write(&path, file).unwrap();
        let metadata =
            ArrowReaderMetadata::load(&std::fs::File::open(&path).unwrap(), ArrowReaderOptions::default()).unwrap();
        check(&metadata, &Input::open(&path).unwrap(), &[0], &[0])
    }

    #[test]
    fn a_dictionary_with_more_entries_than_bytes_is_refused() {
        let scores: ArrayRef = Arc::new(Float32Array::from_iter_values((0..ENTRIES).map(|i| i as f32)));
        let batch = RecordBatch::try_from_iter([("score", scores)]).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        checked(&file).unwrap();
        let at = file.windows(3).position(|bytes| bytes == WRITTEN).unwrap();
        assert!(at < 64, "in the header of the first page");
        file[at..at + 3].copy_from_slice(&A_MILLION_AND_MORE);
        let refused = checked(&file).unwrap_err().to_string();
        assert!(refused.contains("a dictionary claims 1048575 entries in 80000 bytes"), "{refused}");
    }
}

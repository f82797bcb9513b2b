//! Checks page headers before the general reader allocates what they claim: a damaged header can claim gigabytes or billions
//! of entries in a few bytes.

use std::io::{BufReader, Read};

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::ChunkReader;

use super::input::Input;
use super::thrift::{Compact, I32, STRUCT};

/// Writers make pages of about a megabyte; for pages larger than this, the compression ratio is limited.
const LARGE: u64 = 64 << 20;
const MOST_SHRUNK: u64 = 1000;

/// Refuses impossible pages in the given row groups and columns.
pub fn check(metadata: &ArrowReaderMetadata, file: &Input, groups: &[usize], roots: &[usize]) -> Result<()> {
    let schema = metadata.parquet_schema();
    for &group in groups {
        let group = metadata.metadata().row_group(group);
        for leaf in (0..schema.num_columns()).filter(|&leaf| roots.contains(&schema.get_column_root_idx(leaf))) {
            let (start, length) = group.column(leaf).byte_range();
            let mut at = start;
            while at < start.saturating_add(length) {
                let page = Header::read(BufReader::with_capacity(512, file.get_read(at)?))?;
                page.check()?;
                at = at.saturating_add(page.length).saturating_add(page.stored);
            }
        }
    }
    Ok(())
}

/// The content of a page header.
#[derive(Debug, Default)]
struct Header {
    /// The length of the header in bytes.
    length: u64,
    stored: u64,
    /// The decompressed size in bytes.
    plain: u64,
    /// The number of dictionary entries.
    entries: u64,
}

impl Header {
    fn read(bytes: impl Read) -> Result<Self> {
        let mut header = Self::default();
        let mut compact = Compact::new(bytes);
        compact.fields(0, &mut |compact, id, kind| {
            match (id, kind) {
                (2, I32) => header.plain = compact.size()?,
                (3, I32) => header.stored = compact.size()?,
                (7, STRUCT) => compact.fields(1, &mut |compact, id, kind| match (id, kind) {
                    (1, I32) => compact.size().map(|entries| header.entries = entries),
                    _ => compact.skip(kind, 1),
                })?,
                _ => compact.skip(kind, 0)?,
            }
            Ok(())
        })?;
        header.length = compact.read();
        Ok(header)
    }

    fn check(&self) -> Result<()> {
        let Self { stored, plain, entries, .. } = *self;
        if plain > LARGE && plain / MOST_SHRUNK > stored {
            return Err(ParquetError::General(format!("a page claims {plain} bytes in {stored}")));
        }
        if entries > plain {
            return Err(ParquetError::General(format!("a dictionary claims {entries} entries in {plain} bytes")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float32Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

    use super::{Header, Input, check};

    const ENTRIES: u32 = 20_000;
    /// The number as a zigzag varint.
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

    #[test]
    fn a_page_that_claims_gigabytes_in_a_few_bytes_is_refused() {
        // A data page of this size, stored in 100 and in 2,100,000 bytes; its header is a struct with a list inside.
        let page = |stored: &[u8]| {
            let plain = [0x15, 0x80, 0x80, 0x80, 0x80, 0x08];
            [&[0x15, 0][..], &plain, &[0x15], stored, &[0x2c, 0x15, 2, 0x29, 0x15, 4, 0, 0]].concat()
        };
        let [small, large] = [page(&[0xc8, 1]), page(&[0xc0, 0xad, 0x80, 2])].map(|it| Header::read(&it[..]).unwrap());
        assert_eq!((small.plain, small.stored, small.length), (1 << 30, 100, page(&[0xc8, 1]).len() as u64));
        assert_eq!(small.check().unwrap_err().to_string(), "Parquet error: a page claims 1073741824 bytes in 100");
        assert!(large.stored > 2_100_000 && large.check().is_ok(), "{large:?}");
        for broken in [&[0x15, 1][..], &[0xff; 20], &[0x19, 0xf5, 0xff], &[0x1c; 100]] {
            assert!(Header::read(broken).is_err(), "{broken:?}");
        }
    }
}

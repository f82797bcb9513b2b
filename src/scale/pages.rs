//! A fast reader for columns of f32 lists: pages without nulls and with lists of equal length are copied directly. The
//! general reader expands two levels and a validity bit for each number, which takes several times longer than the
//! arithmetic of k-means. Everything unusual is left to that reader.

use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::file::serialized_reader::SerializedPageReader;

use super::data_file::FEATURE;
use super::input::Input;

/// Something this reader does not support; the general one reads it or reports the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusual;

/// Maximum values of a page; writers start a new one after about a megabyte, and damaged ones claim billions.
const LARGEST_PAGE: usize = 1 << 26;

pub struct PlainLists {
    pages: SerializedPageReader<Input>,
    dim: usize,
    max_definition: u64,
    dictionary: Vec<f32>,
    /// Values of the current row in earlier pages.
    in_row: usize,
    values: Values,
}

/// The rest of the current page.
enum Values {
    Plain { bytes: bytes::Bytes, at: usize },
    Decoded { values: Vec<f32>, at: usize },
}

impl PlainLists {
    /// Opens a column; `None` if it is of another kind.
    pub fn open(metadata: &ArrowReaderMetadata, file: &Input, group: usize, dim: usize) -> Option<Self> {
        let schema = metadata.parquet_schema();
        let root = metadata.schema().index_of(FEATURE).ok()?;
        let mut leaves = (0..schema.num_columns()).filter(|&leaf| schema.get_column_root_idx(leaf) == root);
        let leaf = leaves.next()?;
        let column = schema.column(leaf);
        let chunk = metadata.metadata().row_group(group).column(leaf);
        let readable = |encoding: Encoding| {
            use Encoding::{PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY};
            matches!(encoding, PLAIN | PLAIN_DICTIONARY | RLE_DICTIONARY | RLE)
        };
        let is_list_of_f32 =
            leaves.next().is_none() && column.physical_type() == Type::FLOAT && column.max_rep_level() == 1;
        if !is_list_of_f32 || !chunk.encodings().all(readable) {
            return None;
        }
        let rows = usize::try_from(metadata.metadata().row_group(group).num_rows()).ok()?;
        let pages = SerializedPageReader::new(Arc::new(file.try_clone().ok()?), chunk, rows, None).ok()?;
        Some(Self {
            pages,
            dim,
            max_definition: u64::try_from(column.max_def_level()).ok()?,
            dictionary: Vec::new(),
            in_row: 0,
            values: Values::Decoded { values: Vec::new(), at: 0 },
        })
    }

    /// Appends up to `rows` rows; fewer only at the end of the row group.
    pub fn read(&mut self, rows: usize, out: &mut Vec<f32>) -> Result<(), Unusual> {
        let wanted = rows * self.dim;
        while out.len() < wanted {
            if self.values.take(wanted - out.len(), out) == 0 && !self.turn_page()? {
                break;
            }
        }
        if out.len().is_multiple_of(self.dim) { Ok(()) } else { Err(Unusual) }
    }

    /// Reads the next page; returns `false` after the last one.
    fn turn_page(&mut self) -> Result<bool, Unusual> {
        let Some(page) = self.pages.get_next_page().map_err(|_| Unusual)? else {
            return Ok(false);
        };
        let count = page.num_values() as usize;
        if count > LARGEST_PAGE {
            return Err(Unusual);
        }
        match page {
            Page::DictionaryPage { buf, .. } => {
                self.dictionary = floats(&buf).collect();
            }
            Page::DataPage { buf, encoding, .. } => {
                let repetition = prefixed(&buf, 0)?;
                let definition = if self.max_definition > 0 {
                    prefixed(&buf, repetition.end)?
                } else {
                    repetition.end..repetition.end
                };
                let values = definition.end..buf.len();
                self.open_page(&buf, count, repetition, definition, values, encoding)?;
            }
            Page::DataPageV2 { buf, encoding, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let repetition = 0..rep_levels_byte_len as usize;
                let definition = repetition.end..repetition.end + def_levels_byte_len as usize;
                let values = definition.end..buf.len();
                self.open_page(&buf, count, repetition, definition, values, encoding)?;
            }
        }
        Ok(true)
    }

    fn open_page(
        &mut self,
        page: &bytes::Bytes,
        count: usize,
        repetition: Range<usize>,
        definition: Range<usize>,
        values: Range<usize>,
        encoding: Encoding,
    ) -> Result<(), Unusual> {
        let part = |range: Range<usize>| page.get(range).ok_or(Unusual);
        self.rows_are_whole(part(repetition)?, count)?;
        if self.max_definition > 0 {
            all_are(self.max_definition, part(definition)?, count)?;
        }
        let bytes = part(values.clone())?;
        self.values = match encoding {
            Encoding::PLAIN if bytes.len() == count * size_of::<f32>() => {
                Values::Plain { bytes: page.slice(values), at: 0 }
            }
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => {
                Values::Decoded { values: self.look_up(bytes, count)?, at: 0 }
            }
            _ => return Err(Unusual),
        };
        Ok(())
    }

    /// Checks that rows begin (level 0) exactly after every `dim` values.
    fn rows_are_whole(&mut self, levels: &[u8], count: usize) -> Result<(), Unusual> {
        let (dim, mut in_row) = (self.dim, self.in_row);
        runs(levels, 1, count, |level, length| {
            for _ in 0..if level == 0 { length } else { 1 } {
                let length = if level == 0 { 1 } else { length };
                let fits = if level == 0 { in_row == 0 } else { in_row > 0 && in_row + length <= dim };
                if !fits {
                    return Err(Unusual);
                }
                in_row = (in_row + length) % dim;
            }
            Ok(())
        })?;
        self.in_row = in_row;
        Ok(())
    }

    fn look_up(&self, bytes: &[u8], count: usize) -> Result<Vec<f32>, Unusual> {
        let (&width, indices) = bytes.split_first().ok_or(Unusual)?;
        let mut values = Vec::with_capacity(count.min(1 << 22));
        runs(indices, u32::from(width), count, |index, length| {
            let value = self.dictionary.get(usize::try_from(index).map_err(|_| Unusual)?).ok_or(Unusual)?;
            values.extend(std::iter::repeat_n(*value, length));
            Ok(())
        })?;
        Ok(values)
    }
}

impl Values {
    /// Appends up to `wanted` values and returns how many.
    fn take(&mut self, wanted: usize, out: &mut Vec<f32>) -> usize {
        match self {
            Self::Plain { bytes, at } => {
                let some = wanted.min((bytes.len() - *at) / size_of::<f32>());
                out.extend(floats(&bytes[*at..*at + some * size_of::<f32>()]));
                *at += some * size_of::<f32>();
                some
            }
            Self::Decoded { values, at } => {
                let some = wanted.min(values.len() - *at);
                out.extend_from_slice(&values[*at..*at + some]);
                *at += some;
                some
            }
        }
    }
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word))
}

/// The range of levels that are prefixed with their length in four bytes.
fn prefixed(page: &[u8], at: usize) -> Result<Range<usize>, Unusual> {
    let length = page.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Unusual)?;
    let begin = at + 4;
    let end = begin.checked_add(u32::from_le_bytes(*length) as usize).ok_or(Unusual)?;
    if end <= page.len() { Ok(begin..end) } else { Err(Unusual) }
}

fn all_are(level: u64, levels: &[u8], count: usize) -> Result<(), Unusual> {
    let width = u64::BITS - level.leading_zeros();
    runs(levels, width, count, |found, _| if found == level { Ok(()) } else { Err(Unusual) })
}

/// Decodes Parquet's hybrid of run-length and bit-packed values: calls `each(value, count)` until `count` values are
/// decoded.
fn runs(
    mut bytes: &[u8],
    width: u32,
    count: usize,
    mut each: impl FnMut(u64, usize) -> Result<(), Unusual>,
) -> Result<(), Unusual> {
    if width > 32 {
        return Err(Unusual);
    }
    let mut left = count;
    while left > 0 {
        let header = varint(&mut bytes)?;
        let length = usize::try_from(header >> 1).map_err(|_| Unusual)?;
        if length == 0 {
            return Err(Unusual);
        }
        if header & 1 == 0 {
            let (value, rest) = bytes.split_at_checked(width.div_ceil(8) as usize).ok_or(Unusual)?;
            let value = value.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
            bytes = rest;
            each(value, length.min(left))?;
            left -= length.min(left);
        } else {
            // Groups of eight values take `width` bytes each; writers may truncate the last group.
            let size = length.checked_mul(width as usize).ok_or(Unusual)?.min(bytes.len());
            let (packed, rest) = bytes.split_at(size);
            bytes = rest;
            let told = length.saturating_mul(8).min(left);
            unpack(packed, width, told, &mut each)?;
            left -= told;
        }
    }
    Ok(())
}

fn unpack(
    packed: &[u8],
    width: u32,
    count: usize,
    each: &mut impl FnMut(u64, usize) -> Result<(), Unusual>,
) -> Result<(), Unusual> {
    let (mut window, mut bits) = (0u64, 0u32);
    let mut bytes = packed.iter();
    // Equal neighbours are reported together, because the levels of long lists are nearly all equal.
    let (mut value, mut length) = (0u64, 0usize);
    for _ in 0..count {
        while bits < width {
            window |= u64::from(*bytes.next().ok_or(Unusual)?) << bits;
            bits += 8;
        }
        let next = window & ((1u64 << width) - 1);
        window >>= width;
        bits -= width;
        if next != value && length > 0 {
            each(value, length)?;
            length = 0;
        }
        value = next;
        length += 1;
    }
    if length > 0 { each(value, length) } else { Ok(()) }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Unusual> {
    let mut value = 0u64;
    for shift in (0..).step_by(7).take(5) {
        let (&byte, rest) = bytes.split_first().ok_or(Unusual)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Unusual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8], width: u32, count: usize) -> Result<Vec<u64>, Unusual> {
        let mut all = Vec::new();
        runs(bytes, width, count, |value, length| {
            all.extend(std::iter::repeat_n(value, length));
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn runs_and_packed_bits_are_told_in_order() {
        // A run of five 1s, then the packed values 0 to 7 of three bits, as in the format's example.
        let bytes = [0b1010, 1, 0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(told(&bytes, 3, 13), Ok(vec![1, 1, 1, 1, 1, 0, 1, 2, 3, 4, 5, 6, 7]));
    }

    #[test]
    fn bytes_that_end_too_early_are_refused() {
        assert_eq!(told(&[0b1010], 3, 5), Err(Unusual));
        assert_eq!(told(&[0b11, 0xff], 8, 8), Err(Unusual));
        assert_eq!(told(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01], 1, 1), Err(Unusual));
        assert_eq!(told(&[], 1, 1), Err(Unusual));
        assert_eq!(told(&[0, 1], 1, 1), Err(Unusual), "a run of nothing would never end");
    }
}

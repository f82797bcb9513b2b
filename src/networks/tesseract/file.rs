//! The parts of a `.traineddata` file, and numbers read from the front of one.

use crate::graph::GraphError;

type Result<T> = std::result::Result<T, GraphError>;

/// Numbers of parts in the table at the front of the file.
pub(super) const NETWORK: usize = 17;
pub(super) const CHARACTERS: usize = 21;
pub(super) const CODES: usize = 22;

/// The table has 24 entries today.
const MOST_PARTS: usize = 64;
/// Weights of one layer at most; the largest published has 1.3 million.
const MOST_WEIGHTS: usize = 1 << 26;

/// Flags of a matrix of weights.
const INTEGERS: u8 = 1;
const DOUBLES: u8 = 128;

/// The part of a number, which ends where the next one begins.
pub(super) fn part(file: &[u8], number: usize) -> Result<Option<&[u8]>> {
    let mut table = Bytes::new(file);
    let count = table.i32()?;
    let count = usize::try_from(count).ok().filter(|count| (1..=MOST_PARTS).contains(count));
    let count = count.ok_or(GraphError::Format { format: "a traineddata" })?;
    let starts: Vec<i64> = (0..count).map(|_| table.i64()).collect::<Result<_>>()?;
    let Some(start) = starts.get(number).and_then(|start| usize::try_from(*start).ok()) else { return Ok(None) };
    let starts = starts.iter().filter_map(|start| usize::try_from(*start).ok());
    let end = starts.filter(|other| *other > start).min().unwrap_or(file.len());
    file.get(start..end).map(Some).ok_or(GraphError::Damaged { at: start })
}

/// Bytes read from the front.
#[derive(Debug)]
pub(super) struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.all.get(self.at..end)).ok_or(GraphError::Damaged { at: self.at })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// A count, which must be at most `most`.
    pub fn count(&mut self, what: &'static str, most: usize) -> Result<usize> {
        let count = u32::from_le_bytes(self.array()?) as usize;
        if count <= most { Ok(count) } else { Err(GraphError::TooLarge { what }) }
    }

    pub fn text(&mut self) -> Result<String> {
        let length = self.count("a name", 256)?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    pub fn skip(&mut self, count: usize) -> Result<()> {
        self.take(count).map(drop)
    }

    /// Weights as rows of `columns`: whole numbers with a scale for each row, or fractions. Also tells whether they are whole
    /// numbers.
    pub fn weights(&mut self, [rows, columns]: [usize; 2]) -> Result<(Vec<f32>, bool)> {
        let flags = self.u8()?;
        if flags & DOUBLES == 0 {
            return Err(GraphError::Operator { name: "weights of Tesseract before version 4".into() });
        }
        let found = [self.count("a matrix", MOST_WEIGHTS)?, self.count("a matrix", MOST_WEIGHTS)?];
        if found != [rows, columns] {
            let problem = format!("{found:?} where {:?} belong", [rows, columns]);
            return Err(GraphError::Tensor { name: "weights".into(), problem });
        }
        let (integers, count) = (flags & INTEGERS != 0, rows * columns);
        // The value of cells that are not stored, of which there are none.
        self.skip(if integers { 1 } else { 8 })?;
        let weights: Vec<f32> = if integers {
            let bytes = self.take(count)?;
            // Tiles are padded, and so may the scales be.
            let stored = self.count("scales", MOST_WEIGHTS)?;
            let scales = self.doubles(stored)?;
            let of_row = |(row, scale): (&[u8], &f64)| {
                row.iter().map(|v| (f64::from(*v as i8) * scale) as f32).collect::<Vec<_>>()
            };
            bytes.chunks_exact(columns.max(1)).zip(&scales).flat_map(of_row).collect()
        } else {
            self.doubles(count)?.into_iter().map(|v| v as f32).collect()
        };
        if weights.len() == count && weights.iter().all(|weight| weight.is_finite()) {
            return Ok((weights, integers));
        }
        Err(GraphError::Tensor { name: "weights".into(), problem: "numbers are missing or infinite".into() })
    }

    fn doubles(&mut self, count: usize) -> Result<Vec<f64>> {
        let bytes = self.take(count.checked_mul(8).ok_or(GraphError::TooLarge { what: "a matrix" })?)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }
}

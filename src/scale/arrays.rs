//! Features in `.npy` files: a matrix with one row per item, and ids from another such file or by row number.

use std::path::{Path, PathBuf};

use parquet::file::reader::{ChunkReader as _, Length as _};

use super::error::{RowError, ScaleError};
use super::input::Input;
use base::npy::{Header, is_array};

/// Rows per part: arrays have no row groups, so they are read and sampled in parts of this size.
const GROUP_ROWS: u64 = 1 << 16;

/// A matrix of features.
#[derive(Debug, Clone)]
pub struct Array {
    header: Header,
    ids: Option<Ids>,
}

/// A list of ids, one per row.
#[derive(Debug, Clone)]
struct Ids {
    path: PathBuf,
    header: Header,
}

impl Array {
    /// Opens an array; `None` if the file is not one.
    pub fn open(path: &Path, file: &Input) -> Result<Option<Self>, ScaleError> {
        let start = file.get_bytes(0, (file.len() as usize).min(6)).unwrap_or_default();
        if !is_array(&start) {
            return Ok(None);
        }
        let header = header_of(path, file)?;
        if !header.items.are_numbers() || header.shape.len() != 2 || header.shape[1] == 0 {
            return Err(wrong(path, format!("an array of shape {:?}; features are numbers, a row each", header.shape)));
        }
        Ok(Some(Self { header, ids: None }))
    }

    /// Takes the ids of the rows from another file.
    pub fn take_ids(&mut self, path: &Path) -> Result<(), ScaleError> {
        let header = header_of(path, &Input::open(path)?)?;
        if header.shape != [self.rows() as usize] {
            let cause = format!("an array of shape {:?}; ids are a list of {}", header.shape, self.rows());
            return Err(wrong(path, cause));
        }
        self.ids = Some(Ids { path: path.to_owned(), header });
        Ok(())
    }

    pub fn rows(&self) -> u64 {
        self.header.shape[0] as u64
    }

    pub fn dim(&self) -> usize {
        self.header.shape[1]
    }

    /// The number of rows of each part.
    pub fn group_rows(&self) -> Vec<u64> {
        let parts = self.rows().div_ceil(GROUP_ROWS);
        (0..parts).map(|part| GROUP_ROWS.min(self.rows() - part * GROUP_ROWS)).collect()
    }

    /// The ids of some rows; without ids, the row numbers.
    pub fn ids(&self, first: u64, count: usize) -> Result<Vec<String>, ScaleError> {
        let Some(Ids { path, header }) = &self.ids else {
            return Ok((first..first + count as u64).map(|row| row.to_string()).collect());
        };
        let bytes = items(path, &Input::open(path)?, header, first as usize, count)?;
        let ids = bytes.chunks_exact(header.items.size()).map(|item| header.items.text(item));
        let odd = || wrong(path, format!("`{:?}` is no type for ids; they are texts or whole numbers", header.items));
        ids.collect::<Option<_>>().ok_or_else(odd)
    }
}

/// Reads the rows of one part.
pub struct ArrayReader {
    path: PathBuf,
    file: Input,
    array: Array,
    first: u64,
    rows: u64,
}

impl ArrayReader {
    pub fn open(path: &Path, array: &Array, group: usize) -> Result<Self, ScaleError> {
        let rows = array.group_rows().get(group).copied().unwrap_or(0);
        let (file, first) = (Input::open(path)?, group as u64 * GROUP_ROWS);
        Ok(Self { path: path.to_owned(), file, array: array.clone(), first, rows })
    }

    /// Fills `values`, and `ids` if requested, with rows from `from` on, counted from the start of the part.
    pub fn read(
        &self,
        from: u64,
        rows: usize,
        values: &mut Vec<f32>,
        ids: Option<&mut Vec<String>>,
    ) -> Result<(), ArrayError> {
        let rows = rows.min((self.rows - from.min(self.rows)) as usize);
        let (header, dim, first) = (&self.array.header, self.array.dim(), self.first + from);
        let bytes = items(&self.path, &self.file, header, first as usize * dim, rows * dim)?;
        let mut numbers = Vec::with_capacity(rows * dim);
        header.items.numbers(&bytes, &mut numbers);
        if let Some(at) = numbers.iter().position(|v| v.is_finite() && v.abs() > f64::from(f32::MAX)) {
            return Err(ArrayError::Row((at / dim) as u64, RowError::TooLarge { position: at % dim }));
        }
        values.extend(numbers.iter().map(|v| *v as f32));
        if let Some(ids) = ids {
            *ids = self.array.ids(first, rows)?;
        }
        Ok(())
    }
}

/// The cause of a failure: a row of the part, or the file.
#[derive(Debug)]
pub enum ArrayError {
    Row(u64, RowError),
    File(ScaleError),
}

impl From<ScaleError> for ArrayError {
    fn from(error: ScaleError) -> Self {
        Self::File(error)
    }
}

fn header_of(path: &Path, file: &Input) -> Result<Header, ScaleError> {
    let mut start = file.get_read(0).map_err(|error| wrong(path, error.to_string()))?;
    let header = Header::read(&mut start).map_err(ScaleError::io(path))?;
    header.check_length(file.len()).map_err(ScaleError::io(path))?;
    Ok(header)
}

fn items(path: &Path, file: &Input, header: &Header, first: usize, count: usize) -> Result<bytes::Bytes, ScaleError> {
    if count == 0 {
        return Ok(bytes::Bytes::new());
    }
    let size = header.items.size();
    let bytes = file.get_bytes(header.data_offset + (first * size) as u64, count * size);
    bytes.map_err(|error| wrong(path, error.to_string()))
}

fn wrong(path: &Path, cause: String) -> ScaleError {
    ScaleError::Io { path: path.to_owned(), cause: std::io::Error::new(std::io::ErrorKind::InvalidData, cause) }
}

//! The interface between networks and weight files: tensors by name, and the errors of reading them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("{}: {source}", file.display())]
    Io { file: PathBuf, source: std::io::Error },
    #[error("{}: cut short: {what}", file.display())]
    Truncated { file: PathBuf, what: String },
    #[error("{}: not a weights file that can be read: {why}", file.display())]
    Format { file: PathBuf, why: String },
    #[error("{}: no tensor `{name}`", file.display())]
    Missing { file: PathBuf, name: String },
    #[error("{}: tensor `{name}` has shape {found:?}, expected {expected:?}", file.display())]
    Shape { file: PathBuf, name: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("{}: tensor `{name}` is not part of the network{}", file.display(), more(*others))]
    Unknown { file: PathBuf, name: String, others: usize },
    #[error("{}: tensor `{name}`: {why}", file.display())]
    Tensor { file: PathBuf, name: String, why: String },
    #[error("{}: {why}", file.display())]
    Config { file: PathBuf, why: String },
}

fn more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" (nor are {others} more)") }
}

/// A file of named tensors; each is read on request.
pub trait Checkpoint: Send + Sync {
    fn file(&self) -> PathBuf;
    fn names(&self) -> Vec<String>;
    fn shape(&self, name: &str) -> Option<Vec<usize>>;
    /// The tensor in row-major order, as f32.
    fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError>;

    /// Rows of a matrix, one after the other. Files that can read them alone do.
    fn read_rows(&self, name: &str, rows: &[u32]) -> Result<Vec<f32>, WeightsError> {
        let width = row_width(self, name, rows)?;
        let all = self.read(name)?;
        Ok(rows.iter().flat_map(|&row| &all[row as usize * width..][..width]).copied().collect())
    }
}

/// The length of the rows of a matrix that has all of these.
pub(crate) fn row_width(file: &(impl Checkpoint + ?Sized), name: &str, rows: &[u32]) -> Result<usize, WeightsError> {
    let shape = file.shape(name).ok_or_else(|| WeightsError::Missing { file: file.file(), name: name.to_owned() })?;
    let most = rows.iter().max().map_or(0, |row| *row as usize);
    match *shape.as_slice() {
        [count, width] if most < count => Ok(width),
        _ => {
            let why = format!("has shape {shape:?}, which has no row {most}");
            Err(WeightsError::Tensor { file: file.file(), name: name.to_owned(), why })
        }
    }
}

/// Records which tensors of a checkpoint a network took. Tensors left over at the end are an error.
pub struct Ledger<'a> {
    checkpoint: &'a dyn Checkpoint,
    taken: RefCell<BTreeSet<String>>,
}

impl<'a> Ledger<'a> {
    pub fn new(checkpoint: &'a dyn Checkpoint) -> Self {
        Self { checkpoint, taken: RefCell::default() }
    }

    pub fn root(&self) -> Names<'_> {
        Names { ledger: self, prefix: String::new() }
    }

    /// Fails if a tensor was not taken, unless `forgiven` accepts its name.
    pub fn close(self, forgiven: impl Fn(&str) -> bool) -> Result<(), WeightsError> {
        let taken = self.taken.into_inner();
        let mut left = self.checkpoint.names().into_iter().filter(|name| !taken.contains(name) && !forgiven(name));
        match left.next() {
            None => Ok(()),
            Some(name) => Err(WeightsError::Unknown { file: self.checkpoint.file(), name, others: left.count() }),
        }
    }
}

impl std::fmt::Debug for Ledger<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("file", &self.checkpoint.file()).finish_non_exhaustive()
    }
}

/// A prefix of tensor names, such as `backbone.4.0`.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    ledger: &'a Ledger<'a>,
    prefix: String,
}

impl<'a> Names<'a> {
    #[must_use]
    pub fn under(&self, part: impl std::fmt::Display) -> Names<'a> {
        Names { ledger: self.ledger, prefix: format!("{}{part}.", self.prefix) }
    }

    pub fn file(&self) -> PathBuf {
        self.ledger.checkpoint.file()
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn has(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.ledger.checkpoint.shape(&self.full(name))
    }

    /// The shape of a required tensor of `N` dimensions.
    pub fn dims<const N: usize>(&self, name: &str) -> Result<[usize; N], WeightsError> {
        let (file, name) = (self.file(), self.full(name));
        let Some(found) = self.ledger.checkpoint.shape(&name) else {
            return Err(WeightsError::Missing { file, name });
        };
        let why = format!("has shape {found:?}, expected {N} dimensions");
        found.try_into().map_err(|_| WeightsError::Tensor { file, name, why })
    }

    pub fn take(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let (file, name) = (self.file(), self.full(name));
        match self.ledger.checkpoint.shape(&name) {
            None => return Err(WeightsError::Missing { file, name }),
            Some(found) if found != expected => {
                return Err(WeightsError::Shape { file, name, expected: expected.to_vec(), found });
            }
            Some(_) => {}
        }
        let values = self.ledger.checkpoint.read(&name)?;
        self.ledger.taken.borrow_mut().insert(name);
        Ok(values)
    }

    /// Marks a tensor as taken without reading it.
    pub fn skip(&self, name: &str) {
        self.ledger.taken.borrow_mut().insert(self.full(name));
    }
}

/// All tensors of a checkpoint, for candle's modules.
pub fn var_builder(
    checkpoint: &dyn Checkpoint,
    dtype: DType,
    device: &Device,
) -> Result<VarBuilder<'static>, WeightsError> {
    let mut tensors = std::collections::HashMap::new();
    for name in checkpoint.names() {
        let shape = checkpoint.shape(&name).unwrap_or_default();
        let values = checkpoint.read(&name)?;
        let tensor = Tensor::from_vec(values, shape, device).and_then(|tensor| tensor.to_dtype(dtype));
        let tensor = tensor.map_err(|error| WeightsError::Tensor {
            file: checkpoint.file(),
            name: name.clone(),
            why: error.to_string(),
        })?;
        tensors.insert(name, tensor);
    }
    Ok(VarBuilder::from_tensors(tensors, dtype, device))
}

/// A checkpoint in memory, for tests and training.
#[derive(Debug, Default)]
pub struct InMemory {
    pub tensors: std::collections::BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Checkpoint for InMemory {
    fn file(&self) -> PathBuf {
        PathBuf::from("(memory)")
    }

    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|(shape, _)| shape.clone())
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        match self.tensors.get(name) {
            Some((_, values)) => Ok(values.clone()),
            None => Err(WeightsError::Missing { file: self.file(), name: name.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> InMemory {
        let mut memory = InMemory::default();
        memory.tensors.insert("head.0.weight".into(), (vec![2, 3], vec![0.5; 6]));
        memory.tensors.insert("head.0.bias".into(), (vec![2], vec![0.0; 2]));
        memory
    }

    #[test]
    fn each_failure_names_the_tensor() {
        let memory = sample();
        let ledger = Ledger::new(&memory);
        let head = ledger.root().under("head").under(0);
        assert_eq!(head.take("scale", &[2]).unwrap_err().to_string(), "(memory): no tensor `head.0.scale`");
        assert_eq!(
            head.take("weight", &[3, 2]).unwrap_err().to_string(),
            "(memory): tensor `head.0.weight` has shape [2, 3], expected [3, 2]"
        );
        assert_eq!(head.take("weight", &[2, 3]).unwrap().len(), 6);
        let left = ledger.close(|_| false).unwrap_err();
        assert_eq!(left.to_string(), "(memory): tensor `head.0.bias` is not part of the network");
    }

    #[test]
    fn a_ledger_closes_when_every_tensor_was_taken() {
        let memory = sample();
        let ledger = Ledger::new(&memory);
        let head = ledger.root().under("head").under(0);
        head.take("weight", &[2, 3]).unwrap();
        head.skip("bias");
        assert!(ledger.close(|_| false).is_ok());
    }
}

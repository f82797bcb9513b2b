//! Embeddings of unit length, for which Euclidean and cosine distance are equivalent: d² = 2·(1 − cos).

use std::borrow::Cow;
use std::sync::Arc;

use rayon::prelude::*;

use super::ClusterError;

/// The norm below which a vector counts as zero. It has no direction, and its cosine with every vector is 0.
const ZERO_NORM: f64 = 1e-10;

/// By how much the norm of a row of unit length may differ from 1.
const UNIT: f64 = 1e-6;

/// One L2-normalised row of `dim` numbers per photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    rows: Rows,
    dim: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Rows {
    Matrix(Vec<f32>),
    /// Rows that others hold, too: the embeddings of a library take most of the memory.
    Shared(Vec<Arc<[f32]>>),
}

impl Embeddings {
    /// Normalises row-major numbers, `dim` per photo. Refuses numbers that are not finite, and input without any
    /// nonzero row.
    pub fn new(rows: &[f32], dim: usize) -> Result<Self, ClusterError> {
        if dim == 0 || !rows.len().is_multiple_of(dim) {
            return if rows.is_empty() {
                Self::of(&[], dim)
            } else {
                Err(ClusterError::Ragged { numbers: rows.len(), dim })
            };
        }
        Self::of(&rows.chunks_exact(dim).collect::<Vec<_>>(), dim)
    }

    fn of(rows: &[&[f32]], dim: usize) -> Result<Self, ClusterError> {
        let norms = norms(rows, dim)?;
        let mut unit = Vec::with_capacity(rows.len() * dim);
        for (row, norm) in rows.iter().zip(norms) {
            let scale = if norm >= ZERO_NORM { 1.0 / norm } else { 0.0 };
            unit.extend(row.iter().map(|&value| (f64::from(value) * scale) as f32));
        }
        Ok(Self { rows: Rows::Matrix(unit), dim })
    }

    /// Takes rows of `dim` numbers without copying them if all are of unit length or zero; else as [`Self::new`].
    pub fn shared(rows: Vec<Arc<[f32]>>, dim: usize) -> Result<Self, ClusterError> {
        let slices: Vec<&[f32]> = rows.iter().map(AsRef::as_ref).collect();
        let are_units = norms(&slices, dim)?.iter().all(|&norm| (norm - 1.0).abs() <= UNIT || norm == 0.0);
        if are_units { Ok(Self { rows: Rows::Shared(rows), dim }) } else { Self::of(&slices, dim) }
    }

    /// The same as one matrix, for methods that go through all rows again and again.
    pub fn matrix(&self) -> Cow<'_, Self> {
        match &self.rows {
            Rows::Matrix(_) => Cow::Borrowed(self),
            Rows::Shared(rows) => Cow::Owned(Self { rows: Rows::Matrix(rows.concat()), dim: self.dim }),
        }
    }

    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Matrix(rows) => rows.len().checked_div(self.dim).unwrap_or(0),
            Rows::Shared(rows) => rows.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    pub fn row(&self, index: usize) -> &[f32] {
        match &self.rows {
            Rows::Matrix(rows) => &rows[index * self.dim..(index + 1) * self.dim],
            Rows::Shared(rows) => &rows[index],
        }
    }

    /// The numbers of rows `from..to`.
    pub(crate) fn span(&self, from: usize, to: usize) -> Cow<'_, [f32]> {
        match &self.rows {
            Rows::Matrix(rows) => Cow::Borrowed(&rows[from * self.dim..to * self.dim]),
            Rows::Shared(rows) => Cow::Owned(rows[from..to].concat()),
        }
    }

    /// The rows at `indices`, in that order.
    #[must_use]
    pub fn subset(&self, indices: &[usize]) -> Self {
        let mut rows = Vec::new();
        self.gather(indices.iter().copied(), &mut rows);
        Self { rows: Rows::Matrix(rows), dim: self.dim }
    }

    /// Puts the rows at `indices` one behind the other in place of what is in `into`.
    pub(crate) fn gather(&self, indices: impl ExactSizeIterator<Item = usize>, into: &mut Vec<f32>) {
        into.clear();
        into.reserve(indices.len() * self.dim);
        indices.for_each(|index| into.extend_from_slice(self.row(index)));
    }

    pub fn cosine(&self, a: usize, b: usize) -> f64 {
        cosine(self.row(a), self.row(b))
    }

    /// The Euclidean distance, summed from differences in f64, because a difference of dot products would lose
    /// precision.
    pub fn distance(&self, a: usize, b: usize) -> f64 {
        squared_difference(self.row(a), self.row(b)).sqrt()
    }
}

/// The cosine of two vectors of unit length, or 0 where one is zero.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// The norms of rows of `dim` numbers. Refuses numbers that are not finite, and rows of zeros alone.
fn norms(rows: &[&[f32]], dim: usize) -> Result<Vec<f64>, ClusterError> {
    if let Some(row) = rows.iter().find(|row| row.len() != dim || dim == 0) {
        return Err(ClusterError::Ragged { numbers: row.len(), dim });
    }
    let norm = |row: &&[f32]| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let norms: Vec<f64> = rows.par_iter().map(norm).collect();
    // No sum of squares of numbers in single precision is too large for double precision.
    if let Some(row) = norms.iter().position(|norm| !norm.is_finite()) {
        let has_nan = rows[row].iter().any(|value| value.is_nan());
        return Err(if has_nan { ClusterError::NotANumber { row } } else { ClusterError::Infinite { row } });
    }
    if norms.is_empty() || norms.iter().any(|norm| *norm >= ZERO_NORM) { Ok(norms) } else { Err(ClusterError::AllZero) }
}

pub(crate) fn squared_difference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum()
}

/// Dot product in f32. Embeddings have hundreds of numbers, so the sums are short enough for it.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    f64::from(kernels::gram::dot(kernels::Cpu::best(), a, b))
}

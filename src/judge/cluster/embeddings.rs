//! Embeddings of unit length, for which Euclidean and cosine distance are equivalent: d² = 2·(1 − cos).

use super::ClusterError;

/// The norm below which a vector counts as zero. It has no direction, and its cosine with every vector is 0.
const ZERO_NORM: f64 = 1e-10;

/// A matrix with one L2-normalised row of `dim` numbers per photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    rows: Vec<f32>,
    dim: usize,
}

impl Embeddings {
    /// Normalises row-major numbers, `dim` per photo. Refuses numbers that are not finite, and input without any
    /// nonzero row.
    pub fn new(rows: &[f32], dim: usize) -> Result<Self, ClusterError> {
        if rows.is_empty() {
            return Ok(Self { rows: Vec::new(), dim });
        }
        if dim == 0 || !rows.len().is_multiple_of(dim) {
            return Err(ClusterError::Ragged { numbers: rows.len(), dim });
        }
        if let Some(at) = rows.iter().position(|value| value.is_nan()) {
            return Err(ClusterError::NotANumber { row: at / dim });
        }
        if let Some(at) = rows.iter().position(|value| value.is_infinite()) {
            return Err(ClusterError::Infinite { row: at / dim });
        }
        let mut unit = Vec::with_capacity(rows.len());
        let mut any_direction = false;
        for row in rows.chunks_exact(dim) {
            let norm = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            any_direction |= norm >= ZERO_NORM;
            let scale = if norm >= ZERO_NORM { 1.0 / norm } else { 0.0 };
            unit.extend(row.iter().map(|&value| (f64::from(value) * scale) as f32));
        }
        if any_direction { Ok(Self { rows: unit, dim }) } else { Err(ClusterError::AllZero) }
    }

    pub fn len(&self) -> usize {
        self.rows.len().checked_div(self.dim).unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    pub fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.dim..(index + 1) * self.dim]
    }

    /// The numbers of rows `from..to`.
    pub(crate) fn span(&self, from: usize, to: usize) -> &[f32] {
        &self.rows[from * self.dim..to * self.dim]
    }

    /// The rows at `indices`, in that order.
    #[must_use]
    pub fn subset(&self, indices: &[usize]) -> Self {
        let rows = indices.iter().flat_map(|&index| self.row(index)).copied().collect();
        Self { rows, dim: self.dim }
    }

    pub fn cosine(&self, a: usize, b: usize) -> f64 {
        self.row(a).iter().zip(self.row(b)).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    }

    /// The Euclidean distance, summed from differences in f64, because a difference of dot products would lose
    /// precision.
    pub fn distance(&self, a: usize, b: usize) -> f64 {
        squared_difference(self.row(a), self.row(b)).sqrt()
    }
}

pub(crate) fn squared_difference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum()
}

//! Rows of unit length: on them Euclidean and cosine distance say the same, d² = 2·(1 − cos).

use super::ClusterError;

/// Shorter than this is a zero vector: it has no direction and stays zero, at cosine 0 from everything.
const ZERO_NORM: f64 = 1e-10;

/// `len` rows of `dim` numbers, each L2-normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    rows: Vec<f32>,
    dim: usize,
}

impl Embeddings {
    /// From row-major numbers, `dim` a photo. Refuses what has no meaning as a direction.
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

    /// Rows `from..to`, row-major.
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

    /// Euclidean, summed from differences in f64: exact where a difference of dot products would cancel.
    pub fn distance(&self, a: usize, b: usize) -> f64 {
        squared_difference(self.row(a), self.row(b)).sqrt()
    }
}

pub(crate) fn squared_difference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum()
}

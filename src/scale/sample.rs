//! Samples of rows: uniform, or by their distance from centroids.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use super::exact::squared_distance;
use super::nearest::{Nearest, NearestScratch};
use super::sampling::{Drawn, Smallest, lot, share};

/// A sample of rows. `N` holds the centroids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sample<N> {
    /// A uniform sample.
    Uniform { wanted: usize, seed: u64 },
    /// Rows with probabilities proportional to the squared distance from the nearest centroid.
    Far { wanted: usize, seed: u64, nearest: N },
    /// The rows farthest from their centroids.
    Farthest { wanted: usize, nearest: N },
}

#[derive(Debug)]
pub struct SampledRows {
    /// The number of rows read.
    pub rows: u64,
    /// The squared length of the longest row.
    pub longest: f64,
    pub drawn: Smallest,
}

impl<N> Sample<N> {
    pub fn begin(&self) -> SampledRows {
        let (Self::Uniform { wanted, .. } | Self::Far { wanted, .. } | Self::Farthest { wanted, .. }) = *self;
        SampledRows { rows: 0, longest: 0.0, drawn: Smallest::new(wanted) }
    }
}

impl<N: Borrow<Nearest>> Sample<N> {
    /// Adds rows to the sample; `norms` are their squared lengths.
    pub fn take(
        &self,
        sampled: &mut SampledRows,
        dim: usize,
        rows: &[f32],
        norms: &[f64],
        scratch: &mut NearestScratch,
    ) {
        sampled.rows += norms.len() as u64;
        sampled.longest = norms.iter().fold(sampled.longest, |longest, &norm| longest.max(norm));
        let drawn = &mut sampled.drawn;
        let mut far = |nearest: &Nearest, key: &dyn Fn(&[f32], f64) -> f64| {
            nearest.assign(rows, norms, scratch, |row, cluster| {
                let row = &rows[row * dim..][..dim];
                let distance = squared_distance(row, nearest.centroids().row(cluster));
                if distance > 0.0 {
                    drawn.offer(key(row, distance), row, cluster);
                }
            });
        };
        match self {
            Self::Uniform { seed, .. } => {
                rows.chunks_exact(dim).for_each(|row| drawn.offer(share(lot(*seed, row)), row, 0));
            }
            Self::Far { seed, nearest, .. } => {
                far(nearest.borrow(), &|row, distance| share(lot(*seed, row)) / distance);
            }
            Self::Farthest { nearest, .. } => far(nearest.borrow(), &|_, distance| -distance),
        }
    }
}

impl SampledRows {
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.longest = self.longest.max(other.longest);
        self.drawn.merge(other.drawn);
    }

    /// The sampled rows, smallest key first.
    pub fn into_rows(self) -> Vec<Drawn> {
        self.drawn.into_rows()
    }
}

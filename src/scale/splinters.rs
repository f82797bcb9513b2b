//! Rows of clusters that are too large, which become further centroids.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use super::nearest::{Nearest, NearestScratch};
use super::sampling::{Smallest, lot, share};

/// A sample of rows from each of some clusters. `N` holds the centroids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splinters<N> {
    pub nearest: N,
    pub seed: u64,
    /// The clusters, ascending, and the number of rows to draw from each.
    pub wanted: Vec<(usize, usize)>,
}

#[derive(Debug)]
pub struct SplinterRows {
    /// The number of rows read.
    pub rows: u64,
    /// The drawn rows of each cluster.
    pub drawn: Vec<Smallest>,
}

impl<N> Splinters<N> {
    pub fn begin(&self) -> SplinterRows {
        SplinterRows { rows: 0, drawn: self.wanted.iter().map(|&(_, wanted)| Smallest::new(wanted)).collect() }
    }
}

impl<N: Borrow<Nearest>> Splinters<N> {
    /// Draws from more rows; `norms` are their squared lengths.
    pub fn take(
        &self,
        splinters: &mut SplinterRows,
        dim: usize,
        rows: &[f32],
        norms: &[f64],
        scratch: &mut NearestScratch,
    ) {
        splinters.rows += norms.len() as u64;
        self.nearest.borrow().assign(rows, norms, scratch, |row, cluster| {
            if let Ok(place) = self.wanted.binary_search_by_key(&cluster, |&(cluster, _)| cluster) {
                let row = &rows[row * dim..][..dim];
                splinters.drawn[place].offer(share(lot(self.seed, row)), row, cluster);
            }
        });
    }
}

impl SplinterRows {
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.drawn.iter_mut().zip(other.drawn).for_each(|(own, other)| own.merge(other));
    }
}

//! Counts the pairs of a sampled row and any row that are similar, and those of them that a division into parts keeps
//! together.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use super::nearest::{Nearest, NearestScratch};
use super::step::cosine;

/// `N` holds the centroids of a division, or the sampled rows. All rows have length 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampledPairs<N> {
    pub similarity: f64,
    /// Divisions into parts; a pair meets if it is in one part of any of them.
    pub divisions: Vec<N>,
    pub sample: N,
    /// For each division, the part of every sampled row.
    pub parts_of_sample: Vec<Vec<usize>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCounts {
    /// The number of rows read.
    pub rows: u64,
    pub pairs: u64,
    /// Those whose rows meet.
    pub met: u64,
}

impl<N: Borrow<Nearest>> SampledPairs<N> {
    /// Counts the pairs of more rows; `norms` are their squared lengths.
    pub fn take(&self, counts: &mut PairCounts, dim: usize, rows: &[f32], norms: &[f64], scratch: &mut NearestScratch) {
        counts.rows += norms.len() as u64;
        let sample = self.sample.borrow();
        let mut similar: Vec<(usize, usize)> = Vec::new();
        sample.close(rows, norms, self.similarity, scratch, |row, sampled| {
            if cosine(&rows[row * dim..][..dim], sample.centroids().row(sampled)) >= self.similarity {
                similar.push((row, sampled));
            }
        });
        counts.pairs += similar.len() as u64;
        // Only rows that are similar to a sampled one are looked up in the divisions; pairs are in the order of rows.
        let mut found: Vec<usize> = similar.iter().map(|&(row, _)| row).collect();
        found.dedup();
        let values: Vec<f32> = found.iter().flat_map(|&row| &rows[row * dim..][..dim]).copied().collect();
        let norms: Vec<f64> = found.iter().map(|&row| norms[row]).collect();
        let mut met = vec![false; similar.len()];
        for (division, of_sample) in self.divisions.iter().zip(&self.parts_of_sample) {
            let parts = division.borrow().parts(&values, &norms, scratch);
            for (met, (row, sampled)) in met.iter_mut().zip(&similar) {
                let place = found.binary_search(row).unwrap_or(0);
                *met |= parts[place] == of_sample[*sampled];
            }
        }
        counts.met += met.into_iter().filter(|met| *met).count() as u64;
    }
}

impl PairCounts {
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.pairs += other.pairs;
        self.met += other.met;
    }
}

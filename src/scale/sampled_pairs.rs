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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::squared_norm;
    use crate::nearest::Centroids;
    use base::random::SplitMix;

    #[test]
    fn pairs_are_those_of_trying_all() {
        const DIM: usize = 5;
        let mut chance = SplitMix(3);
        let mut unit = || {
            let row: Vec<f64> = (0..DIM).map(|_| chance.fraction() - 0.5).collect();
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter().map(|x| (x / length) as f32).collect::<Vec<f32>>()
        };
        let rows: Vec<Vec<f32>> = (0..400).map(|_| unit()).collect();
        let nearest = |rows: &[Vec<f32>]| Nearest::new(Centroids::new(DIM, rows.concat()));
        let norms = |rows: &[Vec<f32>]| rows.iter().map(|row| squared_norm(row)).collect::<Vec<_>>();
        let (sample, divisions) = (&rows[..30], [nearest(&rows[50..54]), nearest(&rows[60..67])]);
        let mut scratch = NearestScratch::default();
        let mut parts = |rows: &[Vec<f32>]| -> Vec<Vec<usize>> {
            divisions.iter().map(|division| division.parts(&rows.concat(), &norms(rows), &mut scratch)).collect()
        };
        let (of_rows, parts_of_sample) = (parts(&rows), parts(sample));
        let (mut pairs, mut met) = (0, 0);
        for (row, values) in rows.iter().enumerate() {
            for (sampled, other) in sample.iter().enumerate() {
                if cosine(values, other) >= 0.7 {
                    pairs += 1;
                    met += u64::from((0..2).any(|of| of_rows[of][row] == parts_of_sample[of][sampled]));
                }
            }
        }
        assert!(30 < pairs && met < pairs, "{met} of {pairs} meet");
        let sample = nearest(sample);
        let pass =
            SampledPairs { similarity: 0.7, divisions: divisions.iter().collect(), sample: &sample, parts_of_sample };
        let mut counts = PairCounts::default();
        for rows in rows.chunks(150) {
            pass.take(&mut counts, DIM, &rows.concat(), &norms(rows), &mut scratch);
        }
        assert_eq!(counts, PairCounts { rows: 400, pairs, met });
    }
}

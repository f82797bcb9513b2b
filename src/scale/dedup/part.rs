//! Finds duplicates among rows in memory: in the order of preference, each row is compared with the rows kept before it.

use std::collections::HashSet;

use super::{Keep, RemovalState, Removed, Rules};
use crate::exact::squared_distance;
use crate::nearest::share;
use crate::step::cosine;
use kernels::{Activation, Cpu, Engine, Linear, Precision, Scratch};

/// Rows per matrix product.
const BLOCK: usize = 256;

/// The number of rows that can be compared within a memory limit. Rows are held as read, sorted, in the order of preference,
/// and packed for the product (twice as large with AMX tiles).
pub fn rows_within(bytes: usize, dim: usize) -> usize {
    (bytes / (dim * size_of::<f32>() * 5 + 64)).max(BLOCK)
}

/// An upper bound on the error of a product of unit rows; pairs this close to the threshold are computed in f64.
pub(super) fn margin(engine: Engine, dim: usize) -> f64 {
    1.01 * share(engine, dim) + 1e-6
}

/// Rows of a part, in the order of the data.
#[derive(Debug)]
pub struct Rows {
    pub dim: usize,
    /// Row numbers in the data.
    pub numbers: Vec<u64>,
    pub values: Vec<f32>,
}

impl Rows {
    fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..][..self.dim]
    }
}

/// The kept rows, packed block by block for the product.
struct KeptBlock {
    indices: Vec<usize>,
    packed: Linear,
}

pub fn duplicates(rows: &Rows, centroid: &[f32], rules: &Rules, removal_state: &RemovalState) -> Vec<Removed> {
    let order = preference(rows, centroid, rules);
    let engine = Engine { cpu: Cpu::chosen().unwrap_or_else(|_| Cpu::best()), precision: Precision::Full };
    let (threshold, kept, scratch) = (rules.similarity, Vec::new(), Scratch::new(1));
    let mut search = Search { rows, removal_state, engine, threshold, kept, scratch };
    order.chunks(BLOCK).flat_map(|block| search.block(block)).collect()
}

fn preference(rows: &Rows, centroid: &[f32], rules: &Rules) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.numbers.len()).collect();
    let distances =
        || rows.values.chunks_exact(rows.dim).map(|row| squared_distance(row, centroid)).collect::<Vec<_>>();
    // The sort is stable, so of equal rows the first in the data comes first.
    match rules.keep {
        Keep::First => {}
        Keep::Nearest => {
            let distances = distances();
            order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
        }
        Keep::Farthest => {
            let distances = distances();
            order.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]));
        }
        Keep::Best => {
            let score = |i: usize| rules.scores.get(rows.numbers[i] as usize).copied().flatten();
            order.sort_by(|&a, &b| {
                let known = |score: Option<f32>| score.unwrap_or(f32::NEG_INFINITY);
                known(score(b)).total_cmp(&known(score(a)))
            });
        }
    }
    order
}

struct Search<'a> {
    rows: &'a Rows,
    removal_state: &'a RemovalState,
    engine: Engine,
    threshold: f64,
    kept: Vec<KeptBlock>,
    scratch: Scratch,
}

impl Search<'_> {
    /// Processes the next rows in the order of preference.
    fn block(&mut self, block: &[usize]) -> Vec<Removed> {
        let values: Vec<f32> = block.iter().flat_map(|&i| self.rows.row(i).iter().copied()).collect();
        let mut close: Vec<Vec<usize>> = vec![Vec::new(); block.len()];
        let kept = std::mem::take(&mut self.kept);
        for kept in &kept {
            self.near(&values, kept, false, &mut close);
        }
        let own = self.pack(block.to_vec());
        self.near(&values, &own, true, &mut close);
        self.kept = kept;
        let mut stays: Vec<usize> = Vec::new();
        let mut removed = Vec::new();
        let mut gone = HashSet::new();
        for (&i, close) in block.iter().zip(&close) {
            let others = close.iter().copied().filter(|other| !gone.contains(other));
            match self.closest(i, others).filter(|_| !self.removal_state.must_stay(self.rows.numbers[i])) {
                Some((other, cosine)) => {
                    gone.insert(i);
                    let (row, duplicate_of) = (self.rows.numbers[i], self.rows.numbers[other]);
                    removed.push(Removed { row, duplicate_of, cosine });
                }
                None => stays.push(i),
            }
        }
        if !stays.is_empty() {
            let kept = if stays.len() == block.len() { own } else { self.pack(stays) };
            self.kept.push(kept);
        }
        removed
    }

    fn pack(&self, indices: Vec<usize>) -> KeptBlock {
        let weights: Vec<f32> = indices.iter().flat_map(|&i| self.rows.row(i).iter().copied()).collect();
        let packed = Linear::new(self.engine, &weights, &vec![0.0; indices.len()]);
        KeptBlock { indices, packed }
    }

    /// Adds to each row's list the kept rows that may be similar enough; within a block only earlier rows.
    fn near(&mut self, values: &[f32], kept: &KeptBlock, own: bool, close: &mut [Vec<usize>]) {
        let mut products = vec![0.0f32; close.len() * kept.indices.len()];
        kept.packed.apply(values, &mut products, Activation::Identity, &mut self.scratch);
        let limit = (self.threshold - margin(self.engine, self.rows.dim)) as f32;
        for (place, (products, close)) in products.chunks_exact(kept.indices.len()).zip(close).enumerate() {
            let products = if own { &products[..place] } else { products };
            if largest(products) >= limit {
                let hits = products.iter().zip(&kept.indices).filter(|(product, _)| **product >= limit);
                close.extend(hits.map(|(_, &i)| i));
            }
        }
    }

    /// The most similar of some rows if it reaches the threshold; the first of equal ones.
    fn closest(&self, row: usize, others: impl Iterator<Item = usize>) -> Option<(usize, f64)> {
        let row = self.rows.row(row);
        let cosines = others.map(|other| (other, cosine(row, self.rows.row(other))));
        let similar = cosines.filter(|(_, cosine)| *cosine >= self.threshold);
        similar.reduce(|best, next| if next.1 > best.1 { next } else { best })
    }
}

/// The maximum, in lanes so that it vectorises; products are finite.
fn largest(products: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = products.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &product) in lanes.iter_mut().zip(chunk) {
            *lane = if product > *lane { product } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, &product| largest.max(product))
}

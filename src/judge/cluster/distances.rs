//! Squared distances in blocks of rows by matrix products, so that memory is needed for a few blocks only.

use std::ops::Range;

use rayon::prelude::*;

use super::embeddings::{Embeddings, squared_difference};
use kernels::gram::rows_times_rows;

/// The number of rows in a block. It is fixed so that sums do not depend on the number of threads; 256 x 20,000
/// products take 20 MB per thread.
pub const BLOCK: usize = 256;

/// The share of |a|² + |b|² below which cancellation loses too many of f32's 24 bits, so that the distance is computed
/// from differences instead.
const CANCELS: f32 = 1e-3;

/// The blocks of `0..rows`, in order.
pub fn blocks(rows: usize) -> Vec<Range<usize>> {
    (0..rows.div_ceil(BLOCK)).map(|block| block * BLOCK..rows.min((block + 1) * BLOCK)).collect()
}

/// The squared norm of each row.
pub fn squared_norms(rows: &Embeddings) -> Vec<f32> {
    (0..rows.len()).map(|i| rows.row(i).iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() as f32).collect()
}

/// Writes the squared distances of rows `from` to rows `to` into `out`, row-major. The distance of a row to itself is
/// infinite.
pub fn squared(rows: &Embeddings, norms: &[f32], from: &Range<usize>, to: &Range<usize>, out: &mut Vec<f32>) {
    let width = to.len();
    out.resize(from.len() * width, 0.0);
    rows_times_rows(&rows.span(from.start, from.end), &rows.span(to.start, to.end), rows.dim(), out);
    for (i, line) in from.clone().zip(out.chunks_exact_mut(width)) {
        let own = norms[i];
        let mut nearest = f32::INFINITY;
        for (value, &other) in line.iter_mut().zip(&norms[to.clone()]) {
            *value = own + other - 2.0 * *value;
            nearest = nearest.min(*value - CANCELS * (own + other));
        }
        if nearest < 0.0 {
            for (j, value) in to.clone().zip(line.iter_mut()) {
                if *value < CANCELS * (own + norms[j]) {
                    *value = squared_difference(rows.row(i), rows.row(j)) as f32;
                }
            }
        }
        if to.contains(&i) {
            line[i - to.start] = f32::INFINITY;
        }
    }
}

/// Calls `visit(block, distances of its rows to all rows)` for every block in parallel; returns the results in order.
pub fn for_each_block<T: Send>(rows: &Embeddings, visit: impl Fn(Range<usize>, &[f32]) -> T + Sync) -> Vec<T> {
    let norms = squared_norms(rows);
    blocks(rows.len())
        .into_par_iter()
        .map_init(Vec::new, |buffer, block| {
            squared(rows, &norms, &block, &(0..rows.len()), buffer);
            visit(block, buffer)
        })
        .collect()
}

/// Calls `visit(i, distances of row i to all rows)` for every row, in parallel over blocks; returns the results in
/// order.
pub fn for_each_row<T: Send>(rows: &Embeddings, visit: impl Fn(usize, &[f32]) -> T + Sync) -> Vec<T> {
    let of_block = |block: Range<usize>, lines: &[f32]| -> Vec<T> {
        block.zip(lines.chunks_exact(rows.len())).map(|(i, line)| visit(i, line)).collect()
    };
    for_each_block(rows, of_block).into_iter().flatten().collect()
}

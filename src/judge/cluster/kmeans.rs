//! k-means with k-means++ seeding and Lloyd's algorithm, keeping the best of several starts by inertia.

use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::distances::{BLOCK, blocks};
use super::embeddings::{Embeddings, squared_difference};
use super::{ClusterError, MethodOutput};
use base::random::SplitMix;
use kernels::gram::rows_times_rows;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// The number of groups; with fewer photos than this, each photo is a group.
    pub n_clusters: usize,
    pub n_init: usize,
    pub max_iter: usize,
    /// Lloyd's algorithm stops when the squared movement of the centres is at most this times the mean variance of a
    /// coordinate.
    pub tol: f64,
    pub random_state: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { n_clusters: 10, n_init: 10, max_iter: 300, tol: 1e-4, random_state: 42 }
    }
}

pub(super) fn run(rows: &Embeddings, params: &Params) -> Result<MethodOutput, ClusterError> {
    for (parameter, value) in
        [("n_clusters", params.n_clusters), ("n_init", params.n_init), ("max_iter", params.max_iter)]
    {
        if value == 0 {
            return Err(ClusterError::Parameter { parameter, wanted: "at least 1" });
        }
    }
    let k = params.n_clusters.min(rows.len());
    let tolerance = params.tol.max(0.0) * mean_variance(rows);
    let mut random = SplitMix(params.random_state);
    let mut best: Option<Fit> = None;
    for _ in 0..params.n_init {
        let fit = lloyd(rows, seeds(rows, k, &mut random), params.max_iter, tolerance);
        if best.as_ref().is_none_or(|best| fit.inertia < best.inertia) {
            best = Some(fit);
        }
    }
    let mut output = MethodOutput::default();
    if let Some(fit) = best {
        output.labels = fit.labels.into_iter().map(|label| label as i32).collect();
        output.details.extra.insert("inertia".into(), json!(fit.inertia));
    }
    Ok(output)
}

struct Fit {
    labels: Vec<u32>,
    inertia: f64,
}

fn mean_variance(rows: &Embeddings) -> f64 {
    let (len, dim) = (rows.len() as f64, rows.dim());
    let (mut sum, mut squares) = (vec![0.0_f64; dim], vec![0.0_f64; dim]);
    for i in 0..rows.len() {
        for (k, &value) in rows.row(i).iter().enumerate() {
            sum[k] += f64::from(value);
            squares[k] += f64::from(value).powi(2);
        }
    }
    sum.iter().zip(&squares).map(|(s, q)| q / len - (s / len).powi(2)).sum::<f64>().max(0.0) / dim as f64
}

/// Greedy k-means++: of several candidates drawn in proportion to the squared distance, takes the one that lowers the
/// sum most.
fn seeds(rows: &Embeddings, k: usize, random: &mut SplitMix) -> Vec<f32> {
    let len = rows.len();
    let draws = 2 + (k as f64).ln() as usize;
    let distances_to = |at: usize| -> Vec<f64> {
        (0..len).into_par_iter().with_min_len(BLOCK).map(|i| squared_difference(rows.row(i), rows.row(at))).collect()
    };
    let first = (random.draw() % len as u64) as usize;
    let mut centres = rows.row(first).to_vec();
    let mut nearest = distances_to(first);
    for _ in 1..k {
        let total: f64 = nearest.iter().sum();
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..draws {
            let at = draw(&nearest, random.fraction() * total);
            let lowered: Vec<f64> = distances_to(at).iter().zip(&nearest).map(|(new, old)| new.min(*old)).collect();
            let sum = lowered.iter().sum();
            if best.as_ref().is_none_or(|(least, ..)| sum < *least) {
                best = Some((sum, at, lowered));
            }
        }
        if let Some((_, at, lowered)) = best {
            centres.extend_from_slice(rows.row(at));
            nearest = lowered;
        }
    }
    centres
}

/// The first index at which the running sum passes `target`.
fn draw(weights: &[f64], target: f64) -> usize {
    let mut sum = 0.0;
    for (at, weight) in weights.iter().enumerate() {
        sum += weight;
        if sum > target {
            return at;
        }
    }
    weights.len() - 1
}

fn lloyd(rows: &Embeddings, mut centres: Vec<f32>, max_iter: usize, tolerance: f64) -> Fit {
    let mut assignment = assign(rows, &centres);
    for _ in 0..max_iter {
        let moved = recentre(rows, &mut assignment, &mut centres);
        let next = assign(rows, &centres);
        let converged = moved <= tolerance || next.labels == assignment.labels;
        assignment = next;
        if converged {
            break;
        }
    }
    Fit { inertia: assignment.squared.iter().sum(), labels: assignment.labels }
}

struct Assignment {
    labels: Vec<u32>,
    squared: Vec<f64>,
}

/// Assigns every row to its nearest centre; ties go to the lower number.
fn assign(rows: &Embeddings, centres: &[f32]) -> Assignment {
    let dim = rows.dim();
    let k = centres.len() / dim;
    let norms: Vec<f32> = centres.chunks_exact(dim).map(|c| c.iter().map(|v| v * v).sum()).collect();
    let of_blocks: Vec<Vec<(u32, f64)>> = blocks(rows.len())
        .into_par_iter()
        .map(|block| {
            let mut products = vec![0.0; block.len() * k];
            rows_times_rows(&rows.span(block.start, block.end), centres, dim, &mut products);
            block
                .zip(products.chunks_exact(k))
                .map(|(i, line)| {
                    let (mut at, mut least) = (0, f32::INFINITY);
                    for (centre, (product, norm)) in line.iter().zip(&norms).enumerate() {
                        let value = norm - 2.0 * product;
                        if value < least {
                            (at, least) = (centre, value);
                        }
                    }
                    (at as u32, squared_difference(rows.row(i), &centres[at * dim..(at + 1) * dim]))
                })
                .collect()
        })
        .collect();
    let (labels, squared) = of_blocks.into_iter().flatten().unzip();
    Assignment { labels, squared }
}

/// Moves every centre to the mean of its rows; a centre without rows takes the row farthest from its own centre.
/// Returns the total squared movement.
fn recentre(rows: &Embeddings, assignment: &mut Assignment, centres: &mut [f32]) -> f64 {
    let dim = rows.dim();
    let k = centres.len() / dim;
    let mut counts = vec![0_usize; k];
    for &label in &assignment.labels {
        counts[label as usize] += 1;
    }
    for empty in 0..k {
        if counts[empty] == 0
            && let Some(far) = farthest_that_can_leave(assignment, &counts)
        {
            counts[assignment.labels[far] as usize] -= 1;
            counts[empty] = 1;
            assignment.labels[far] = empty as u32;
            assignment.squared[far] = 0.0;
        }
    }
    let mut sums = vec![0.0_f64; k * dim];
    for (i, &label) in assignment.labels.iter().enumerate() {
        let sum = &mut sums[label as usize * dim..][..dim];
        sum.iter_mut().zip(rows.row(i)).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let mut moved = 0.0;
    for (centre, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        for at in centre * dim..(centre + 1) * dim {
            let mean = sums[at] / *count as f64;
            moved += (mean - f64::from(centres[at])).powi(2);
            centres[at] = mean as f32;
        }
    }
    moved
}

/// The row farthest from its centre, among groups of at least two.
fn farthest_that_can_leave(assignment: &Assignment, counts: &[usize]) -> Option<usize> {
    (0..assignment.labels.len())
        .filter(|&i| counts[assignment.labels[i] as usize] > 1)
        .max_by(|&i, &j| assignment.squared[i].total_cmp(&assignment.squared[j]).then(j.cmp(&i)))
}

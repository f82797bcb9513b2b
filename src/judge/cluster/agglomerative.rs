//! Agglomerative clustering with average linkage over cosine distance, up to a threshold.
//!
//! For unit vectors the average of all cosines between two groups is the dot product of their mean vectors, so a group
//! is represented by one vector, without an N×N matrix. Merging follows nearest-neighbour chains, which for average
//! linkage give the same tree as always merging the globally nearest pair.
//!
//! Two groups whose average distance is below the threshold contain at least one pair below it. Therefore each
//! connected component of the graph of such pairs is clustered separately. In an album, components are small.

use rayon::prelude::*;
use serde::Serialize;

use super::disjoint_sets::DisjointSets;
use super::distances;
use super::embeddings::Embeddings;
use super::{ClusterError, MethodOutput, NOISE};

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// The average cosine distance below which groups are merged.
    pub distance_threshold: f64,
    /// The smallest number of photos in a group. At 1, every photo is in a group, if only of one.
    pub min_cluster_size: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { distance_threshold: 0.4, min_cluster_size: 1 }
    }
}

/// The number of groups from which the nearest one is searched in parallel.
const PARALLEL_FROM: usize = 512;

pub(super) fn run(rows: &Embeddings, params: Params) -> Result<MethodOutput, ClusterError> {
    if params.distance_threshold.is_nan() || params.distance_threshold < 0.0 {
        return Err(ClusterError::Parameter { parameter: "distance_threshold", wanted: "a cosine distance" });
    }
    if params.min_cluster_size == 0 {
        return Err(ClusterError::Parameter { parameter: "min_cluster_size", wanted: "at least 1" });
    }
    let merged: Vec<(usize, usize)> = components(rows, params.distance_threshold)
        .into_par_iter()
        .flat_map_iter(|part| {
            let merges = merges(&rows.subset(&part)).into_iter();
            merges
                .filter(|merge| merge.distance < params.distance_threshold)
                .map(|merge| (part[merge.a], part[merge.b]))
                .collect::<Vec<_>>()
        })
        .collect();
    let mut sets = DisjointSets::new(rows.len());
    merged.into_iter().for_each(|(a, b)| _ = sets.join(a, b));
    let sizes: Vec<usize> = (0..rows.len()).map(|photo| sets.size_of(photo)).collect();
    let (labels, _) = sets.numbered();
    let label_or_noise =
        |(label, size): (u32, usize)| if size < params.min_cluster_size { NOISE } else { label as i32 };
    Ok(MethodOutput { labels: labels.into_iter().zip(sizes).map(label_or_noise).collect(), ..MethodOutput::default() })
}

/// The tolerance of the threshold for pairs, because their distances are computed in single precision.
const SLACK: f64 = 1e-4;

/// Returns the connected components, of two or more photos, of the graph of pairs within the threshold.
fn components(rows: &Embeddings, threshold: f64) -> Vec<Vec<usize>> {
    // On unit vectors the squared Euclidean distance is twice the cosine distance. A zero vector, at cosine distance 1
    // from all, appears nearer here, but components that are too large do no harm.
    let most = 2.0 * (threshold + SLACK);
    if threshold >= 1.0 {
        return vec![(0..rows.len()).collect()];
    }
    let norms = distances::squared_norms(rows);
    let ties_of_block = |block: std::ops::Range<usize>, line: &mut Vec<f32>| -> Vec<(usize, usize)> {
        let to = block.start..rows.len();
        distances::squared(rows, &norms, &block, &to, line);
        let mut tied = DisjointSets::new(to.len());
        let mut ties = Vec::new();
        for (i, line) in block.zip(line.chunks_exact(to.len())) {
            for (j, &squared) in line.iter().enumerate() {
                if f64::from(squared) <= most && tied.join(i - to.start, j) {
                    ties.push((i, to.start + j));
                }
            }
        }
        ties
    };
    let ties: Vec<Vec<(usize, usize)>> = distances::blocks(rows.len())
        .into_par_iter()
        .map_init(Vec::new, |line, block| ties_of_block(block, line))
        .collect();
    let mut sets = DisjointSets::new(rows.len());
    ties.into_iter().flatten().for_each(|(a, b)| _ = sets.join(a, b));
    let (labels, count) = sets.numbered();
    let mut parts = vec![Vec::new(); count];
    labels.into_iter().enumerate().for_each(|(photo, part)| parts[part as usize].push(photo));
    parts.retain(|part| part.len() > 1);
    parts
}

struct Merge {
    a: usize,
    b: usize,
    distance: f64,
}

/// A group: its first photo, its size and the mean of its rows.
struct Group {
    first: usize,
    size: f64,
    mean: Vec<f32>,
}

impl Group {
    fn distance(&self, other: &Self) -> f64 {
        1.0 - dot(&self.mean, &other.mean)
    }
}

/// Dot product in sixteen f32 sums, which the compiler vectorises. Embeddings have hundreds of numbers, so the sums are
/// short enough for f32.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0_f32; 16];
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    for (x, y) in a16.iter().zip(b16) {
        for lane in 0..16 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + f64::from(rest)
}

/// Returns all merges of the tree, in chain order. Distances never decrease from a merge to its ancestors, so a
/// threshold may be applied to the merges in any order.
fn merges(rows: &Embeddings) -> Vec<Merge> {
    let mut groups: Vec<Group> =
        (0..rows.len()).map(|i| Group { first: i, size: 1.0, mean: rows.row(i).to_vec() }).collect();
    let mut chain: Vec<usize> = Vec::new();
    let mut found = Vec::with_capacity(rows.len().saturating_sub(1));
    while groups.len() > 1 {
        let Some(&top) = chain.last() else {
            chain.push(0);
            continue;
        };
        let before = chain.len().checked_sub(2).map(|at| chain[at]);
        let (next, distance) = nearest(&groups, top, before);
        if Some(next) == before {
            chain.truncate(chain.len() - 2);
            found.push(Merge { a: groups[top].first, b: groups[next].first, distance });
            unite(&mut groups, top.min(next), top.max(next), &mut chain);
        } else {
            chain.push(next);
        }
    }
    found
}

/// Returns the nearest group to `of`. Ties go to the previous link of the chain, so that chains end, then to the
/// earlier group.
fn nearest(groups: &[Group], of: usize, before: Option<usize>) -> (usize, f64) {
    let rank = |other: usize| (groups[of].distance(&groups[other]), Some(other) != before, other);
    let nearer = |x: (f64, bool, usize), y: (f64, bool, usize)| {
        if x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))).is_le() { x } else { y }
    };
    let none = (f64::INFINITY, true, usize::MAX);
    let others = 0..groups.len();
    let (distance, _, at) = if groups.len() < PARALLEL_FROM {
        others.filter(|&other| other != of).map(rank).fold(none, nearer)
    } else {
        others.into_par_iter().filter(|&other| other != of).map(rank).reduce(|| none, nearer)
    };
    (at, distance)
}

/// Merges group `b` into `a` and moves the last group to index `b`.
fn unite(groups: &mut Vec<Group>, a: usize, b: usize, chain: &mut [usize]) {
    let last = groups.len() - 1;
    let gone = groups.swap_remove(b);
    chain.iter_mut().filter(|link| **link == last).for_each(|link| *link = b);
    let merged = &mut groups[a];
    let size = merged.size + gone.size;
    for (mean, other) in merged.mean.iter_mut().zip(&gone.mean) {
        *mean = ((f64::from(*mean) * merged.size + f64::from(*other) * gone.size) / size) as f32;
    }
    merged.size = size;
    merged.first = merged.first.min(gone.first);
}

//! Agglomerative clustering with average linkage over cosine distance, up to a threshold.
//!
//! For unit vectors the average of all cosines between two groups is the dot product of their mean vectors, so a group
//! is represented by one vector, without an N×N matrix. Merging follows nearest-neighbour chains, which for average
//! linkage give the same tree as always merging the globally nearest pair.
//!
//! Two groups whose average distance is below the threshold contain at least one pair below it. Therefore each
//! connected component of the graph of such pairs, the links, is clustered separately. In an album, components are
//! small; in a large library strangers connect most photos by few links each, and a component is merged along its links.

use rayon::prelude::*;
use serde::Serialize;

use super::disjoint_sets::DisjointSets;
use super::embeddings::{Embeddings, dot};
use super::links::{self, Component};
use super::moments::{Clock, Moment};
use super::{ClusterError, MethodOutput, NOISE, linkage};

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

/// The number of photos up to which all are compared with each other. Beyond it the links are those that
/// [`links::likely`] finds.
const ALL_UP_TO: usize = 20_000;

/// Times and clock are used to find photos that may be alike, not to tell groups.
pub(super) fn run(
    rows: &Embeddings,
    times: &[Option<Moment>],
    clock: Option<&Clock>,
    params: Params,
) -> Result<MethodOutput, ClusterError> {
    let threshold = params.distance_threshold;
    if threshold.is_nan() || threshold < 0.0 {
        return Err(ClusterError::Parameter { parameter: "distance_threshold", wanted: "a cosine distance" });
    }
    if params.min_cluster_size == 0 {
        return Err(ClusterError::Parameter { parameter: "min_cluster_size", wanted: "at least 1" });
    }
    let components = if threshold >= 1.0 {
        vec![Component { photos: (0..rows.len()).collect(), links: Vec::new(), is_complete: false }]
    } else if rows.len() <= ALL_UP_TO {
        links::all(rows, threshold)
    } else {
        links::likely(rows, times, threshold, clock)
    };
    Ok(merged(rows, &components, params))
}

pub(super) fn merged(rows: &Embeddings, components: &[Component], params: Params) -> MethodOutput {
    let merged: Vec<(usize, usize)> = components
        .par_iter()
        .flat_map_iter(|component| {
            let merges = merges_of(rows, component, params.distance_threshold).into_iter();
            merges.map(|(a, b)| (component.photos[a as usize], component.photos[b as usize]))
        })
        .collect();
    let mut sets = DisjointSets::new(rows.len());
    merged.into_iter().for_each(|(a, b)| _ = sets.join(a, b));
    let sizes: Vec<usize> = (0..rows.len()).map(|photo| sets.size_of(photo)).collect();
    let (labels, _) = sets.numbered();
    let label_or_noise =
        |(label, size): (u32, usize)| if size < params.min_cluster_size { NOISE } else { label as i32 };
    MethodOutput { labels: labels.into_iter().zip(sizes).map(label_or_noise).collect(), ..MethodOutput::default() }
}

/// The share of linked pairs from which comparing all groups of a component is quicker than following its links.
const DENSE: f64 = 0.1;

/// Returns pairs of photos that merge the groups of a component, as places in it.
fn merges_of(rows: &Embeddings, component: &Component, threshold: f64) -> Vec<(u32, u32)> {
    let pairs = component.photos.len() as f64 * (component.photos.len() as f64 - 1.0) / 2.0;
    if component.is_complete && (component.links.len() as f64) < DENSE * pairs {
        return linkage::merges(rows, component, threshold);
    }
    let merges = merges(&rows.subset(&component.photos)).into_iter();
    merges.filter(|merge| merge.distance < threshold).map(|merge| (merge.a as u32, merge.b as u32)).collect()
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

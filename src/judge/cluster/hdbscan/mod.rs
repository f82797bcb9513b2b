//! HDBSCAN like the `hdbscan` package of Python, adapted to photos: it needs no N×N matrix, and a folder with a single
//! scene becomes one group.
//!
//! The `hdbscan` crate is not used because it takes raw points (seconds instead of tenths for 5,000 × 384) or all N²
//! distances as nested vectors, and traverses its condensed tree in quadratic time. Tests and benchmarks compare with
//! it.

mod condensed;
mod spanning;

use serde::Serialize;

use super::{ClusterError, Embeddings, MethodOutput, NOISE};
pub use spanning::Edge;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// The smallest number of photos in a group. At 1, every photo without a group becomes a group of its own.
    pub min_cluster_size: usize,
    /// The neighbour, not counting the photo itself, whose distance is the core distance; `min_cluster_size` if `None`.
    pub min_samples: Option<usize>,
    /// The Euclidean distance below which groups are not split; 0 splits by density alone. If all edges of the spanning
    /// tree are shorter, all photos are one group: density has no contrast within a single scene, and the original,
    /// which never selects the root of the tree, returned noise or fragments. An absolute distance is needed because
    /// twenty unrelated photos, all equally far from each other, have no contrast either.
    pub epsilon: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { min_cluster_size: 2, min_samples: Some(1), epsilon: 0.65 }
    }
}

pub(super) fn run(rows: &Embeddings, params: &Params) -> Result<MethodOutput, ClusterError> {
    let refuse = |parameter, wanted| Err(ClusterError::Parameter { parameter, wanted });
    if params.min_cluster_size == 0 {
        return refuse("min_cluster_size", "at least 1");
    }
    if params.min_samples == Some(0) {
        return refuse("min_samples", "at least 1");
    }
    if !(params.epsilon >= 0.0 && params.epsilon.is_finite()) {
        return refuse("epsilon", "a distance of at least 0");
    }
    let min_size = params.min_cluster_size.max(2);
    let samples = params.min_samples.unwrap_or(params.min_cluster_size);
    let mut found = MethodOutput { labels: vec![NOISE; rows.len()], ..MethodOutput::default() };
    let edges = spanning::minimum_tree(rows, samples);
    if rows.len() >= min_size && edges.iter().all(|edge| edge.weight < params.epsilon) {
        found.labels.fill(0);
        return Ok(found);
    }
    for (label, group) in condensed::groups(rows.len(), &edges, min_size, params.epsilon).iter().enumerate() {
        for &member in &group.members {
            found.labels[member as usize] = label as i32;
        }
        found.details.persistence.insert(label as i32, group.persistence);
    }
    if params.min_cluster_size == 1 {
        label_noise(&mut found.labels);
    }
    Ok(found)
}

/// Gives each photo without a group one of its own.
fn label_noise(labels: &mut [i32]) {
    let first = labels.iter().copied().max().unwrap_or(NOISE) + 1;
    for (label, own) in labels.iter_mut().filter(|label| **label == NOISE).zip(first..) {
        *label = own;
    }
}

#[cfg(test)]
pub(super) mod internals {
    pub use super::condensed::groups;
    pub use super::spanning::minimum_tree;
}

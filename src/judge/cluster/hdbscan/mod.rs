//! HDBSCAN as the `hdbscan` package of Python computes it, made for photos: no N×N matrix, and a folder that is one
//! scene is one group.
//!
//! Why not the `hdbscan` crate: it wants raw points (5,000 × 384: seconds, not tenths) or all N² distances as nested
//! vectors, and walks its condensed tree quadratically. It serves as the oracle in the tests and the rival in the bench.

mod condensed;
mod spanning;

use serde::Serialize;

use super::{ClusterError, Embeddings, Found, NOISE};
pub use spanning::Edge;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// Fewer photos than this are no group. At 1 every photo is one: alone where it has no company.
    pub min_cluster_size: usize,
    /// Which neighbour, not counting the photo itself, says how dense its surroundings are; `min_cluster_size` if `None`.
    pub min_samples: Option<usize>,
    /// Groups that part at a Euclidean distance below this stay together; 0 parts by density alone. When no photo is
    /// farther than this from its company, all are one group: density shows no contrast in one tight scene, and the
    /// original, which never takes the root of the tree, made noise or splinters of it. An absolute distance has to
    /// say so, since twenty unrelated photos, all equally far from each other, show no contrast either.
    pub epsilon: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { min_cluster_size: 2, min_samples: Some(1), epsilon: 0.65 }
    }
}

pub(super) fn run(rows: &Embeddings, params: &Params) -> Result<Found, ClusterError> {
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
    let mut found = Found { labels: vec![NOISE; rows.len()], ..Found::default() };
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
        stand_alone(&mut found.labels);
    }
    Ok(found)
}

/// Gives each photo without a group one of its own.
fn stand_alone(labels: &mut [i32]) {
    let first = labels.iter().copied().max().unwrap_or(NOISE) + 1;
    for (label, own) in labels.iter_mut().filter(|label| **label == NOISE).zip(first..) {
        *label = own;
    }
}

#[cfg(test)]
pub(super) mod inside {
    pub use super::condensed::groups;
    pub use super::spanning::minimum_tree;
}

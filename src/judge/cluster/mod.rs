//! Clustering: groups photos of the same scene by embeddings and capture times. Each method has its own file. The
//! result depends on the input alone, not on threads, the system clock or random numbers.

pub mod agglomerative;
pub mod agreement;
pub mod burst;
mod calibration;
pub mod dbscan;
mod disjoint_sets;
mod distances;
mod embeddings;
pub mod hdbscan;
pub mod hierarchical;
pub mod hybrid;
mod index;
pub mod kmeans;
mod linkage;
mod links;
pub mod moments;
pub mod scene_layout;
pub mod stats;
mod unit_merging;
pub mod whitening;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use calibration::Calibration;
pub use embeddings::{Embeddings, cosine};
pub use moments::{Clock, Moment};
pub use stats::Stats;

/// The label of a photo without a group in the output of a method.
pub(crate) const NOISE: i32 = -1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClusterError {
    #[error("{numbers} numbers cannot be divided into rows of {dim}")]
    Ragged { numbers: usize, dim: usize },
    #[error("the embedding of photo {row} contains NaN")]
    NotANumber { row: usize },
    #[error("the embedding of photo {row} contains Inf")]
    Infinite { row: usize },
    #[error("all embeddings are zero vectors")]
    AllZero,
    #[error("{times} times for {photos} photos")]
    Times { times: usize, photos: usize },
    #[error("{fine} second-level embeddings for {photos} photos")]
    Fine { fine: usize, photos: usize },
    #[error("{parameter} must be {wanted}")]
    Parameter { parameter: &'static str, wanted: &'static str },
}

/// The photos to cluster. All fields have one row per photo, in the same order.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub embeddings: &'a Embeddings,
    /// The capture time of each photo; `None` when unknown.
    pub times: &'a [Option<Moment>],
    /// The embeddings for the second level of [`Method::Hierarchical`]; `embeddings` if absent.
    pub fine: Option<&'a Embeddings>,
    /// The rules by which capture times correct methods that use similarity alone; if absent, times are ignored.
    pub clock: Option<Clock>,
}

impl<'a> Input<'a> {
    pub fn new(embeddings: &'a Embeddings, times: &'a [Option<Moment>]) -> Self {
        Self { embeddings, times, fine: None, clock: None }
    }

    fn check(&self) -> Result<(), ClusterError> {
        let photos = self.embeddings.len();
        if self.times.len() != photos {
            return Err(ClusterError::Times { times: self.times.len(), photos });
        }
        match self.fine {
            Some(fine) if fine.len() != photos => Err(ClusterError::Fine { fine: fine.len(), photos }),
            _ => Ok(()),
        }
    }
}

/// A clustering method with its parameters.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "algorithm", content = "params", rename_all = "snake_case")]
pub enum Method {
    Hdbscan(hdbscan::Params),
    Kmeans(kmeans::Params),
    Dbscan(dbscan::Params),
    Agglomerative(agglomerative::Params),
    Hierarchical(hierarchical::Params),
    /// The original's `hybrid_hdbscan_knn`.
    Hybrid(hybrid::Params),
    Burst(burst::Params),
}

impl Method {
    pub const NAMES: [&'static str; 7] =
        ["hdbscan", "kmeans", "dbscan", "agglomerative", "hierarchical", "hybrid", "burst"];

    /// The method of a name, which may also be one of the original's names, with default parameters.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::calibrated(name, &Calibration::default())
    }

    /// The method of a name with the parameters measured for an embedding.
    pub fn calibrated(name: &str, calibration: &Calibration) -> Option<Self> {
        Some(match name {
            "hdbscan" => Self::Hdbscan(calibration.hdbscan),
            "kmeans" => Self::Kmeans(kmeans::Params::default()),
            "dbscan" => Self::Dbscan(calibration.dbscan),
            "agglomerative" => Self::Agglomerative(calibration.agglomerative),
            "hierarchical" => Self::Hierarchical(hierarchical::Params {
                level1: Box::new(Self::Hdbscan(calibration.hdbscan)),
                level2: Box::new(Self::Agglomerative(calibration.takes)),
            }),
            "hybrid" | "hybrid_hdbscan_knn" => Self::Hybrid(calibration.hybrid),
            "burst" => Self::Burst(calibration.burst),
            _ => return None,
        })
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Hdbscan(_) => "hdbscan",
            Self::Kmeans(_) => "kmeans",
            Self::Dbscan(_) => "dbscan",
            Self::Agglomerative(_) => "agglomerative",
            Self::Hierarchical(_) => "hierarchical",
            Self::Hybrid(_) => "hybrid",
            Self::Burst(_) => "burst",
        }
    }

    /// Whether the clock corrects the result. `burst` uses times itself, k-means has a fixed number of groups, and the
    /// hierarchical method is meant to separate takes of one scene.
    fn uses_clock(&self) -> bool {
        matches!(self, Self::Hdbscan(_) | Self::Dbscan(_) | Self::Agglomerative(_) | Self::Hybrid(_))
    }

    /// The smallest number of photos in a group.
    fn min_group_size(&self) -> usize {
        match self {
            Self::Hdbscan(params) => params.min_cluster_size,
            Self::Hybrid(params) => params.min_cluster_size,
            Self::Agglomerative(params) => params.min_cluster_size,
            _ => 1,
        }
    }

    fn run(&self, input: &Input) -> Result<MethodOutput, ClusterError> {
        let rows = input.embeddings;
        match self {
            Self::Hdbscan(params) => hdbscan::run(&rows.matrix(), params),
            Self::Kmeans(params) => kmeans::run(&rows.matrix(), params),
            Self::Dbscan(params) => dbscan::run(&rows.matrix(), params),
            Self::Agglomerative(params) => agglomerative::run(rows, input.times, input.clock.as_ref(), *params),
            Self::Hierarchical(params) => hierarchical::run(input, params),
            Self::Hybrid(params) => hybrid::run(&rows.matrix(), params),
            Self::Burst(params) => burst::run(rows, input.times, params),
        }
    }
}

/// The treatment of photos that belong to no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Each becomes a group of one, so that it can be picked.
    #[default]
    AsIndividualClusters,
    /// All of them form one group.
    GroupTogether,
    /// They get label −1 and cannot be picked. The original did this whatever was configured.
    Exclude,
}

/// The output of a method in its own numbering; −1 marks photos without a group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MethodOutput {
    pub(crate) labels: Vec<i32>,
    pub(crate) details: stats::Details,
}

/// The result of clustering. Groups are numbered by first appearance in input order.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// The group of each photo; −1 only with [`Noise::Exclude`].
    pub labels: Vec<i64>,
    pub is_noise: Vec<bool>,
    pub stats: Stats,
}

impl Clustering {
    /// The number of photos in the group of photo `index`; 1 for a photo without a group.
    pub fn size_of(&self, index: usize) -> usize {
        match usize::try_from(self.labels[index]) {
            Ok(label) => self.stats.sizes[label],
            Err(_) => 1,
        }
    }

    pub fn groups(&self) -> usize {
        self.stats.sizes.len()
    }
}

pub fn cluster(input: &Input, method: &Method, noise: Noise) -> Result<Clustering, ClusterError> {
    Ok(place_noise(method_output(input, method)?, method, noise))
}

/// The part of [`cluster`] that takes long: the method's groups, corrected by the clock.
pub fn method_output(input: &Input, method: &Method) -> Result<MethodOutput, ClusterError> {
    input.check()?;
    let mut output = if input.embeddings.is_empty() { MethodOutput::default() } else { method.run(input)? };
    if let Some(clock) = input.clock.filter(|_| method.uses_clock()) {
        output.labels =
            moments::apply_clock(&output.labels, input.embeddings, input.times, &clock, method.min_group_size());
    }
    Ok(output)
}

/// Renumbers groups by first appearance and applies `noise` to photos without a group.
pub fn place_noise(output: MethodOutput, method: &Method, noise: Noise) -> Clustering {
    #[derive(PartialEq, Eq, Hash)]
    enum Key {
        Group(i32),
        Alone(usize),
        Leftover,
    }
    let mut ids = std::collections::HashMap::new();
    let (mut labels, mut sizes, mut origin) = (Vec::with_capacity(output.labels.len()), Vec::new(), Vec::new());
    for (index, &label) in output.labels.iter().enumerate() {
        let key = match (label, noise) {
            (NOISE, Noise::Exclude) => {
                labels.push(-1);
                continue;
            }
            (NOISE, Noise::AsIndividualClusters) => Key::Alone(index),
            (NOISE, Noise::GroupTogether) => Key::Leftover,
            (label, _) => Key::Group(label),
        };
        let id = *ids.entry(key).or_insert_with(|| {
            sizes.push(0);
            origin.push(label);
            sizes.len() - 1
        });
        sizes[id] += 1;
        labels.push(id as i64);
    }
    let is_noise: Vec<bool> = output.labels.iter().map(|&label| label == NOISE).collect();
    let stats = Stats::new(method, sizes, &is_noise, output.details, &origin);
    Clustering { labels, is_noise, stats }
}

#[cfg(test)]
mod library_tests;
#[cfg(test)]
mod references;
#[cfg(test)]
mod tests;

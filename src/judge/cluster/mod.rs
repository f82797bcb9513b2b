//! Embeddings and times in, groups of the same scene out. A file a method; whatever the method, the answer depends on
//! the input alone: not on threads, nor on the clock, nor on chance.

pub mod agglomerative;
pub mod agreement;
pub mod burst;
mod calibration;
pub mod dbscan;
mod distances;
mod embeddings;
mod forest;
pub mod hdbscan;
pub mod hierarchical;
pub mod hybrid;
pub mod kmeans;
pub mod moments;
pub mod scene_layout;
pub mod stats;
pub mod whitening;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use calibration::Calibration;
pub use embeddings::Embeddings;
pub use moments::{Clock, Moment};
pub use stats::Stats;

/// What a method says about one photo before noise is placed: a group, or none.
pub(crate) const NOISE: i32 = -1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClusterError {
    #[error("{numbers} numbers are no whole rows of {dim}")]
    Ragged { numbers: usize, dim: usize },
    #[error("the embedding of photo {row} holds NaN")]
    NotANumber { row: usize },
    #[error("the embedding of photo {row} holds Inf")]
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

/// The photos of one run, row by row in the same order.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub embeddings: &'a Embeddings,
    /// When each photo was taken; `None` where the photo does not say.
    pub times: &'a [Option<Moment>],
    /// What the second level of [`Method::Hierarchical`] looks at; the first level's embeddings where absent.
    pub fine: Option<&'a Embeddings>,
    /// How times are heeded by methods that look at likeness alone; not at all where absent.
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

    /// The method of that name, with values for photos of which nothing more is known; the original's names are
    /// understood too.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::calibrated(name, &Calibration::default())
    }

    /// The same with the values that were measured for what the photos are compared by.
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

    /// Whether the clock has a say: `burst` has heeded it already, k-means was told how many groups there are, and two
    /// levels are there to part takes of one scene.
    fn heeds_clock(&self) -> bool {
        matches!(self, Self::Hdbscan(_) | Self::Dbscan(_) | Self::Agglomerative(_) | Self::Hybrid(_))
    }

    /// Fewer photos are no group.
    fn smallest(&self) -> usize {
        match self {
            Self::Hdbscan(params) => params.min_cluster_size,
            Self::Hybrid(params) => params.min_cluster_size,
            Self::Agglomerative(params) => params.min_cluster_size,
            _ => 1,
        }
    }

    fn run(&self, input: &Input) -> Result<Found, ClusterError> {
        match self {
            Self::Hdbscan(params) => hdbscan::run(input.embeddings, params),
            Self::Kmeans(params) => kmeans::run(input.embeddings, params),
            Self::Dbscan(params) => dbscan::run(input.embeddings, params),
            Self::Agglomerative(params) => agglomerative::run(input.embeddings, *params),
            Self::Hierarchical(params) => hierarchical::run(input, params),
            Self::Hybrid(params) => hybrid::run(input.embeddings, params),
            Self::Burst(params) => burst::run(input.embeddings, input.times, params),
        }
    }
}

/// What becomes of photos that belong to no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Each is a group of one, so none is lost to the album.
    #[default]
    AsIndividualClusters,
    /// All of them are one group.
    GroupTogether,
    /// They are in no group (−1) and cannot be picked; what the original did, whatever was configured.
    Exclude,
}

/// What a method found, in its own numbering; [`NOISE`] marks photos without a group.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Found {
    pub labels: Vec<i32>,
    pub details: stats::Details,
}

/// The groups, numbered by first appearance in input order.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// −1 only under [`Noise::Exclude`].
    pub labels: Vec<i64>,
    pub is_noise: Vec<bool>,
    pub stats: Stats,
}

impl Clustering {
    /// How many photos share the group of photo `index`; 1 for one without a group.
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
    input.check()?;
    let mut found = if input.embeddings.is_empty() { Found::default() } else { method.run(input)? };
    if let Some(clock) = input.clock.filter(|_| method.heeds_clock()) {
        found.labels = moments::heed(&found.labels, input.embeddings, input.times, &clock, method.smallest());
    }
    Ok(place_noise(found, method, noise))
}

/// Renumbers by first appearance, giving photos without a group what `noise` says.
fn place_noise(found: Found, method: &Method, noise: Noise) -> Clustering {
    #[derive(PartialEq, Eq, Hash)]
    enum Key {
        Group(i32),
        Alone(usize),
        Leftover,
    }
    let mut ids = std::collections::HashMap::new();
    let (mut labels, mut sizes, mut origin) = (Vec::with_capacity(found.labels.len()), Vec::new(), Vec::new());
    for (index, &label) in found.labels.iter().enumerate() {
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
    let is_noise: Vec<bool> = found.labels.iter().map(|&label| label == NOISE).collect();
    let stats = Stats::new(method, sizes, &is_noise, found.details, &origin);
    Clustering { labels, is_noise, stats }
}

#[cfg(test)]
mod references;
#[cfg(test)]
mod tests;

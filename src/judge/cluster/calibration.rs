//! The parameters of all methods for each embedding, since similar photos reach a different cosine with each. How they
//! were measured is described in `tests/bench/results/cluster.md`.

use super::moments::{Clock, NearRule};
use super::{agglomerative, burst, dbscan, hdbscan, hybrid, scene_layout};

/// The parameters of all methods and of the clock for one embedding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    pub agglomerative: agglomerative::Params,
    /// The second level of `hierarchical`: takes within a scene.
    pub takes: agglomerative::Params,
    pub hdbscan: hdbscan::Params,
    pub hybrid: hybrid::Params,
    pub dbscan: dbscan::Params,
    pub burst: burst::Params,
    /// `None` for embeddings for which the similarity within scenes was not measured; times are ignored there.
    pub clock: Option<Clock>,
}

/// Cosines that separate photos of one scene from others.
struct SimilarityLevels {
    /// The average of two groups without capture times.
    groups: f64,
    /// A single pair of photos that joins two groups.
    links: f64,
    /// Groups of takes within a scene, on average.
    takes: f64,
    /// Takes within one, three and ten seconds.
    near: [f64; 3],
    /// Takes more than five minutes apart.
    far: f64,
}

/// For the embedding of `album-mini@5`: `scene-layout@3` and its whitened network features in equal parts.
const LAYOUT_AND_RECOGNISED: SimilarityLevels =
    SimilarityLevels { groups: 0.30, links: 0.40, takes: 0.5, near: [0.14, 0.18, 0.22], far: 0.42 };

/// For `scene-layout@3` alone.
const LAYOUT: SimilarityLevels =
    SimilarityLevels { groups: 0.34, links: 0.42, takes: 0.55, near: [0.18, 0.22, 0.26], far: 0.45 };

impl Calibration {
    /// The calibration for a model `name@version`; the default if the model was not measured.
    pub fn of(model: &str) -> Self {
        match model.split_once('@') {
            Some((scene_layout::NAME, _)) => Self::new(&LAYOUT),
            Some(("album-mini", _)) => Self::new(&LAYOUT_AND_RECOGNISED),
            _ => Self::default(),
        }
    }

    fn new(levels: &SimilarityLevels) -> Self {
        let unmeasured = Self::default();
        let euclidean = |cosine: f64| (2.0 * (1.0 - cosine)).sqrt();
        let average =
            |cosine: f64| agglomerative::Params { distance_threshold: 1.0 - cosine, ..unmeasured.agglomerative };
        let near = |at: usize, within_ms| NearRule { within_ms, similarity: levels.near[at] };
        Self {
            agglomerative: average(levels.groups),
            takes: average(levels.takes),
            hdbscan: hdbscan::Params { epsilon: euclidean(levels.links), ..unmeasured.hdbscan },
            hybrid: hybrid::Params {
                cluster_selection_epsilon: euclidean(levels.takes),
                threshold_floor: euclidean(levels.takes),
                threshold_ceiling: euclidean(levels.links),
                ..unmeasured.hybrid
            },
            dbscan: dbscan::Params { eps: 1.0 - levels.links, ..unmeasured.dbscan },
            burst: burst::Params { similarity: levels.near[2], untimed_similarity: levels.groups, ..unmeasured.burst },
            clock: Some(Clock {
                near: [near(0, 1_000), near(1, 3_000), near(2, 10_000)],
                far_ms: 300_000,
                far_similarity: levels.far,
            }),
        }
    }
}

/// Parameters for networks with which photos of one scene reach a cosine of at least 0.6.
impl Default for Calibration {
    fn default() -> Self {
        Self {
            agglomerative: agglomerative::Params::default(),
            takes: agglomerative::Params { distance_threshold: 0.25, ..agglomerative::Params::default() },
            hdbscan: hdbscan::Params::default(),
            hybrid: hybrid::Params::default(),
            dbscan: dbscan::Params::default(),
            burst: burst::Params::default(),
            clock: None,
        }
    }
}

//! What counts as alike, which is another cosine for everything that photos can be compared by. The one place where
//! such values stand; how they were measured is in `tests/bench/results/cluster.md`.

use super::moments::{Clock, Near};
use super::{agglomerative, burst, dbscan, hdbscan, hybrid, scene_layout};

/// The values of all methods and of the clock for one embedding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    pub agglomerative: agglomerative::Params,
    /// The second level of `hierarchical`: takes within a scene.
    pub takes: agglomerative::Params,
    pub hdbscan: hdbscan::Params,
    pub hybrid: hybrid::Params,
    pub dbscan: dbscan::Params,
    pub burst: burst::Params,
    /// `None` where nobody measured how alike photos of one scene are: time has no say there.
    pub clock: Option<Clock>,
}

/// Cosines at which photos of one scene part from strangers.
struct Alike {
    /// Two groups, on average, of which nothing is known but their pictures.
    groups: f64,
    /// Two photos by which whole groups are tied together.
    links: f64,
    takes: f64,
    /// Takes within a second, within three, within ten, and five minutes apart.
    near: [f64; 3],
    far: f64,
}

/// `scene-layout@2` and what `album-mini@4` recognises, half and half.
const LAYOUT_AND_RECOGNISED: Alike =
    Alike { groups: 0.30, links: 0.40, takes: 0.5, near: [0.14, 0.18, 0.22], far: 0.42 };

/// `scene-layout@2`.
const LAYOUT: Alike = Alike { groups: 0.34, links: 0.42, takes: 0.55, near: [0.18, 0.22, 0.26], far: 0.45 };

impl Calibration {
    /// For embeddings by a model, named `name@version`; what nobody measured gets the default.
    pub fn of(model: &str) -> Self {
        match model.split_once('@') {
            Some((scene_layout::NAME, _)) => Self::new(&LAYOUT),
            Some(("album-mini", _)) => Self::new(&LAYOUT_AND_RECOGNISED),
            _ => Self::default(),
        }
    }

    fn new(alike: &Alike) -> Self {
        let unmeasured = Self::default();
        let euclidean = |cosine: f64| (2.0 * (1.0 - cosine)).sqrt();
        let average =
            |cosine: f64| agglomerative::Params { distance_threshold: 1.0 - cosine, ..unmeasured.agglomerative };
        let near = |at: usize, within_ms| Near { within_ms, similarity: alike.near[at] };
        Self {
            agglomerative: average(alike.groups),
            takes: average(alike.takes),
            hdbscan: hdbscan::Params { epsilon: euclidean(alike.links), ..unmeasured.hdbscan },
            hybrid: hybrid::Params {
                cluster_selection_epsilon: euclidean(alike.takes),
                threshold_floor: euclidean(alike.takes),
                threshold_ceiling: euclidean(alike.links),
                ..unmeasured.hybrid
            },
            dbscan: dbscan::Params { eps: 1.0 - alike.links, ..unmeasured.dbscan },
            burst: burst::Params { similarity: alike.near[2], untimed_similarity: alike.groups, ..unmeasured.burst },
            clock: Some(Clock {
                near: [near(0, 1_000), near(1, 3_000), near(2, 10_000)],
                far_ms: 300_000,
                far_similarity: alike.far,
            }),
        }
    }
}

/// Values that suit networks whose photos of one scene reach a cosine of 0.6 or more.
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

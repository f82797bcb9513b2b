//! Finds centroids whose clusters fit into memory.

use super::Options;
use crate::error::ScaleError;
use crate::nearest::{Centroids, Nearest};
use crate::pass::Engine;
use crate::sampling::Smallest;
use crate::seeding::{Init, survey};
use crate::source::Group;
use crate::splinters::Splinters;
use crate::step::Scale;

/// Iterations of k-means; enough for this purpose, since exact centroids do not matter.
const STEPS: usize = 6;
/// Maximum attempts to split clusters that are too large.
const SPLITS: usize = 6;
/// Rows per cluster if the number of clusters is not given.
const USUAL_ROWS: u64 = 1500;

pub struct Dealt {
    pub centroids: Centroids,
    pub sizes: Vec<u64>,
    pub split: usize,
}

pub fn deal(
    engine: &dyn Engine,
    groups: &[Group],
    options: &Options,
    seed: u64,
    limit: usize,
) -> Result<Dealt, ScaleError> {
    let dim = engine.source().dim;
    let usual = engine.source().rows.div_ceil(USUAL_ROWS).clamp(1, 1 << 16) as usize;
    let clusters = options.clusters.unwrap_or(usual);
    // Rows are normalised here.
    let scale = Scale::new(engine.source().rows, 1.0 + 1e-6);
    let mut centroids = survey(engine, groups, Init::Random, clusters, seed)?.rows();
    let mut split = 0;
    let mut attempt = 0;
    loop {
        for _ in 0..STEPS {
            let nearest = Nearest::new(Centroids::new(dim, centroids));
            centroids = engine.step(&nearest, scale, groups)?.finish(nearest.centroids()).centroids;
        }
        // A step moves centroids after counting; this counts by the final centroids.
        let nearest = Nearest::new(Centroids::new(dim, centroids));
        let sizes = engine.step(&nearest, scale, groups)?.counts().to_vec();
        let large: Vec<usize> = (0..sizes.len()).filter(|&cluster| sizes[cluster] > limit as u64).collect();
        let more = match attempt {
            0..SPLITS => splinters(engine, groups, &nearest, &sizes, &large, limit, seed)?,
            _ => Vec::new(),
        };
        let values = nearest.into_centroids().values;
        if more.is_empty() {
            return Ok(Dealt { centroids: Centroids::new(dim, values), sizes, split });
        }
        split += large.len();
        attempt += 1;
        centroids = values;
        centroids.extend(more);
    }
}

/// Rows from clusters that are too large, as additional centroids; none if all rows are equal.
fn splinters(
    engine: &dyn Engine,
    groups: &[Group],
    nearest: &Nearest,
    sizes: &[u64],
    large: &[usize],
    limit: usize,
    seed: u64,
) -> Result<Vec<f32>, ScaleError> {
    if large.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = |&cluster: &usize| (cluster, (2 * sizes[cluster]).div_ceil(limit as u64).min(4096) as usize);
    let drawn = engine.splinters(Splinters { nearest, seed, wanted: large.iter().map(wanted).collect() }, groups)?;
    let rows = drawn.drawn.into_iter().map(Smallest::into_rows).filter(|rows| rows.len() > 1);
    Ok(rows.flatten().flat_map(|drawn| drawn.row).collect())
}

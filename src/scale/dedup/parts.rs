//! Finds centroids whose clusters fit into memory.

use super::Options;
use crate::error::ScaleError;
use crate::nearest::{Centroids, Nearest, NearestScratch};
use crate::pass::Engine as _;
use crate::sampling::{Smallest, lot, share};
use crate::scan_pool::ScanPool;
use crate::seeding::{Init, survey};
use crate::source::Group;
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
    scan_pool: &ScanPool,
    groups: &[Group],
    options: &Options,
    seed: u64,
    limit: usize,
) -> Result<Dealt, ScaleError> {
    let dim = scan_pool.source.dim;
    let usual = scan_pool.source.rows.div_ceil(USUAL_ROWS).clamp(1, 1 << 16) as usize;
    let clusters = options.clusters.unwrap_or(usual);
    // Rows are normalised here.
    let scale = Scale::new(scan_pool.source.rows, 1.0 + 1e-6);
    let mut centroids = survey(scan_pool, groups, Init::Random, clusters, seed)?.rows();
    let mut split = 0;
    let mut attempt = 0;
    loop {
        for _ in 0..STEPS {
            let nearest = Nearest::new(Centroids::new(dim, centroids));
            centroids = scan_pool.step(&nearest, scale, groups)?.finish(nearest.centroids()).centroids;
        }
        // A step moves centroids after counting; this counts by the final centroids.
        let nearest = Nearest::new(Centroids::new(dim, centroids));
        let sizes = scan_pool.step(&nearest, scale, groups)?.counts().to_vec();
        let large: Vec<usize> = (0..sizes.len()).filter(|&cluster| sizes[cluster] > limit as u64).collect();
        let more = match attempt {
            0..SPLITS => splinters(scan_pool, groups, &nearest, &sizes, &large, limit, seed)?,
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
    scan_pool: &ScanPool,
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
    let dim = scan_pool.source.dim;
    let place = |cluster: usize| large.binary_search(&cluster).ok();
    let wanted = |cluster: usize| (2 * sizes[cluster]).div_ceil(limit as u64).min(4096) as usize;
    let empty = || large.iter().map(|&cluster| Smallest::new(wanted(cluster))).collect::<Vec<_>>();
    let states = scan_pool.scan(
        groups,
        || (empty(), NearestScratch::default()),
        |(drawn, nearest_scratch), batch| {
            nearest.assign(&batch.values, &batch.norms, nearest_scratch, |row, cluster| {
                if let Some(place) = place(cluster) {
                    let row = &batch.values[row * dim..][..dim];
                    drawn[place].offer(share(lot(seed, row)), row, cluster);
                }
            });
            Ok(())
        },
    )?;
    let mut all = empty();
    for (drawn, _) in states {
        all.iter_mut().zip(drawn).for_each(|(all, drawn)| all.merge(drawn));
    }
    let rows = all.into_iter().map(Smallest::into_rows).filter(|rows| rows.len() > 1);
    Ok(rows.flatten().flat_map(|drawn| drawn.row).collect())
}

//! Initial centroids: random rows, or k-means|| (scalable k-means++). Each of a few passes samples as many rows as there are
//! clusters, with probabilities proportional to the squared distance from the rows sampled before; then k-means++ chooses
//! among the samples, weighted by the number of rows nearest to each.
//!
//! A pass takes the rows with the smallest `random / distance²` (priority sampling). This needs no sum of distances in
//! advance, so one pass suffices where the textbook needs two.

use std::collections::HashSet;

use rayon::prelude::*;

use super::error::ScaleError;
use super::exact::squared_distance;
use super::nearest::{Centroids, Nearest};
use super::pass::Engine;
use super::sample::Sample;
use super::sampling::{Drawn, Draws, lot, mixed};
use super::source::Group;
use super::step::Scale;

/// The number of sampling passes. Bahmani et al. found five as good as more; from four on the difference is small.
const ROUNDS: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Init {
    #[serde(rename = "kmeans++")]
    KMeansPlusPlus,
    #[serde(rename = "random")]
    Random,
}

/// The result of reading the data once.
#[derive(Debug)]
pub struct Survey {
    /// The length of the longest row.
    pub longest: f64,
    /// A uniform sample of rows.
    drawn: Vec<Drawn>,
}

/// Checks every row, finds the longest and samples the first rows.
pub fn survey(
    engine: &dyn Engine,
    groups: &[Group],
    init: Init,
    clusters: usize,
    seed: u64,
) -> Result<Survey, ScaleError> {
    let wanted = if init == Init::Random { clusters } else { 1 };
    let sampled = engine.sample(&Sample::Uniform { wanted, seed }, groups)?;
    Ok(Survey { longest: sampled.longest.sqrt(), drawn: sampled.into_rows() })
}

impl Survey {
    /// The sampled rows, one after the other.
    pub fn rows(self) -> Vec<f32> {
        self.drawn.into_iter().flat_map(|drawn| drawn.row).collect()
    }

    /// The first centroids.
    pub fn seed(
        self,
        engine: &dyn Engine,
        groups: &[Group],
        (init, clusters, seed): (Init, usize, u64),
        scale: Scale,
    ) -> Result<Vec<f32>, ScaleError> {
        let drawn = match init {
            Init::Random => self.drawn,
            Init::KMeansPlusPlus => {
                let drawn = draw_far(engine, groups, self.drawn, clusters, seed)?;
                if drawn.len() > clusters { choose(engine, groups, &drawn, clusters, seed, scale)? } else { drawn }
            }
        };
        if drawn.len() < clusters {
            return Err(ScaleError::TooFewRows { clusters, rows: format!("{} different rows", drawn.len()) });
        }
        Ok(drawn.into_iter().flat_map(|drawn| drawn.row).collect())
    }
}

fn draw_far(
    engine: &dyn Engine,
    groups: &[Group],
    mut drawn: Vec<Drawn>,
    clusters: usize,
    seed: u64,
) -> Result<Vec<Drawn>, ScaleError> {
    let dim = engine.source().dim;
    let mut known: HashSet<u64> = drawn.iter().map(|drawn| lot(0, &drawn.row)).collect();
    for round in 1.. {
        // Data with few distinct rows needs more rounds to find out that there are no others.
        if round > ROUNDS && drawn.len() >= clusters {
            break;
        }
        let nearest = Nearest::new(centroids(dim, &drawn));
        let far = Sample::Far { wanted: clusters, seed: mixed(seed.wrapping_add(round)), nearest: &nearest };
        let mut far = engine.sample(&far, groups)?.into_rows();
        // Near the limit of f32, rounding can make a row seem far from itself, so known rows are dropped.
        far.retain(|far| known.insert(lot(0, &far.row)));
        if far.is_empty() {
            break;
        }
        drawn.extend(far);
    }
    Ok(drawn)
}

/// k-means++ among the sampled rows, each weighted by the rows nearest to it.
fn choose(
    engine: &dyn Engine,
    groups: &[Group],
    drawn: &[Drawn],
    clusters: usize,
    seed: u64,
    scale: Scale,
) -> Result<Vec<Drawn>, ScaleError> {
    let dim = engine.source().dim;
    let nearest = Nearest::new(centroids(dim, drawn));
    let whole = engine.step(&nearest, scale, groups)?;
    let weights: Vec<f64> = whole.counts().iter().map(|&count| count as f64).collect();
    let mut draws = Draws::new(seed);
    let mut chosen = vec![pick(&weights, draws.next_share())];
    let mut distances = vec![f64::INFINITY; drawn.len()];
    while chosen.len() < clusters {
        let last = &drawn[chosen[chosen.len() - 1]].row;
        engine.pool().install(|| {
            distances.par_iter_mut().with_min_len(256).zip(drawn).for_each(|(distance, drawn)| {
                *distance = distance.min(squared_distance(&drawn.row, last));
            });
        });
        let odds: Vec<f64> = distances.iter().zip(&weights).map(|(distance, weight)| distance * weight).collect();
        let next = pick(&odds, draws.next_share());
        if odds[next] > 0.0 {
            chosen.push(next);
        } else {
            // No remaining sample has any weight, so they are taken in sampling order.
            let left = (0..drawn.len()).find(|i| !chosen.contains(i));
            chosen.extend(left);
        }
    }
    Ok(chosen.into_iter().map(|i| drawn[i].clone()).collect())
}

fn centroids(dim: usize, drawn: &[Drawn]) -> Centroids {
    Centroids::new(dim, drawn.iter().flat_map(|drawn| drawn.row.iter().copied()).collect())
}

/// The index at which the cumulated weights reach `share` of their sum; never one of weight zero while there are others.
fn pick(odds: &[f64], share: f64) -> usize {
    let mut left = share * odds.iter().sum::<f64>();
    let mut last = 0;
    for (i, &odds) in odds.iter().enumerate() {
        if odds > 0.0 {
            last = i;
            left -= odds;
            if left < 0.0 {
                break;
            }
        }
    }
    last
}

//! Where k-means begins: rows at random, or k-means|| (scalable k-means++): a few passes each draw as many rows as
//! there are clusters, with odds in proportion to their squared distance from all drawn before; then k-means++ among
//! the drawn, weighted by how many rows are nearest to each.
//!
//! A pass draws a fixed number by the smallest of `lot / distance²` (priority sampling), which needs no sum of
//! distances beforehand, and so one pass where the textbook needs two.

use std::collections::HashSet;

use rayon::prelude::*;

use super::error::ScaleError;
use super::exact::squared_distance;
use super::nearest::{Centroids, Nearest};
use super::pass::{Engine, Pass, Question};
use super::sampling::{Drawn, Draws, lot, mixed};
use super::source::Group;
use super::step::Scale;

/// Passes that draw. Bahmani and others found five to be as good as more; from four on the difference is small.
const ROUNDS: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Init {
    #[serde(rename = "kmeans++")]
    KMeansPlusPlus,
    #[serde(rename = "random")]
    Random,
}

/// What is known of the data after reading it once.
#[derive(Debug)]
pub struct Survey {
    /// Length of the longest row.
    pub longest: f64,
    /// Rows drawn with even odds.
    drawn: Vec<Drawn>,
}

/// Checks every row, measures the longest and draws the first rows.
pub fn survey(
    engine: &dyn Engine,
    groups: &[Group],
    init: Init,
    clusters: usize,
    seed: u64,
) -> Result<Survey, ScaleError> {
    let wanted = if init == Init::Random { clusters } else { 1 };
    let sampled = engine.draw(&Pass { question: Question::Survey { wanted, seed }, nearest: None }, groups)?;
    Ok(Survey { longest: sampled.longest.sqrt(), drawn: sampled.into_rows() })
}

impl Survey {
    /// The drawn rows, one after the other.
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
        // Data with few different rows needs more rounds only to find that there are no more.
        if round > ROUNDS && drawn.len() >= clusters {
            break;
        }
        let nearest = Nearest::new(centroids(dim, &drawn));
        let question = Question::Far { wanted: clusters, seed: mixed(seed.wrapping_add(round)) };
        let mut far = engine.draw(&Pass { question, nearest: Some(&nearest) }, groups)?.into_rows();
        // Numbers near the end of f32 are far from themselves as far as arithmetic tells, round after round.
        far.retain(|far| known.insert(lot(0, &far.row)));
        if far.is_empty() {
            break;
        }
        drawn.extend(far);
    }
    Ok(drawn)
}

/// k-means++ among the drawn rows, each weighing as much as the rows nearest to it.
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
            // No row is nearest to any that is left: take those in the order they were drawn.
            let left = (0..drawn.len()).find(|i| !chosen.contains(i));
            chosen.extend(left);
        }
    }
    Ok(chosen.into_iter().map(|i| drawn[i].clone()).collect())
}

fn centroids(dim: usize, drawn: &[Drawn]) -> Centroids {
    Centroids::new(dim, drawn.iter().flat_map(|drawn| drawn.row.iter().copied()).collect())
}

/// The place where `share` of the sum of all odds is reached; never one without odds while there are others.
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

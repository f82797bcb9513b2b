//! Estimates the recall of the clusters: some rows are compared with all rows.

use super::Options;
use crate::error::ScaleError;
use crate::nearest::{Centroids, Nearest, NearestScratch};
use crate::pass::Engine;
use crate::sample::Sample;
use crate::sampled_pairs::SampledPairs;
use crate::sampling::mixed;
use crate::source::Group;

/// Pairs of a sampled row and any other row that reach the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recall {
    pub sampled: usize,
    pub pairs: u64,
    /// Those whose rows were in the same part and so were compared.
    pub found: u64,
}

impl Recall {
    /// The recall; `None` if the sample has no duplicates.
    pub fn share(self) -> Option<f64> {
        (self.pairs > 0).then(|| self.found as f64 / self.pairs as f64)
    }
}

pub fn estimate(
    engine: &dyn Engine,
    groups: &[Group],
    deals: &[Nearest],
    options: &Options,
) -> Result<Recall, ScaleError> {
    let uniform = Sample::Uniform { wanted: options.sample, seed: mixed(options.seed ^ 0x7265_6361_6c6c) };
    let drawn = engine.sample(&uniform, groups)?.into_rows();
    let values: Vec<f32> = drawn.iter().flat_map(|drawn| drawn.row.iter().copied()).collect();
    let norms: Vec<f64> = drawn.iter().map(|drawn| drawn.row.iter().map(|x| f64::from(*x).powi(2)).sum()).collect();
    let mut scratch = NearestScratch::default();
    let parts_of_sample = deals.iter().map(|deal| deal.parts(&values, &norms, &mut scratch)).collect();
    let sample = Nearest::new(Centroids::new(engine.source().dim, values));
    let similarity = options.rules.similarity;
    let pairs = SampledPairs { similarity, divisions: deals.iter().collect(), sample: &sample, parts_of_sample };
    let counts = engine.pairs(pairs, groups)?;
    // Each sampled row has been compared with itself.
    let itself = drawn.len() as u64;
    let without = |count: u64| count - itself.min(count);
    Ok(Recall { sampled: drawn.len(), pairs: without(counts.pairs), found: without(counts.met) })
}

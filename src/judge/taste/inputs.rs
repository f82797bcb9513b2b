//! The inputs of the model: scores, kind and embedding, each scaled by how far its weight may stray from zero.

use std::collections::BTreeSet;

use super::{Example, Features, SCORES};

/// The prior standard deviation, in logits, of what one standard deviation of a score changes.
const OF_A_SCORE: f64 = 0.4;
/// The same for belonging to a kind.
const OF_A_KIND: f64 = 0.8;
/// The same for an embedding as far from the mean as the examples are on average.
const OF_EMBEDDINGS: f64 = 1.5;

/// Means and spreads of the examples, by which inputs are scaled.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Mean and standard deviation; `None` where the examples do not differ.
    scores: [Option<(f64, f64)>; SCORES.len()],
    kinds: Vec<String>,
    center: Vec<f64>,
    /// The factor for embeddings.
    spread: f64,
    /// The mean composite score.
    pub composite: f64,
}

impl Inputs {
    pub fn of(examples: &[Example]) -> Self {
        let scores = std::array::from_fn(|at| {
            let (mean, deviation) = moments(examples.iter().filter_map(|example| example.features.scores[at]))?;
            (deviation > 1e-6).then_some((mean, deviation))
        });
        let kinds: BTreeSet<&String> = examples.iter().filter_map(|example| example.features.kind.as_ref()).collect();
        let kinds = if kinds.len() > 1 { kinds.into_iter().cloned().collect() } else { Vec::new() };
        let embeddings: Vec<&[f32]> =
            examples.iter().map(|example| &example.features.embedding[..]).filter(|row| !row.is_empty()).collect();
        let length = embeddings.first().map_or(0, |row| row.len());
        let mut center = vec![0.0; length];
        for row in embeddings.iter().filter(|row| row.len() == length) {
            center.iter_mut().zip(*row).for_each(|(sum, value)| *sum += f64::from(*value) / embeddings.len() as f64);
        }
        let apart =
            |row: &&[f32]| center.iter().zip(*row).map(|(mean, value)| (f64::from(*value) - mean).powi(2)).sum::<f64>();
        let variance = embeddings.iter().map(apart).sum::<f64>() / embeddings.len().max(1) as f64;
        let spread = if variance > 1e-12 { OF_EMBEDDINGS / variance.sqrt() } else { 0.0 };
        let composite = moments(examples.iter().filter_map(|example| example.composite)).map_or(0.5, |(mean, _)| mean);
        Self { scores, kinds, center, spread, composite }
    }

    pub fn len(&self) -> usize {
        SCORES.len() + self.kinds.len() + self.center.len()
    }

    pub fn row(&self, photo: &Features) -> Vec<f64> {
        let mut row = Vec::with_capacity(self.len());
        for (value, moments) in photo.scores.iter().zip(&self.scores) {
            let score = value.filter(|value| value.is_finite()).zip(*moments);
            // A photo unlike all examples counts as an extreme one of them.
            let standardised =
                score.map_or(0.0, |(value, (mean, deviation))| ((value - mean) / deviation).clamp(-3.0, 3.0));
            row.push(OF_A_SCORE * standardised);
        }
        row.extend(self.kinds.iter().map(|kind| if photo.kind.as_ref() == Some(kind) { OF_A_KIND } else { 0.0 }));
        if photo.embedding.len() == self.center.len() {
            let centred = photo.embedding.iter().zip(&self.center);
            row.extend(centred.map(|(value, mean)| self.spread * (f64::from(*value) - mean)));
        } else {
            row.resize(self.len(), 0.0);
        }
        row
    }

    /// The inputs that have a name, in their order, with the value that one standard deviation or belonging to a kind has.
    pub fn names(&self) -> Vec<(String, f64)> {
        let scores = SCORES.iter().map(|name| ((*name).to_owned(), OF_A_SCORE));
        scores.chain(self.kinds.iter().map(|kind| (kind.clone(), OF_A_KIND))).collect()
    }
}

fn moments(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (count > 0.0).then_some((mean, variance.sqrt()))
}

//! A person's taste, learned from decisions: a linear model that is added to the default score.
//!
//! The chance that a person keeps a photo is the logistic function of `SLOPE` times its composite score, plus the taste. The
//! taste is a weighted sum of the photo's scores, its kind and its embedding. The prior of the weights is a Gaussian around
//! zero, which is the default choice, so that few decisions change little. Whether the taste orders photos of unseen scenes
//! better than the composite score alone is found by cross-validation.

mod embedding;
mod fit;
mod inputs;
pub mod question;
mod rows;
mod validation;

use std::collections::BTreeSet;

pub use embedding::unwhitened;
use fit::Observation;
use inputs::Inputs;
use rows::Rows;
pub use validation::Validation;

/// The logit per unit of composite score that the default choice stands for.
const SLOPE: f64 = 10.0;
/// The largest change of a composite score.
const MOST: f64 = 0.3;

/// The numbers of a photo that a taste may depend on. `None` counts as average.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// One value for each of [`SCORES`].
    pub scores: [Option<f64>; SCORES.len()],
    /// What it is a picture of: `photo`, `document`, …
    pub kind: Option<String>,
    /// See [`unwhitened`]. Empty where another model made it than that of the album.
    pub embedding: Vec<f32>,
}

/// The names of the scores that a taste may depend on.
pub const SCORES: [&str; 10] = [
    "aesthetic score",
    "technical quality",
    "portrait score",
    "sharpness",
    "exposure",
    "colourfulness",
    "contrast",
    "number of faces",
    "size of faces",
    "width",
];

/// A photo that something is known of.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub features: Features,
    pub composite: Option<f64>,
    /// Photos of one scene have the same number.
    pub scene: u64,
    /// Whether a person kept it or rejected it; `None` for a photo that only takes part in pairs.
    pub kept: Option<bool>,
}

/// Two examples, by their index, of which a person prefers one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    pub better: usize,
    pub worse: usize,
}

/// A taste that was learned, and how it does beside the default.
#[derive(Debug, Clone)]
pub struct Learned {
    pub taste: Taste,
    /// Photos kept or rejected.
    pub decisions: usize,
    pub pairs: usize,
    /// Scenes that the examples are of.
    pub scenes: usize,
    /// `None` where too few decisions are known to tell.
    pub validation: Option<Validation>,
}

impl Learned {
    /// Whether it orders unseen photos better than the default, with its interval clear of it.
    pub fn helps(&self) -> bool {
        self.validation.is_some_and(|validation| validation.low > 0.0 && validation.beats_chance)
    }
}

#[derive(Debug, Clone)]
pub struct Taste {
    inputs: Inputs,
    weights: Vec<f64>,
}

impl Taste {
    /// What the taste adds to the composite score of a photo.
    pub fn adds(&self, photo: &Features) -> f64 {
        (fit::dot(&self.inputs.row(photo), &self.weights) / SLOPE).clamp(-MOST, MOST)
    }

    /// The scores and kinds by what one standard deviation more of them adds to the composite score, the strongest first.
    pub fn leanings(&self) -> Vec<(String, f64)> {
        let named = self.inputs.names();
        let mut all: Vec<(String, f64)> = named
            .into_iter()
            .zip(&self.weights)
            .map(|((name, scale), weight)| (name, weight * scale / SLOPE))
            .filter(|(_, adds)| *adds != 0.0)
            .collect();
        all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        all
    }
}

/// Learns from photos that were kept or rejected and from pairs; `None` where nothing was decided.
pub fn learn(examples: &[Example], pairs: &[Pair]) -> Option<Learned> {
    if pairs.is_empty() && examples.iter().all(|example| example.kept.is_none()) {
        return None;
    }
    let inputs = Inputs::of(examples);
    let rows = Rows::of(examples.iter().map(|example| inputs.row(&example.features)).collect());
    let decisions = Decisions { examples, pairs, rows: &rows.reduced, composite: inputs.composite };
    let weights = rows.restored(&decisions.weights(|_| true));
    Some(Learned {
        validation: validation::validate(&decisions),
        taste: Taste { inputs, weights },
        decisions: examples.iter().filter(|example| example.kept.is_some()).count(),
        pairs: pairs.len(),
        scenes: examples.iter().map(|example| example.scene).collect::<BTreeSet<_>>().len(),
    })
}

/// What is learned from, with the inputs of each example.
struct Decisions<'a> {
    examples: &'a [Example],
    pairs: &'a [Pair],
    rows: &'a [Vec<f64>],
    /// The mean composite score, for examples without one.
    composite: f64,
}

impl Decisions<'_> {
    fn composite(&self, photo: usize) -> f64 {
        self.examples[photo].composite.unwrap_or(self.composite)
    }

    /// The weights that fit the examples of some scenes.
    fn weights(&self, of_scene: impl Fn(u64) -> bool) -> Vec<f64> {
        let is_in = |photo: usize| of_scene(self.examples[photo].scene);
        let single = |photo: usize| {
            Some(Observation {
                row: self.rows[photo].clone(),
                offset: SLOPE * (self.composite(photo) - self.composite),
                is_single: true,
                happened: self.examples[photo].kept?,
            })
        };
        let pair = |&Pair { better, worse }: &Pair| Observation {
            row: self.rows[better].iter().zip(&self.rows[worse]).map(|(a, b)| a - b).collect(),
            offset: SLOPE * (self.composite(better) - self.composite(worse)),
            is_single: false,
            happened: true,
        };
        let singles = (0..self.examples.len()).filter(|&photo| is_in(photo)).filter_map(single);
        let pairs = self.pairs.iter().filter(|pair| is_in(pair.better) && is_in(pair.worse)).map(pair);
        let observations: Vec<Observation> = singles.chain(pairs).collect();
        fit::fit(&observations, self.rows.first().map_or(0, Vec::len))
    }

    /// The composite score of a photo and what the weights add to it.
    fn predicted(&self, photo: usize, weights: &[f64]) -> f64 {
        self.composite(photo) + fit::dot(&self.rows[photo], weights) / SLOPE
    }
}

#[cfg(test)]
mod tests;

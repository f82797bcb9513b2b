//! How strong a photo is in a comparison: the preference of the network for what it was shown, and the photo's details,
//! weighed by a small layer that learned from takes of scenes and from degraded copies.

use super::answer;
use super::detail::DETAILS;
use super::views::Answers;
use crate::checkpoint::{Names, WeightsError};

/// Numbers the referee is given of a photo.
pub const COMPARISON_FEATURES: usize = 4 + DETAILS;
pub const HIDDEN: usize = 64;
/// Opinions lie in 0 to 1, preferences in some ten units.
const OPINION: f32 = 5.0;
/// What lies farther from the mean than this many deviations is no longer told apart.
pub const FAR: f32 = 4.0;

#[derive(Debug)]
pub struct ComparisonHead {
    mean: Vec<f32>,
    std: Vec<f32>,
    hidden: Vec<f32>,
    hidden_bias: Vec<f32>,
    out: Vec<f32>,
}

/// The numbers by which a photo is compared.
pub fn comparison_features(answers: &Answers, details: &[f32; DETAILS]) -> [f32; COMPARISON_FEATURES] {
    let mut all = [0.0; COMPARISON_FEATURES];
    let closely = answers.middle.as_ref().unwrap_or(&answers.whole);
    for (at, answers) in [&answers.whole, closely].into_iter().enumerate() {
        (all[at], all[2 + at]) = (answers[answer::PREFERENCE], OPINION * answers[answer::OPINION]);
    }
    all[4..].copy_from_slice(details);
    all
}

impl ComparisonHead {
    pub fn new(names: &Names<'_>) -> Result<Self, WeightsError> {
        let hidden = names.under("hidden");
        Ok(Self {
            mean: names.take("mean", &[COMPARISON_FEATURES])?,
            std: names.take("std", &[COMPARISON_FEATURES])?,
            hidden: hidden.take("weight", &[HIDDEN, COMPARISON_FEATURES])?,
            hidden_bias: hidden.take("bias", &[HIDDEN])?,
            out: names.take("out.weight", &[1, HIDDEN])?,
        })
    }

    /// Only differences mean something.
    pub fn strength(&self, comparison_features: &[f32; COMPARISON_FEATURES]) -> f32 {
        let mut heard = *comparison_features;
        for (v, (mean, std)) in heard.iter_mut().zip(self.mean.iter().zip(&self.std)) {
            *v = ((*v - mean) / std).clamp(-FAR, FAR);
        }
        let rows = self.hidden.as_chunks::<COMPARISON_FEATURES>().0.iter().zip(&self.hidden_bias);
        let strength = rows.zip(&self.out).map(|((row, bias), out)| {
            let sum = bias + row.iter().zip(&heard).map(|(w, v)| w * v).sum::<f32>();
            out * sum.max(0.0)
        });
        strength.sum()
    }
}

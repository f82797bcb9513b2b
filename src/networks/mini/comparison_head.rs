//! The comparison head: a small layer over the network's preference and the details and framing of a photo. It was trained
//! on takes of the same scene, on degraded copies, and on copies that are tilted or off centre.

use super::answer;
use super::detail::DETAILS;
use super::framing::FRAMING;
use super::views::Answers;
use crate::checkpoint::{Names, WeightsError};

/// Length of [`comparison_features`].
pub const COMPARISON_FEATURES: usize = FRAMING_AT + FRAMING;
/// Where the framing begins.
pub const FRAMING_AT: usize = 4 + DETAILS;
pub const HIDDEN: usize = 64;
/// Opinions range from 0 to 1, preferences over about ten units; the factor brings them closer.
const OPINION: f32 = 5.0;
/// Inputs are clamped to this many standard deviations from the mean.
pub const FAR: f32 = 4.0;

#[derive(Debug)]
pub struct ComparisonHead {
    mean: Vec<f32>,
    std: Vec<f32>,
    hidden: Vec<f32>,
    hidden_bias: Vec<f32>,
    out: Vec<f32>,
}

/// The inputs of the comparison head for one photo.
pub fn comparison_features(answers: &Answers, details: &[f32; DETAILS]) -> [f32; COMPARISON_FEATURES] {
    let mut all = [0.0; COMPARISON_FEATURES];
    let closely = answers.middle.as_ref().unwrap_or(&answers.whole);
    for (at, answers) in [&answers.whole, closely].into_iter().enumerate() {
        (all[at], all[2 + at]) = (answers[answer::PREFERENCE], OPINION * answers[answer::OPINION]);
    }
    all[4..FRAMING_AT].copy_from_slice(details);
    all[FRAMING_AT..].copy_from_slice(&answers.framing);
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

    /// The strength of a photo in a comparison. Only differences between photos are meaningful.
    pub fn strength(&self, comparison_features: &[f32; COMPARISON_FEATURES]) -> f32 {
        let mut inputs = *comparison_features;
        for (v, (mean, std)) in inputs.iter_mut().zip(self.mean.iter().zip(&self.std)) {
            *v = ((*v - mean) / std).clamp(-FAR, FAR);
        }
        let rows = self.hidden.as_chunks::<COMPARISON_FEATURES>().0.iter().zip(&self.hidden_bias);
        let strength = rows.zip(&self.out).map(|((row, bias), out)| {
            let sum = bias + row.iter().zip(&inputs).map(|(w, v)| w * v).sum::<f32>();
            out * sum.max(0.0)
        });
        strength.sum()
    }
}

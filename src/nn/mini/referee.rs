//! How strong a photo is in a comparison: the preference of the network for what it was shown, and the photo's details,
//! weighed by a small layer that learned from takes of scenes and from degraded copies.

use super::answer;
use super::detail::{DETAILS, details};
use super::views::{self, Said};
use crate::nn::checkpoint::{Names, WeightsError};
use crate::pixels::Pixels;

/// Numbers the referee is given of a photo.
pub const WITNESSES: usize = 4 + DETAILS;
pub const HIDDEN: usize = 64;
/// Opinions lie in 0 to 1, preferences in some ten units.
const OPINION: f32 = 5.0;
/// What lies farther from the mean than this many deviations is no longer told apart.
pub const FAR: f32 = 4.0;

#[derive(Debug)]
pub struct Referee {
    mean: Vec<f32>,
    std: Vec<f32>,
    hidden: Vec<f32>,
    hidden_bias: Vec<f32>,
    out: Vec<f32>,
}

/// What the referee hears about a photo.
pub fn witnesses(said: &Said, photo: &Pixels) -> [f32; WITNESSES] {
    let mut all = [0.0; WITNESSES];
    let closely = said.middle.as_ref().unwrap_or(&said.whole);
    for (at, said) in [&said.whole, closely].into_iter().enumerate() {
        (all[at], all[2 + at]) = (said[answer::PREFERENCE], OPINION * said[answer::OPINION]);
    }
    all[4..].copy_from_slice(&details(&views::closely(photo)));
    all
}

impl Referee {
    pub fn new(names: &Names<'_>) -> Result<Self, WeightsError> {
        let hidden = names.under("hidden");
        Ok(Self {
            mean: names.take("mean", &[WITNESSES])?,
            std: names.take("std", &[WITNESSES])?,
            hidden: hidden.take("weight", &[HIDDEN, WITNESSES])?,
            hidden_bias: hidden.take("bias", &[HIDDEN])?,
            out: names.take("out.weight", &[1, HIDDEN])?,
        })
    }

    /// Only differences mean something.
    pub fn strength(&self, witnesses: &[f32; WITNESSES]) -> f32 {
        let mut heard = *witnesses;
        for (v, (mean, std)) in heard.iter_mut().zip(self.mean.iter().zip(&self.std)) {
            *v = ((*v - mean) / std).clamp(-FAR, FAR);
        }
        let rows = self.hidden.as_chunks::<WITNESSES>().0.iter().zip(&self.hidden_bias);
        let strength = rows.zip(&self.out).map(|((row, bias), out)| {
            let sum = bias + row.iter().zip(&heard).map(|(w, v)| w * v).sum::<f32>();
            out * sum.max(0.0)
        });
        strength.sum()
    }
}

//! The heads of the built-in network, over the pooled features and the measures of a picture.

use super::comparison_head::FAR;
use super::{DEGRADATIONS, EMBEDDING, INPUTS, KINDS, LAYER, POOLED, answer};
use crate::checkpoint::{Names, WeightsError};
use kernels::{Activation, Engine, Linear, Scratch};

#[derive(Debug)]
pub struct Heads {
    mean: Vec<f32>,
    std: Vec<f32>,
    layer: Linear,
    opinion: Linear,
    preference: Linear,
    degradation: Linear,
    kind: Linear,
    embedding: Linear,
}

impl Heads {
    pub fn new(engine: Engine, names: &Names<'_>) -> Result<Self, WeightsError> {
        let linear = |name: &str, inputs: usize, outputs: usize| {
            let names = names.under(name);
            let (weight, bias) = (names.take("weight", &[outputs, inputs])?, names.take("bias", &[outputs])?);
            Ok::<_, WeightsError>(Linear::new(engine, &weight, &bias))
        };
        let seen = names.under("seen");
        Ok(Self {
            mean: seen.take("mean", &[INPUTS])?,
            std: seen.take("std", &[INPUTS])?,
            layer: linear("layer", INPUTS, LAYER)?,
            opinion: linear("opinion", LAYER, 1)?,
            preference: linear("preference", LAYER, 1)?,
            degradation: linear("degradation", LAYER, DEGRADATIONS.len())?,
            kind: linear("kind", LAYER, KINDS.len())?,
            embedding: linear("embedding", POOLED, EMBEDDING)?,
        })
    }

    /// Memory of the packed weights.
    pub fn bytes(&self) -> usize {
        let heads = [&self.layer, &self.opinion, &self.preference, &self.degradation, &self.kind, &self.embedding];
        heads.iter().map(|head| head.bytes()).sum()
    }

    /// The outputs for a picture, in the layout of [`answer`].
    pub fn answer(&self, pooled: &[f32], measures: &[f32]) -> Vec<f32> {
        let mut scratch = Scratch::new(1);
        let mut apply = |head: &Linear, from: &[f32], to: &mut [f32], activation: Activation| {
            head.apply(from, to, activation, &mut scratch);
        };
        let seen = scaled(pooled.iter().chain(measures), &self.mean, &self.std);
        let mut layer = vec![0.0; LAYER];
        apply(&self.layer, &seen, &mut layer, Activation::Relu);
        let mut out = vec![0.0; answer::LEN];
        apply(&self.opinion, &layer, &mut out[answer::OPINION..=answer::OPINION], Activation::Identity);
        apply(&self.preference, &layer, &mut out[answer::PREFERENCE..=answer::PREFERENCE], Activation::Identity);
        apply(&self.degradation, &layer, &mut out[answer::DEGRADED], Activation::Identity);
        out[answer::DEGRADED].iter_mut().for_each(|v| *v = 1.0 / (1.0 + (-*v).exp()));
        apply(&self.kind, &layer, &mut out[answer::KIND], Activation::Identity);
        shares(&mut out[answer::KIND]);
        apply(&self.embedding, &seen[..POOLED], &mut out[answer::EMBEDDED], Activation::Identity);
        let embedded = &mut out[answer::EMBEDDED];
        let length = embedded.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-9);
        embedded.iter_mut().for_each(|v| *v /= length);
        out
    }
}

/// Standardises values and clamps them to `FAR` deviations.
pub fn scaled<'a>(values: impl Iterator<Item = &'a f32>, mean: &[f32], std: &[f32]) -> Vec<f32> {
    values.zip(mean.iter().zip(std)).map(|(v, (mean, std))| ((v - mean) / std).clamp(-FAR, FAR)).collect()
}

/// The softmax of logits, in place.
fn shares(logits: &mut [f32]) {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    logits.iter_mut().for_each(|v| *v = (*v - most).exp());
    let sum: f32 = logits.iter().sum();
    logits.iter_mut().for_each(|v| *v /= sum);
}

//! The form that infers.

use super::passes::Convs;
use super::{EMBEDDING, POOLED, TRUNK, View, answer, layers};
use crate::checkpoint::{Names, WeightsError};
use crate::fused::{Batch, Network, Photos, Workspace};
use crate::mini::input::{MEASURES, SIDE_STEP};
use kernels::{Activation, Engine, Linear, Map};

#[derive(Debug)]
pub struct FusedMini {
    convs: Convs,
    measures: Scale,
    trunk: Linear,
    opinion: Linear,
    preference: Linear,
    degradation: Linear,
    embedding: Linear,
}

/// Brings the measures to where the trunk expects them.
#[derive(Debug)]
struct Scale {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Scale {
    fn apply(&self, measures: &[f32], out: &mut [f32]) {
        let parts = out.iter_mut().zip(measures).zip(self.mean.iter().zip(&self.std));
        parts.for_each(|((out, v), (mean, std))| *out = ((v - mean) / std).clamp(-4.0, 4.0));
    }
}

impl FusedMini {
    pub fn new(engine: Engine, names: &Names<'_>) -> Result<Self, WeightsError> {
        let conv = |(name, layer): (String, super::Layer)| {
            let (side, names) = (layer.window().side, names.under(name));
            let weight = names.take("weight", &[layer.outputs, layer.inputs, side, side])?;
            Ok((weight, names.take("bias", &[layer.outputs])?))
        };
        let weights = layers().into_iter().map(conv).collect::<Result<Vec<_>, WeightsError>>()?;
        let linear = |name: &str, inputs: usize, outputs: usize| {
            let names = names.under(name);
            let (weight, bias) = (names.take("weight", &[outputs, inputs])?, names.take("bias", &[outputs])?);
            Ok::<_, WeightsError>(Linear::new(engine, &weight, &bias))
        };
        let measures = names.under("measures");
        Ok(Self {
            convs: Convs::new(engine, &weights, false),
            measures: Scale { mean: measures.take("mean", &[MEASURES])?, std: measures.take("std", &[MEASURES])? },
            trunk: linear("trunk", POOLED + MEASURES, TRUNK)?,
            opinion: linear("opinion", TRUNK, 1)?,
            preference: linear("preference", TRUNK, 1)?,
            degradation: linear("degradation", TRUNK, answer::DEGRADED.len())?,
            embedding: linear("embedding", POOLED, EMBEDDING)?,
        })
    }

    fn judge(&self, pooled: &[f32], measures: &[f32], out: &mut [f32], work: &mut Workspace) {
        let scratch = &mut work.scratch;
        let mut seen = pooled.to_vec();
        seen.resize(POOLED + MEASURES, 0.0);
        self.measures.apply(measures, &mut seen[POOLED..]);
        let mut trunk = vec![0.0; TRUNK];
        self.trunk.apply(&seen, &mut trunk, Activation::Relu, scratch);
        self.opinion.apply(&trunk, &mut out[answer::OPINION..=answer::OPINION], Activation::Identity, scratch);
        self.preference.apply(&trunk, &mut out[answer::PREFERENCE..=answer::PREFERENCE], Activation::Identity, scratch);
        let degraded = &mut out[answer::DEGRADED];
        self.degradation.apply(&trunk, degraded, Activation::Identity, scratch);
        degraded.iter_mut().for_each(|v| *v = 1.0 / (1.0 + (-*v).exp()));
        self.embedding.apply(pooled, &mut out[answer::EMBEDDED], Activation::Identity, scratch);
    }
}

impl Network for FusedMini {
    fn features(&self) -> usize {
        answer::LEN
    }

    fn bytes(&self) -> usize {
        let heads = [&self.trunk, &self.opinion, &self.preference, &self.degradation, &self.embedding];
        self.convs.bytes() + heads.iter().map(|head| head.bytes()).sum::<usize>()
    }

    fn group(&self) -> usize {
        4
    }

    fn accepts(&self, height: usize, width: usize) -> bool {
        height > 0 && width > 0 && height.is_multiple_of(SIDE_STEP) && width.is_multiple_of(SIDE_STEP)
    }

    fn forward(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace) {
        let Photos { count, height, width, data } = photos;
        let mut input: Map = work.arena.take(Convs::input(count, height, width));
        let views = data.chunks_exact(height * width * Batch::CHANNELS);
        let prepared: Vec<_> =
            (views.enumerate()).map(|(image, data)| View { width, height, data }.prepare(&mut input, image)).collect();
        let mut pooled = vec![0.0; count * POOLED];
        let tape = self.convs.forward(input, &mut pooled, &mut work.arena, &mut work.scratch);
        if let Some(input) = tape.give(&mut work.arena) {
            work.arena.give(input);
        }
        let rows = out.chunks_exact_mut(answer::LEN).zip(pooled.chunks_exact(POOLED)).zip(&prepared);
        rows.for_each(|((out, pooled), prepared)| self.judge(pooled, &prepared.measures, out, work));
    }
}

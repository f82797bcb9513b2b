//! The inference implementation, on the fused kernels.

use super::{DEGRADATIONS, FEATURES, LEAST_SIDE, NARROW, OUTPUTS, head, overall, stages, weights};
use crate::checkpoint::{Names, WeightsError};
use crate::folded_norm::{Normalised, folded};
use crate::fused::{Network, Photos, Workspace};
use crate::head::FusedHead;
use kernels::{Activation, Conv, Engine, Linear, Map, Shape, Window, max_pool, mean_pool};

const CONV: Window = Window { side: 3, stride: 1, padding: 1 };
const POOL: Window = Window { side: 2, stride: 2, padding: 0 };

#[derive(Debug)]
pub struct FusedMultiHead {
    engine: Engine,
    stages: Vec<Stage>,
    attention: [Linear; 2],
    heads: Vec<FusedHead>,
    weights: Vec<f32>,
}

#[derive(Debug)]
struct Stage {
    entry: Conv,
    block: [Conv; 2],
}

impl FusedMultiHead {
    pub fn new(engine: Engine, names: &Names<'_>) -> Result<Self, WeightsError> {
        let backbone = names.under("backbone");
        let stage = |([inputs, outputs], [entry, block]): ([usize; 2], [usize; 2])| {
            let (entry, block) = (backbone.under(entry), backbone.under(block));
            let layer = |names: &Names<'_>, conv: &str, norm: &str, inputs: usize| {
                let layer = Normalised { conv, norm, inputs, outputs, window: CONV, biased: true, eps: super::EPS };
                folded(engine, names, &layer)
            };
            Ok(Stage {
                entry: layer(&entry, "conv", "bn", inputs)?,
                block: [layer(&block, "conv1", "bn1", outputs)?, layer(&block, "conv2", "bn2", outputs)?],
            })
        };
        let linear = |place: usize, inputs: usize, outputs: usize| {
            let names = names.under("channel_attention").under(place);
            let (weight, bias) = (names.take("weight", &[outputs, inputs])?, names.take("bias", &[outputs])?);
            Ok::<_, WeightsError>(Linear::new(engine, &weight, &bias))
        };
        Ok(Self {
            engine,
            stages: stages().map(stage).collect::<Result<_, WeightsError>>()?,
            attention: [linear(0, FEATURES, NARROW)?, linear(2, NARROW, FEATURES)?],
            heads: DEGRADATIONS
                .iter()
                .map(|flaw| FusedHead::new(&head(0.0), engine, &names.under(format!("head_{flaw}"))))
                .collect::<Result<_, _>>()?,
            weights: weights(names)?,
        })
    }

    /// Weights each channel by its attention in this photo.
    fn attended(&self, mut pooled: Vec<f32>, work: &mut Workspace) -> Vec<f32> {
        let photos = pooled.len() / FEATURES;
        let [narrow, wide] = &self.attention;
        let (mut few, mut counts) = (vec![0.0; photos * NARROW], vec![0.0; photos * FEATURES]);
        narrow.apply(&pooled, &mut few, Activation::Relu, &mut work.scratch);
        wide.apply(&few, &mut counts, Activation::Identity, &mut work.scratch);
        pooled.iter_mut().zip(&counts).for_each(|(v, count)| *v *= logistic(*count));
        pooled
    }
}

impl Stage {
    fn apply(&self, engine: Engine, input: Map, border: usize, work: &mut Workspace) -> Map {
        let Workspace { arena, scratch } = work;
        let mut entered = arena.take(self.entry.output(input.shape(), 1));
        self.entry.apply(&input, &mut entered, None, Activation::Relu, scratch);
        arena.give(input);
        let [first, second] = &self.block;
        let mut inner = arena.take(first.output(entered.shape(), 1));
        first.apply(&entered, &mut inner, None, Activation::Relu, scratch);
        let mut left = arena.take(second.output(inner.shape(), 0));
        second.apply(&inner, &mut left, Some(&entered), Activation::Relu, scratch);
        arena.give(inner);
        arena.give(entered);
        let from = left.shape();
        let (height, width) = (POOL.outputs(from.height), POOL.outputs(from.width));
        let mut out = arena.take(Shape { height, width, border, ..from });
        max_pool(engine.cpu, POOL, &left, &mut out, scratch.threads);
        arena.give(left);
        out
    }

    fn bytes(&self) -> usize {
        self.entry.bytes() + self.block.iter().map(Conv::bytes).sum::<usize>()
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

impl Network for FusedMultiHead {
    fn features(&self) -> usize {
        OUTPUTS
    }

    fn bytes(&self) -> usize {
        let stages: usize = self.stages.iter().map(Stage::bytes).sum();
        let heads: usize = self.heads.iter().map(FusedHead::bytes).sum();
        stages + heads + self.attention.iter().map(Linear::bytes).sum::<usize>()
    }

    fn group(&self) -> usize {
        1
    }

    fn accepts(&self, height: usize, width: usize) -> bool {
        height.min(width) >= LEAST_SIDE
    }

    fn forward(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace) {
        let mut map = photos.map(CONV.padding, &mut work.arena);
        for (at, stage) in self.stages.iter().enumerate() {
            let last = at + 1 == self.stages.len();
            map = stage.apply(self.engine, map, usize::from(!last), work);
        }
        let features = self.attended(mean_pool(&map), work);
        work.arena.give(map);
        let logits: Vec<Vec<f32>> = self.heads.iter().map(|head| head.apply(&features)).collect();
        for (photo, out) in out.chunks_exact_mut(OUTPUTS).enumerate() {
            for (out, logits) in out.iter_mut().zip(&logits) {
                *out = logistic(logits[photo]);
            }
            out[DEGRADATIONS.len()] = overall(&out[..DEGRADATIONS.len()], &self.weights);
        }
    }
}

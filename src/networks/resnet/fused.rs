//! The inference implementation: batch normalisation is folded into the convolutions, residuals and activations into their
//! stores.

use super::{BlockPlan, Depth, EPS, Naming};
use crate::checkpoint::{Names, WeightsError};
use crate::folded_norm::{Normalised, folded};
use crate::fused::{Batch, Network, Photos, Workspace};
use kernels::{Activation, Conv, Engine, Map, Shape, Window, max_pool, mean_pool};

const STEM: Window = Window { side: 7, stride: 2, padding: 3 };
const POOL: Window = Window { side: 3, stride: 2, padding: 1 };

#[derive(Debug)]
pub struct FusedResNet {
    depth: Depth,
    engine: Engine,
    stem: Conv,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    /// The residual branch.
    convs: Vec<Conv>,
    shortcut: Option<Conv>,
}

impl FusedResNet {
    pub fn new(depth: Depth, naming: Naming, engine: Engine, names: &Names<'_>) -> Result<Self, WeightsError> {
        let (conv, norm) = naming.stem();
        let stem = layer(engine, names, [conv, norm], [Batch::CHANNELS, 64], STEM)?;
        let block = |plan: BlockPlan| {
            let names = names.under(naming.stage(plan.stage)).under(plan.index);
            let conv = |(i, [inputs, outputs, side, stride]): (usize, [usize; 4])| {
                let window = Window { side, stride, padding: side / 2 };
                let (conv, norm) = (format!("conv{}", i + 1), format!("bn{}", i + 1));
                layer(engine, &names, [&conv, &norm], [inputs, outputs], window)
            };
            let convs = plan.convolutions(depth).into_iter().enumerate().map(conv).collect::<Result<_, _>>()?;
            let window = Window { side: 1, stride: plan.stride, padding: 0 };
            let shortcut = plan
                .projects()
                .then(|| layer(engine, &names, ["downsample.0", "downsample.1"], [plan.inputs, plan.outputs], window))
                .transpose()?;
            Ok(Block { convs, shortcut })
        };
        let blocks = depth.plan().into_iter().map(block).collect::<Result<_, _>>()?;
        Ok(Self { depth, engine, stem, blocks })
    }
}

fn layer(
    engine: Engine,
    names: &Names<'_>,
    [conv, norm]: [&str; 2],
    [inputs, outputs]: [usize; 2],
    window: Window,
) -> Result<Conv, WeightsError> {
    folded(engine, names, &Normalised { conv, norm, inputs, outputs, window, biased: false, eps: EPS })
}

impl Block {
    /// Gives the output a border where the next block begins with a wide window.
    fn apply(&self, input: Map, border: usize, work: &mut Workspace) -> Map {
        let Workspace { arena, scratch } = work;
        let shortcut = self.shortcut.as_ref().map(|conv| {
            let mut out = arena.take(conv.output(input.shape(), 0));
            conv.apply(&input, &mut out, None, Activation::Identity, scratch);
            out
        });
        let mut between: Option<Map> = None;
        for (i, conv) in self.convs.iter().enumerate() {
            let last = i + 1 == self.convs.len();
            let border = if last { border } else { 1 };
            let from = between.as_ref().unwrap_or(&input);
            let mut out = arena.take(conv.output(from.shape(), border));
            let residual = last.then(|| shortcut.as_ref().unwrap_or(&input));
            conv.apply(from, &mut out, residual, Activation::Relu, scratch);
            if let Some(done) = between.replace(out) {
                arena.give(done);
            }
        }
        if let Some(shortcut) = shortcut {
            arena.give(shortcut);
        }
        match between {
            Some(out) => {
                arena.give(input);
                out
            }
            None => input,
        }
    }
}

impl Network for FusedResNet {
    fn features(&self) -> usize {
        self.depth.features()
    }

    fn bytes(&self) -> usize {
        let block = |block: &Block| block.convs.iter().chain(&block.shortcut).map(Conv::bytes).sum::<usize>();
        self.stem.bytes() + self.blocks.iter().map(block).sum::<usize>()
    }

    fn forward(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace) {
        let input = photos.map(STEM.padding, &mut work.arena);
        let mut stem = work.arena.take(self.stem.output(input.shape(), 0));
        self.stem.apply(&input, &mut stem, None, Activation::Relu, &mut work.scratch);
        work.arena.give(input);
        // The first convolution of a bottleneck is 1x1 and needs no border; that of a basic block is 3x3.
        let border = usize::from(self.depth == Depth::Eighteen);
        let from = stem.shape();
        let (height, width) = (POOL.outputs(from.height), POOL.outputs(from.width));
        let mut map = work.arena.take(Shape { height, width, border, ..from });
        max_pool(self.engine.cpu, POOL, &stem, &mut map, work.scratch.threads);
        work.arena.give(stem);
        for block in &self.blocks {
            map = block.apply(map, border, work);
        }
        out.copy_from_slice(&mean_pool(&map));
        work.arena.give(map);
    }
}

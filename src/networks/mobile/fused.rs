//! The form that infers.

use super::block::{BORDER, FusedBlock, Size, photo, pointwise};
use super::plan::{Family, Folded, Plan};
use crate::checkpoint::{Names, WeightsError};
use crate::fused::{Network, Photos, Workspace};
use kernels::pointwise::{Pointwise, Reach};
use kernels::{Buffer, Engine};

/// Floats of weights from which on a block takes all photos in turn: fewer stay in the second-level cache anyway, and then
/// a photo's maps are the nearer the fewer of them there are.
const HEAVY: usize = 32 << 10;

/// Adds to variances before the root, as [`crate::mini`] does.
const EPS: f32 = 1e-4;

/// All convolutions packed for the kernels.
#[derive(Debug)]
pub struct FusedMobile {
    blocks: Vec<FusedBlock>,
    /// Where the outputs of a block go in a row of pooled numbers.
    stages: Vec<Option<std::ops::Range<usize>>>,
    /// Channels of each block's output.
    channels: Vec<usize>,
    /// None in a trunk.
    head: Option<Pointwise>,
    features: usize,
    pooled: usize,
    /// The first block that takes all photos in turn.
    heavy: usize,
}

impl FusedMobile {
    /// EfficientNet and MobileNet have lanes for their sums on every path; tiles, which take bf16, would have to split each
    /// number of these small layers.
    pub fn new(family: Family, engine: Engine, names: &Names<'_>) -> Result<Self, WeightsError> {
        let plan = Plan::of(family, names)?;
        let folded = plan.folded(names)?;
        Ok(Self::pack(engine, &plan, &folded))
    }

    /// Without the last convolution: its features are what is pooled of the stages.
    pub fn trunk(family: Family, engine: Engine, names: &Names<'_>) -> Result<Self, WeightsError> {
        let plan = Plan::trunk(family, names)?;
        let folded = plan.folded(names)?;
        Ok(Self::pack(engine, &plan, &folded))
    }

    pub fn pack(engine: Engine, plan: &Plan, folded: &[Folded]) -> Self {
        let blocks: Vec<FusedBlock> =
            plan.blocks.iter().map(|block| FusedBlock::new(engine.cpu, plan, *block, folded)).collect();
        let (stages, features) = plan.pooled();
        let mut stages = stages.into_iter();
        let stages = plan.blocks.iter().map(|block| if block.ends_stage { stages.next() } else { None }).collect();
        Self {
            heavy: blocks.iter().position(|block| block.weights() > HEAVY).unwrap_or(blocks.len()).max(1),
            blocks,
            stages,
            channels: plan.blocks.iter().map(|block| plan.convs[block.project].outputs).collect(),
            head: plan.head().map(|head| pointwise(engine.cpu, &plan.convs[head], &folded[head])),
            features: plan.features(),
            pooled: features.end,
        }
    }

    /// Numbers in a row of [`Self::pool`].
    pub fn pooled(&self) -> usize {
        self.pooled
    }

    /// Fills `out` with a row a photo: mean and deviation of every channel of every stage, then the features, as
    /// [`Plan::pooled`] places them.
    pub fn pool(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace) {
        self.run(photos, work, out, self.pooled, true);
    }

    /// `row` floats a photo; without `stages` the features alone.
    fn run(&self, photos: Photos<'_>, work: &mut Workspace, out: &mut [f32], row: usize, stages: bool) {
        let input = photos.map(BORDER, &mut work.arena);
        let each = input.data().len() / photos.count;
        let mut sizes = vec![photo(photos.height, photos.width)];
        for block in &self.blocks {
            sizes.push(block.output(sizes[sizes.len() - 1]));
        }
        let rows = || 0..photos.count;
        let mut maps = work.arena.buffer(photos.count * sizes[self.heavy].len());
        for image in rows() {
            let (photo, len) = (&input.data()[image * each..][..each], sizes[self.heavy].len());
            let row = stages.then(|| &mut out[image * row..][..row]);
            self.light(photo, &sizes, &mut maps[image * len..][..len], row, work);
        }
        work.arena.give(input);
        for at in self.heavy..self.blocks.len() {
            let (from, to) = (sizes[at], sizes[at + 1]);
            let mut next = work.arena.buffer(photos.count * to.len());
            for image in rows() {
                let own = &mut next[image * to.len()..][..to.len()];
                self.blocks[at].apply(&maps[image * from.len()..][..from.len()], from, own, work);
                if stages {
                    self.pool_stage(at, own, to, &mut out[image * row..][..row]);
                }
            }
            work.arena.give_buffer(std::mem::replace(&mut maps, next));
        }
        if let Some(head) = &self.head {
            let size = sizes[self.blocks.len()];
            let mut wide = work.arena.buffer(size.pixels() * head.width());
            for image in rows() {
                let map = &maps[image * size.len()..][..size.len()];
                head.run(map, Reach::pixel(head.inputs(), size.step), size.pixels(), None, &mut wide);
                let features = &mut out[image * row + row - self.features..][..self.features];
                means(&wide, head.width(), size.pixels(), features);
            }
            work.arena.give_buffer(wide);
        }
        work.arena.give_buffer(maps);
    }

    /// One photo through the blocks whose weights are few.
    fn light(&self, photo: &[f32], sizes: &[Size], out: &mut [f32], mut row: Option<&mut [f32]>, work: &mut Workspace) {
        let mut map: Option<Buffer> = None;
        for at in 0..self.heavy {
            let mut next = (at + 1 < self.heavy).then(|| work.arena.buffer(sizes[at + 1].len()));
            let to = next.as_deref_mut().unwrap_or(&mut *out);
            self.blocks[at].apply(map.as_deref().unwrap_or(photo), sizes[at], to, work);
            if let Some(row) = row.as_deref_mut() {
                self.pool_stage(at, to, sizes[at + 1], row);
            }
            if let Some(done) = std::mem::replace(&mut map, next) {
                work.arena.give_buffer(done);
            }
        }
    }

    fn pool_stage(&self, at: usize, map: &[f32], size: Size, row: &mut [f32]) {
        if let Some(range) = &self.stages[at] {
            means_and_deviations(map, size, self.channels[at], &mut row[range.clone()]);
        }
    }
}

/// The mean of each of the first channels over all pixels.
pub fn means(map: &[f32], step: usize, pixels: usize, out: &mut [f32]) {
    out.fill(0.0);
    for pixel in map.chunks_exact(step).take(pixels) {
        out.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += v);
    }
    out.iter_mut().for_each(|sum| *sum /= pixels as f32);
}

/// Means of all channels, and behind them their deviations.
pub fn means_and_deviations(map: &[f32], size: Size, channels: usize, out: &mut [f32]) {
    let (mean, deviation) = out.split_at_mut(channels);
    means(map, size.step, size.pixels(), mean);
    deviation.fill(0.0);
    for pixel in map.chunks_exact(size.step).take(size.pixels()) {
        let each = deviation.iter_mut().zip(pixel).zip(mean.iter());
        each.for_each(|((sum, v), mean)| *sum += (v - mean) * (v - mean));
    }
    let count = size.pixels() as f32;
    deviation.iter_mut().for_each(|sum| *sum = (*sum / count + EPS).sqrt());
}

impl Network for FusedMobile {
    fn features(&self) -> usize {
        if self.head.is_some() { self.features } else { self.pooled }
    }

    fn bytes(&self) -> usize {
        let weights = self.blocks.iter().map(FusedBlock::weights).chain(self.head.iter().map(Pointwise::weights));
        weights.sum::<usize>() * size_of::<f32>()
    }

    fn forward(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace) {
        self.run(photos, work, out, self.features(), self.head.is_none());
    }
}

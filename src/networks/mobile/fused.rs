//! MobileNets on the CPU kernels, for inference.

use super::block::{BORDER, FusedBlock, Size, photo, pointwise};
use super::plan::{Family, Folded, Plan};
use crate::checkpoint::{Names, WeightsError};
use crate::fused::{Network, Photos, Workspace};
use kernels::pointwise::{Pointwise, Reach};
use kernels::{Buffer, Engine};

/// From this many weights on, a block processes all photos before the next block runs, so that its weights are read once.
/// Smaller weights stay in the L2 cache, and then it is better to keep one photo's maps there.
const HEAVY: usize = 32 << 10;

/// Added to variances before the root.
const EPS: f32 = 1e-4;

/// All convolutions packed for the kernels.
#[derive(Debug)]
pub struct FusedMobile {
    blocks: Vec<FusedBlock>,
    /// The range of each block's pooled values in an output row, where it ends a stage.
    stages: Vec<Option<std::ops::Range<usize>>>,
    /// Channels of each block's output.
    channels: Vec<usize>,
    /// `None` in a trunk.
    head: Option<Pointwise>,
    features: usize,
    pooled: usize,
    /// The first block that processes all photos before the next one runs.
    heavy: usize,
}

impl FusedMobile {
    /// Uses vector kernels on every processor: AMX tiles take bf16, and splitting each f32 does not pay off for such small
    /// layers.
    pub fn new(family: Family, engine: Engine, names: &Names<'_>) -> Result<Self, WeightsError> {
        let plan = Plan::of(family, names)?;
        let folded = plan.folded(names)?;
        Ok(Self::pack(engine, &plan, &folded))
    }

    /// The network without its last convolution; only the pooled stages are used.
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

    /// Length of a row of [`Self::pool`].
    pub fn pooled(&self) -> usize {
        self.pooled
    }

    /// Fills `out` with one row per photo: mean and deviation of every channel of every stage, then the features, in the
    /// layout of [`Plan::pooled`].
    pub fn pool(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace) {
        self.run(photos, out, work, self.pooled, true);
    }

    /// Writes `row_len` floats per photo; without `with_stages` only the features.
    fn run(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace, row_len: usize, with_stages: bool) {
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
            let row = with_stages.then(|| &mut out[image * row_len..][..row_len]);
            self.light(photo, &sizes, &mut maps[image * len..][..len], row, work);
        }
        work.arena.give(input);
        for at in self.heavy..self.blocks.len() {
            let (from, to) = (sizes[at], sizes[at + 1]);
            let mut next = work.arena.buffer(photos.count * to.len());
            for image in rows() {
                let own = &mut next[image * to.len()..][..to.len()];
                self.blocks[at].apply(&maps[image * from.len()..][..from.len()], from, own, work);
                if with_stages {
                    self.pool_stage(at, own, to, &mut out[image * row_len..][..row_len]);
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
                let features = &mut out[(image + 1) * row_len - self.features..][..self.features];
                means(&wide, head.width(), size.pixels(), features);
            }
            work.arena.give_buffer(wide);
        }
        work.arena.give_buffer(maps);
    }

    /// Runs one photo through the blocks with few weights.
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

/// The means of all channels, followed by their deviations.
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
        self.run(photos, out, work, self.features(), self.head.is_none());
    }
}

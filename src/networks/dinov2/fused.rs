//! The inference implementation.

use std::sync::{Mutex, PoisonError};

use super::{Config, EPS, HEAD, PATCH, positions};
use crate::checkpoint::{Names, WeightsError};
use crate::fused::{Batch, Network, Photos, Workspace};
use kernels::{Activation, Buffer, Engine, Heads, LayerNorm, Linear, gated};

#[derive(Debug)]
pub struct FusedDinov2 {
    config: Config,
    engine: Engine,
    patches: Linear,
    class_token: Vec<f32>,
    registers: Vec<f32>,
    /// The position of the class token, then those of the trained grid of patches.
    positions: Vec<f32>,
    /// The patch positions for the most recent grid size.
    resized: Mutex<([usize; 2], std::sync::Arc<[f32]>)>,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    /// Queries (scaled), keys and values of a token in one row.
    qkv: Linear,
    /// Includes the branch's layer scale.
    mix: Linear,
    norm2: LayerNorm,
    /// Twice as many outputs where the layer is gated.
    inner: Linear,
    /// Includes the branch's layer scale.
    outer: Linear,
}

fn norm(engine: Engine, names: &Names<'_>, width: usize) -> Result<LayerNorm, WeightsError> {
    let (scale, shift) = (names.take("weight", &[width])?, names.take("bias", &[width])?);
    Ok(LayerNorm::new(engine.cpu, scale, shift, EPS as f32))
}

/// A linear layer with a scale for each output.
fn scaled(
    engine: Engine,
    names: &Names<'_>,
    [outputs, inputs]: [usize; 2],
    scale: &[f32],
) -> Result<Linear, WeightsError> {
    let mut weight = names.take("weight", &[outputs, inputs])?;
    let mut bias = names.take("bias", &[outputs])?;
    for ((row, bias), scale) in weight.chunks_exact_mut(inputs).zip(&mut bias).zip(scale) {
        row.iter_mut().for_each(|w| *w *= scale);
        *bias *= scale;
    }
    Ok(Linear::new(engine, &weight, &bias))
}

impl Block {
    fn new(config: &Config, engine: Engine, names: &Names<'_>) -> Result<Self, WeightsError> {
        let Config { naming, width, hidden, gated, .. } = *config;
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        let inputs = naming.attention_inputs();
        for name in inputs {
            let names = names.under(name);
            weight.extend(names.take("weight", &[3 * width / inputs.len(), width])?);
            bias.extend(names.take("bias", &[3 * width / inputs.len()])?);
        }
        // 1 / sqrt(64) is a power of two: scaling the queries beforehand changes no bit.
        let scale = 1.0 / (HEAD as f32).sqrt();
        weight[..width * width].iter_mut().chain(&mut bias[..width]).for_each(|w| *w *= scale);
        let [mixed, fed] = naming.layer_scales();
        let (inner, outer) = naming.feed_forward(gated);
        let inner = inner.trim_end_matches(".weight");
        let mlp = names.under("mlp");
        let rows = if gated { 2 * hidden } else { hidden };
        Ok(Self {
            norm1: norm(engine, &names.under("norm1"), width)?,
            qkv: Linear::new(engine, &weight, &bias),
            mix: scaled(
                engine,
                &names.under(naming.attention_output()),
                [width, width],
                &names.take(mixed, &[width])?,
            )?,
            norm2: norm(engine, &names.under("norm2"), width)?,
            inner: scaled(engine, &mlp.under(inner), [rows, width], &vec![1.0; rows])?,
            outer: scaled(engine, &mlp.under(outer), [width, hidden], &names.take(fed, &[width])?)?,
        })
    }

    fn linears(&self) -> [&Linear; 4] {
        [&self.qkv, &self.mix, &self.inner, &self.outer]
    }
}

impl FusedDinov2 {
    pub fn new(engine: Engine, names: &Names<'_>) -> Result<Self, WeightsError> {
        let config = Config::of(names)?;
        let Config { naming, width, depth, registers, trained_side, .. } = config;
        let projection = names.under(naming.patches());
        let weight = projection.take("weight", &[width, Batch::CHANNELS, PATCH, PATCH])?;
        let weight = channels_last(&weight);
        names.skip(naming.mask_token());
        let blocks = (0..depth).map(|i| Block::new(&config, engine, &naming.block(names, i)));
        Ok(Self {
            config,
            engine,
            patches: Linear::new(engine, &weight, &projection.take("bias", &[width])?),
            class_token: names.take(naming.class_token(), &[1, 1, width])?,
            registers: match registers {
                0 => Vec::new(),
                count => names.take(naming.registers(), &[1, count, width])?,
            },
            positions: names.take(naming.positions(), &[1, trained_side * trained_side + 1, width])?,
            resized: Mutex::new(([0, 0], std::sync::Arc::new([]))),
            blocks: blocks.collect::<Result<_, _>>()?,
            norm: norm(engine, &names.under(naming.last_norm()), width)?,
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    fn patch_positions(&self, grid: [usize; 2]) -> std::sync::Arc<[f32]> {
        let mut kept = self.resized.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != grid {
            let Config { width, trained_side, registers, .. } = self.config;
            let resized = positions::resized(&self.positions[width..], width, trained_side, grid, registers > 0);
            *kept = (grid, resized.into());
        }
        kept.1.clone()
    }

    /// The input tokens of the first block, for all photos.
    fn tokens(&self, photos: Photos<'_>, work: &mut Workspace) -> Buffer {
        let width = self.config.width;
        let grid = [photos.height / PATCH, photos.width / PATCH];
        let count = grid[0] * grid[1];
        let patch_len = PATCH * PATCH * Batch::CHANNELS;
        let mut cut = work.arena.buffer(photos.count * count * patch_len);
        let line = PATCH * Batch::CHANNELS;
        for (at, patch) in cut.chunks_exact_mut(patch_len).enumerate() {
            let (photo, y, x) = (at / count, at % count / grid[1], at % grid[1]);
            for (row, to) in patch.chunks_exact_mut(line).enumerate() {
                let from = (photo * photos.height + y * PATCH + row) * photos.width * Batch::CHANNELS + x * line;
                to.copy_from_slice(&photos.data[from..from + line]);
            }
        }
        let mut embedded = work.arena.buffer(photos.count * count * width);
        self.patches.apply(&cut, &mut embedded, Activation::Identity, &mut work.scratch);
        work.arena.give_buffer(cut);
        let positions = self.patch_positions(grid);
        let leading = self.config.leading() * width;
        let mut x = work.arena.buffer(photos.count * (leading + count * width));
        for (x, embedded) in x.chunks_exact_mut(leading + count * width).zip(embedded.chunks_exact(count * width)) {
            let class = self.class_token.iter().zip(&self.positions).map(|(token, position)| token + position);
            x.iter_mut().zip(class).for_each(|(x, v)| *x = v);
            x[width..leading].copy_from_slice(&self.registers);
            let patches = embedded.iter().zip(positions.iter()).map(|(patch, position)| patch + position);
            x[leading..].iter_mut().zip(patches).for_each(|(x, v)| *x = v);
        }
        work.arena.give_buffer(embedded);
        x
    }

    /// Adds the output of the feed-forward part to the rows of `x`.
    fn feed_forward(&self, block: &Block, x: &mut [f32], work: &mut Workspace) {
        let Config { width, hidden, gated: is_gated, .. } = self.config;
        let rows = x.len() / width;
        let mut normed = work.arena.buffer(rows * width);
        block.norm2.apply(x, &mut normed);
        let mut inner = work.arena.buffer(rows * block.inner.outputs());
        if is_gated {
            block.inner.apply(&normed, &mut inner, Activation::Identity, &mut work.scratch);
            let mut open = work.arena.buffer(rows * hidden);
            gated(self.engine.cpu, &inner, hidden, &mut open);
            work.arena.give_buffer(std::mem::replace(&mut inner, open));
        } else {
            block.inner.apply(&normed, &mut inner, Activation::Gelu, &mut work.scratch);
        }
        block.outer.add_to(&inner, x, &mut work.scratch);
        work.arena.give_buffer(normed);
        work.arena.give_buffer(inner);
    }

    /// Adds the attention output of the first `queries` tokens of each photo and returns the rows of those tokens.
    fn attend(&self, block: &Block, x: Buffer, tokens: usize, queries: usize, work: &mut Workspace) -> Buffer {
        let width = self.config.width;
        let rows = x.len() / width;
        let mut normed = work.arena.buffer(rows * width);
        block.norm1.apply(&x, &mut normed);
        let mut qkv = work.arena.buffer(rows * 3 * width);
        block.qkv.apply(&normed, &mut qkv, Activation::Identity, &mut work.scratch);
        let heads = Heads { cpu: self.engine.cpu, heads: self.config.heads(), size: HEAD, tokens };
        let mixed = &mut normed[..rows / tokens * queries * width];
        heads.apply(&qkv, queries, mixed, work.scratch.threads);
        let mut x = if queries == tokens {
            x
        } else {
            let mut kept = work.arena.buffer(rows / tokens * queries * width);
            for (kept, photo) in kept.chunks_exact_mut(queries * width).zip(x.chunks_exact(tokens * width)) {
                kept.copy_from_slice(&photo[..queries * width]);
            }
            work.arena.give_buffer(x);
            kept
        };
        block.mix.add_to(mixed, &mut x, &mut work.scratch);
        work.arena.give_buffer(normed);
        work.arena.give_buffer(qkv);
        x
    }
}

/// Reorders convolution weights `[outputs][channels][y][x]` to rows of pixels with channels innermost.
fn channels_last(weight: &[f32]) -> Vec<f32> {
    let pixels = PATCH * PATCH;
    let kernel = |kernel: &[f32]| -> Vec<f32> {
        (0..pixels * Batch::CHANNELS).map(|i| kernel[i % Batch::CHANNELS * pixels + i / Batch::CHANNELS]).collect()
    };
    weight.chunks_exact(pixels * Batch::CHANNELS).flat_map(kernel).collect()
}

impl Network for FusedDinov2 {
    fn features(&self) -> usize {
        self.config.width
    }

    fn bytes(&self) -> usize {
        let linears = self.blocks.iter().flat_map(Block::linears).chain([&self.patches]);
        linears.map(Linear::bytes).sum::<usize>() + self.positions.len() * size_of::<f32>()
    }

    fn accepts(&self, height: usize, width: usize) -> bool {
        height > 0 && width > 0 && height.is_multiple_of(PATCH) && width.is_multiple_of(PATCH)
    }

    fn forward(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace) {
        let width = self.config.width;
        let tokens = self.config.leading() + photos.height / PATCH * (photos.width / PATCH);
        let mut x = self.tokens(photos, work);
        for (i, block) in self.blocks.iter().enumerate() {
            // Only the class token is used after the last attention.
            let queries = if i + 1 == self.blocks.len() { 1 } else { tokens };
            x = self.attend(block, x, tokens, queries, work);
            self.feed_forward(block, &mut x, work);
        }
        let step = x.len() / photos.count;
        for (x, out) in x.chunks_exact(step).zip(out.chunks_exact_mut(width)) {
            self.norm.apply(&x[..width], out);
        }
        work.arena.give_buffer(x);
    }
}

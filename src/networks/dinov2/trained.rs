//! The training implementation: candle modules with gradients.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Linear, Module, VarBuilder, conv2d, linear, ops};

use super::{Config, EPS, HEAD, PATCH, positions};

#[derive(Clone, Debug)]
pub struct Dinov2 {
    config: Config,
    patches: Conv2d,
    class_token: Tensor,
    registers: Option<Tensor>,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

/// A layer norm of differentiable steps: candle's own `LayerNorm` may take a path without gradient.
#[derive(Clone, Debug)]
struct LayerNorm {
    scale: Tensor,
    shift: Tensor,
}

impl LayerNorm {
    fn new(width: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self { scale: vb.get(width, "weight")?, shift: vb.get(width, "bias")? })
    }
}

impl Module for LayerNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::layer_norm_slow(x, &self.scale, &self.shift, EPS as f32)
    }
}

#[derive(Clone, Debug)]
struct Block {
    heads: usize,
    norm1: LayerNorm,
    inputs: Vec<Linear>,
    mix: Linear,
    scale1: Tensor,
    norm2: LayerNorm,
    inner: Linear,
    gated: bool,
    outer: Linear,
    scale2: Tensor,
}

impl Block {
    fn new(config: &Config, vb: &VarBuilder<'_>) -> Result<Self> {
        let Config { naming, width, hidden, gated, .. } = *config;
        let names = naming.attention_inputs();
        let (inner, outer) = naming.feed_forward(gated);
        let rows = if gated { 2 * hidden } else { hidden };
        let [mixed, fed] = naming.layer_scales();
        let input = |name: &&str| linear(width, 3 * width / names.len(), vb.pp(*name));
        Ok(Self {
            heads: config.heads(),
            norm1: LayerNorm::new(width, &vb.pp("norm1"))?,
            inputs: names.iter().map(input).collect::<Result<_>>()?,
            mix: linear(width, width, vb.pp(naming.attention_output()))?,
            scale1: vb.get(width, mixed)?,
            norm2: LayerNorm::new(width, &vb.pp("norm2"))?,
            inner: linear(width, rows, vb.pp("mlp").pp(inner.trim_end_matches(".weight")))?,
            gated,
            outer: linear(hidden, width, vb.pp("mlp").pp(outer))?,
            scale2: vb.get(width, fed)?,
        })
    }

    fn attend(&self, x: &Tensor) -> Result<Tensor> {
        let (photos, tokens, width) = x.dims3()?;
        let rows = self.inputs.iter().map(|layer| layer.forward(x)).collect::<Result<Vec<_>>>()?;
        let qkv = Tensor::cat(&rows, D::Minus1)?.reshape((photos, tokens, 3, self.heads, HEAD))?;
        let part = |i| qkv.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let queries = (part(0)? * (HEAD as f64).sqrt().recip())?;
        let shares = ops::softmax(&queries.matmul(&part(1)?.t()?)?, D::Minus1)?;
        let mixed = shares.matmul(&part(2)?)?.transpose(1, 2)?.reshape((photos, tokens, width))?;
        self.mix.forward(&mixed)
    }

    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.inner.forward(x)?;
        let inner = if self.gated {
            let halves = inner.chunk(2, D::Minus1)?;
            (halves[0].silu()? * &halves[1])?
        } else {
            inner.gelu_erf()?
        };
        self.outer.forward(&inner)
    }
}

impl Module for Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = (x + self.attend(&self.norm1.forward(x)?)?.broadcast_mul(&self.scale1)?)?;
        &x + self.feed_forward(&self.norm2.forward(&x)?)?.broadcast_mul(&self.scale2)?
    }
}

impl Dinov2 {
    pub fn new(config: Config, vb: &VarBuilder<'_>) -> Result<Self> {
        let Config { naming, width, depth, registers, trained_side, .. } = config;
        let stride = Conv2dConfig { stride: PATCH, ..Default::default() };
        let block = |i| Block::new(&config, &vb.pp(naming.block_prefix(i)));
        Ok(Self {
            config,
            patches: conv2d(3, width, PATCH, stride, vb.pp(naming.patches()))?,
            class_token: vb.get((1, 1, width), naming.class_token())?,
            registers: (registers > 0).then(|| vb.get((1, registers, width), naming.registers())).transpose()?,
            positions: vb.get((1, trained_side * trained_side + 1, width), naming.positions())?,
            blocks: (0..depth).map(block).collect::<Result<_>>()?,
            norm: LayerNorm::new(width, &vb.pp(naming.last_norm()))?,
        })
    }

    /// The positions for a grid of patches. Resized positions have no gradient.
    fn positions(&self, grid: [usize; 2]) -> Result<Tensor> {
        let Config { width, trained_side, registers, .. } = self.config;
        if grid == [trained_side, trained_side] {
            return Ok(self.positions.clone());
        }
        let values = self.positions.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let resized = positions::resized(&values[width..], width, trained_side, grid, registers > 0);
        let resized = Tensor::from_vec(resized, (1, grid[0] * grid[1], width), self.positions.device())?;
        Tensor::cat(&[&self.positions.narrow(1, 0, 1)?, &resized.to_dtype(self.positions.dtype())?], 1)
    }
}

impl Module for Dinov2 {
    /// `[photos, 3, height, width]`, sides multiples of 14, to `[photos, width]`: the class token after the last norm.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.patches.forward(x)?;
        let (photos, width, height, across) = x.dims4()?;
        let x = x.flatten_from(2)?.transpose(1, 2)?;
        let class = self.class_token.broadcast_as((photos, 1, width))?;
        let mut x = Tensor::cat(&[&class, &x], 1)?.broadcast_add(&self.positions([height, across])?)?;
        if let Some(registers) = &self.registers {
            let registers = registers.broadcast_as((photos, self.config.registers, width))?;
            x = Tensor::cat(&[&x.narrow(1, 0, 1)?, &registers, &x.narrow(1, 1, height * across)?], 1)?;
        }
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.norm.forward(&x.narrow(1, 0, 1)?.squeeze(1)?)
    }
}

//! The training implementation: candle modules with batch statistics and gradients.

use candle_core::{D, Result, Tensor};
use candle_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, ModuleT, VarBuilder, batch_norm, conv2d_no_bias};

use super::{BlockPlan, Depth, EPS, Naming};
use crate::convolution;

#[derive(Clone, Debug)]
pub struct ResNet {
    stem: ConvNorm,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    fn new(vb: &VarBuilder<'_>, conv: &str, norm: &str, [inputs, outputs, side, stride]: [usize; 4]) -> Result<Self> {
        let config = Conv2dConfig { padding: side / 2, stride, ..Default::default() };
        let norm_config = BatchNormConfig { eps: EPS, ..Default::default() };
        Ok(Self {
            conv: conv2d_no_bias(inputs, outputs, side, config, vb.pp(conv))?,
            norm: batch_norm(outputs, norm_config, vb.pp(norm))?,
        })
    }
}

impl ModuleT for ConvNorm {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.norm.forward_t(&convolution::convolve(x, &self.conv)?, train)
    }
}

#[derive(Clone, Debug)]
struct Block {
    convs: Vec<ConvNorm>,
    shortcut: Option<ConvNorm>,
}

impl Block {
    fn new(depth: Depth, plan: BlockPlan, vb: &VarBuilder<'_>) -> Result<Self> {
        let conv = |(i, dims): (usize, [usize; 4])| {
            ConvNorm::new(vb, &format!("conv{}", i + 1), &format!("bn{}", i + 1), dims)
        };
        let convs = plan.convolutions(depth).into_iter().enumerate().map(conv).collect::<Result<_>>()?;
        let dims = [plan.inputs, plan.outputs, 1, plan.stride];
        let shortcut = plan.projects().then(|| ConvNorm::new(vb, "downsample.0", "downsample.1", dims)).transpose()?;
        Ok(Self { convs, shortcut })
    }
}

impl ModuleT for Block {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut y = x.clone();
        for (i, conv) in self.convs.iter().enumerate() {
            let last = i + 1 == self.convs.len();
            y = conv.forward_t(&y, train)?;
            if !last {
                y = y.relu()?;
            }
        }
        let shortcut = self.shortcut.as_ref().map_or_else(|| Ok(x.clone()), |conv| conv.forward_t(x, train))?;
        (y + shortcut)?.relu()
    }
}

impl ResNet {
    pub fn new(depth: Depth, naming: Naming, vb: &VarBuilder<'_>) -> Result<Self> {
        let (conv, norm) = naming.stem();
        let stem = ConvNorm::new(vb, conv, norm, [3, 64, 7, 2])?;
        let block = |plan: BlockPlan| Block::new(depth, plan, &vb.pp(naming.stage(plan.stage)).pp(plan.index));
        let blocks = depth.plan().into_iter().map(block).collect::<Result<_>>()?;
        Ok(Self { stem, blocks })
    }
}

impl ModuleT for ResNet {
    /// `[photos, 3, height, width]` to `[photos, features]`.
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = max_pool_3x3_stride_2(&self.stem.forward_t(x, train)?.relu()?)?;
        for block in &self.blocks {
            x = block.forward_t(&x, train)?;
        }
        x.mean(D::Minus1)?.mean(D::Minus1)
    }
}

/// Max pooling of 3x3 windows at stride 2 and padding 1, for values that are not negative.
///
/// candle's own `max_pool2d` has no gradient where windows overlap; `maximum` of shifted views has one.
fn max_pool_3x3_stride_2(x: &Tensor) -> Result<Tensor> {
    let along = |x: &Tensor, dim: usize| -> Result<Tensor> {
        let outputs = x.dim(dim)?.div_ceil(2);
        // One zero before, and as many after as the last window (and the pairing below) needs.
        let padded = x.pad_with_zeros(dim, 1, 2 * outputs + 1 - x.dim(dim)?)?;
        let shifted = |by| padded.narrow(dim, by, 2 * outputs);
        let most = shifted(0)?.maximum(&shifted(1)?)?.maximum(&shifted(2)?)?;
        let mut pairs = most.dims().to_vec();
        pairs.splice(dim..=dim, [outputs, 2]);
        most.reshape(pairs)?.narrow(dim + 1, 0, 1)?.squeeze(dim + 1)
    };
    along(&along(x, 2)?, 3)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn pooling_equals_candles_own_and_has_a_gradient() -> Result<()> {
        for size in [7usize, 8] {
            let values: Vec<f32> = (0..2 * size * size).map(|i| ((i * 37 % 101) as f32) / 10.0).collect();
            let x = Var::from_tensor(&Tensor::from_vec(values, (1, 2, size, size), &Device::Cpu)?)?;
            let ours = max_pool_3x3_stride_2(&x)?;
            let theirs = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?.max_pool2d_with_stride(3, 2)?;
            assert_eq!(ours.flatten_all()?.to_vec1::<f32>()?, theirs.flatten_all()?.to_vec1::<f32>()?);
            let gradient = ours.sum_all()?.backward()?;
            let total = gradient.get(&x).map(|g| g.sum_all()?.to_scalar::<f32>()).transpose()?;
            assert_eq!(total, Some(ours.elem_count() as f32), "each output passes its gradient to its winner");
        }
        Ok(())
    }
}

//! The training implementation: candle modules with batch statistics and gradients.

use candle_core::{D, Result, Tensor};
use candle_nn::{
    BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Linear, ModuleT, VarBuilder, batch_norm, conv2d, linear, ops,
};

use super::{DEGRADATIONS, EPS, FEATURES, NARROW, head, stages};
use crate::convolution;
use crate::head::Head;

#[derive(Clone, Debug)]
pub struct MultiHead {
    stages: Vec<Stage>,
    attention: [Linear; 2],
    heads: Vec<Head>,
}

#[derive(Clone, Debug)]
struct Stage {
    entry: ConvNorm,
    block: [ConvNorm; 2],
}

#[derive(Clone, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    fn new(vb: &VarBuilder<'_>, conv: &str, norm: &str, [inputs, outputs]: [usize; 2]) -> Result<Self> {
        let config = Conv2dConfig { padding: 1, ..Default::default() };
        let norm_config = BatchNormConfig { eps: EPS, ..Default::default() };
        Ok(Self {
            conv: conv2d(inputs, outputs, 3, config, vb.pp(conv))?,
            norm: batch_norm(outputs, norm_config, vb.pp(norm))?,
        })
    }
}

impl ModuleT for ConvNorm {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.norm.forward_t(&convolution::convolve(x, &self.conv)?, train)
    }
}

impl ModuleT for Stage {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let x = self.entry.forward_t(x, train)?.relu()?;
        let y = self.block[0].forward_t(&x, train)?.relu()?;
        (self.block[1].forward_t(&y, train)? + x)?.relu()?.max_pool2d(2)
    }
}

impl MultiHead {
    pub fn new(dropout: f32, vb: &VarBuilder<'_>) -> Result<Self> {
        let backbone = vb.pp("backbone");
        let stage = |([inputs, outputs], [entry, block]): ([usize; 2], [usize; 2])| {
            let (entry, block) = (backbone.pp(entry), backbone.pp(block));
            Ok(Stage {
                entry: ConvNorm::new(&entry, "conv", "bn", [inputs, outputs])?,
                block: [
                    ConvNorm::new(&block, "conv1", "bn1", [outputs, outputs])?,
                    ConvNorm::new(&block, "conv2", "bn2", [outputs, outputs])?,
                ],
            })
        };
        let attention = vb.pp("channel_attention");
        Ok(Self {
            stages: stages().map(stage).collect::<Result<_>>()?,
            attention: [linear(FEATURES, NARROW, attention.pp(0))?, linear(NARROW, FEATURES, attention.pp(2))?],
            heads: DEGRADATIONS
                .iter()
                .map(|flaw| Head::new(&head(dropout), &vb.pp(format!("head_{flaw}"))))
                .collect::<Result<_>>()?,
        })
    }
}

impl ModuleT for MultiHead {
    /// `[photos, 3, height, width]` to logits `[photos, flaws]`.
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = x.clone();
        for stage in &self.stages {
            x = stage.forward_t(&x, train)?;
        }
        let pooled = x.mean(D::Minus1)?.mean(D::Minus1)?;
        let [narrow, wide] = &self.attention;
        let counts = ops::sigmoid(&pooled.apply(narrow)?.relu()?.apply(wide)?)?;
        let features = (pooled * counts)?;
        let logits = self.heads.iter().map(|head| head.forward_t(&features, train)).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&logits, 1)
    }
}

//! The training implementation.

use candle_core::{Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Dropout, Linear, ModuleT, VarBuilder, conv2d, linear};

use super::{CHANNELS, CONVOLUTIONS, FEATURES, SIDE};
use crate::convolution;

#[derive(Clone, Debug)]
pub struct Vgg16 {
    convs: Vec<Conv2d>,
    fc6: Linear,
    fc7: Linear,
    dropout: Dropout,
}

impl Vgg16 {
    pub fn new(vb: &VarBuilder<'_>) -> Result<Self> {
        let config = Conv2dConfig { padding: 1, ..Default::default() };
        let conv =
            |(place, inputs, outputs, _): (usize, usize, usize, bool)| conv2d(inputs, outputs, 3, config, vb.pp(place));
        Ok(Self {
            convs: CONVOLUTIONS.into_iter().map(conv).collect::<Result<_>>()?,
            fc6: linear(SIDE * SIDE * CHANNELS, FEATURES, vb.pp("fc6"))?,
            fc7: linear(FEATURES, FEATURES, vb.pp("fc7"))?,
            dropout: Dropout::new(0.5),
        })
    }
}

impl ModuleT for Vgg16 {
    /// `[photos, 3, 224, 224]` to `[photos, 4096]`.
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = x.clone();
        for (conv, (.., pooled)) in self.convs.iter().zip(CONVOLUTIONS) {
            x = convolution::convolve(&x, conv)?.relu()?;
            if pooled {
                x = x.max_pool2d(2)?;
            }
        }
        let x = self.dropout.forward_t(&x.flatten_from(1)?.apply(&self.fc6)?.relu()?, train)?;
        self.dropout.forward_t(&x.apply(&self.fc7)?.relu()?, train)
    }
}

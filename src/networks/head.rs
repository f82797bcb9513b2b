//! The heads after a backbone: fully connected layers with an activation in between.

use candle_core::{Result, Tensor};
use candle_nn::{Dropout, Linear as CandleLinear, ModuleT, VarBuilder, linear};

use super::checkpoint::{Names, WeightsError};
use kernels::{Activation, Engine, Linear, Scratch};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bend {
    Relu,
    Tanh,
}

/// The sizes of the layers. Files number them `0, 3, 6 …`, because an activation and a dropout lie in between.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadConfig {
    pub inputs: usize,
    pub hidden: Vec<usize>,
    pub outputs: usize,
    pub bend: Bend,
    pub dropout: f32,
}

impl HeadConfig {
    /// Inputs and outputs of each layer.
    fn layers(&self) -> Vec<[usize; 2]> {
        let widths = [&[self.inputs], self.hidden.as_slice(), &[self.outputs]].concat();
        widths.windows(2).map(|pair| [pair[0], pair[1]]).collect()
    }

    fn position(index: usize) -> usize {
        3 * index
    }
}

/// The inference implementation.
#[derive(Debug)]
pub struct FusedHead {
    layers: Vec<Linear>,
    bend: Bend,
}

impl FusedHead {
    pub fn new(config: &HeadConfig, engine: Engine, names: &Names<'_>) -> std::result::Result<Self, WeightsError> {
        let layer = |(i, [inputs, outputs]): (usize, [usize; 2])| {
            let names = names.under(HeadConfig::position(i));
            let (weight, bias) = (names.take("weight", &[outputs, inputs])?, names.take("bias", &[outputs])?);
            Ok(Linear::new(engine, &weight, &bias))
        };
        let layers = config.layers().into_iter().enumerate().map(layer).collect::<std::result::Result<_, _>>()?;
        Ok(Self { layers, bend: config.bend })
    }

    /// The single classifier layer of published networks.
    pub fn layer(
        engine: Engine,
        names: &Names<'_>,
        [outputs, inputs]: [usize; 2],
    ) -> std::result::Result<Self, WeightsError> {
        let (weight, bias) = (names.take("weight", &[outputs, inputs])?, names.take("bias", &[outputs])?);
        Ok(Self { layers: vec![Linear::new(engine, &weight, &bias)], bend: Bend::Relu })
    }

    /// Memory of the packed weights.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(Linear::bytes).sum()
    }

    /// Maps rows of features to rows of outputs.
    pub fn apply(&self, features: &[f32]) -> Vec<f32> {
        let mut x = features.to_vec();
        for (i, layer) in self.layers.iter().enumerate() {
            let last = i + 1 == self.layers.len();
            let relu = !last && self.bend == Bend::Relu;
            let mut y = vec![0.0; x.len() / layer.inputs() * layer.outputs()];
            let activation = if relu { Activation::Relu } else { Activation::Identity };
            layer.apply(&x, &mut y, activation, &mut Scratch::new(1));
            if !last && self.bend == Bend::Tanh {
                y.iter_mut().for_each(|v| *v = v.tanh());
            }
            x = y;
        }
        x
    }
}

/// The training implementation.
#[derive(Clone, Debug)]
pub struct Head {
    layers: Vec<CandleLinear>,
    bend: Bend,
    dropout: Dropout,
}

impl Head {
    pub fn new(config: &HeadConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let layer =
            |(i, [inputs, outputs]): (usize, [usize; 2])| linear(inputs, outputs, vb.pp(HeadConfig::position(i)));
        let layers = config.layers().into_iter().enumerate().map(layer).collect::<Result<_>>()?;
        Ok(Self { layers, bend: config.bend, dropout: Dropout::new(config.dropout) })
    }
}

impl ModuleT for Head {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            x = x.apply(layer)?;
            if i + 1 < self.layers.len() {
                x = match self.bend {
                    Bend::Relu => x.relu()?,
                    Bend::Tanh => x.tanh()?,
                };
                x = self.dropout.forward_t(&x, train)?;
            }
        }
        Ok(x)
    }
}

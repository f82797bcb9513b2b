//! The original's first quality network: three convolutions, the mean of each channel, and one output.

use candle_core::{D, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Linear, Module, VarBuilder, conv2d, linear};

use super::checkpoint::{Names, WeightsError};
use super::convolution;
use super::fused::{Network, Photos, Workspace};
use kernels::{Activation, Conv, Engine, Linear as PackedLinear, Window, mean_pool};

/// Values per photo: its quality, 0 to 1.
pub const OUTPUTS: usize = 1;

const WINDOW: Window = Window { side: 3, stride: 1, padding: 1 };
/// Name, inputs and outputs of each convolution.
const CONVOLUTIONS: [(&str, usize, usize); 3] = [("conv1", 3, 32), ("conv2", 32, 64), ("conv3", 64, 128)];
const FEATURES: usize = 128;

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The training implementation.
#[derive(Clone, Debug)]
pub struct SingleHead {
    convs: Vec<Conv2d>,
    fc: Linear,
}

impl SingleHead {
    pub fn new(vb: &VarBuilder<'_>) -> Result<Self> {
        let config = Conv2dConfig { padding: WINDOW.padding, ..Default::default() };
        let conv = |(name, inputs, outputs)| conv2d(inputs, outputs, WINDOW.side, config, vb.pp(name));
        Ok(Self {
            convs: CONVOLUTIONS.into_iter().map(conv).collect::<Result<_>>()?,
            fc: linear(FEATURES, OUTPUTS, vb.pp("fc"))?,
        })
    }
}

impl Module for SingleHead {
    /// `[photos, 3, height, width]` to logits `[photos, 1]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for conv in &self.convs {
            x = convolution::convolve(&x, conv)?.relu()?;
        }
        self.fc.forward(&x.mean(D::Minus1)?.mean(D::Minus1)?)
    }
}

/// The inference implementation, on the fused kernels.
#[derive(Debug)]
pub struct FusedSingleHead {
    convs: Vec<Conv>,
    fc: PackedLinear,
}

impl FusedSingleHead {
    pub fn new(engine: Engine, names: &Names<'_>) -> std::result::Result<Self, WeightsError> {
        let conv = |(name, inputs, outputs)| {
            let names = names.under(name);
            let weight = names.take("weight", &[outputs, inputs, WINDOW.side, WINDOW.side])?;
            Ok(Conv::new(engine, WINDOW, &weight, &names.take("bias", &[outputs])?))
        };
        let fc = names.under("fc");
        Ok(Self {
            convs: CONVOLUTIONS.into_iter().map(conv).collect::<std::result::Result<_, WeightsError>>()?,
            fc: PackedLinear::new(engine, &fc.take("weight", &[OUTPUTS, FEATURES])?, &fc.take("bias", &[OUTPUTS])?),
        })
    }
}

impl Network for FusedSingleHead {
    fn features(&self) -> usize {
        OUTPUTS
    }

    fn bytes(&self) -> usize {
        self.convs.iter().map(Conv::bytes).sum::<usize>() + self.fc.bytes()
    }

    fn group(&self) -> usize {
        1
    }

    fn forward(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace) {
        let mut map = photos.map(WINDOW.padding, &mut work.arena);
        for (at, conv) in self.convs.iter().enumerate() {
            // The last map is only averaged, so it needs no border.
            let border = usize::from(at + 1 < self.convs.len());
            let mut next = work.arena.take(conv.output(map.shape(), border));
            conv.apply(&map, &mut next, None, Activation::Relu, &mut work.scratch);
            work.arena.give(std::mem::replace(&mut map, next));
        }
        self.fc.apply(&mean_pool(&map), out, Activation::Identity, &mut work.scratch);
        work.arena.give(map);
        out.iter_mut().for_each(|v| *v = logistic(*v));
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use candle_nn::{VarMap, ops::sigmoid};

    use super::*;
    use crate::checkpoint::{InMemory, Ledger};
    use crate::fused::Runner;
    use kernels::{Cpu, Precision};

    #[test]
    fn inference_agrees_with_training_and_takes_every_tensor() -> Result<()> {
        let device = &Device::Cpu;
        let map = VarMap::new();
        let network = SingleHead::new(&VarBuilder::from_varmap(&map, DType::F32, device))?;
        let mut memory = InMemory::default();
        let mut parameters = 0;
        for (name, var) in map.data().lock().expect("variables").iter() {
            parameters += var.elem_count();
            memory.tensors.insert(name.clone(), (var.dims().to_vec(), var.flatten_all()?.to_vec1()?));
        }
        assert_eq!(parameters, 93_377);
        let ledger = Ledger::new(&memory);
        let engine = Engine { cpu: Cpu::best(), precision: Precision::Full };
        let fused = FusedSingleHead::new(engine, &ledger.root()).expect("all tensors");
        ledger.close(|_| false).expect("none left over");
        let photos = Tensor::rand(0f32, 1.0, (3, 3, 37, 52), device)?;
        let ours = photos.apply_op1_no_bwd(&Runner::new(Box::new(fused)))?.to_vec2::<f32>()?;
        let theirs = sigmoid(&network.forward(&photos)?)?.to_vec2::<f32>()?;
        for (got, expected) in ours.iter().flatten().zip(theirs.iter().flatten()) {
            assert!((got - expected).abs() < 1e-5, "{ours:?} {theirs:?}");
        }
        assert_eq!((ours.len(), ours[0].len()), (3, OUTPUTS));
        Ok(())
    }
}

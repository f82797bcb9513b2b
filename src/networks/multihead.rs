//! The degradation network of the original's later hub: a backbone, and one head per degradation.

mod fused;
mod trained;

pub use fused::FusedMultiHead;
pub use trained::MultiHead;

use candle_core::Tensor;

use super::checkpoint::{Names, WeightsError};
use super::head::{Bend, HeadConfig};

/// The degradations, each from 0 (none) to 1; the heads are named after them.
pub const DEGRADATIONS: [&str; 4] = ["color_cast", "blurriness", "watermark", "noise"];
/// The weight of each degradation in the overall quality, where a file has no others.
pub const WEIGHTS: [f32; DEGRADATIONS.len()] = [0.2, 0.3, 0.25, 0.25];
/// Values per photo: the degradations, then the overall quality.
pub const OUTPUTS: usize = DEGRADATIONS.len() + 1;

/// Channels of the stages. A stage is a convolution, a residual block and a halving.
const STAGES: [usize; 4] = [32, 64, 128, 256];
const FEATURES: usize = STAGES[STAGES.len() - 1];
/// Width of the narrow layer of the channel attention.
const NARROW: usize = 64;
/// The smallest side of which a pixel is left after all stages.
const LEAST_SIDE: usize = 1 << STAGES.len();
const EPS: f64 = 1e-5;

/// The overall quality; 1 for a photo without degradations.
pub fn overall(flaws: &[f32], weights: &[f32]) -> f32 {
    1.0 - flaws.iter().zip(weights).map(|(flaw, weight)| flaw * weight).sum::<f32>()
}

/// The weights of the degradations: those of the file, where it has some.
pub fn weights(names: &Names<'_>) -> Result<Vec<f32>, WeightsError> {
    const NAME: &str = "degradation_weights";
    if names.has(NAME) { names.take(NAME, &[DEGRADATIONS.len()]) } else { Ok(WEIGHTS.to_vec()) }
}

/// Turns the logits of the heads into rows of [`OUTPUTS`].
pub fn answer(logits: &Tensor, weights: &[f32]) -> candle_core::Result<Tensor> {
    let flaws = candle_nn::ops::sigmoid(logits)?;
    let weights = Tensor::new(weights, logits.device())?.to_dtype(logits.dtype())?;
    let overall = (1.0 - flaws.broadcast_mul(&weights)?.sum_keepdim(1)?)?;
    Tensor::cat(&[flaws, overall], 1)
}

/// Inputs and outputs of each stage, and the indexes of its convolution and block in the backbone.
fn stages() -> impl Iterator<Item = ([usize; 2], [usize; 2])> {
    let inputs = [3].into_iter().chain(STAGES);
    inputs.zip(STAGES).enumerate().map(|(at, (inputs, outputs))| ([inputs, outputs], [3 * at, 3 * at + 1]))
}

fn head(dropout: f32) -> HeadConfig {
    HeadConfig { inputs: FEATURES, hidden: vec![256, 128], outputs: 1, bend: Bend::Relu, dropout }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use candle_nn::{ModuleT, VarBuilder, VarMap};

    use super::*;
    use crate::checkpoint::{InMemory, Ledger};
    use crate::fused::Runner;
    use kernels::{Cpu, Engine, Precision};

    #[test]
    fn inference_agrees_with_training_and_takes_every_tensor() -> candle_core::Result<()> {
        let device = &Device::Cpu;
        let map = VarMap::new();
        let network = MultiHead::new(0.3, &VarBuilder::from_varmap(&map, DType::F32, device))?;
        let mut memory = InMemory::default();
        for (name, var) in map.data().lock().expect("variables").iter() {
            // The statistics of a trained network are not ones and zeros.
            let noise = var.randn_like(0.0, 0.01)?;
            var.set(&(var.as_tensor() + if name.ends_with("var") { noise.abs()? } else { noise })?)?;
            memory.tensors.insert(name.clone(), (var.dims().to_vec(), var.flatten_all()?.to_vec1()?));
        }
        let weights = [0.4, 0.1, 0.2, 0.3];
        memory.tensors.insert("degradation_weights".into(), (vec![4], weights.to_vec()));
        let ledger = Ledger::new(&memory);
        let engine = Engine { cpu: Cpu::best(), precision: Precision::Full };
        let fused = FusedMultiHead::new(engine, &ledger.root()).expect("all tensors");
        ledger.close(|_| false).expect("none left over");
        let photos = Tensor::rand(0f32, 1.0, (3, 3, 37, 52), device)?;
        let ours = photos.apply_op1_no_bwd(&Runner::new(Box::new(fused)))?.to_vec2::<f32>()?;
        let theirs = answer(&network.forward_t(&photos, false)?, &weights)?.to_vec2::<f32>()?;
        for (got, expected) in ours.iter().flatten().zip(theirs.iter().flatten()) {
            assert!((got - expected).abs() < 1e-5, "{ours:?} {theirs:?}");
        }
        assert_eq!((ours.len(), ours[0].len()), (3, OUTPUTS));
        Ok(())
    }
}

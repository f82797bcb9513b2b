//! Folds a batch normalisation into the convolution before it.

use super::checkpoint::{Names, WeightsError};
use kernels::{Conv, Engine, Window};

/// Names and parameters of the convolution and its normalisation.
#[derive(Clone, Copy, Debug)]
pub struct Normalised<'a> {
    pub conv: &'a str,
    pub norm: &'a str,
    pub inputs: usize,
    pub outputs: usize,
    pub window: Window,
    /// Whether the convolution has a bias.
    pub biased: bool,
    /// The epsilon that the normalisation adds to variances.
    pub eps: f64,
}

pub fn folded(engine: Engine, names: &Names<'_>, layer: &Normalised<'_>) -> Result<Conv, WeightsError> {
    let Normalised { inputs, outputs, window, .. } = *layer;
    let conv = names.under(layer.conv);
    let mut weight = conv.take("weight", &[outputs, inputs, window.side, window.side])?;
    let own = if layer.biased { conv.take("bias", &[outputs])? } else { vec![0.0; outputs] };
    let norm = names.under(layer.norm);
    let [scale, shift] = [norm.take("weight", &[outputs])?, norm.take("bias", &[outputs])?];
    let [mean, variance] = [norm.take("running_mean", &[outputs])?, norm.take("running_var", &[outputs])?];
    norm.skip("num_batches_tracked");
    let mut bias = vec![0.0; outputs];
    for (n, weight) in weight.chunks_exact_mut(inputs * window.side * window.side).enumerate() {
        let factor = f64::from(scale[n]) / (f64::from(variance[n]) + layer.eps).sqrt();
        weight.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
        bias[n] = (f64::from(shift[n]) + (f64::from(own[n]) - f64::from(mean[n])) * factor) as f32;
    }
    Ok(Conv::new(engine, window, &weight, &bias))
}

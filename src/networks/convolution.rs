//! Convolutions with gradients. On the CPU candle computes the gradient as a transposed convolution, which is many times
//! slower than the equivalent plain convolution.

use candle_core::{CpuStorage, CustomOp2, DType, Device, Layout, Result, Shape, Tensor};
use candle_nn::Conv2d;

/// Convolves `x`, without the bias.
fn without_bias(x: &Tensor, conv: &Conv2d) -> Result<Tensor> {
    let config = conv.config();
    let plain = Plain { padding: config.padding, stride: config.stride };
    if x.device().is_cpu() && x.dtype() == DType::F32 && config.dilation == 1 && config.groups == 1 {
        return x.contiguous()?.apply_op2(&conv.weight().contiguous()?, plain);
    }
    x.conv2d(conv.weight(), plain.padding, plain.stride, config.dilation, config.groups)
}

/// Convolves `[photos, channels, height, width]`.
pub fn convolve(x: &Tensor, conv: &Conv2d) -> Result<Tensor> {
    let y = without_bias(x, conv)?;
    match conv.bias() {
        Some(bias) => y.broadcast_add(&bias.reshape((1, bias.elem_count(), 1, 1))?),
        None => Ok(y),
    }
}

/// A convolution with a square kernel and the same padding on all sides.
struct Plain {
    padding: usize,
    stride: usize,
}

impl CustomOp2 for Plain {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, x: &CpuStorage, x_at: &Layout, w: &CpuStorage, w_at: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = tensor(x, x_at)?.conv2d(&tensor(w, w_at)?, self.padding, self.stride, 1, 1)?;
        let shape = y.shape().clone();
        Ok((CpuStorage::F32(y.flatten_all()?.to_vec1()?), shape))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Self { padding, stride } = *self;
        let side = w.dim(2)?;
        // The gradient as if the stride were 1: zeros at the skipped positions, and a border.
        let mut spread = gradient.contiguous()?;
        for axis in [2, 3] {
            spread = dilated(&spread, axis, stride)?;
            let before = side - 1 - padding;
            let behind = x.dim(axis)? + side - 1 - before - spread.dim(axis)?;
            spread = spread.pad_with_zeros(axis, before, behind)?;
        }
        let of_x = spread.conv2d(&swapped(w, true)?, 0, 1, 1, 1)?;
        let of_w = swapped(x, false)?.conv2d(&swapped(gradient, false)?, padding, 1, stride, 1)?;
        // Pixels at the far edge that no window reached make the result larger than the kernel.
        let of_w = if of_w.dims()[2..] == [side; 2] { of_w } else { of_w.narrow(2, 0, side)?.narrow(3, 0, side)? };
        Ok((Some(of_x), Some(swapped(&of_w, false)?)))
    }
}

fn tensor(storage: &CpuStorage, layout: &Layout) -> Result<Tensor> {
    let Some((from, to)) = layout.contiguous_offsets() else { candle_core::bail!("a tensor in one piece is needed") };
    Tensor::from_slice(&storage.as_slice::<f32>()?[from..to], layout.shape(), &Device::Cpu)
}

/// Exchanges the first two of four axes, and turns every plane of the others by half a circle if asked to. candle would
/// look up the place of each number.
fn swapped(x: &Tensor, turned: bool) -> Result<Tensor> {
    let (first, second, height, width) = x.dims4()?;
    let values = x.flatten_all()?.to_vec1::<f32>()?;
    let plane = (height * width).max(1);
    let mut out = vec![0.0; values.len()];
    for (at, from) in values.chunks_exact(plane).enumerate() {
        let to = &mut out[(at % second * first + at / second) * plane..][..plane];
        to.copy_from_slice(from);
        if turned {
            to.reverse();
        }
    }
    Tensor::from_vec(out, (second, first, height, width), x.device())
}

/// Inserts `stride - 1` zeros between neighbours along an axis.
fn dilated(x: &Tensor, axis: usize, stride: usize) -> Result<Tensor> {
    if stride == 1 {
        return Ok(x.clone());
    }
    let mut shape = x.dims().to_vec();
    let count = shape[axis];
    shape.insert(axis + 1, 1);
    let apart = x.reshape(shape)?.pad_with_zeros(axis + 1, 0, stride - 1)?;
    let mut shape = x.dims().to_vec();
    shape[axis] = count * stride;
    apart.reshape(shape)?.narrow(axis, 0, (count - 1) * stride + 1)
}

#[cfg(test)]
mod tests {
    use candle_core::Var;
    use candle_nn::Conv2dConfig;

    use super::*;

    #[test]
    fn gradients_agree_with_candles() -> Result<()> {
        // With a stride, candle supports gradients of square inputs only.
        let device = &Device::Cpu;
        for (side, stride, padding, height, width) in
            [(3, 1, 1, 7, 6), (3, 2, 1, 7, 7), (7, 2, 3, 12, 12), (1, 1, 0, 5, 4), (1, 2, 0, 6, 6), (3, 2, 1, 8, 8)]
        {
            let x = Var::randn(0f32, 1.0, (2, 3, height, width), device)?;
            let w = Var::randn(0f32, 1.0, (4, 3, side, side), device)?;
            let b = Var::randn(0f32, 1.0, 4, device)?;
            let config = Conv2dConfig { padding, stride, ..Default::default() };
            let conv = Conv2d::new(w.as_tensor().clone(), Some(b.as_tensor().clone()), config);
            let (ours, theirs) = (convolve(&x, &conv)?, x.apply(&conv)?);
            let asked = Tensor::randn(0f32, 1.0, ours.shape(), device)?;
            let gradients = [ours, theirs].map(|y| (y * &asked).and_then(|y| y.sum_all()).and_then(|y| y.backward()));
            let [ours, theirs] = gradients;
            let (ours, theirs) = (ours?, theirs?);
            for var in [&x, &w, &b] {
                let of = |all: &candle_core::backprop::GradStore| -> Result<Vec<f32>> {
                    all.get(var).map_or_else(|| Ok(Vec::new()), |g| g.flatten_all()?.to_vec1())
                };
                let (ours, theirs) = (of(&ours)?, of(&theirs)?);
                assert_eq!((ours.len(), theirs.len()), (var.elem_count(), var.elem_count()));
                for (a, b) in ours.iter().zip(&theirs) {
                    assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{side}/{stride}: {a} {b}");
                }
            }
        }
        Ok(())
    }
}

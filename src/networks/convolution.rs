//! Convolutions with gradients. On the CPU candle computes the gradient as a transposed convolution, which is many times
//! slower than matrix products over the pixels that each window sees.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Storage, Tensor};
use candle_nn::Conv2d;
use kernels::gradient::{Matrix, add_product};
use rayon::prelude::*;

/// How many numbers of windows are laid out at a time: they stay in the second-level cache.
const BAND: usize = 1 << 17;
/// Into how many runs of photos the gradient of a kernel is split. Not the number of threads: sums must not depend on it.
const RUNS: usize = 8;

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
#[derive(Clone, Copy)]
struct Plain {
    padding: usize,
    stride: usize,
}

impl CustomOp2 for Plain {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, x: &CpuStorage, x_at: &Layout, w: &CpuStorage, w_at: &Layout) -> Result<(CpuStorage, Shape)> {
        let windows = Windows::new(*self, x_at.shape(), w_at.shape())?;
        let y = windows.forward(values(x, x_at)?, values(w, w_at)?);
        Ok((CpuStorage::F32(y), Shape::from((windows.photos, windows.outputs, windows.rows, windows.columns))))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let windows = Windows::new(*self, x.shape(), w.shape())?;
        let gradient = gradient.contiguous()?;
        let of_x = on_cpu(w, |w| on_cpu(&gradient, |asked| Ok(windows.of_photos(w, asked))))?;
        let of_w = on_cpu(x, |x| on_cpu(&gradient, |asked| Ok(windows.of_kernel(x, asked))))?;
        Ok((Some(Tensor::from_vec(of_x, x.shape(), x.device())?), Some(Tensor::from_vec(of_w, w.shape(), w.device())?)))
    }
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((from, to)) = layout.contiguous_offsets() else { candle_core::bail!("a tensor in one piece is needed") };
    Ok(&storage.as_slice::<f32>()?[from..to])
}

fn on_cpu<R>(x: &Tensor, read: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { candle_core::bail!("a tensor on the processor is needed") };
    read(values(storage, layout)?)
}

/// Where the windows of a convolution lie.
struct Windows {
    photos: usize,
    inputs: usize,
    height: usize,
    width: usize,
    outputs: usize,
    side: usize,
    rows: usize,
    columns: usize,
    plain: Plain,
}

impl Windows {
    fn new(plain: Plain, x: &Shape, w: &Shape) -> Result<Self> {
        let (photos, inputs, height, width) = x.dims4()?;
        let (outputs, of_kernel, side, across) = w.dims4()?;
        let padded = height.min(width) + 2 * plain.padding;
        if of_kernel != inputs
            || side != across
            || padded < side
            || [inputs, outputs, side, height, width, plain.stride].contains(&0)
        {
            candle_core::bail!("a kernel of {w:?} does not fit {x:?}");
        }
        let count = |length: usize| (length + 2 * plain.padding - side) / plain.stride + 1;
        let (rows, columns) = (count(height), count(width));
        Ok(Self { photos, inputs, height, width, outputs, side, rows, columns, plain })
    }

    /// How many numbers a window sees.
    fn seen(&self) -> usize {
        self.inputs * self.side * self.side
    }

    /// Bands of rows of windows: the first row and the one behind the last.
    fn bands(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (rows, step) = (self.rows, (BAND / (self.seen() * self.columns).max(1)).max(1));
        (0..rows).step_by(step).map(move |from| (from, (from + step).min(rows)))
    }

    /// Calls `visit` with each piece of a row that a band of windows sees: where it begins in the photo, and where in the
    /// windows laid out as `[seen, windows of the band]`, and its length. What lies outside the photo is left out.
    fn pieces(&self, (from, to): (usize, usize), mut visit: impl FnMut(usize, usize, usize)) {
        let Plain { padding, stride } = self.plain;
        for seen in 0..self.seen() {
            let (channel, down, right) =
                (seen / (self.side * self.side), seen / self.side % self.side, seen % self.side);
            // The columns of windows whose pixel lies inside the photo.
            let first = padding.saturating_sub(right).div_ceil(stride);
            let behind = (self.width + padding).saturating_sub(right).div_ceil(stride).min(self.columns);
            if first >= behind {
                continue;
            }
            for row in from..to {
                let y = row * stride + down;
                if y < padding || y - padding >= self.height {
                    continue;
                }
                let pixel = (channel * self.height + y - padding) * self.width + first * stride + right - padding;
                let window = (seen * (to - from) + row - from) * self.columns + first;
                visit(pixel, window, behind - first);
            }
        }
    }

    /// What a band of windows sees of a photo, as `[seen, windows]`.
    fn lay_out(&self, photo: &[f32], band: (usize, usize), out: &mut Vec<f32>) {
        out.clear();
        out.resize(self.seen() * (band.1 - band.0) * self.columns, 0.0);
        let stride = self.plain.stride;
        self.pieces(band, |pixel, window, length| {
            let to = &mut out[window..window + length];
            if stride == 1 {
                to.copy_from_slice(&photo[pixel..pixel + length]);
            } else {
                to.iter_mut().zip(photo[pixel..].iter().step_by(stride)).for_each(|(to, v)| *to = *v);
            }
        });
    }

    fn forward(&self, x: &[f32], w: &[f32]) -> Vec<f32> {
        let (seen, plane) = (self.seen(), self.rows * self.columns);
        let mut y = vec![0.0; self.photos * self.outputs * plane];
        let photos = x.par_chunks_exact(self.inputs * self.height * self.width);
        y.par_chunks_exact_mut(self.outputs * plane).zip(photos).for_each_init(
            || (Vec::new(), Vec::new()),
            |(windows, product), (y, photo)| {
                for band in self.bands() {
                    self.lay_out(photo, band, windows);
                    let count = (band.1 - band.0) * self.columns;
                    product.clear();
                    product.resize(self.outputs * count, 0.0);
                    add_product(by_rows(w, self.outputs, seen), by_rows(windows, seen, count), product);
                    let from = band.0 * self.columns;
                    for (to, from_band) in y.chunks_exact_mut(plane).zip(product.chunks_exact(count)) {
                        to[from..from + count].copy_from_slice(from_band);
                    }
                }
            },
        );
        y
    }

    /// The gradient of the photos.
    fn of_photos(&self, w: &[f32], asked: &[f32]) -> Vec<f32> {
        let (seen, plane) = (self.seen(), self.rows * self.columns);
        let stride = self.plain.stride;
        let mut of_x = vec![0.0; self.photos * self.inputs * self.height * self.width];
        let photos = of_x.par_chunks_exact_mut(self.inputs * self.height * self.width);
        photos.zip(asked.par_chunks_exact(self.outputs * plane)).for_each_init(Vec::new, |windows, (photo, asked)| {
            for band in self.bands() {
                let count = (band.1 - band.0) * self.columns;
                windows.clear();
                windows.resize(seen * count, 0.0);
                add_product(transposed(by_rows(w, self.outputs, seen)), self.band(asked, band), windows);
                self.pieces(band, |pixel, window, length| {
                    let from = &windows[window..window + length];
                    if stride == 1 {
                        photo[pixel..pixel + length].iter_mut().zip(from).for_each(|(to, v)| *to += v);
                    } else {
                        photo[pixel..].iter_mut().step_by(stride).zip(from).for_each(|(to, v)| *to += v);
                    }
                });
            }
        });
        of_x
    }

    /// The gradient of the kernel.
    fn of_kernel(&self, x: &[f32], asked: &[f32]) -> Vec<f32> {
        let (seen, plane) = (self.seen(), self.rows * self.columns);
        let (photo, map) = (self.inputs * self.height * self.width, self.outputs * plane);
        let run = self.photos.div_ceil(RUNS).max(1);
        let parts: Vec<Vec<f32>> = x
            .par_chunks(run * photo)
            .zip(asked.par_chunks(run * map))
            .map(|(x, asked)| {
                let (mut sum, mut windows) = (vec![0.0; self.outputs * seen], Vec::new());
                for (photo, asked) in x.chunks_exact(photo).zip(asked.chunks_exact(map)) {
                    for band in self.bands() {
                        self.lay_out(photo, band, &mut windows);
                        let count = (band.1 - band.0) * self.columns;
                        add_product(self.band(asked, band), transposed(by_rows(&windows, seen, count)), &mut sum);
                    }
                }
                sum
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut sum = parts.next().unwrap_or_else(|| vec![0.0; self.outputs * seen]);
        parts.for_each(|part| sum.iter_mut().zip(part).for_each(|(sum, v)| *sum += v));
        sum
    }

    /// The band's part of maps `[outputs, rows, columns]`.
    fn band<'a>(&self, maps: &'a [f32], (from, to): (usize, usize)) -> Matrix<'a> {
        Matrix {
            data: &maps[from * self.columns..],
            rows: self.outputs,
            columns: (to - from) * self.columns,
            row_step: self.rows * self.columns,
            column_step: 1,
        }
    }
}

fn by_rows(data: &[f32], rows: usize, columns: usize) -> Matrix<'_> {
    Matrix { data, rows, columns, row_step: columns, column_step: 1 }
}

fn transposed(of: Matrix<'_>) -> Matrix<'_> {
    Matrix { rows: of.columns, columns: of.rows, row_step: of.column_step, column_step: of.row_step, ..of }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
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

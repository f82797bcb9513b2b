//! Convolutions over maps whose channels lie innermost.

use std::sync::Arc;

use kernels::Cpu;
use kernels::depthwise::{Depthwise, Slide};
use kernels::pointwise::{Lines, Pointwise, Reach, Rectifier, Residual, vector_width};

use super::operator::Sliding;
use super::tensor::{Memory, Tensor, elements};
use crate::axes::{Checked, require};
use crate::rectified::rectified;

/// Maximum pixels that are multiplied with a part of large weights before the next part is read.
const BLOCK: usize = 192;
/// Number of weights that stay in the L2 cache.
const LARGE: usize = 1 << 16;
/// Number of map values that stay in the L2 cache while their windows are multiplied.
const CACHED: usize = 1 << 16;

/// A convolution that is ready to run, with bias and activation.
#[derive(Debug)]
pub(super) struct Conv {
    cpu: Cpu,
    sliding: Sliding,
    window: [usize; 2],
    inputs: usize,
    outputs: usize,
    rectifier: Rectifier,
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    Dense(Pointwise),
    /// A filter for each channel: taps row by row, channels innermost.
    Depthwise {
        taps: Vec<f32>,
        bias: Vec<f32>,
    },
}

impl Conv {
    /// `weight` is in file order: outputs, inputs of a group, rows, columns.
    pub fn new(
        cpu: Cpu,
        sliding: Sliding,
        groups: usize,
        weight: &Tensor,
        bias: &[f32],
        rectifier: Rectifier,
    ) -> Checked<Self> {
        let [outputs, inputs, rows, columns] = weight.map()?;
        let window = [rows, columns];
        require(sliding.window.is_none_or(|said| said == window), "a window that the weights do not have")?;
        require(rows <= 64 && columns <= 64, "a window of more than 64 pixels")?;
        require(bias.len() == outputs, "a bias for other channels")?;
        let taps = rows * columns;
        let turned = |each: usize| {
            // Channels innermost.
            let mut turned = vec![0.0; weight.data.len()];
            for (from, to) in weight.data.chunks_exact(each * taps).zip(turned.chunks_exact_mut(each * taps)) {
                for (tap, to) in to.chunks_exact_mut(each).enumerate() {
                    to.iter_mut().enumerate().for_each(|(channel, to)| *to = from[channel * taps + tap]);
                }
            }
            turned
        };
        let (inputs, weights) = if groups == 1 {
            (inputs, Weights::Dense(Pointwise::pack(cpu, &turned(inputs), bias, rectifier.clone())))
        } else {
            require(inputs == 1 && groups == outputs, "groups of several channels")?;
            (outputs, Weights::Depthwise { taps: turned(outputs), bias: bias.to_vec() })
        };
        Ok(Self { cpu, sliding, window, inputs, outputs, rectifier, weights })
    }

    pub fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Dense(product) => 4 * product.weights(),
            Weights::Depthwise { taps, .. } => 4 * taps.len(),
        }
    }

    /// The shape of the output, the padding above and left, and the number of multiplications.
    fn output(&self, x: &Tensor) -> Checked<(Vec<usize>, [usize; 2], u64)> {
        let [images, channels, height, width] = x.map()?;
        require(channels == self.inputs, "a map of other channels")?;
        let (before, [rows, columns]) = self.sliding.over([height, width], self.window)?;
        let shape = vec![images, self.outputs, rows, columns];
        let per_pixel = match &self.weights {
            Weights::Dense(_) => self.inputs * self.window[0] * self.window[1],
            Weights::Depthwise { .. } => self.window[0] * self.window[1],
        };
        let work = (elements(&shape)? as u64).saturating_mul(per_pixel as u64);
        Ok((shape, before, work))
    }

    pub fn work(&self, x: &Tensor) -> Checked<u64> {
        Ok(self.output(x)?.2)
    }

    /// Whether `residual` can be added while the output of `x` is stored.
    pub fn adds(&self, x: &Tensor, residual: &Tensor) -> Checked<bool> {
        let whole = self.outputs.is_multiple_of(vector_width(self.cpu));
        Ok(whole && matches!(self.weights, Weights::Dense(_)) && self.output(x)?.0 == residual.shape)
    }

    /// `residual` is added before the function is applied.
    pub fn run(&self, x: Arc<Tensor>, residual: Option<Arc<Tensor>>, memory: &mut Memory) -> Checked<Arc<Tensor>> {
        let (shape, before, _) = self.output(&x)?;
        let (x, residual) = (x.laid(true), residual.map(|residual| residual.laid(true)));
        let mut y = memory.tensor(shape, true)?;
        let (from, to) = (x.data.len() / x.shape[0], y.data.len() / x.shape[0]);
        let sizes = ([x.shape[2], x.shape[3]], [y.shape[2], y.shape[3]]);
        for (image, y) in y.data.chunks_exact_mut(to).enumerate() {
            let x = &x.data[image * from..][..from];
            match &self.weights {
                Weights::Dense(product) => {
                    let residual = residual.as_ref().map(|residual| &residual.data[image * to..][..to]);
                    self.dense(product, x, sizes, before, residual, y, memory)?;
                }
                Weights::Depthwise { taps, bias } => self.depthwise((taps, bias), x, sizes, before, y, memory)?,
            }
        }
        memory.give(x);
        if let Some(residual) = residual {
            memory.give(residual);
        }
        Ok(Arc::new(y))
    }

    /// Processes one image, a few rows at a time; where windows leave the map, the input rows are copied into a border of
    /// zeros.
    #[allow(clippy::too_many_arguments, reason = "the parts of one image")]
    fn dense(
        &self,
        product: &Pointwise,
        x: &[f32],
        (from, to): ([usize; 2], [usize; 2]),
        before: [usize; 2],
        residual: Option<&[f32]>,
        y: &mut [f32],
        memory: &mut Memory,
    ) -> Checked<()> {
        let (channels, outputs, strides) = (self.inputs, self.outputs, self.sliding.strides);
        let covered: [usize; 2] = std::array::from_fn(|axis| (to[axis] - 1) * strides[axis] + self.window[axis]);
        let inside = before == [0, 0] && covered[0] <= from[0] && covered[1] <= from[1];
        let line = if inside { from[1] * channels } else { covered[1] * channels };
        let lines_of = |rows: usize| (rows - 1) * strides[0] + self.window[0];
        // Pixels of 1×1 windows are contiguous and form one row.
        let (to, line) =
            if inside && self.window == [1, 1] && strides == [1, 1] { ([1, to[0] * to[1]], line) } else { (to, line) };
        let rows = (1..=to[0]).rev().find(|&rows| lines_of(rows) * line <= CACHED).unwrap_or(1);
        let mut bordered = if inside { Vec::new() } else { memory.take(lines_of(rows) * line)? };
        let mut padded =
            if product.width() == outputs { Vec::new() } else { memory.take(rows * to[1] * product.width())? };
        let reach = Reach {
            step: strides[1] * channels,
            lines: self.window[0],
            line_len: self.window[1] * channels,
            line_step: line,
        };
        for first in (0..to[0]).step_by(rows) {
            let rows = rows.min(to[0] - first);
            let data = if inside {
                &x[first * strides[0] * line..]
            } else {
                let copied = &mut bordered[..lines_of(rows) * line];
                for (at, to) in copied.chunks_exact_mut(line).enumerate() {
                    let row = (first * strides[0] + at).checked_sub(before[0]).filter(|&row| row < from[0]);
                    bordered_line(
                        row.map(|row| &x[row * from[1] * channels..][..from[1] * channels]),
                        before[1] * channels,
                        to,
                    );
                }
                &*copied
            };
            // A block of pixels at a time where the weights are large.
            let count = rows * to[1];
            let at_once = if to[0] == 1 && product.weights() > LARGE { BLOCK } else { count };
            let y = &mut y[first * to[1] * outputs..][..count * outputs];
            for begin in (0..count).step_by(at_once) {
                let count = at_once.min(count - begin);
                let data = &data[begin * reach.step..];
                let from = Lines { width: to[1], step: reach.step, line_step: strides[0] * line };
                let y = &mut y[begin * outputs..][..count * outputs];
                if padded.is_empty() {
                    let all = residual.map(|all| &all[(first * to[1] + begin) * outputs..]);
                    let residual = all.map(|data| Residual { data, step: outputs });
                    product.run_lines((data, from), reach, count, residual, (y, Lines::one(count, outputs)));
                    continue;
                }
                let step = product.width();
                product.run_lines((data, from), reach, count, None, (&mut padded, Lines::one(count, step)));
                for (to, from) in y.chunks_exact_mut(outputs).zip(padded.chunks_exact(step)) {
                    to.copy_from_slice(&from[..outputs]);
                }
            }
        }
        memory.keep(padded);
        memory.keep(bordered);
        Ok(())
    }

    fn depthwise(
        &self,
        (taps, bias): (&[f32], &[f32]),
        x: &[f32],
        (from, to): ([usize; 2], [usize; 2]),
        before: [usize; 2],
        y: &mut [f32],
        memory: &mut Memory,
    ) -> Checked<()> {
        let ([height, width], [stride, across]) = (self.window, self.sliding.strides);
        let channels = self.outputs;
        let applies = stride == across && Depthwise::applies(&self.rectifier);
        if stride == across {
            let rectifier = if applies { self.rectifier.clone() } else { Rectifier::Identity };
            let slide = Slide {
                input_height: from[0],
                input_width: from[1],
                output_height: to[0],
                output_width: to[1],
                height,
                width,
                stride,
                top: before[0],
                left: before[1],
            };
            let filter = Depthwise::pack(self.cpu, slide, taps, bias, rectifier);
            let whole = filter.channels();
            if whole == channels {
                filter.run(x, 0..to[0], y);
            } else {
                let (mut wide, mut result) =
                    (memory.take(from[0] * from[1] * whole)?, memory.take(to[0] * to[1] * whole)?);
                for (to, from) in wide.chunks_exact_mut(whole).zip(x.chunks_exact(channels)) {
                    to[..channels].copy_from_slice(from);
                    to[channels..].fill(0.0);
                }
                filter.run(&wide, 0..to[0], &mut result);
                for (to, from) in y.chunks_exact_mut(channels).zip(result.chunks_exact(whole)) {
                    to.copy_from_slice(&from[..channels]);
                }
                memory.keep(wide);
                memory.keep(result);
            }
        } else {
            self.filter((taps, bias), x, (from, to), before, y);
        }
        if !applies {
            rectified(&self.rectifier, y, channels);
        }
        Ok(())
    }

    /// A filter with different vertical and horizontal strides.
    fn filter(
        &self,
        (taps, bias): (&[f32], &[f32]),
        x: &[f32],
        (from, to): ([usize; 2], [usize; 2]),
        before: [usize; 2],
        y: &mut [f32],
    ) {
        let (channels, [stride, across], width) = (self.outputs, self.sliding.strides, self.window[1]);
        for (at, y) in y.chunks_exact_mut(channels).enumerate() {
            y.copy_from_slice(bias);
            let (top, left) = (at / to[1] * stride, at % to[1] * across);
            for (tap, weights) in taps.chunks_exact(channels).enumerate() {
                let row = (top + tap / width).checked_sub(before[0]).filter(|&row| row < from[0]);
                let column = (left + tap % width).checked_sub(before[1]).filter(|&column| column < from[1]);
                if let Some((row, column)) = row.zip(column) {
                    let pixel = &x[(row * from[1] + column) * channels..][..channels];
                    y.iter_mut().zip(weights).zip(pixel).for_each(|((y, w), x)| *y += w * x);
                }
            }
        }
    }
}

/// Copies a row of a map with `before` zeros before it and zeros after it; without a row, zeros only.
fn bordered_line(line: Option<&[f32]>, before: usize, to: &mut [f32]) {
    let Some(line) = line else { return to.fill(0.0) };
    let (left, rest) = to.split_at_mut(before);
    let (middle, right) = rest.split_at_mut(line.len().min(rest.len()));
    left.fill(0.0);
    middle.copy_from_slice(&line[..middle.len()]);
    right.fill(0.0);
}

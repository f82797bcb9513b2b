//! Convolutions over maps whose channels lie innermost.

use std::sync::Arc;

use kernels::Cpu;
use kernels::pointwise::{Lines, Pointwise, Reach, Rectifier, Residual, vector_width};

use super::arithmetic::binary;
use super::filter::Filter;
use super::operator::{Arithmetic, Sliding};
use super::pixels::{Map, Sides, Store, padded_channels};
use super::tensor::{Memory, Tensor, elements};
use crate::axes::{Checked, require};

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
    inputs: usize,
    outputs: usize,
    weights: Weights,
    /// Whether a residual may have fewer channels; those that it lacks are zeros.
    short_residual: bool,
}

#[derive(Debug)]
enum Weights {
    Dense(Dense),
    Depthwise(Filter),
    /// A depthwise convolution whose outputs are multiplied while they are in the cache.
    Separable(Filter, Pointwise),
}

/// Windows over all channels.
#[derive(Debug)]
struct Dense {
    sliding: Sliding,
    window: [usize; 2],
    channels: usize,
    product: Pointwise,
}

impl Conv {
    /// `weight` has the axes outputs, inputs of a group, rows, columns.
    pub fn new(
        cpu: Cpu,
        sliding: Sliding,
        groups: usize,
        weight: &Arc<Tensor>,
        bias: &[f32],
        rectifier: Rectifier,
    ) -> Checked<Self> {
        let [outputs, inputs, rows, columns] = weight.map()?;
        let window = [rows, columns];
        require(sliding.window.is_none_or(|said| said == window), "a window that the weights do not have")?;
        require(rows <= 64 && columns <= 64, "a window of more than 64 pixels")?;
        require(bias.len() == outputs, "a bias for other channels")?;
        let (inputs, weights) = if groups == 1 {
            let rows = Arc::clone(weight).laid(true);
            let product = Pointwise::pack(cpu, &rows.data, bias, rectifier);
            (inputs, Weights::Dense(Dense { sliding, window, channels: inputs, product }))
        } else {
            require(inputs == 1 && groups == outputs, "groups of several channels")?;
            (outputs, Weights::Depthwise(Filter::new(cpu, sliding, weight, bias, rectifier)?))
        };
        Ok(Self { cpu, inputs, outputs, weights, short_residual: false })
    }

    /// Whether a convolution can multiply the outputs of a depthwise one while they are in the cache.
    pub fn follows_filters(sliding: &Sliding, window: &[usize]) -> bool {
        window == [1, 1] && sliding.strides == [1, 1] && sliding.pads == [0; 4]
    }

    /// Takes a depthwise convolution in front, see [`Self::follows_filters`] and [`Filter::runs_in_rows`].
    pub fn after(self, filter: Self) -> Checked<Self> {
        require(filter.outputs == self.inputs, "a map of other channels")?;
        match (filter.weights, self.weights) {
            (Weights::Depthwise(filter), Weights::Dense(Dense { product, .. })) => {
                Ok(Self { weights: Weights::Separable(filter, product), ..self })
            }
            _ => Err("no depthwise convolution before a product".into()),
        }
    }

    pub fn with_short_residual(self, short_residual: bool) -> Self {
        Self { short_residual, ..self }
    }

    pub fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Dense(dense) => 4 * dense.product.weights(),
            Weights::Depthwise(filter) => filter.bytes(),
            Weights::Separable(filter, product) => filter.bytes() + 4 * product.weights(),
        }
    }

    /// The shape of the output, the padding above and left, and the number of multiplications.
    fn output(&self, shape: [usize; 4]) -> Checked<([usize; 4], [usize; 2], u64)> {
        let [images, channels, height, width] = shape;
        require(channels == self.inputs, "a map of other channels")?;
        let (before, [rows, columns], of_pixel) = match &self.weights {
            Weights::Dense(Dense { sliding, window, .. }) => {
                let (before, sides) = sliding.over([height, width], *window)?;
                (before, sides, (channels * window[0] * window[1]).saturating_mul(self.outputs))
            }
            Weights::Depthwise(filter) => {
                let (before, sides) = filter.over([height, width])?;
                (before, sides, filter.taps())
            }
            Weights::Separable(filter, _) => {
                let (before, sides) = filter.over([height, width])?;
                (before, sides, filter.taps() + channels.saturating_mul(self.outputs))
            }
        };
        let shape = [images, self.outputs, rows, columns];
        elements(&shape)?;
        Ok((shape, before, ((images * rows * columns) as u64).saturating_mul(of_pixel as u64)))
    }

    pub fn work(&self, x: &Tensor) -> Checked<u64> {
        Ok(self.output(x.map()?)?.2)
    }

    /// Whether `residual` can be added while the output of `x` is stored.
    fn adds(&self, x: &Tensor, residual: &Tensor) -> Checked<bool> {
        let ([images, channels, height, width], ..) = self.output(x.map()?)?;
        let &[of_images, of_channels, of_height, of_width] = residual.shape.as_slice() else { return Ok(false) };
        let same = [of_images, of_height, of_width] == [images, height, width]
            && (of_channels == channels || self.short_residual && of_channels < channels);
        require(same || !self.short_residual, "a residual of another shape")?;
        Ok(same && !matches!(self.weights, Weights::Depthwise(_)))
    }

    /// A residual that stands for every pixel or channel, brought to the shape of the output of `x`.
    fn broadcast(&self, x: &Tensor, residual: Arc<Tensor>, memory: &mut Memory) -> Checked<Arc<Tensor>> {
        let (shape, ..) = self.output(x.map()?)?;
        memory.claim(&shape)?;
        let whole = Tensor { data: vec![0.0; elements(&shape)?], shape: shape.to_vec(), channels_last: true };
        let whole = binary(Arithmetic::Add, Arc::new(whole), residual)?;
        require(whole.shape == shape, "a sum that is larger than the convolution")?;
        Ok(whole)
    }

    /// `residual` is added before the function is applied, brought to the shape of the output if need be.
    pub fn run_with(&self, x: Arc<Tensor>, residual: Option<Arc<Tensor>>, memory: &mut Memory) -> Checked<Arc<Tensor>> {
        let residual = match residual {
            Some(residual) if !self.adds(&x, &residual)? => Some(self.broadcast(&x, residual, memory)?),
            residual => residual,
        };
        self.run(x, residual, memory)
    }

    fn run(&self, x: Arc<Tensor>, residual: Option<Arc<Tensor>>, memory: &mut Memory) -> Checked<Arc<Tensor>> {
        let (shape, before, _) = self.output(x.map()?)?;
        let x = x.by_pixels();
        let [images, _, height, width] = shape;
        let residual = match residual {
            Some(residual) => {
                // The kernel adds whole vectors.
                let step = residual.shape[1].next_multiple_of(vector_width(self.cpu));
                if !residual.channels_last || residual.step() != step {
                    memory.claim(&[images, height, width, step])?;
                }
                Some(residual.stepped(step))
            }
            None => None,
        };
        let to = Sides { height, width, step: padded_channels(self.outputs, self.cpu) };
        let mut y = memory.map(shape, to.step)?;
        let [from, each] = [x.data.len() / images, y.data.len() / images];
        for (image, y) in y.data.chunks_exact_mut(each).enumerate() {
            let data = &x.data[image * from..][..from];
            let x = Map { data, height: x.shape[2], width: x.shape[3], step: x.step() };
            let residual = residual.as_ref().map(|residual| {
                let each = residual.data.len() / images;
                Residual { data: &residual.data[image * each..][..each], step: residual.step() }
            });
            match &self.weights {
                Weights::Dense(dense) => dense.run(x, (to, before), residual, y, memory)?,
                Weights::Depthwise(filter) => filter.run(x, (to, before), y, memory)?,
                Weights::Separable(filter, product) => {
                    filter.multiplied(product, x, (to, before), residual, y, memory)?;
                }
            }
        }
        memory.give(x);
        if let Some(residual) = residual {
            memory.give(residual);
        }
        Ok(Arc::new(y))
    }
}

impl Dense {
    /// Processes one image, a few rows at a time; where windows leave the map or channels are padded, the input rows are
    /// copied into a border of zeros.
    fn run(
        &self,
        x: Map,
        (to, before): (Sides, [usize; 2]),
        residual: Option<Residual>,
        y: &mut [f32],
        memory: &mut Memory,
    ) -> Checked<()> {
        let Self { sliding: Sliding { strides, .. }, channels, ref product, .. } = *self;
        let [lines, columns] = [0, 1].map(|axis| ([to.height, to.width][axis] - 1) * strides[axis] + self.window[axis]);
        let inside = before == [0, 0] && lines <= x.height && columns <= x.width;
        let is_pixel = self.window == [1, 1];
        let in_place = inside && (is_pixel || x.step == channels);
        let pixel = if in_place { x.step } else { channels };
        let line = if in_place { x.width } else { columns } * pixel;
        let lines_of = |rows: usize| (rows - 1) * strides[0] + self.window[0];
        // Pixels of 1×1 windows are contiguous and form one row.
        let (height, width) =
            if in_place && is_pixel && strides == [1, 1] { (1, to.height * to.width) } else { (to.height, to.width) };
        let rows = (1..=height).rev().find(|&rows| lines_of(rows) * line <= CACHED).unwrap_or(1);
        let mut bordered = if in_place { Vec::new() } else { memory.take(lines_of(rows) * line)? };
        let mut store = Store::new(product, to.step, rows * width, memory)?;
        let reach = Reach {
            step: strides[1] * pixel,
            lines: self.window[0],
            line_len: self.window[1] * channels,
            line_step: line,
        };
        for first in (0..height).step_by(rows) {
            let rows = rows.min(height - first);
            let data = if in_place {
                &x.data[first * strides[0] * line..]
            } else {
                let copied = &mut bordered[..lines_of(rows) * line];
                for (at, to) in copied.chunks_exact_mut(line).enumerate() {
                    let row = (first * strides[0] + at).checked_sub(before[0]).filter(|&row| row < x.height);
                    let row = row.map(|row| &x.data[row * x.width * x.step..][..x.width * x.step]);
                    bordered_line(row, x.step, channels, before[1], to);
                }
                &*copied
            };
            // A block of pixels at a time where the weights are large.
            let count = rows * width;
            let at_once = if height == 1 && product.weights() > LARGE { BLOCK } else { count };
            for begin in (0..count).step_by(at_once) {
                let from = Lines { width, step: reach.step, line_step: strides[0] * line };
                let pixels = first * width + begin..first * width + begin + at_once.min(count - begin);
                store.run((&data[begin * reach.step..], from), reach, pixels, residual, y);
            }
        }
        store.end(memory);
        memory.keep(bordered);
        Ok(())
    }
}

/// Copies the channels of a row of pixels with `before` pixels of zeros in front and zeros after; without a row, zeros
/// only.
fn bordered_line(line: Option<&[f32]>, step: usize, channels: usize, before: usize, to: &mut [f32]) {
    let Some(line) = line else { return to.fill(0.0) };
    let (left, rest) = to.split_at_mut(before * channels);
    let (middle, right) = rest.split_at_mut((line.len() / step * channels).min(rest.len()));
    left.fill(0.0);
    if step == channels {
        middle.copy_from_slice(&line[..middle.len()]);
    } else {
        for (to, from) in middle.chunks_exact_mut(channels).zip(line.chunks_exact(step)) {
            to.copy_from_slice(&from[..channels]);
        }
    }
    right.fill(0.0);
}

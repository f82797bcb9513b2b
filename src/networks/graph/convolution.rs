//! Convolutions over maps whose channels lie innermost.

use std::sync::Arc;

use kernels::Cpu;
use kernels::depthwise::{Depthwise, Slide};
use kernels::pointwise::{Lines, Pointwise, Reach, Rectifier, Residual, vector_width};

use super::arithmetic::binary;
use super::operator::{Arithmetic, Sliding};
use super::tensor::{Memory, Tensor, elements};
use crate::axes::{Checked, require};
use crate::rectified::rectified;

/// Maximum pixels that are multiplied with a part of large weights before the next part is read.
const BLOCK: usize = 192;
/// Number of weights that stay in the L2 cache.
const LARGE: usize = 1 << 16;
/// Number of map values that stay in the L2 cache while their windows are multiplied.
const CACHED: usize = 1 << 16;
/// Pixels that are filtered before they are multiplied: few enough for the L1 cache, enough to fill the registers.
const FILTERED: usize = 96;

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
    /// A depthwise convolution whose outputs are multiplied while they are in the cache.
    filter: Option<Box<Self>>,
    /// Whether a residual may have fewer channels; those that it lacks are zeros.
    short_residual: bool,
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

/// A map of one image.
#[derive(Clone, Copy)]
struct Map<'a> {
    data: &'a [f32],
    height: usize,
    width: usize,
    /// Floats from one pixel to the next.
    step: usize,
}

/// The rows, the columns and the floats of a pixel of an output.
#[derive(Clone, Copy)]
struct Sides {
    height: usize,
    width: usize,
    step: usize,
}

/// Floats of a pixel: whole vectors, unless most of them would be padding.
fn padded_channels(channels: usize, cpu: Cpu) -> usize {
    let whole = channels.next_multiple_of(vector_width(cpu));
    if whole > 2 * channels { channels } else { whole }
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
            (inputs, Weights::Dense(Pointwise::pack(cpu, &rows.data, bias, rectifier.clone())))
        } else {
            require(inputs == 1 && groups == outputs, "groups of several channels")?;
            // The filters side by side, as the channels of one map.
            let filters = Arc::unwrap_or_clone(Arc::clone(weight).plain());
            let filters = Tensor { shape: vec![1, outputs, rows, columns], ..filters };
            let taps = Arc::unwrap_or_clone(Arc::new(filters).laid(true)).data;
            (outputs, Weights::Depthwise { taps, bias: bias.to_vec() })
        };
        let (filter, short_residual) = (None, false);
        Ok(Self { cpu, sliding, window, inputs, outputs, rectifier, weights, filter, short_residual })
    }

    /// Whether a convolution can follow a depthwise one in one pass.
    pub fn follows_filters(sliding: &Sliding, window: &[usize]) -> bool {
        window == [1, 1] && sliding.strides == [1, 1] && sliding.pads == [0; 4]
    }

    /// Whether a depthwise convolution can run rows at a time.
    pub fn runs_in_rows(sliding: &Sliding, rectifier: &Rectifier) -> bool {
        sliding.strides[0] == sliding.strides[1] && Depthwise::applies(rectifier)
    }

    /// Takes a depthwise convolution in front, see [`Self::follows_filters`] and [`Self::runs_in_rows`].
    pub fn after(self, filter: Self) -> Checked<Self> {
        require(filter.outputs == self.inputs, "a map of other channels")?;
        Ok(Self { filter: Some(Box::new(filter)), ..self })
    }

    pub fn with_short_residual(self, short_residual: bool) -> Self {
        Self { short_residual, ..self }
    }

    pub fn bytes(&self) -> usize {
        let own = match &self.weights {
            Weights::Dense(product) => 4 * product.weights(),
            Weights::Depthwise { taps, .. } => 4 * taps.len(),
        };
        own + self.filter.as_ref().map_or(0, |filter| filter.bytes())
    }

    /// The shape of the output, the padding above and left, and the number of multiplications.
    fn output(&self, shape: [usize; 4]) -> Checked<([usize; 4], [usize; 2], u64)> {
        if let Some(filter) = &self.filter {
            let ([images, _, height, width], before, work) = filter.output(shape)?;
            let shape = [images, self.outputs, height, width];
            let more = (elements(&shape)? as u64).saturating_mul(self.inputs as u64);
            return Ok((shape, before, work.saturating_add(more)));
        }
        let [images, channels, height, width] = shape;
        require(channels == self.inputs, "a map of other channels")?;
        let (before, [rows, columns]) = self.sliding.over([height, width], self.window)?;
        let shape = [images, self.outputs, rows, columns];
        let per_pixel = match &self.weights {
            Weights::Dense(_) => self.inputs * self.window[0] * self.window[1],
            Weights::Depthwise { .. } => self.window[0] * self.window[1],
        };
        let work = (elements(&shape)? as u64).saturating_mul(per_pixel as u64);
        Ok((shape, before, work))
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
        Ok(same && matches!(self.weights, Weights::Dense(_)))
    }

    /// A residual that stands for every pixel or channel, brought to the shape of the output of `x`.
    fn broadcast(&self, x: &Tensor, residual: Arc<Tensor>, memory: &mut Memory) -> Checked<Arc<Tensor>> {
        let (shape, ..) = self.output(x.map()?)?;
        let whole = Tensor { data: vec![0.0; elements(&shape)?], shape: shape.to_vec(), channels_last: true };
        memory.claim(&shape)?;
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
        let x = if x.channels_last { x } else { x.laid(true) };
        let vector = vector_width(self.cpu);
        let residual = residual.map(|residual| {
            let channels = residual.shape[1].next_multiple_of(vector);
            residual.stepped(channels)
        });
        let [images, _, height, width] = shape;
        let to = Sides { height, width, step: padded_channels(self.outputs, self.cpu) };
        let mut y = memory.map(shape, to.step)?;
        let [from, to_len] = [x.data.len() / images, y.data.len() / images];
        for (image, y) in y.data.chunks_exact_mut(to_len).enumerate() {
            let data = &x.data[image * from..][..from];
            let x = Map { data, height: x.shape[2], width: x.shape[3], step: x.step() };
            match &self.weights {
                Weights::Dense(product) => {
                    let residual = residual.as_ref().map(|residual| {
                        let each = residual.data.len() / images;
                        Residual { data: &residual.data[image * each..][..each], step: residual.step() }
                    });
                    match &self.filter {
                        Some(filter) => filter.multiplied(product, x, (to, before), residual, y, memory)?,
                        None => self.dense(product, x, (to, before), residual, y, memory)?,
                    }
                }
                Weights::Depthwise { taps, bias } => self.depthwise((taps, bias), x, (to, before), y, memory)?,
            }
        }
        memory.give(x);
        if let Some(residual) = residual {
            memory.give(residual);
        }
        Ok(Arc::new(y))
    }

    /// Processes one image, a few rows at a time; where windows leave the map or channels are padded, the input rows are
    /// copied into a border of zeros.
    fn dense(
        &self,
        product: &Pointwise,
        x: Map,
        (to, before): (Sides, [usize; 2]),
        residual: Option<Residual>,
        y: &mut [f32],
        memory: &mut Memory,
    ) -> Checked<()> {
        let (channels, strides) = (self.inputs, self.sliding.strides);
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

    /// The depthwise convolution of a map of one image, made ready for its sides.
    fn filter_for(&self, x: Map, to: Sides, before: [usize; 2], rectifier: Rectifier) -> Checked<Depthwise> {
        let Weights::Depthwise { taps, bias } = &self.weights else { return Err("no filter".into()) };
        let slide = Slide {
            input_height: x.height,
            input_width: x.width,
            output_height: to.height,
            output_width: to.width,
            height: self.window[0],
            width: self.window[1],
            stride: self.sliding.strides[0],
            top: before[0],
            left: before[1],
        };
        Ok(Depthwise::pack(self.cpu, slide, taps, bias, rectifier))
    }

    /// This depthwise convolution, and a product of its outputs while they are in the cache.
    fn multiplied(
        &self,
        product: &Pointwise,
        x: Map,
        (to, before): (Sides, [usize; 2]),
        residual: Option<Residual>,
        y: &mut [f32],
        memory: &mut Memory,
    ) -> Checked<()> {
        let filter = self.filter_for(x, to, before, self.rectifier.clone())?;
        let step = filter.channels();
        let wide = widened(x, self.outputs, step, memory)?;
        let input = if wide.is_empty() { x.data } else { &wide };
        let rows = FILTERED.div_ceil(to.width).min(to.height);
        let mut filtered = memory.take(rows * to.width * step)?;
        let mut store = Store::new(product, to.step, rows * to.width, memory)?;
        for first in (0..to.height).step_by(rows) {
            let rows = first..(first + rows).min(to.height);
            let pixels = rows.start * to.width..rows.end * to.width;
            filter.run(input, rows, &mut filtered);
            let from = Lines::one(pixels.len(), step);
            store.run((&filtered, from), Reach::pixel(product.inputs(), step), pixels, residual, y);
        }
        store.end(memory);
        memory.keep(filtered);
        memory.keep(wide);
        Ok(())
    }

    fn depthwise(
        &self,
        weights: (&[f32], &[f32]),
        x: Map,
        (to, before): (Sides, [usize; 2]),
        y: &mut [f32],
        memory: &mut Memory,
    ) -> Checked<()> {
        let [stride, across] = self.sliding.strides;
        let applies = stride == across && Depthwise::applies(&self.rectifier);
        if stride == across {
            let rectifier = if applies { self.rectifier.clone() } else { Rectifier::Identity };
            let filter = self.filter_for(x, to, before, rectifier)?;
            let step = filter.channels();
            let wide = widened(x, self.outputs, step, memory)?;
            let input = if wide.is_empty() { x.data } else { &wide };
            if step == to.step {
                filter.run(input, 0..to.height, y);
            } else {
                let mut result = memory.take(to.height * to.width * step)?;
                filter.run(input, 0..to.height, &mut result);
                for (to, from) in y.chunks_exact_mut(to.step).zip(result.chunks_exact(step)) {
                    to.copy_from_slice(&from[..to.len()]);
                }
                memory.keep(result);
            }
            memory.keep(wide);
        } else {
            self.filter(weights, x, (to, before), y);
        }
        if !applies {
            rectified(&self.rectifier, y, to.step);
        }
        Ok(())
    }

    /// A filter with different vertical and horizontal strides.
    fn filter(&self, (taps, bias): (&[f32], &[f32]), x: Map, (to, before): (Sides, [usize; 2]), y: &mut [f32]) {
        let (channels, [stride, across], width) = (self.outputs, self.sliding.strides, self.window[1]);
        for (at, y) in y.chunks_exact_mut(to.step).enumerate() {
            y[..channels].copy_from_slice(bias);
            y[channels..].fill(0.0);
            let (top, left) = (at / to.width * stride, at % to.width * across);
            for (tap, weights) in taps.chunks_exact(channels).enumerate() {
                let row = (top + tap / width).checked_sub(before[0]).filter(|&row| row < x.height);
                let column = (left + tap % width).checked_sub(before[1]).filter(|&column| column < x.width);
                if let Some((row, column)) = row.zip(column) {
                    let pixel = &x.data[(row * x.width + column) * x.step..][..channels];
                    y.iter_mut().zip(weights).zip(pixel).for_each(|((y, w), x)| *y += w * x);
                }
            }
        }
    }
}

/// Stores products as pixels of an output, in a detour where its pixels are narrower than those of the product.
struct Store<'a> {
    product: &'a Pointwise,
    step: usize,
    padded: Vec<f32>,
}

impl<'a> Store<'a> {
    /// For at most `pixels` pixels at a time, `step` floats apart.
    fn new(product: &'a Pointwise, step: usize, pixels: usize, memory: &mut Memory) -> Checked<Self> {
        let padded = if product.width() == step { Vec::new() } else { memory.take(pixels * product.width())? };
        Ok(Self { product, step, padded })
    }

    fn run(
        &mut self,
        from: (&[f32], Lines),
        reach: Reach,
        pixels: std::ops::Range<usize>,
        residual: Option<Residual>,
        y: &mut [f32],
    ) {
        let count = pixels.len();
        let residual = residual.map(|all| Residual { data: &all.data[pixels.start * all.step..], step: all.step });
        let y = &mut y[pixels.start * self.step..][..count * self.step];
        let width = self.product.width();
        let to = if self.padded.is_empty() { &mut *y } else { &mut self.padded };
        self.product.run_lines(from, reach, count, residual, (to, Lines::one(count, width)));
        if !self.padded.is_empty() {
            for (to, from) in y.chunks_exact_mut(self.step).zip(self.padded.chunks_exact(width)) {
                to.copy_from_slice(&from[..self.step]);
            }
        }
    }

    fn end(self, memory: &mut Memory) {
        memory.keep(self.padded);
    }
}

/// A copy of a map with pixels of `step` floats; empty if the map has such pixels.
fn widened(x: Map, channels: usize, step: usize, memory: &mut Memory) -> Checked<Vec<f32>> {
    if x.step == step {
        return Ok(Vec::new());
    }
    let mut wide = memory.take(x.height * x.width * step)?;
    for (to, from) in wide.chunks_exact_mut(step).zip(x.data.chunks_exact(x.step)) {
        to[..channels].copy_from_slice(&from[..channels]);
        to[channels..].fill(0.0);
    }
    Ok(wide)
}

/// Copies the channels of a row of pixels with `before` pixels of zeros in front and zeros after; without a row, zeros only.
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

//! Depthwise convolutions (one small filter per channel), row by row, so that the caller can process the result while
//! it is in the first-level cache.
//!
//! Channels are padded to whole vectors of the path, as in [`super::pointwise`].
#![allow(unsafe_code)]

use std::ops::Range;

use super::cpu::Cpu;
use super::lanes::{self, Kernel, Lanes};
use super::pointwise::{Rectifier, vector_width};

/// The geometry of a sliding window. `top` and `left` are the zero padding before the input; everything behind it is
/// zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slide {
    pub input_height: usize,
    pub input_width: usize,
    pub output_height: usize,
    pub output_width: usize,
    pub height: usize,
    pub width: usize,
    pub stride: usize,
    pub top: usize,
    pub left: usize,
}

impl Slide {
    /// The outputs along one axis whose windows lie fully inside the input.
    fn inside(outputs: usize, stride: usize, before: usize, window: usize, inputs: usize) -> Range<usize> {
        let first = before.div_ceil(stride).min(outputs);
        let end = (inputs + before).checked_sub(window).map_or(0, |last| last / stride + 1).min(outputs);
        first..end.max(first)
    }

    fn whole_rows(&self) -> Range<usize> {
        Self::inside(self.output_height, self.stride, self.top, self.height, self.input_height)
    }

    fn whole_columns(&self) -> Range<usize> {
        Self::inside(self.output_width, self.stride, self.left, self.width, self.input_width)
    }
}

#[derive(Clone, Debug)]
pub struct Depthwise {
    cpu: Cpu,
    /// Rows and columns of the window.
    window: [usize; 2],
    /// The number of channels, rounded up to whole vectors.
    channels: usize,
    /// The weights, by vectors of channels, then by taps.
    taps: Vec<f32>,
    bias: Vec<f32>,
    rectifier: Rectifier,
}

impl Depthwise {
    /// Whether a filter can apply this function to what it stores.
    pub fn applies(rectifier: &Rectifier) -> bool {
        matches!(rectifier, Rectifier::Identity | Rectifier::Relu | Rectifier::Relu6)
    }

    /// Packs `weights`, which hold `bias.len()` numbers for each tap, taps row by row.
    pub fn pack(cpu: Cpu, window: [usize; 2], weights: &[f32], bias: &[f32], rectifier: Rectifier) -> Self {
        assert!(Self::applies(&rectifier), "a function that a filter applies");
        let count = window[0] * window[1];
        assert!(count > 0, "a window of pixels");
        assert_eq!(weights.len(), count * bias.len(), "a weight for each tap and channel");
        let lanes = vector_width(cpu);
        let channels = bias.len().next_multiple_of(lanes);
        let mut taps = Vec::with_capacity(channels * count);
        for first in (0..channels).step_by(lanes) {
            for tap in weights.chunks_exact(bias.len()) {
                taps.extend((first..first + lanes).map(|channel| tap.get(channel).copied().unwrap_or(0.0)));
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(channels, 0.0);
        Self { cpu, window, channels, taps, bias, rectifier }
    }

    /// The number of channels, rounded up to whole vectors, which is the step between pixels of input and output.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Computes the output rows `rows` of the map `input`, stored contiguously.
    pub fn run(&self, slide: Slide, input: &[f32], rows: Range<usize>, output: &mut [f32]) {
        assert!([slide.height, slide.width] == self.window && slide.stride > 0, "the window as packed, and it moves");
        assert!(rows.end <= slide.output_height, "rows of the output");
        assert!(slide.input_height * slide.input_width * self.channels <= input.len(), "the input is whole");
        assert!(rows.len() * slide.output_width * self.channels <= output.len(), "the rows fit the output");
        // SAFETY: the asserts above are what `DepthwiseKernel` asks for.
        unsafe {
            lanes::run(self.cpu, DepthwiseKernel { filter: self, slide, input, rows, output: output.as_mut_ptr() });
        };
    }
}

/// The kernel of [`Depthwise::run`], which checks its fields.
struct DepthwiseKernel<'a> {
    filter: &'a Depthwise,
    slide: Slide,
    input: &'a [f32],
    rows: Range<usize>,
    /// Borrowed mutably for the whole call.
    output: *mut f32,
}

impl Kernel for DepthwiseKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let slide = &self.slide;
        let (whole_rows, columns) = (slide.whole_rows(), slide.whole_columns());
        let square = slide.height == 3 && slide.width == 3;
        // The lines that a row reads stay in the second-level cache while its vectors of channels are computed.
        for row in self.rows.clone() {
            let fast = if whole_rows.contains(&row) { columns.clone() } else { 0..0 };
            for first in (0..self.filter.channels).step_by(L::WIDTH) {
                // SAFETY: rows and columns lie inside the output, `first` begins a vector of channels, and the windows
                // of `fast` lie inside the input.
                unsafe {
                    for column in 0..fast.start {
                        self.clipped::<L>(row, column, first);
                    }
                    if square {
                        self.three_by_three::<L>(row, fast.clone(), first);
                    } else {
                        self.whole_windows::<L>(row, fast.clone(), first);
                    }
                    for column in fast.end..slide.output_width {
                        self.clipped::<L>(row, column, first);
                    }
                }
            }
        }
    }
}

impl DepthwiseKernel<'_> {
    /// # Safety
    /// `row` and `column` lie inside the output, `first` inside the channels.
    #[inline(always)]
    unsafe fn place(&self, row: usize, column: usize, first: usize) -> *mut f32 {
        let pixel = (row - self.rows.start) * self.slide.output_width + column;
        // SAFETY: the caller's promise; `Depthwise::run` checked that all rows fit.
        unsafe { self.output.add(pixel * self.filter.channels + first) }
    }

    /// # Safety
    /// As for [`Lanes`].
    #[inline(always)]
    unsafe fn rectify<L: Lanes>(&self, v: L::V) -> L::V {
        // SAFETY: arithmetic only, under the caller's promise.
        unsafe {
            match self.filter.rectifier {
                Rectifier::Relu => L::max(v, L::splat(0.0)),
                Rectifier::Relu6 => L::min(L::max(v, L::splat(0.0)), L::splat(6.0)),
                _ => v,
            }
        }
    }

    /// Computes a run of pixels whose 3×3 windows lie fully inside the input, keeping the nine taps in registers.
    ///
    /// # Safety
    /// As for [`Lanes`]; the windows of `columns` lie inside the input, `first` begins a vector of channels.
    #[inline(always)]
    unsafe fn three_by_three<L: Lanes>(&self, row: usize, columns: Range<usize>, first: usize) {
        if columns.is_empty() {
            return;
        }
        let (slide, channels) = (&self.slide, &self.filter.channels);
        // SAFETY: nine taps and a bias for each vector of channels; the windows lie inside by the caller's promise.
        unsafe {
            let taps = self.filter.taps.as_ptr().add(first * 9);
            // A plain loop: closures are compiled without the path's features, see `pointwise`.
            let mut tap = [L::splat(0.0); 9];
            for (i, tap) in tap.iter_mut().enumerate() {
                *tap = L::load(taps.add(i * L::WIDTH));
            }
            let bias = L::load(self.filter.bias.as_ptr().add(first));
            let line = slide.input_width * channels;
            let corner =
                (row * slide.stride - slide.top) * line + (columns.start * slide.stride - slide.left) * channels;
            let mut from = self.input.as_ptr().add(corner + first);
            let mut to = self.place(row, columns.start, first);
            for _ in columns {
                // Two sums, because a single one would wait for each addition.
                let mut sums = [bias, L::splat(0.0)];
                for y in 0..3 {
                    let pixels = from.add(y * line);
                    for x in 0..3 {
                        let i = y * 3 + x;
                        sums[i % 2] = L::mul_add(L::load(pixels.add(x * channels)), tap[i], sums[i % 2]);
                    }
                }
                L::store(to, self.rectify::<L>(L::add(sums[0], sums[1])));
                from = from.wrapping_add(slide.stride * channels);
                to = to.wrapping_add(*channels);
            }
        }
    }

    /// Computes a run of pixels whose windows of any size lie fully inside the input, eight at a time so that each tap
    /// is loaded once for them.
    ///
    /// # Safety
    /// As for [`Self::three_by_three`].
    #[inline(always)]
    unsafe fn whole_windows<L: Lanes>(&self, row: usize, columns: Range<usize>, first: usize) {
        let mut column = columns.start;
        while column < columns.end {
            // SAFETY: the columns from here on lie inside by the caller's promise.
            unsafe {
                match columns.end - column {
                    8.. => {
                        self.windows::<L, 8>(row, column, first);
                        column += 8;
                    }
                    4.. => {
                        self.windows::<L, 4>(row, column, first);
                        column += 4;
                    }
                    _ => {
                        self.windows::<L, 1>(row, column, first);
                        column += 1;
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for [`Self::three_by_three`], for `N` columns.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "closures would lose the features, see `pointwise`")]
    unsafe fn windows<L: Lanes, const N: usize>(&self, row: usize, column: usize, first: usize) {
        let (slide, channels) = (&self.slide, &self.filter.channels);
        // SAFETY: a tap for each place of the window and a bias for each vector of channels; the windows lie inside by
        // the caller's promise.
        unsafe {
            let mut taps = self.filter.taps.as_ptr().add(first * slide.height * slide.width);
            let mut sums = [L::load(self.filter.bias.as_ptr().add(first)); N];
            let corner = (row * slide.stride - slide.top) * slide.input_width + column * slide.stride - slide.left;
            let from = self.input.as_ptr().add(corner * channels + first);
            let (line, step) = (slide.input_width * channels, slide.stride * channels);
            for y in 0..slide.height {
                let mut pixels = from.add(y * line);
                for _ in 0..slide.width {
                    let tap = L::load(taps);
                    for i in 0..N {
                        sums[i] = L::mul_add(L::load(pixels.add(i * step)), tap, sums[i]);
                    }
                    taps = taps.add(L::WIDTH);
                    // Behind the last tap it may lead outside, where nothing is read.
                    pixels = pixels.wrapping_add(*channels);
                }
            }
            let mut to = self.place(row, column, first);
            for sum in sums {
                L::store(to, self.rectify::<L>(sum));
                to = to.wrapping_add(*channels);
            }
        }
    }

    /// Computes one output of any window, over the part that lies inside the input.
    ///
    /// # Safety
    /// As for [`Lanes`]; `row` and `column` lie inside the output, `first` begins a vector of channels.
    #[inline(always)]
    unsafe fn clipped<L: Lanes>(&self, row: usize, column: usize, first: usize) {
        let (slide, channels) = (&self.slide, &self.filter.channels);
        let (y0, x0) = (row * slide.stride, column * slide.stride);
        let ys = slide.top.saturating_sub(y0)..slide.height.min((slide.input_height + slide.top).saturating_sub(y0));
        let xs = slide.left.saturating_sub(x0)..slide.width.min((slide.input_width + slide.left).saturating_sub(x0));
        // SAFETY: `ys` and `xs` keep `y0 + y - top` and `x0 + x - left` inside the input, which is whole.
        unsafe {
            let taps = self.filter.taps.as_ptr().add(first * slide.height * slide.width);
            let mut sum = L::load(self.filter.bias.as_ptr().add(first));
            for y in ys {
                for x in xs.clone() {
                    let pixel = (y0 + y - slide.top) * slide.input_width + (x0 + x - slide.left);
                    let value = L::load(self.input.as_ptr().add(pixel * channels + first));
                    sum = L::mul_add(value, L::load(taps.add((y * slide.width + x) * L::WIDTH)), sum);
                }
            }
            L::store(self.place(row, column, first), self.rectify::<L>(sum));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_numbers::numbers;

    /// Computes the definition, with input pixels `step` floats apart.
    fn expected(slide: &Slide, weights: &[f32], bias: &[f32], input: &[f32], step: usize, range: [f32; 2]) -> Vec<f32> {
        let channels = bias.len();
        let mut out = Vec::new();
        for (row, column) in (0..slide.output_height).flat_map(|y| (0..slide.output_width).map(move |x| (y, x))) {
            for channel in 0..channels {
                let mut sum = bias[channel];
                for (y, x) in (0..slide.height).flat_map(|y| (0..slide.width).map(move |x| (y, x))) {
                    let iy = (row * slide.stride + y).wrapping_sub(slide.top);
                    let ix = (column * slide.stride + x).wrapping_sub(slide.left);
                    if iy < slide.input_height && ix < slide.input_width {
                        let tap = weights[(y * slide.width + x) * channels + channel];
                        sum += tap * input[(iy * slide.input_width + ix) * step + channel];
                    }
                }
                out.push(sum.clamp(range[0], range[1]));
            }
        }
        out
    }

    #[test]
    fn every_path_equals_the_definition() {
        let slide =
            |input: (usize, usize), output: (usize, usize), window: (usize, usize), stride, before: (usize, usize)| {
                Slide {
                    input_height: input.0,
                    input_width: input.1,
                    output_height: output.0,
                    output_width: output.1,
                    height: window.0,
                    width: window.1,
                    stride,
                    top: before.0,
                    left: before.1,
                }
            };
        let slides = [
            slide((6, 7), (6, 7), (3, 3), 1, (1, 1)),
            slide((8, 8), (4, 4), (3, 3), 2, (0, 0)),
            slide((9, 6), (5, 3), (3, 3), 2, (1, 1)),
            slide((2, 2), (2, 2), (3, 3), 1, (1, 1)),
            slide((1, 1), (1, 1), (3, 3), 1, (1, 1)),
            slide((7, 9), (7, 9), (5, 5), 1, (2, 2)),
            slide((5, 5), (4, 3), (2, 3), 1, (0, 0)),
        ];
        for cpu in Cpu::available() {
            for (channels, slide) in [3, 16, 24, 33].into_iter().flat_map(|c| slides.iter().map(move |s| (c, s))) {
                let weights = numbers(slide.height * slide.width * channels, 1);
                let bias = numbers(channels, 2);
                let (rectifier, range) = match channels {
                    24 => (Rectifier::Relu, [0.0, f32::INFINITY]),
                    33 => (Rectifier::Relu6, [0.0, 6.0]),
                    _ => (Rectifier::Identity, [f32::NEG_INFINITY, f32::INFINITY]),
                };
                let filter = Depthwise::pack(cpu, [slide.height, slide.width], &weights, &bias, rectifier);
                let step = filter.channels();
                let input = numbers(slide.input_height * slide.input_width * step, 3);
                let want = expected(slide, &weights, &bias, &input, step, range);
                for rows in [0..slide.output_height, slide.output_height / 2..slide.output_height] {
                    let mut output = vec![f32::NAN; rows.len() * slide.output_width * step];
                    filter.run(*slide, &input, rows.clone(), &mut output);
                    let skipped = rows.start * slide.output_width;
                    for (pixel, got) in output.chunks_exact(step).enumerate() {
                        let want = &want[(skipped + pixel) * channels..][..channels];
                        assert!(got[..channels].iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5), "{cpu} {slide:?}");
                        assert!(got[channels..].iter().all(|&v| v == 0.0), "{cpu}: padding stays zero");
                    }
                }
            }
        }
    }
}

//! Depthwise convolutions (one small filter per channel), row by row, so that the caller can process the result while
//! it is in the first-level cache.
//!
//! Channels are padded to whole vectors of the path, as in [`super::pointwise`].
#![allow(unsafe_code)]

use std::ops::Range;

use super::cpu::Cpu;
use super::lanes::{self, Kernel, Lanes};
use super::pointwise::{Rectifier, vector_width};
use super::sliding::{self, MOST_OUTPUTS, WindowKernel, Windows};

/// Number of floats that stay in the L1 cache.
const CACHED: usize = 1 << 12;

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
    /// The columns of outputs whose windows have all columns inside the input.
    fn whole_columns(&self) -> Range<usize> {
        let first = self.left.div_ceil(self.stride).min(self.output_width);
        let last = (self.input_width + self.left).checked_sub(self.width);
        let end = last.map_or(0, |last| last / self.stride + 1).min(self.output_width);
        first..end.max(first)
    }

    /// The rows of the window of a row of outputs that lie inside the input.
    fn rows_of_window(&self, row: usize) -> Range<usize> {
        inside(row * self.stride, self.top, self.height, self.input_height)
    }

    fn columns_of_window(&self, column: usize) -> Range<usize> {
        inside(column * self.stride, self.left, self.width, self.input_width)
    }
}

/// The places of a window at `at` that lie inside `inputs`, which `before` zeros precede.
fn inside(at: usize, before: usize, window: usize, inputs: usize) -> Range<usize> {
    let first = before.saturating_sub(at);
    let end = (inputs + before).saturating_sub(at).min(window);
    first..end.max(first)
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
        let limits = match self.rectifier {
            Rectifier::Relu => [0.0, f32::INFINITY],
            Rectifier::Relu6 => [0.0, 6.0],
            _ => [f32::NEG_INFINITY, f32::INFINITY],
        };
        let kernel = DepthwiseKernel { filter: self, limits, slide, input, rows, output: output.as_mut_ptr() };
        // SAFETY: the asserts above are what `DepthwiseKernel` asks for.
        unsafe { lanes::run(self.cpu, kernel) };
    }
}

/// The kernel of [`Depthwise::run`], which checks its fields.
struct DepthwiseKernel<'a> {
    filter: &'a Depthwise,
    /// What outputs are clamped to.
    limits: [f32; 2],
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
        let (columns, stride) = (self.slide.width, self.slide.stride);
        // SAFETY: `Depthwise::run` checked the fields.
        unsafe { sliding::enter::<L>(self, columns, stride) };
    }
}

impl WindowKernel for DepthwiseKernel<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const COLUMNS: usize>(self) {
        let columns = self.slide.whole_columns();
        let borders = [0..columns.start, columns.end..self.slide.output_width];
        let strip = self.strip();
        for row in self.rows.clone() {
            let window = self.slide.rows_of_window(row);
            for begin in columns.clone().step_by(strip) {
                let columns = begin..(begin + strip).min(columns.end);
                for first in (0..self.filter.channels).step_by(L::WIDTH) {
                    // SAFETY: the row lies inside the output, the rows of `window` and all of `columns` lie inside the
                    // input, and `first` begins a vector of channels.
                    unsafe { self.line::<L, COLUMNS>(row, window.clone(), columns.clone(), first) };
                }
            }
            for column in borders.iter().cloned().flatten() {
                let window = [window.clone(), self.slide.columns_of_window(column)];
                for first in (0..self.filter.channels).step_by(L::WIDTH) {
                    // SAFETY: row and column lie inside the output, rows and columns of `window` inside the input.
                    unsafe { self.block::<L, 1, 0>(row, column, &window, first) };
                }
            }
        }
    }
}

impl DepthwiseKernel<'_> {
    /// Outputs of a row that are computed for all channels before the next: their inputs then stay in the L1 cache.
    fn strip(&self) -> usize {
        let inputs = self.slide.height * self.slide.stride * self.filter.channels;
        (CACHED / inputs / MOST_OUTPUTS).max(1) * MOST_OUTPUTS
    }

    /// # Safety
    /// `row` and `column` lie inside the output, `first` inside the channels.
    #[inline(always)]
    unsafe fn place(&self, row: usize, column: usize, first: usize) -> *mut f32 {
        let pixel = (row - self.rows.start) * self.slide.output_width + column;
        // SAFETY: the caller's promise; `Depthwise::run` checked that all rows fit.
        unsafe { self.output.add(pixel * self.filter.channels + first) }
    }

    /// Computes a run of outputs whose columns lie inside the input. The last blocks overlap, because what is written twice
    /// is equal and outputs one by one would take longer.
    ///
    /// # Safety
    /// As for [`Lanes`]; the rows `window` of the windows of `columns` lie inside the input, `row` inside the output, and
    /// `first` begins a vector of channels.
    #[inline(always)]
    unsafe fn line<L: Lanes, const COLUMNS: usize>(
        &self,
        row: usize,
        window: Range<usize>,
        columns: Range<usize>,
        first: usize,
    ) {
        let window = [window, 0..self.slide.width];
        let mut column = columns.start;
        while column < columns.end {
            // SAFETY: the blocks lie inside `columns`.
            unsafe {
                match (columns.end - column, columns.len()) {
                    (5.., 8..) => {
                        self.block::<L, 8, COLUMNS>(row, column.min(columns.end - 8), &window, first);
                        column += 8;
                    }
                    (2.., 4..) => {
                        self.block::<L, 4, COLUMNS>(row, column.min(columns.end - 4), &window, first);
                        column += 4;
                    }
                    _ => {
                        self.block::<L, 1, COLUMNS>(row, column, &window, first);
                        column += 1;
                    }
                }
            }
        }
    }

    /// Computes `N` outputs from those rows and columns of their windows that lie inside the input.
    ///
    /// # Safety
    /// As for [`Self::line`], for `N` columns.
    #[inline(always)]
    unsafe fn block<L: Lanes, const N: usize, const COLUMNS: usize>(
        &self,
        row: usize,
        column: usize,
        [rows, columns]: &[Range<usize>; 2],
        first: usize,
    ) {
        let (slide, channels) = (&self.slide, self.filter.channels);
        let top = row * slide.stride + rows.start - slide.top;
        let corner = top * slide.input_width + column * slide.stride + columns.start - slide.left;
        let tap = rows.start * slide.width + columns.start;
        let taps = first * slide.height * slide.width + tap * L::WIDTH;
        // SAFETY: a tap for each place of the window and a bias for each vector of channels; the windows lie inside by
        // the caller's promise.
        unsafe {
            let windows = Windows {
                // Where no row or no column lies inside, this may lead outside, and nothing is read.
                from: self.input.as_ptr().wrapping_add(corner * channels + first),
                rows: rows.len(),
                columns: columns.len(),
                taps: slide.width,
                stride: slide.stride,
                pixel: channels,
                line: slide.input_width * channels,
            };
            let bias = L::load(self.filter.bias.as_ptr().add(first));
            let sums = windows.sums::<L, N, COLUMNS>(self.filter.taps.as_ptr().wrapping_add(taps), bias);
            let [least, most] = [L::splat(self.limits[0]), L::splat(self.limits[1])];
            let mut to = self.place(row, column, first);
            for sum in sums {
                L::store(to, L::min(most, L::max(least, sum)));
                to = to.wrapping_add(channels);
            }
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
            // Several blocks and strips of a row.
            slide((3, 83), (3, 83), (3, 3), 1, (1, 1)),
            slide((5, 31), (2, 14), (5, 5), 2, (1, 0)),
            slide((4, 15), (4, 15), (5, 5), 1, (2, 2)),
            // Windows of which nothing lies inside.
            slide((2, 2), (9, 11), (3, 3), 1, (4, 5)),
            slide((3, 1), (5, 4), (3, 3), 2, (4, 3)),
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

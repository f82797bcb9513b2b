//! Depthwise convolutions, forward and backward, for networks of inverted residuals. The border of zeros is part of the
//! map's buffer, so that every window lies inside. [`super::depthwise`] is for maps without a border.
//!
//! Channels are padded to whole vectors of the path, as in [`super::pointwise`].
#![allow(unsafe_code)]

use super::cpu::Cpu;
use super::lanes::{self, Kernel, Lanes as Vectors};
use super::pointwise::{Lines, vector_width};
use super::sliding::{self, MOST_OUTPUTS, WindowKernel, Windows};

#[derive(Clone, Debug)]
pub struct Channelwise {
    cpu: Cpu,
    side: usize,
    stride: usize,
    /// The number of channels, rounded up to whole vectors.
    channels: usize,
    /// The weights, by vectors of channels, then by taps.
    taps: Vec<f32>,
    bias: Vec<f32>,
    /// Whether outputs are clamped to 0..=6.
    clamp: bool,
}

impl Channelwise {
    /// Packs `weights`, which hold `side * side` numbers for each of the `bias.len()` channels in turn, like in
    /// PyTorch.
    pub fn pack(cpu: Cpu, side: usize, stride: usize, weights: &[f32], bias: &[f32], clamp: bool) -> Self {
        let count = side * side;
        assert!(stride > 0 && count > 0, "a window that moves");
        assert_eq!(weights.len(), count * bias.len(), "a weight for each tap and channel");
        let lanes = vector_width(cpu);
        let channels = bias.len().next_multiple_of(lanes);
        let mut taps = Vec::with_capacity(channels * count);
        for first in (0..channels).step_by(lanes) {
            for tap in 0..count {
                let weight = |channel: usize| weights.get(channel * count + tap).copied().unwrap_or(0.0);
                taps.extend((first..first + lanes).map(weight));
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(channels, 0.0);
        Self { cpu, side, stride, channels, taps, bias, clamp }
    }

    /// The filter rotated by half a turn, which computes the gradient of the input at stride 1.
    pub fn rotated(cpu: Cpu, side: usize, weights: &[f32], channels: usize) -> Self {
        let rotated: Vec<f32> = weights.chunks_exact(side * side).flat_map(|taps| taps.iter().rev().copied()).collect();
        Self::pack(cpu, side, 1, &rotated, &vec![0.0; channels], false)
    }

    /// The number of floats in the packed weights.
    pub fn weights(&self) -> usize {
        self.taps.len()
    }

    pub fn side(&self) -> usize {
        self.side
    }

    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The number of channels, rounded up to whole vectors, which is the step between pixels of input and output.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Computes `pixels` pixels of `output`. The window of the first one begins at the start of `input`, whose lines
    /// are `line_step` floats apart.
    pub fn run(&self, input: &[f32], line_step: usize, pixels: usize, (output, to): (&mut [f32], Lines)) {
        let from = self.windows(line_step, to.width);
        let window = (self.side - 1) * (line_step + self.channels) + self.channels;
        assert!(to.step >= self.channels, "room for all channels of a pixel");
        assert!(from.extent(pixels) + window <= input.len(), "windows lie inside the input");
        assert!(to.extent(pixels) + self.channels <= output.len(), "pixels lie inside the output");
        let kernel =
            ChannelwiseKernel { filter: self, input, line_step, from, pixels, output: output.as_mut_ptr(), to };
        // SAFETY: the asserts above are what `ChannelwiseKernel` asks for.
        unsafe { lanes::run(self.cpu, kernel) };
    }

    /// The positions of the windows of lines of `width` pixels.
    fn windows(&self, line_step: usize, width: usize) -> Lines {
        Lines { width, step: self.stride * self.channels, line_step: self.stride * line_step }
    }

    /// Adds to `sums`, in the order of the packed taps, the weight gradient from `pixels` pixels of `d`, the gradient
    /// of the output. `input` and `line_step` are as in [`Self::run`].
    pub fn add_weight_gradient(
        &self,
        input: &[f32],
        line_step: usize,
        pixels: usize,
        (d, at): (&[f32], Lines),
        sums: &mut [f32],
    ) {
        let from = self.windows(line_step, at.width);
        let window = (self.side - 1) * (line_step + self.channels) + self.channels;
        assert!(pixels.is_multiple_of(at.width), "whole lines");
        assert!(from.extent(pixels) + window <= input.len(), "windows lie inside the input");
        assert!(at.extent(pixels) + self.channels <= d.len(), "pixels lie inside the gradient");
        assert_eq!(sums.len(), self.taps.len(), "a sum for each weight");
        let side = self.side;
        let work = WeightGradientKernel { side, channels: self.channels, input, line_step, from, pixels, d, at, sums };
        // SAFETY: the asserts above are what `WeightGradientKernel` asks for.
        unsafe { lanes::run(self.cpu, work) };
    }

    /// Reorders sums from the order of the packed taps to that of weights in a file.
    pub fn in_file_order(&self, sums: &[f32], channels: usize) -> Vec<f32> {
        let (lanes, count) = (vector_width(self.cpu), self.side * self.side);
        let place = |channel: usize, tap: usize| (channel / lanes * count + tap) * lanes + channel % lanes;
        (0..channels).flat_map(|channel| (0..count).map(move |tap| sums[place(channel, tap)])).collect()
    }
}

/// The kernel of [`Channelwise::run`], which checks its fields.
struct ChannelwiseKernel<'a> {
    filter: &'a Channelwise,
    input: &'a [f32],
    line_step: usize,
    from: Lines,
    pixels: usize,
    /// Borrowed mutably for the whole call.
    output: *mut f32,
    to: Lines,
}

impl Kernel for ChannelwiseKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Vectors>(self) {
        let (columns, stride) = (self.filter.side, self.filter.stride);
        // SAFETY: `Channelwise::run` checked the fields.
        unsafe { sliding::enter::<L>(self, columns, stride) };
    }
}

impl WindowKernel for ChannelwiseKernel<'_> {
    #[inline(always)]
    unsafe fn run<L: Vectors, const SIDE: usize>(self) {
        let width = self.to.width;
        let blocks = width.div_ceil(MOST_OUTPUTS);
        for line in 0..self.pixels.div_ceil(width) {
            let pixels = width.min(self.pixels - line * width);
            for block in 0..blocks {
                let (start, end) = (width * block / blocks, (width * (block + 1) / blocks).min(pixels));
                if start >= end {
                    continue;
                }
                let first = line * width + start;
                // SAFETY: pixels `first..first + (end - start)` lie in one line of the output.
                unsafe {
                    match end - start {
                        1 => self.block::<L, 1, SIDE>(first),
                        2 => self.block::<L, 2, SIDE>(first),
                        3 => self.block::<L, 3, SIDE>(first),
                        4 => self.block::<L, 4, SIDE>(first),
                        5 => self.block::<L, 5, SIDE>(first),
                        6 => self.block::<L, 6, SIDE>(first),
                        7 => self.block::<L, 7, SIDE>(first),
                        _ => self.block::<L, 8, SIDE>(first),
                    }
                }
            }
        }
    }
}

impl ChannelwiseKernel<'_> {
    /// Computes `B` pixels of a line for all channels.
    ///
    /// # Safety
    /// As for [`Vectors`]; the pixels from `first` on lie in one line of the output; `SIDE` is as in [`Windows::sums`].
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "closures would lose the features, see `pointwise`")]
    unsafe fn block<L: Vectors, const B: usize, const SIDE: usize>(&self, first: usize) {
        let Channelwise { side, stride, channels, clamp, .. } = *self.filter;
        // SAFETY: `run` checked that the windows lie inside the input and the pixels inside the output; there are
        // `side * side` vectors of taps and one of bias for each vector of channels.
        unsafe {
            let from = self.input.as_ptr().add(self.from.at(first));
            let to = self.output.add(self.to.at(first));
            for channel in (0..channels).step_by(L::WIDTH) {
                let windows = Windows {
                    from: from.add(channel),
                    rows: side,
                    columns: side,
                    taps: side,
                    stride,
                    pixel: channels,
                    line: self.line_step,
                };
                let taps = self.filter.taps.as_ptr().add(channel * side * side);
                let bias = L::load(self.filter.bias.as_ptr().add(channel));
                let mut sums = windows.sums::<L, B, SIDE>(taps, bias);
                for i in 0..B {
                    if clamp {
                        sums[i] = L::min(L::max(sums[i], L::splat(0.0)), L::splat(6.0));
                    }
                    L::store(to.add(i * self.to.step + channel), sums[i]);
                }
            }
        }
    }
}

/// The kernel of [`Channelwise::add_weight_gradient`], which checks its fields.
struct WeightGradientKernel<'a> {
    side: usize,
    channels: usize,
    input: &'a [f32],
    line_step: usize,
    from: Lines,
    pixels: usize,
    d: &'a [f32],
    at: Lines,
    sums: &'a mut [f32],
}

impl Kernel for WeightGradientKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Vectors>(mut self) {
        for line in 0..self.pixels / self.at.width {
            let mut channel = 0;
            while channel < self.channels {
                // SAFETY: the line lies inside `d`, its windows inside the input; `channel` begins a vector.
                unsafe {
                    match self.side {
                        3 => self.line::<L, 3, 9>(line, channel),
                        5 => self.line::<L, 5, 25>(line, channel),
                        side => {
                            for tap in 0..side * side {
                                self.tap::<L>(line, channel, tap);
                            }
                        }
                    }
                }
                channel += L::WIDTH;
            }
        }
    }
}

impl WeightGradientKernel<'_> {
    /// Adds all taps of one vector of channels over a line, keeping the sums in registers.
    ///
    /// # Safety
    /// As for [`Vectors`]; a line of `d`, the beginning of a vector; `TAPS` is the square of `SIDE`, which is the
    /// window's.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "closures would lose the features, see `pointwise`")]
    unsafe fn line<L: Vectors, const SIDE: usize, const TAPS: usize>(&mut self, line: usize, channel: usize) {
        // SAFETY: `add_weight_gradient` checked buffers and sums; the rest is the caller's promise.
        unsafe {
            let to = self.sums.as_mut_ptr().add(channel * TAPS);
            let mut sums = [L::splat(0.0); TAPS];
            for i in 0..TAPS {
                sums[i] = L::load(to.add(i * L::WIDTH));
            }
            let mut d = self.d.as_ptr().add(self.at.at(line * self.at.width) + channel);
            let mut window = self.input.as_ptr().add(self.from.at(line * self.at.width) + channel);
            for _ in 0..self.at.width {
                let gradient = L::load(d);
                for y in 0..SIDE {
                    let row = window.add(y * self.line_step);
                    for x in 0..SIDE {
                        let i = y * SIDE + x;
                        sums[i] = L::mul_add(L::load(row.add(x * self.channels)), gradient, sums[i]);
                    }
                }
                d = d.wrapping_add(self.at.step);
                window = window.wrapping_add(self.from.step);
            }
            for i in 0..TAPS {
                L::store(to.add(i * L::WIDTH), sums[i]);
            }
        }
    }

    /// Adds one tap of one vector of channels over a line, for window sizes that no built-in network has.
    ///
    /// # Safety
    /// As for [`Self::line`]; the tap lies inside the window.
    #[inline(always)]
    unsafe fn tap<L: Vectors>(&mut self, line: usize, channel: usize, tap: usize) {
        let taps = self.side * self.side;
        // SAFETY: as in `line`.
        unsafe {
            let to = self.sums.as_mut_ptr().add(channel * taps + tap * L::WIDTH);
            let mut sum = L::load(to);
            let d = self.d.as_ptr().add(self.at.at(line * self.at.width) + channel);
            let offset = tap / self.side * self.line_step + tap % self.side * self.channels;
            let window = self.input.as_ptr().add(self.from.at(line * self.at.width) + channel + offset);
            for i in 0..self.at.width {
                sum = L::mul_add(L::load(window.add(i * self.from.step)), L::load(d.add(i * self.at.step)), sum);
            }
            L::store(to, sum);
        }
    }
}

/// The gradient of the input of a convolution with a stride above 1.
///
/// `taps` holds, tap by tap, a weight for each (padded) channel. The result is a map of `height` lines without a
/// border; `before` is the zero padding above and left of it.
#[derive(Clone, Copy, Debug)]
pub struct Scatter<'a> {
    pub side: usize,
    pub stride: usize,
    pub channels: usize,
    pub taps: &'a [f32],
    pub before: [usize; 2],
    pub height: usize,
    pub width: usize,
}

impl Scatter<'_> {
    /// Adds to `to` the gradient that results from `d`, the gradient of the output.
    pub fn add(&self, cpu: Cpu, d: &[f32], d_width: usize, to: &mut [f32]) {
        let Self { side, stride, channels, taps, before, height, width } = *self;
        assert!(channels.is_multiple_of(vector_width(cpu)), "channels are whole vectors");
        assert_eq!(taps.len(), side * side * channels, "a weight for each tap and channel");
        assert_eq!(to.len(), height * width * channels, "the map is whole");
        for (y, line) in d.chunks_exact(d_width * channels).enumerate() {
            for tap in 0..side * side {
                let (Some(row), column) = ((y * stride + tap / side).checked_sub(before[0]), tap % side) else {
                    continue;
                };
                if row >= height {
                    continue;
                }
                let into = &mut to[row * width * channels..][..width * channels];
                let weights = &taps[tap * channels..][..channels];
                for (x, d) in line.chunks_exact(channels).enumerate() {
                    let Some(place) = (x * stride + column).checked_sub(before[1]).filter(|place| *place < width)
                    else {
                        continue;
                    };
                    let into = &mut into[place * channels..][..channels];
                    // SAFETY: three slices of `channels` floats, a multiple of the vector width.
                    unsafe { lanes::run(cpu, AddProductKernel { a: d, b: weights, to: into }) };
                }
            }
        }
    }
}

/// Computes `to += a * b` for slices of equal length, a multiple of the vector width.
struct AddProductKernel<'a> {
    a: &'a [f32],
    b: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for AddProductKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Vectors>(self) {
        let mut i = 0;
        while i < self.to.len() {
            // SAFETY: the slices are equally long, and whole vectors.
            unsafe {
                let to = self.to.as_mut_ptr().add(i);
                let sum = L::mul_add(L::load(self.a.as_ptr().add(i)), L::load(self.b.as_ptr().add(i)), L::load(to));
                L::store(to, sum);
            }
            i += L::WIDTH;
        }
    }
}

/// The gradient of a clamp to 0..=6: sets `d` to zero where the clamped output `y` is 0 or 6, and adds the remaining
/// gradient to `sums`, one number per channel.
pub fn relu6_backward(
    cpu: Cpu,
    (d, d_at): (&mut [f32], Lines),
    (y, y_at): (&[f32], Lines),
    pixels: usize,
    sums: &mut [f32],
) {
    assert!(sums.len().is_multiple_of(vector_width(cpu)), "channels are whole vectors");
    assert!(d_at.extent(pixels) + sums.len() <= d.len(), "pixels lie inside the gradient");
    assert!(y_at.extent(pixels) + sums.len() <= y.len(), "pixels lie inside the output");
    // SAFETY: the asserts above are what `Relu6BackwardKernel` asks for.
    unsafe { lanes::run(cpu, Relu6BackwardKernel { d: d.as_mut_ptr(), d_at, y: y.as_ptr(), y_at, pixels, sums }) };
}

struct Relu6BackwardKernel<'a> {
    d: *mut f32,
    d_at: Lines,
    y: *const f32,
    y_at: Lines,
    pixels: usize,
    sums: &'a mut [f32],
}

impl Kernel for Relu6BackwardKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Vectors>(self) {
        for pixel in 0..self.pixels {
            let (d_at, y_at) = (self.d_at.at(pixel), self.y_at.at(pixel));
            let mut channel = 0;
            while channel < self.sums.len() {
                // SAFETY: pixels and channels lie inside both buffers, as `relu6_backward` checked.
                unsafe {
                    let d = self.d.add(d_at + channel);
                    let y = L::load(self.y.add(y_at + channel));
                    let sum = self.sums.as_mut_ptr().add(channel);
                    // `inside` is not positive where `y` is 0 or 6.
                    let inside = L::min(y, L::sub(L::splat(6.0), y));
                    let at_end = L::sub(L::splat(0.0), inside);
                    let passed = L::where_not_negative(at_end, L::splat(0.0), L::load(d));
                    L::store(d, passed);
                    L::store(sum, L::add(L::load(sum), passed));
                }
                channel += L::WIDTH;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_numbers::numbers;

    /// The shapes of a map and a filter.
    struct Case {
        side: usize,
        stride: usize,
        channels: usize,
        outputs: (usize, usize),
    }

    const CASES: [Case; 7] = [
        Case { side: 3, stride: 1, channels: 16, outputs: (4, 7) },
        Case { side: 3, stride: 1, channels: 5, outputs: (2, 1) },
        Case { side: 3, stride: 2, channels: 24, outputs: (3, 14) },
        Case { side: 5, stride: 1, channels: 33, outputs: (3, 9) },
        Case { side: 5, stride: 2, channels: 8, outputs: (2, 23) },
        Case { side: 5, stride: 1, channels: 40, outputs: (1, 17) },
        Case { side: 7, stride: 1, channels: 3, outputs: (2, 2) },
    ];

    impl Case {
        fn input(&self) -> (usize, usize) {
            let sides = |outputs: usize| (outputs - 1) * self.stride + self.side;
            (sides(self.outputs.0), sides(self.outputs.1))
        }

        /// Visits all products of the definition with output pixel, channel, tap and input offset.
        fn each(&self, step: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
            let ((height, width), line) = (self.outputs, self.input().1);
            for pixel in 0..height * width {
                for tap in 0..self.side * self.side {
                    let y = pixel / width * self.stride + tap / self.side;
                    let x = pixel % width * self.stride + tap % self.side;
                    (0..self.channels).for_each(|c| visit(pixel, c, tap, (y * line + x) * step + c));
                }
            }
        }
    }

    #[test]
    fn every_path_equals_the_definition() {
        for (cpu, case) in Cpu::available().into_iter().flat_map(|cpu| CASES.iter().map(move |case| (cpu, case))) {
            let Case { side, stride, channels, outputs: (height, width) } = *case;
            let weights: Vec<f32> = numbers(side * side * channels, 1).iter().map(|v| 4.0 * v).collect();
            let bias = numbers(channels, 2);
            let filter = Channelwise::pack(cpu, side, stride, &weights, &bias, true);
            let step = filter.channels();
            let (lines, line) = case.input();
            let input = numbers(lines * line * step, 3);
            let pixels = height * width;
            let mut want: Vec<f64> = (0..pixels).flat_map(|_| bias.iter().map(|b| f64::from(*b))).collect();
            case.each(step, |pixel, c, tap, from| {
                want[pixel * channels + c] += f64::from(weights[c * side * side + tap]) * f64::from(input[from]);
            });
            // The margin after each line must stay unchanged.
            let to = Lines { width, step, line_step: (width + 2) * step };
            let mut got = vec![-1.0; height * to.line_step];
            filter.run(&input, line * step, pixels, (&mut got, to));
            for (pixel, want) in want.chunks_exact(channels).enumerate() {
                let got = &got[to.at(pixel)..][..step];
                let close = |(a, b): (&f32, &f64)| (f64::from(*a) - b.clamp(0.0, 6.0)).abs() < 2e-5;
                assert!(got.iter().zip(want).all(close), "{cpu} {side}/{stride} pixel {pixel}");
                assert!(got[channels..].iter().all(|v| *v == 0.0), "{cpu}: padding stays zero");
            }
            assert!(got[width * step..to.line_step].iter().all(|v| *v == -1.0), "{cpu}: margins");
            assert!(want.iter().any(|v| *v > 6.0) && want.iter().any(|v| *v < 0.0), "both ends are met");
        }
    }

    #[test]
    fn gradients_equal_the_definition_on_every_path() {
        for (cpu, case) in Cpu::available().into_iter().flat_map(|cpu| CASES.iter().map(move |case| (cpu, case))) {
            let Case { side, stride, channels, outputs: (height, width) } = *case;
            let weights = numbers(side * side * channels, 1);
            let filter = Channelwise::pack(cpu, side, stride, &weights, &vec![0.0; channels], false);
            let step = filter.channels();
            let (lines, line) = case.input();
            let input = numbers(lines * line * step, 3);
            let mut d = numbers(height * width * step, 4);
            d.chunks_exact_mut(step).for_each(|pixel| pixel[channels..].fill(0.0));
            let (mut of_weights, mut of_input) = (vec![0.0f64; weights.len()], vec![0.0f64; input.len()]);
            case.each(step, |pixel, c, tap, from| {
                let d = f64::from(d[pixel * step + c]);
                of_weights[c * side * side + tap] += d * f64::from(input[from]);
                of_input[from] += d * f64::from(weights[c * side * side + tap]);
            });
            let close = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() < 1e-4;
            let mut sums = vec![0.0; filter.taps.len()];
            let at = Lines { width, step, line_step: width * step };
            filter.add_weight_gradient(&input, line * step, height * width, (&d, at), &mut sums);
            let got = filter.in_file_order(&sums, channels);
            assert!(got.iter().zip(&of_weights).all(close), "{cpu} {side}/{stride}: weights");
            let mut taps = vec![0.0; side * side * step];
            (0..weights.len()).for_each(|i| taps[i % (side * side) * step + i / (side * side)] = weights[i]);
            let mut got = vec![0.0; input.len()];
            let scatter =
                Scatter { side, stride, channels: step, taps: &taps, before: [0; 2], height: lines, width: line };
            scatter.add(cpu, &d, width, &mut got);
            assert!(got.iter().zip(&of_input).all(close), "{cpu} {side}/{stride}: scattered");
            if stride == 1 {
                // The rotated filter over the gradient in a border of zeros gives the same result.
                let border = side - 1;
                let pitch = (width + 2 * border) * step;
                let mut padded = vec![0.0; (height + 2 * border) * pitch];
                for (y, row) in d.chunks_exact(width * step).enumerate() {
                    padded[(y + border) * pitch + border * step..][..width * step].copy_from_slice(row);
                }
                let rotated = Channelwise::rotated(cpu, side, &weights, channels);
                let mut got = vec![0.0; input.len()];
                let to = Lines { width: line, step, line_step: line * step };
                rotated.run(&padded, pitch, lines * line, (&mut got, to));
                assert!(got.iter().zip(&of_input).all(close), "{cpu} {side}: rotated");
            }
        }
    }

    #[test]
    fn clamped_outputs_have_no_gradient() {
        for cpu in Cpu::available() {
            let channels = vector_width(cpu);
            let y: Vec<f32> = (0..channels).map(|i| [0.0, 6.0, 3.0, 0.5][i % 4]).collect();
            let mut d = vec![2.0; channels];
            let mut sums = vec![1.0; channels];
            let at = Lines::one(1, channels);
            relu6_backward(cpu, (&mut d, at), (&y, at), 1, &mut sums);
            for i in 0..channels {
                let passed = [0.0, 0.0, 2.0, 2.0][i % 4];
                assert_eq!([d[i], sums[i]].map(f32::to_bits), [passed, 1.0 + passed].map(f32::to_bits), "{cpu}");
            }
        }
    }
}

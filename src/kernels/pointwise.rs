//! Products of pixels with small weight matrices: convolutions over maps of 3 to 400 channels, for which the panels
//! used for large matrices would be mostly empty. Bias, residual and rectifier are applied when storing.
//!
//! Channels are padded to whole vectors of the path (see [`vector_width`]). Padding is zero in inputs and outputs.
#![allow(unsafe_code)]

use std::ops::Range;

use super::cpu::Cpu;
use super::lanes::{self, Kernel, Lanes, math};

/// The number of floats in a vector of the path.
pub fn vector_width(cpu: Cpu) -> usize {
    struct Width;
    impl Kernel for Width {
        type Out = usize;

        #[inline(always)]
        unsafe fn run<L: Lanes>(self) -> usize {
            L::WIDTH
        }
    }
    // SAFETY: a kernel without fields, which reads a constant.
    unsafe { lanes::run(cpu, Width) }
}

/// The function applied to a sum before it is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Rectifier {
    Identity,
    Relu,
    /// Clamps to 0..=6.
    Relu6,
    /// The exact GELU with the error function.
    Gelu,
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `x` if positive, else `x` times the slope of its channel.
    Prelu(Vec<f32>),
}

/// Rows added to the sums before the rectifier. Missing channels count as zeros.
#[derive(Clone, Copy, Debug)]
pub struct Residual<'a> {
    pub data: &'a [f32],
    /// Floats from one pixel to the next, a multiple of the vector width.
    pub step: usize,
}

/// The inputs of an output pixel in a map: `lines` runs of `line_len` floats, `line_step` apart. A 1×1 convolution has
/// one line; a 3×3 convolution has three lines of three pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Floats from the inputs of one pixel to those of the next.
    pub step: usize,
    pub lines: usize,
    pub line_len: usize,
    pub line_step: usize,
}

impl Reach {
    /// Contiguous inputs, with pixels `step` floats apart.
    pub fn pixel(inputs: usize, step: usize) -> Self {
        Self { step, lines: 1, line_len: inputs, line_step: 0 }
    }

    /// The number of floats from the first input of a pixel to the end of its last.
    fn len(&self) -> usize {
        (self.lines - 1) * self.line_step + self.line_len
    }
}

/// The layout of pixels in a buffer: `width` pixels in a line, `step` floats apart, and lines `line_step` floats apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    pub width: usize,
    pub step: usize,
    pub line_step: usize,
}

impl Lines {
    /// A single line of `pixels` pixels.
    pub fn one(pixels: usize, step: usize) -> Self {
        Self { width: pixels, step, line_step: 0 }
    }

    /// The offset of a pixel.
    #[inline(always)]
    pub(super) fn at(&self, pixel: usize) -> usize {
        // Most buffers are a single line, which spares the division.
        if pixel < self.width {
            return pixel * self.step;
        }
        (pixel / self.width) * self.line_step + (pixel % self.width) * self.step
    }

    /// The largest offset among the first `pixels` pixels.
    pub(super) fn extent(&self, pixels: usize) -> usize {
        assert!(pixels > 0 && self.width > 0, "lines of pixels");
        (pixels - 1) / self.width * self.line_step + (self.width.min(pixels) - 1) * self.step
    }
}

#[derive(Clone, Debug)]
pub struct Pointwise {
    cpu: Cpu,
    inputs: usize,
    /// The number of outputs, rounded up to whole vectors.
    width: usize,
    /// The weights, by panels of two vectors of outputs (the last may have one), then by inputs.
    panels: Vec<f32>,
    bias: Vec<f32>,
    rectifier: Rectifier,
}

impl Pointwise {
    /// Packs `weights`, which hold `inputs` numbers for each of the `bias.len()` outputs in turn.
    pub fn pack(cpu: Cpu, weights: &[f32], bias: &[f32], rectifier: Rectifier) -> Self {
        let outputs = bias.len();
        assert!(outputs > 0 && weights.len().is_multiple_of(outputs), "a row of weights for each output");
        let inputs = weights.len() / outputs;
        let lanes = vector_width(cpu);
        let width = outputs.next_multiple_of(lanes);
        let mut panels = Vec::with_capacity(width * inputs);
        for first in (0..width).step_by(2 * lanes) {
            let panel = first..(first + 2 * lanes).min(width);
            for input in 0..inputs {
                let weight = |output| if output < outputs { weights[output * inputs + input] } else { 0.0 };
                panels.extend(panel.clone().map(weight));
            }
        }
        let padded = |values: &[f32]| {
            assert_eq!(values.len(), outputs, "a number for each output");
            let mut values = values.to_vec();
            values.resize(width, 0.0);
            values
        };
        let rectifier = match rectifier {
            Rectifier::Prelu(slope) => Rectifier::Prelu(padded(&slope)),
            other => other,
        };
        Self { cpu, inputs, width, panels, bias: padded(bias), rectifier }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The number of floats in the packed weights.
    pub fn weights(&self) -> usize {
        self.panels.len()
    }

    /// The number of outputs per pixel, rounded up to whole vectors.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Multiplies `pixels` pixels of `input` into `output`, [`Self::width`] floats apart.
    pub fn run(&self, input: &[f32], reach: Reach, pixels: usize, residual: Option<Residual>, output: &mut [f32]) {
        let (from, to) = (Lines::one(pixels, reach.step), Lines::one(pixels, self.width));
        self.run_lines((input, from), reach, pixels, residual, (output, to));
    }

    /// Like [`Self::run`], with input and output in lines of pixels. `reach.step` must be the step of the input lines.
    pub fn run_lines(
        &self,
        (input, from): (&[f32], Lines),
        reach: Reach,
        pixels: usize,
        residual: Option<Residual>,
        (output, to): (&mut [f32], Lines),
    ) {
        assert!(pixels > 0 && reach.lines * reach.line_len == self.inputs && self.inputs > 0, "inputs as packed");
        assert!(from.extent(pixels) + reach.len() <= input.len(), "pixels lie inside the input");
        assert!(to.extent(pixels) + self.width <= output.len(), "pixels lie inside the output");
        if let Some(residual) = residual {
            assert!(pixels * residual.step <= residual.data.len(), "pixels lie inside the residual");
            assert!(residual.step.is_multiple_of(vector_width(self.cpu)), "residual channels are whole vectors");
        }
        let kernel =
            PointwiseKernel { product: self, input, from, reach, pixels, residual, output: output.as_mut_ptr(), to };
        // SAFETY: the asserts above are what `PointwiseKernel` asks for.
        unsafe { lanes::run(self.cpu, kernel) };
    }
}

/// The kernel of [`Pointwise::run_lines`], which checks its fields.
struct PointwiseKernel<'a> {
    product: &'a Pointwise,
    input: &'a [f32],
    from: Lines,
    reach: Reach,
    pixels: usize,
    residual: Option<Residual<'a>>,
    /// Borrowed mutably for the whole call.
    output: *mut f32,
    to: Lines,
}

/// The largest number of pixels whose sums are in registers together. With more, the addresses of their inputs no longer
/// fit the general registers, and the compiler keeps sums in memory: a third of the speed.
const MAX_TILE_PIXELS: usize = 8;

impl Kernel for PointwiseKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let width = self.product.width;
        // The sums of 8 pixels × 2 vectors take 16 of 32 registers; with 16 registers there is room for 6 × 2.
        let tallest = if L::WIDTH == 16 { MAX_TILE_PIXELS } else { 6 };
        let tiles = self.pixels.div_ceil(tallest);
        // The larger of weights and pixels is read once, the other repeatedly from a nearer cache.
        let weights_outside = self.product.panels.len() > self.pixels * self.product.inputs;
        let outputs = if weights_outside { 2 * L::WIDTH } else { width };
        for first in (0..width).step_by(outputs) {
            let outputs = first..(first + outputs).min(width);
            // Nearly equal tiles: the first few have a pixel more.
            let (low, extra) = (self.pixels / tiles, self.pixels % tiles);
            let taller = 0..extra * (low + 1);
            // SAFETY: the pixels are those of the fields, `outputs` begins with a panel and is not empty.
            unsafe {
                self.tiles_of::<L>(low + 1, taller.clone(), outputs.clone());
                self.tiles_of::<L>(low, taller.end..self.pixels, outputs);
            }
        }
    }
}

impl PointwiseKernel<'_> {
    /// Multiplies pixels in tiles of `height`.
    ///
    /// # Safety
    /// As for [`Lanes`]; `pixels` are whole tiles of the fields' pixels, `outputs` whole panels of the product.
    #[inline(always)]
    unsafe fn tiles_of<L: Lanes>(&self, height: usize, pixels: Range<usize>, outputs: Range<usize>) {
        if pixels.is_empty() {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            match height {
                1 => L::enter(Tiles::<1> { of: self, pixels, outputs }),
                2 => L::enter(Tiles::<2> { of: self, pixels, outputs }),
                3 => L::enter(Tiles::<3> { of: self, pixels, outputs }),
                4 => L::enter(Tiles::<4> { of: self, pixels, outputs }),
                5 => L::enter(Tiles::<5> { of: self, pixels, outputs }),
                6 => L::enter(Tiles::<6> { of: self, pixels, outputs }),
                7 => L::enter(Tiles::<7> { of: self, pixels, outputs }),
                _ => L::enter(Tiles::<8> { of: self, pixels, outputs }),
            }
        }
    }
}

/// The offset of a pixel, which moves on without dividing.
struct Cursor<'a> {
    lines: &'a Lines,
    column: usize,
    line: usize,
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    fn new(lines: &'a Lines, pixel: usize) -> Self {
        let (row, column) = if pixel < lines.width { (0, pixel) } else { (pixel / lines.width, pixel % lines.width) };
        let line = row * lines.line_step;
        Self { lines, column, line, at: line + column * lines.step }
    }

    #[inline(always)]
    fn next(&mut self) -> usize {
        let at = self.at;
        self.column += 1;
        self.at += self.lines.step;
        if self.column == self.lines.width {
            self.column = 0;
            self.line += self.lines.line_step;
            self.at = self.line;
        }
        at
    }
}

/// Tiles of `M` pixels, times some panels of outputs.
struct Tiles<'a, const M: usize> {
    of: &'a PointwiseKernel<'a>,
    pixels: Range<usize>,
    outputs: Range<usize>,
}

impl<const M: usize> Kernel for Tiles<'_, M> {
    type Out = ();

    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "closures would lose the features, see `tile`")]
    unsafe fn run<L: Lanes>(self) {
        let Self { of, pixels, outputs } = self;
        let (mut from, mut to) = (Cursor::new(&of.from, pixels.start), Cursor::new(&of.to, pixels.start));
        for pixel in pixels.step_by(M) {
            let mut inputs = [of.input.as_ptr(); M];
            let mut places = [of.output; M];
            for i in 0..M {
                inputs[i] = inputs[i].wrapping_add(from.next());
                places[i] = places[i].wrapping_add(to.next());
            }
            let tile = Tile { pixel, inputs, places };
            let mut first = outputs.start;
            while first < outputs.end {
                // SAFETY: the tile lies inside the pixels, `first` is the first output of a panel.
                unsafe {
                    if outputs.end - first >= 2 * L::WIDTH {
                        of.tile::<L, M, true>(&tile, first);
                    } else {
                        of.tile::<L, M, false>(&tile, first);
                    }
                }
                first += 2 * L::WIDTH;
            }
        }
    }
}

/// A few pixels: the index of the first, and where each begins in input and output.
struct Tile<const M: usize> {
    pixel: usize,
    inputs: [*const f32; M],
    places: [*mut f32; M],
}

impl PointwiseKernel<'_> {
    /// Multiplies `M` pixels with one or two vectors of outputs from `first` on, keeping the sums in registers.
    ///
    /// Plain loops are used because closures of iterators and of `array::map` are compiled without the path's features,
    /// where an intrinsic is a function call. There are two flat arrays of sums because the compiler keeps an array of
    /// pairs in memory.
    ///
    /// # Safety
    /// As for [`Lanes`]; `at` holds `M` of the pixels; a panel of one or two vectors begins at `first`.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "closures would lose the features, see above")]
    unsafe fn tile<L: Lanes, const M: usize, const TWO: bool>(&self, at: &Tile<M>, first: usize) {
        // SAFETY: `Pointwise::run_lines` checked that all pixels lie inside input, output and residual; panels hold
        // `inputs` times their vectors from `first * inputs` on, bias and slopes `width` floats; steps are whole
        // vectors.
        unsafe {
            let (product, reach) = (self.product, self.reach);
            let second = if TWO { first + L::WIDTH } else { first };
            let mut sums = [L::load(product.bias.as_ptr().add(first)); M];
            let mut more = [L::load(product.bias.as_ptr().add(second)); M];
            let mut weights = product.panels.as_ptr().add(first * product.inputs);
            let mut from = at.inputs;
            for _ in 0..reach.lines {
                for k in 0..reach.line_len {
                    let w = L::load(weights);
                    if TWO {
                        let v = L::load(weights.add(L::WIDTH));
                        for i in 0..M {
                            let x = L::splat(*from[i].add(k));
                            sums[i] = L::mul_add(x, w, sums[i]);
                            more[i] = L::mul_add(x, v, more[i]);
                        }
                        weights = weights.add(2 * L::WIDTH);
                    } else {
                        for i in 0..M {
                            sums[i] = L::mul_add(L::splat(*from[i].add(k)), w, sums[i]);
                        }
                        weights = weights.add(L::WIDTH);
                    }
                }
                for i in 0..M {
                    // Behind the last line it may lead outside, where nothing is read.
                    from[i] = from[i].wrapping_add(reach.line_step);
                }
            }
            self.finish::<L, M>(sums, at, first);
            if TWO {
                self.finish::<L, M>(more, at, second);
            }
        }
    }

    /// Adds the residual, applies the rectifier and stores.
    ///
    /// # Safety
    /// As for [`Self::tile`]; `column` begins a vector of outputs.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "closures would lose the features, see `tile`")]
    unsafe fn finish<L: Lanes, const M: usize>(&self, mut sums: [L::V; M], at: &Tile<M>, column: usize) {
        // SAFETY: see `tile`. The output is borrowed mutably while the kernel runs.
        unsafe {
            let product = self.product;
            if let Some(residual) = self.residual
                && column < residual.step
            {
                let from = residual.data.as_ptr().add(at.pixel * residual.step + column);
                for i in 0..M {
                    sums[i] = L::add(sums[i], L::load(from.add(i * residual.step)));
                }
            }
            match &product.rectifier {
                Rectifier::Identity => {}
                Rectifier::Relu => {
                    for i in 0..M {
                        sums[i] = L::max(sums[i], L::splat(0.0));
                    }
                }
                Rectifier::Relu6 => {
                    for i in 0..M {
                        sums[i] = L::min(L::max(sums[i], L::splat(0.0)), L::splat(6.0));
                    }
                }
                Rectifier::Gelu => {
                    for i in 0..M {
                        sums[i] = math::gelu::<L>(sums[i]);
                    }
                }
                Rectifier::Silu => {
                    for i in 0..M {
                        sums[i] = math::silu::<L>(sums[i]);
                    }
                }
                Rectifier::Prelu(slope) => {
                    let slope = L::load(slope.as_ptr().add(column));
                    for i in 0..M {
                        sums[i] = L::where_not_negative(sums[i], sums[i], L::mul(sums[i], slope));
                    }
                }
            }
            for i in 0..M {
                L::store(at.places[i].add(column), sums[i]);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact by construction")]
mod tests {
    use super::*;
    use crate::test_numbers::numbers;

    fn rectified(rectifier: &Rectifier, channel: usize, v: f32) -> f32 {
        match rectifier {
            Rectifier::Identity => v,
            Rectifier::Relu => v.max(0.0),
            Rectifier::Relu6 => v.clamp(0.0, 6.0),
            Rectifier::Silu => v / (1.0 + (-v).exp()),
            Rectifier::Gelu => {
                // The normal distribution as a sum of slices, exact to what is asked here.
                let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
                let (slices, x) = (2000, f64::from(v));
                let step = x / f64::from(slices);
                let area: f64 = (0..slices).map(|i| density((f64::from(i) + 0.5) * step) * step).sum();
                (x * (0.5 + area)) as f32
            }
            Rectifier::Prelu(slope) => {
                if v >= 0.0 {
                    v
                } else {
                    v * slope[channel]
                }
            }
        }
    }

    /// Every path, odd counts of pixels, channels and residual channels, against sums in `f64`.
    #[test]
    fn every_path_equals_the_plain_sums() {
        for cpu in Cpu::available() {
            let lanes = vector_width(cpu);
            for (pixels, inputs, outputs) in [(1, 5, 3), (7, 24, 28), (13, 32, 33), (25, 17, 48), (96, 8, 70)] {
                let (weights, bias) = (numbers(inputs * outputs, 1), numbers(outputs, 2));
                for rectifier in [
                    Rectifier::Identity,
                    Rectifier::Relu,
                    Rectifier::Relu6,
                    Rectifier::Gelu,
                    Rectifier::Silu,
                    Rectifier::Prelu(numbers(outputs, 3)),
                ] {
                    let step = inputs.next_multiple_of(lanes);
                    let input = numbers(pixels * step, 4);
                    let residual = numbers(pixels * lanes, 5);
                    let product = Pointwise::pack(cpu, &weights, &bias, rectifier.clone());
                    let mut output = vec![f32::NAN; pixels * product.width()];
                    product.run(
                        &input,
                        Reach::pixel(inputs, step),
                        pixels,
                        Some(Residual { data: &residual, step: lanes }),
                        &mut output,
                    );
                    for (pixel, out) in output.chunks_exact(product.width()).enumerate() {
                        for (channel, &got) in out.iter().enumerate() {
                            if channel >= outputs {
                                // A residual may extend into the padding, where it is stored unchanged.
                                continue;
                            }
                            let row = &weights[channel * inputs..][..inputs];
                            let sum: f64 = row
                                .iter()
                                .zip(&input[pixel * step..])
                                .map(|(&w, &x)| f64::from(w) * f64::from(x))
                                .sum();
                            let add = if channel < lanes { residual[pixel * lanes + channel] } else { 0.0 };
                            let want = rectified(
                                &rectifier,
                                channel,
                                (sum + f64::from(bias[channel]) + f64::from(add)) as f32,
                            );
                            assert!((got - want).abs() < 1e-5, "{cpu} {pixels}x{inputs}x{outputs}: {got} for {want}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn padded_outputs_are_zero() {
        for cpu in Cpu::available() {
            let product = Pointwise::pack(cpu, &[1.0, 2.0], &[0.5], Rectifier::Prelu(vec![0.25]));
            let mut output = vec![f32::NAN; product.width()];
            product.run(&[-3.0, 1.0], Reach::pixel(2, 2), 1, None, &mut output);
            assert!((output[0] + 0.125).abs() < 1e-7);
            assert!(output[1..].iter().all(|&v| v == 0.0), "{cpu}");
        }
    }

    /// A 2×2 window over rows of three pixels with two channels.
    #[test]
    fn lines_reach_over_several_rows() {
        let input: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let reach = Reach { step: 2, lines: 2, line_len: 4, line_step: 6 };
        for cpu in Cpu::available() {
            let product = Pointwise::pack(cpu, &[1.0; 8], &[0.0], Rectifier::Identity);
            let mut output = vec![0.0; 2 * product.width()];
            product.run(&input, reach, 2, None, &mut output);
            assert_eq!([output[0], output[product.width()]], [36.0, 52.0], "{cpu}");
        }
    }

    /// Lines with a margin on either side, and every count of pixels that a line can break.
    #[test]
    fn pixels_in_lines_are_those_of_one_line() {
        for cpu in Cpu::available() {
            let (inputs, outputs) = (5, 40);
            let product = Pointwise::pack(cpu, &numbers(inputs * outputs, 1), &numbers(outputs, 2), Rectifier::Relu6);
            for (width, lines) in [(7, 4), (1, 3), (14, 2), (30, 1)] {
                let input = numbers(width * lines * inputs, 3);
                let pixels = width * lines;
                let mut want = vec![0.0; pixels * product.width()];
                product.run(&input, Reach::pixel(inputs, inputs), pixels, None, &mut want);
                let pitch = (width + 3) * product.width();
                let to = Lines { width, step: product.width(), line_step: pitch };
                let mut got = vec![-1.0; lines * pitch];
                let from = Lines { width, step: inputs, line_step: width * inputs };
                let margin = product.width();
                let reach = Reach::pixel(inputs, inputs);
                product.run_lines((&input, from), reach, pixels, None, (&mut got[margin..], to));
                for (got, want) in got.chunks_exact(pitch).zip(want.chunks_exact(width * margin)) {
                    assert_eq!(got[margin..][..width * margin], *want, "{cpu} {width}");
                    assert!(got[..margin].iter().chain(&got[(width + 1) * margin..]).all(|&v| v == -1.0), "{cpu}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "pixels lie inside the input")]
    fn a_short_input_is_refused() {
        let product = Pointwise::pack(Cpu::Plain, &[1.0, 2.0], &[0.5], Rectifier::Identity);
        product.run(&[1.0; 3], Reach::pixel(2, 2), 2, None, &mut [0.0; 64]);
    }
}

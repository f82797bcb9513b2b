//! Convolutions fused with a depthwise filter before them, a residual and an activation.

use super::layer::{Layer, Layout};
use kernels::depthwise::{Depthwise, Slide};
use kernels::pointwise::{Pointwise, Reach, Residual};

/// Pixels filtered before they are multiplied: few enough for the L1 cache, enough to fill the tiles.
const BLOCK: usize = 96;

fn residual<'a>(inputs: &[&'a [f32]], step: Option<usize>) -> Option<(&'a [f32], usize)> {
    step.map(|step| (inputs[1], step))
}

/// The residual, from `pixel` on.
fn residual_from(residual: Option<(&[f32], usize)>, pixel: usize) -> Option<Residual<'_>> {
    residual.map(|(data, step)| Residual { data: &data[pixel * step..], step })
}

/// A 1×1 convolution, with an optional depthwise convolution before it.
#[derive(Debug)]
pub(super) struct Separable {
    pub input: Layout,
    pub depthwise: Option<Depthwise>,
    pub product: Pointwise,
    pub output: Layout,
    /// Floats per pixel of the residual input.
    pub residual: Option<usize>,
}

impl Separable {
    fn rows(&self) -> usize {
        BLOCK.div_ceil(self.output.width).min(self.output.height)
    }
}

impl Layer for Separable {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        let residual = residual(inputs, self.residual);
        let Some(depthwise) = &self.depthwise else {
            let reach = Reach::pixel(self.product.inputs(), self.input.step);
            self.product.run(inputs[0], reach, self.output.pixels(), residual_from(residual, 0), output);
            return;
        };
        let reach = Reach::pixel(self.product.inputs(), depthwise.channels());
        for first in (0..self.output.height).step_by(self.rows()) {
            let rows = first..(first + self.rows()).min(self.output.height);
            let (pixel, pixels) = (first * self.output.width, rows.len() * self.output.width);
            depthwise.run(inputs[0], rows, scratch);
            let output = &mut output[pixel * self.output.step..];
            self.product.run(scratch, reach, pixels, residual_from(residual, pixel), output);
        }
    }

    fn scratch(&self) -> usize {
        self.depthwise.as_ref().map_or(0, |d| self.rows() * self.output.width * d.channels())
    }

    fn multiplications(&self) -> u64 {
        let filter = self.depthwise.as_ref().map_or(0, |d| d.slide().height * d.slide().width * d.channels());
        self.output.pixels() as u64 * (filter + self.product.inputs() * self.product.width()) as u64
    }
}

/// Rows of outputs whose inputs are copied together: few enough for the L2 cache, enough to copy few rows twice.
const BAND: usize = 8;

/// A convolution with a window. Rows of the map are first copied into a border of zeros, so that every window is complete.
#[derive(Debug)]
pub(super) struct Convolution {
    pub input: Layout,
    pub slide: Slide,
    /// Weights for the padded channels, row by row.
    pub product: Pointwise,
    pub output: Layout,
    pub residual: Option<usize>,
}

impl Convolution {
    /// Floats in a row including the border.
    fn line(&self) -> usize {
        let Slide { stride, width, output_width, left, .. } = self.slide;
        ((output_width - 1) * stride + width).max(left + self.input.width) * self.input.step
    }

    /// The rows that `outputs` rows of outputs are computed from.
    fn rows(&self, outputs: usize) -> usize {
        (outputs - 1) * self.slide.stride + self.slide.height
    }

    /// Copies the rows for the outputs from row `first` on.
    fn fill(&self, input: &[f32], first: usize, band: &mut [f32]) {
        let (step, row) = (self.input.step, self.input.width * self.input.step);
        let before = self.slide.left * step;
        for (y, to) in (first * self.slide.stride..).zip(band.chunks_exact_mut(self.line())) {
            match y.checked_sub(self.slide.top).filter(|&y| y < self.input.height) {
                Some(y) => {
                    to[..before].fill(0.0);
                    to[before..before + row].copy_from_slice(&input[y * row..][..row]);
                    to[before + row..].fill(0.0);
                }
                None => to.fill(0.0),
            }
        }
    }
}

impl Layer for Convolution {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        let (step, line) = (self.input.step, self.line());
        let line_len = self.slide.width * step;
        let reach = Reach { step: self.slide.stride * step, lines: self.slide.height, line_len, line_step: line };
        let residual = residual(inputs, self.residual);
        for (y, output) in output.chunks_exact_mut(self.output.width * self.output.step).enumerate() {
            if y % BAND == 0 {
                let outputs = BAND.min(self.output.height - y);
                self.fill(inputs[0], y, &mut scratch[..self.rows(outputs) * line]);
            }
            let residual = residual_from(residual, y * self.output.width);
            let from = &scratch[y % BAND * self.slide.stride * line..];
            self.product.run(from, reach, self.output.width, residual, output);
        }
    }

    fn scratch(&self) -> usize {
        self.rows(BAND.min(self.output.height)) * self.line()
    }

    fn multiplications(&self) -> u64 {
        self.output.pixels() as u64 * (self.product.inputs() * self.product.width()) as u64
    }
}

/// A depthwise convolution that could not be fused.
#[derive(Debug)]
pub(super) struct Filter {
    pub depthwise: Depthwise,
    pub output: Layout,
}

impl Layer for Filter {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        self.depthwise.run(inputs[0], 0..self.output.height, output);
    }

    fn multiplications(&self) -> u64 {
        (self.output.len() * self.depthwise.slide().height * self.depthwise.slide().width) as u64
    }
}

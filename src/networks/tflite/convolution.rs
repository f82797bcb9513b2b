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

/// A convolution with a window. The map is first copied into a border of zeros, so that every window is complete.
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
    /// Rows and columns including the border.
    fn bordered(&self) -> (usize, usize) {
        let Slide { stride, height, width, output_height, output_width, top, left, .. } = self.slide;
        let rows = ((output_height - 1) * stride + height).max(top + self.input.height);
        let columns = ((output_width - 1) * stride + width).max(left + self.input.width);
        (rows, columns)
    }
}

impl Layer for Convolution {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        let step = self.input.step;
        let line = self.bordered().1 * step;
        let (before, row) = (self.slide.left * step, self.input.width * step);
        let bordered = &mut scratch[..self.scratch()];
        let (above, rest) = bordered.split_at_mut(self.slide.top * line);
        let (inside, below) = rest.split_at_mut(self.input.height * line);
        above.fill(0.0);
        below.fill(0.0);
        for (to, from) in inside.chunks_exact_mut(line).zip(inputs[0].chunks_exact(row)) {
            to[..before].fill(0.0);
            to[before..before + row].copy_from_slice(from);
            to[before + row..].fill(0.0);
        }
        let line_len = self.slide.width * step;
        let reach = Reach { step: self.slide.stride * step, lines: self.slide.height, line_len, line_step: line };
        let residual = residual(inputs, self.residual);
        for (y, output) in output.chunks_exact_mut(self.output.width * self.output.step).enumerate() {
            let residual = residual_from(residual, y * self.output.width);
            let from = &bordered[y * self.slide.stride * line..];
            self.product.run(from, reach, self.output.width, residual, output);
        }
    }

    fn scratch(&self) -> usize {
        let (rows, columns) = self.bordered();
        rows * columns * self.input.step
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

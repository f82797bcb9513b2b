//! Layers without weights: pooling, padding, resizing, reshaping, addition.

use super::layer::{Layer, Layout};
use kernels::pointwise::Rectifier;

use crate::rectified::{larger, rectified};

/// Max pooling of 2×2 windows.
#[derive(Debug)]
pub(super) struct MaxPool {
    pub input: Layout,
    pub output: Layout,
}

impl Layer for MaxPool {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let (line, step) = (self.input.width * self.input.step, self.input.step);
        let rows = inputs[0].chunks_exact(2 * line).zip(output.chunks_exact_mut(line / 2));
        for (pair, output) in rows {
            let (upper, lower) = pair.split_at(line);
            let squares = upper.chunks_exact(2 * step).zip(lower.chunks_exact(2 * step));
            for ((a, b), output) in squares.zip(output.chunks_exact_mut(step)) {
                let (a, b) = (a.split_at(step), b.split_at(step));
                for (i, v) in output.iter_mut().enumerate() {
                    *v = larger(larger(a.0[i], a.1[i]), larger(b.0[i], b.1[i]));
                }
            }
        }
    }

    fn multiplications(&self) -> u64 {
        self.output.len() as u64
    }
}

/// Zero padding around the image, and before or after its channels.
#[derive(Debug)]
pub(super) struct Pad {
    pub input: Layout,
    pub output: Layout,
    /// Rows, columns and channels before.
    pub before: [usize; 3],
}

impl Layer for Pad {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        output.fill(0.0);
        let [top, left, first] = self.before;
        for (i, pixel) in self.input.each_pixel(inputs[0]).enumerate() {
            let (y, x) = (i / self.input.width + top, i % self.input.width + left);
            let at = (y * self.output.width + x) * self.output.step + first;
            output[at..at + pixel.len()].copy_from_slice(pixel);
        }
    }

    fn multiplications(&self) -> u64 {
        self.output.len() as u64
    }
}

/// Bilinear, pixel centres at halves, edges repeated.
#[derive(Debug)]
pub(super) struct Resize {
    input: Layout,
    output: Layout,
    rows: Vec<Blend>,
    columns: Vec<Blend>,
}

/// Two neighbours and the weight of the second.
#[derive(Clone, Copy, Debug)]
struct Blend {
    low: usize,
    high: usize,
    share: f32,
}

impl Blend {
    fn along(from: usize, to: usize) -> Vec<Self> {
        let scale = from as f32 / to as f32;
        let blend = |i: usize| {
            let centre = (i as f32 + 0.5) * scale - 0.5;
            let low = centre.floor().max(0.0);
            Self { low: low as usize, high: (centre.ceil() as usize).min(from - 1), share: centre - low }
        };
        (0..to).map(blend).collect()
    }
}

impl Resize {
    pub fn new(input: Layout, output: Layout) -> Self {
        let (rows, columns) = (Blend::along(input.height, output.height), Blend::along(input.width, output.width));
        Self { input, output, rows, columns }
    }
}

impl Layer for Resize {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        let (step, line) = (self.input.step, self.input.width * self.input.step);
        let blended = &mut scratch[..line];
        for (row, output) in self.rows.iter().zip(output.chunks_exact_mut(self.output.width * step)) {
            let (low, high) = (&inputs[0][row.low * line..][..line], &inputs[0][row.high * line..][..line]);
            for ((v, &a), &b) in blended.iter_mut().zip(low).zip(high) {
                *v = a + (b - a) * row.share;
            }
            for (column, output) in self.columns.iter().zip(output.chunks_exact_mut(step)) {
                let (low, high) = (&blended[column.low * step..][..step], &blended[column.high * step..][..step]);
                for ((v, &a), &b) in output.iter_mut().zip(low).zip(high) {
                    *v = a + (b - a) * column.share;
                }
            }
        }
    }

    fn scratch(&self) -> usize {
        self.input.width * self.input.step
    }

    fn multiplications(&self) -> u64 {
        2 * self.output.len() as u64
    }
}

/// Turns channels, in the order (row in block, column in block, channel), into blocks of pixels.
#[derive(Debug)]
pub(super) struct DepthToSpace {
    pub input: Layout,
    pub output: Layout,
    pub block: usize,
}

impl Layer for DepthToSpace {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let channels = self.output.channels;
        for (i, pixel) in self.input.each_pixel(inputs[0]).enumerate() {
            let (y, x) = (i / self.input.width * self.block, i % self.input.width * self.block);
            for (k, part) in pixel.chunks_exact(channels).enumerate() {
                let to = (y + k / self.block) * self.output.width + x + k % self.block;
                let to = &mut output[to * self.output.step..][..self.output.step];
                to[..channels].copy_from_slice(part);
                to[channels..].fill(0.0);
            }
        }
    }

    fn multiplications(&self) -> u64 {
        self.output.len() as u64
    }
}

/// Changes the shape only.
#[derive(Debug)]
pub(super) struct Reshape {
    pub input: Layout,
    pub output: Layout,
}

impl Layer for Reshape {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let mut numbers = self.input.each_pixel(inputs[0]).flatten().copied();
        for pixel in output.chunks_exact_mut(self.output.step) {
            let (inside, padding) = pixel.split_at_mut(self.output.channels);
            inside.iter_mut().zip(&mut numbers).for_each(|(to, from)| *to = from);
            padding.fill(0.0);
        }
    }

    fn multiplications(&self) -> u64 {
        self.output.len() as u64
    }
}

/// Concatenates tensors along an axis.
#[derive(Debug)]
pub(super) struct Concat {
    /// The layout of each part, and the length of its contiguous runs in the result.
    pub parts: Vec<(Layout, usize)>,
    pub output: Layout,
}

impl Layer for Concat {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        // Gathered without padding, then distributed over the pixels.
        let whole: usize = self.parts.iter().map(|(_, run)| run).sum();
        let gathered = &mut scratch[..self.scratch()];
        let mut begin = 0;
        for ((layout, run), input) in self.parts.iter().zip(inputs) {
            for (i, &v) in layout.each_pixel(input).flatten().enumerate() {
                gathered[i / run * whole + begin + i % run] = v;
            }
            begin += run;
        }
        let pixels = gathered.chunks_exact(self.output.channels).zip(output.chunks_exact_mut(self.output.step));
        for (from, to) in pixels {
            to[..from.len()].copy_from_slice(from);
            to[from.len()..].fill(0.0);
        }
    }

    fn scratch(&self) -> usize {
        self.output.pixels() * self.output.channels
    }

    fn multiplications(&self) -> u64 {
        self.output.len() as u64
    }
}

/// An addition and activation that could not be fused.
#[derive(Debug)]
pub(super) struct Elementwise {
    pub output: Layout,
    pub add: bool,
    pub rectifier: Rectifier,
}

impl Layer for Elementwise {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        output.copy_from_slice(&inputs[0][..output.len()]);
        if self.add {
            output.iter_mut().zip(inputs[1]).for_each(|(v, &add)| *v += add);
        }
        rectified(&self.rectifier, output, self.output.step);
    }

    fn multiplications(&self) -> u64 {
        self.output.len() as u64
    }
}

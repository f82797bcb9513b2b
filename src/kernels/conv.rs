//! Convolutions as matrix products: a row of the left matrix is the window of one output pixel, read in place.

use super::amx::{self, Lines, STEP};
use super::engine::{self, Engine, Packed, Scratch};
use super::map::{Grid, Map, Shape};
use super::product::{Activation, Finish, Left, Residual, Run, Target};

/// The geometry of a square window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub side: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Window {
    /// The number of outputs along an axis; 0 if the window does not fit.
    pub fn outputs(&self, pixels: usize) -> usize {
        (pixels + 2 * self.padding).checked_sub(self.side).map_or(0, |room| room / self.stride + 1)
    }
}

/// A convolution layer: `activation(conv(x) + b [+ residual])`.
#[derive(Debug)]
pub struct Conv {
    engine: Engine,
    window: Window,
    inputs: usize,
    packed: Packed,
}

impl Conv {
    /// `weight` is `[outputs][inputs][side][side]`, like in PyTorch.
    pub fn new(engine: Engine, window: Window, weight: &[f32], bias: &[f32]) -> Self {
        let (outputs, side) = (bias.len(), window.side);
        let per_output = weight.len() / outputs.max(1);
        assert!(window.stride > 0 && side > 0 && outputs > 0, "a window with an extent");
        assert_eq!(weight.len() % (outputs * side * side), 0, "whole windows of weights");
        let inputs = per_output / (side * side);
        // One pixel of the window: its channels are `side * side` weights apart in the file.
        let pixel = |n: usize, y: usize, x: usize, row: &mut [f32]| {
            let from = weight[(n * inputs * side + y) * side + x..].iter().step_by(side * side);
            row.iter_mut().zip(from).for_each(|(to, w)| *to = *w);
        };
        let packed = if Self::folds(engine, window, inputs) || engine.cpu != super::Cpu::Amx {
            // The pixels of a window's line are contiguous, so a line is one tap.
            Packed::new(engine, outputs, side, side * inputs, bias, |n, y, line| {
                line.chunks_exact_mut(inputs).enumerate().for_each(|(x, row)| pixel(n, y, x, row));
            })
        } else {
            Packed::new(engine, outputs, side * side, inputs, bias, |n, tap, row| {
                pixel(n, tap / side, tap % side, row);
            })
        };
        Self { engine, window, inputs, packed }
    }

    /// Whether the lines of a window are copied next to each other. This is done if a line fits one step of the tiles,
    /// since a pixel of three channels alone would fill a tenth of a step.
    fn folds(engine: Engine, window: Window, inputs: usize) -> bool {
        engine.cpu == super::Cpu::Amx && window.side > 1 && window.side * inputs <= STEP
    }

    pub fn bytes(&self) -> usize {
        self.packed.bytes()
    }

    /// The shape of the output for an input shape, with the given border.
    pub fn output(&self, input: Shape, border: usize) -> Shape {
        Shape {
            images: input.images,
            height: self.window.outputs(input.height),
            width: self.window.outputs(input.width),
            channels: self.packed.outputs(),
            border,
        }
    }

    /// Computes the inside of `output`, adding `residual` if given.
    pub fn apply(
        &self,
        input: &Map,
        output: &mut Map,
        residual: Option<&Map>,
        activation: Activation,
        scratch: &mut Scratch,
    ) {
        let (from, to) = (input.shape(), output.shape());
        assert_eq!(from.channels, self.inputs, "channels of the input");
        assert!(from.border >= self.window.padding, "a border as wide as the padding");
        assert_eq!(to, self.output(from, to.border), "the shape of the output");
        let residual = residual.map_or(Residual::None, |map| {
            assert_eq!(Shape { border: to.border, ..map.shape() }, to, "the shape of the residual");
            Residual::From(map.data(), map.shape().inside())
        });
        let grid = to.inside();
        let target = Target::new(output.data_mut(), grid);
        let finish = Finish::new(self.packed.bias(), grid.rows(), target, residual, activation);
        let by_panels = to.channels > grid.rows();
        match &self.packed {
            Packed::Lanes(panels) => {
                let (begins, runs) = self.windows(from, to);
                let left = Left { data: input.data(), from: begins, runs: &runs };
                let shares = finish.shares(grid.rows(), panels.panels(), by_panels, scratch.threads);
                engine::each(shares, |share| panels.multiply(&left, share));
            }
            Packed::Tiles(tiles) => {
                let (lines, steps) = self.split_input(input, to, scratch);
                let shares = finish.shares(lines.tiles(), tiles.panels(), by_panels, scratch.threads);
                let halves = &scratch.halves;
                engine::each(shares, |share| amx::multiply(tiles, halves, &lines, &steps, share));
            }
        }
    }

    /// The positions of the windows in the input map, and the runs of one window.
    fn windows(&self, from: Shape, to: Shape) -> (Grid, Vec<Run>) {
        let Window { side, stride, padding } = self.window;
        let grid = Grid {
            images: from.images,
            height: to.height,
            width: to.width,
            origin: (from.border - padding) * (from.row_step() + from.channels),
            image_step: from.image_step(),
            row_step: from.row_step() * stride,
            column_step: from.channels * stride,
        };
        let run = |y| Run { offset: y * from.row_step(), len: side * from.channels };
        (grid, (0..side).map(run).collect())
    }

    /// Splits the input into bf16 halves for the tiles. They are arranged so that the pixels under one tap of adjacent
    /// windows are contiguous: with a stride, pixels whose positions have the same remainder (a "phase") are stored
    /// together.
    fn split_input(&self, input: &Map, to: Shape, scratch: &mut Scratch) -> (Lines, Vec<usize>) {
        let from = input.shape();
        let layout = Layout::new(self.engine, self.window, from, to);
        let (data, origin) = (input.data(), (from.border - self.window.padding) * (from.row_step() + from.channels));
        let rows = from.images * layout.phases_down * layout.phases_across * layout.height;
        let fill = |row: usize, high: &mut [u16], low: &mut [u16]| {
            let (y, phase) = (row % layout.height, row / layout.height);
            let (across, phase) = (phase % layout.phases_across, phase / layout.phases_across);
            let (down, image) = (phase % layout.phases_down, phase / layout.phases_down);
            let source = y * self.window.stride + down;
            if source >= layout.source_height {
                high.fill(0);
                low.fill(0);
                return;
            }
            let start = origin + image * from.image_step() + source * from.row_step() + across * from.channels;
            let have = layout.columns_of_phase(across);
            amx::split(&data[start..], have, layout.len, layout.column_stride, high, low);
            for plane in [high, low] {
                if !plane.is_empty() {
                    plane[have * layout.padded..].fill(0);
                }
            }
        };
        let row_len = layout.width * layout.padded;
        engine::split_rows(self.engine, &mut scratch.halves, rows, row_len, layout.padded, scratch.threads, fill);
        (layout.lines(from.images, to), layout.steps(self.window))
    }
}

/// How [`Conv::split_input`] arranges an image.
struct Layout {
    stride: usize,
    /// The number of phases; if the window is smaller than the stride, the last phases are not needed.
    phases_down: usize,
    phases_across: usize,
    /// The size of one phase.
    height: usize,
    width: usize,
    /// The length of a contiguous group (a pixel, or a line of a window if folded), and the same padded to whole steps.
    len: usize,
    padded: usize,
    /// The number of floats between adjacent columns of a phase in the source.
    column_stride: usize,
    /// The size of the source with padding; if folded, the width counts window positions.
    source_height: usize,
    source_width: usize,
    folded: bool,
}

impl Layout {
    fn new(engine: Engine, window: Window, from: Shape, to: Shape) -> Self {
        let Window { side, stride, padding } = window;
        let (source_height, source_width) = (from.height + 2 * padding, from.width + 2 * padding);
        let folded = Conv::folds(engine, window, from.channels);
        let phases = side.min(stride);
        let len = if folded { side * from.channels } else { from.channels };
        Self {
            stride,
            phases_down: phases,
            phases_across: if folded { 1 } else { phases },
            height: source_height.div_ceil(stride),
            width: if folded { to.width } else { source_width.div_ceil(stride) },
            len,
            padded: len.next_multiple_of(STEP),
            column_stride: stride * from.channels,
            source_height,
            source_width: if folded { to.width } else { source_width },
            folded,
        }
    }

    fn columns_of_phase(&self, across: usize) -> usize {
        if self.folded {
            return self.width;
        }
        self.source_width.saturating_sub(across).div_ceil(self.stride)
    }

    fn phase_len(&self) -> usize {
        self.height * self.width * self.padded
    }

    fn image_len(&self) -> usize {
        self.phases_down * self.phases_across * self.phase_len()
    }

    fn lines(&self, images: usize, to: Shape) -> Lines {
        let kept = to.height * to.width;
        if self.width == to.width && self.image_len() == kept * self.padded {
            // No rows to drop between lines or images, so all are one line.
            return Lines::matrix(images * kept, self.padded);
        }
        Lines {
            count: images,
            rows: (to.height - 1) * self.width + to.width,
            step: self.image_len(),
            column_step: self.padded,
            pitch: self.width,
            width: to.width,
            kept,
        }
    }

    /// The offset of each step of a window's inputs from the window's beginning.
    fn steps(&self, window: Window) -> Vec<usize> {
        let Window { side, stride, .. } = window;
        let across = if self.folded { 1 } else { side };
        let tap = |t: usize| {
            let (y, x) = (t / across, t % across);
            let phase = (y % stride) * self.phases_across + x % stride;
            phase * self.phase_len() + ((y / stride) * self.width + x / stride) * self.padded
        };
        (0..side * across).flat_map(|t| (0..self.padded).step_by(STEP).map(move |at| tap(t) + at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_numbers::numbers;
    use crate::{Cpu, Precision};

    /// Reproducible numbers from -1 to 1.
    fn noise(len: usize, seed: u32) -> Vec<f32> {
        numbers(len, seed.wrapping_mul(2_654_435_761).wrapping_add(12345))
    }

    fn filled(shape: Shape, seed: u32) -> Map {
        let mut map = Map::zeros(shape);
        for image in 0..shape.images {
            for y in 0..shape.height {
                let row = noise(shape.width * shape.channels, seed + (image * shape.height + y) as u32);
                map.row_mut(image, y).copy_from_slice(&row);
            }
        }
        map
    }

    /// Computes the definition in f64.
    fn by_definition(
        input: &Map,
        w: &[f32],
        b: &[f32],
        window: Window,
        image: usize,
        at: (usize, usize, usize),
    ) -> f64 {
        let (y, x, n) = at;
        let from = input.shape();
        let mut sum = f64::from(b[n]);
        for ky in 0..window.side {
            for kx in 0..window.side {
                let (sy, sx) = (y * window.stride + ky, x * window.stride + kx);
                let inside = |p: usize, len: usize| (window.padding..window.padding + len).contains(&p);
                if !inside(sy, from.height) || !inside(sx, from.width) {
                    continue;
                }
                let pixel = &input.row(image, sy - window.padding)[(sx - window.padding) * from.channels..];
                for c in 0..from.channels {
                    let weight = w[((n * from.channels + c) * window.side + ky) * window.side + kx];
                    sum += f64::from(weight) * f64::from(pixel[c]);
                }
            }
        }
        sum
    }

    struct Case {
        channels: usize,
        outputs: usize,
        size: (usize, usize),
        window: Window,
    }

    fn cases() -> Vec<Case> {
        let window = |side, stride, padding| Window { side, stride, padding };
        let case = |channels, outputs, size, window| Case { channels, outputs, size, window };
        vec![
            case(3, 64, (30, 26), window(7, 2, 3)),
            case(3, 20, (11, 9), window(3, 1, 1)),
            case(64, 64, (9, 11), window(3, 1, 1)),
            case(64, 96, (10, 14), window(3, 2, 1)),
            case(64, 70, (9, 13), window(3, 2, 1)),
            case(64, 128, (8, 8), window(1, 2, 0)),
            case(64, 33, (7, 9), window(1, 2, 0)),
            case(40, 17, (5, 5), window(1, 1, 0)),
            case(300, 10, (4, 3), window(3, 1, 1)),
            case(3, 16, (28, 28), window(14, 14, 0)),
            case(32, 32, (10, 13), window(3, 3, 1)),
        ]
    }

    fn check(engine: Engine, tolerance: f64) {
        for Case { channels, outputs, size: (height, width), window } in cases() {
            let shape = Shape { images: 2, height, width, channels, border: window.padding.max(1) };
            let input = filled(shape, 1);
            let fan_in = channels * window.side * window.side;
            let scale = (fan_in as f32).sqrt().recip();
            let w: Vec<f32> = noise(outputs * fan_in, 7).iter().map(|v| v * scale).collect();
            let b = noise(outputs, 9);
            let conv = Conv::new(engine, window, &w, &b);
            let to = conv.output(shape, 1);
            let residual = filled(Shape { border: 0, ..to }, 100);
            let mut output = Map::zeros(to);
            let mut scratch = Scratch::new(1);
            conv.apply(&input, &mut output, Some(&residual), Activation::Relu, &mut scratch);
            for image in 0..2 {
                for y in 0..to.height {
                    for i in 0..to.width * outputs {
                        let (x, n) = (i / outputs, i % outputs);
                        let sum = by_definition(&input, &w, &b, window, image, (y, x, n));
                        let expected = (sum + f64::from(residual.row(image, y)[i])).max(0.0);
                        let got = f64::from(output.row(image, y)[i]);
                        let what = format!("{engine:?} {channels}->{outputs} {window:?} at {image},{y},{x},{n}");
                        assert!((got - expected).abs() < tolerance, "{what}: {got} for {expected}");
                    }
                }
            }
            let mut shared = Map::zeros(to);
            conv.apply(&input, &mut shared, Some(&residual), Activation::Relu, &mut Scratch::new(3));
            assert_eq!(shared.data(), output.data(), "three threads, {engine:?} {channels}->{outputs} {window:?}");
        }
    }

    #[test]
    fn every_path_equals_the_definition_to_f32_precision() {
        for cpu in Cpu::available() {
            check(Engine { cpu, precision: Precision::Full }, 4e-5);
        }
    }

    #[test]
    fn fast_precision_is_accurate_to_bf16() {
        for cpu in Cpu::available() {
            check(Engine { cpu, precision: Precision::Fast }, 2e-2);
        }
    }
}

//! Convolutions as products: a row of the left matrix is the window under one output pixel, read where it lies.

use super::amx::{self, Lines, STEP};
use super::engine::{self, Engine, Packed, Scratch};
use super::map::{Grid, Map, Shape};
use super::product::{Activation, Finish, Residual, Run, Target};

/// A square window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub side: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Window {
    /// Pixels along an axis after the convolution; 0 where the window does not fit.
    pub fn outputs(&self, pixels: usize) -> usize {
        (pixels + 2 * self.padding).checked_sub(self.side).map_or(0, |room| room / self.stride + 1)
    }
}

/// `activation(conv(x) + b [+ residual])`.
#[derive(Debug)]
pub struct Conv {
    engine: Engine,
    window: Window,
    inputs: usize,
    packed: Packed,
}

impl Conv {
    /// `weight` is `[outputs][inputs][side][side]`, as PyTorch keeps it.
    pub fn new(engine: Engine, window: Window, weight: &[f32], bias: &[f32]) -> Self {
        let (outputs, side) = (bias.len(), window.side);
        let per_output = weight.len() / outputs.max(1);
        assert!(window.stride > 0 && side > 0 && outputs > 0, "a window with an extent");
        assert_eq!(weight.len() % (outputs * side * side), 0, "whole windows of weights");
        let inputs = per_output / (side * side);
        let at = |n: usize, c: usize, y: usize, x: usize| weight[((n * inputs + c) * side + y) * side + x];
        let packed = if Self::folds(engine, window, inputs) || !matches!(engine.cpu, super::Cpu::Amx) {
            // Pixels of a window's line are neighbours in memory: a line is one tap.
            Packed::new(engine, outputs, side, side * inputs, bias, |n, y, k| at(n, k % inputs, y, k / inputs))
        } else {
            Packed::new(engine, outputs, side * side, inputs, bias, |n, tap, c| at(n, c, tap / side, tap % side))
        };
        Self { engine, window, inputs, packed }
    }

    /// Where a line of the window has no more numbers than one step of the tiles, lines are copied out side by side:
    /// three channels would fill a tenth of a step.
    fn folds(engine: Engine, window: Window, inputs: usize) -> bool {
        engine.cpu == super::Cpu::Amx && window.side > 1 && window.side * inputs <= STEP
    }

    pub fn bytes(&self) -> usize {
        self.packed.bytes()
    }

    /// The shape of the output for an input shape, in a border of its own.
    pub fn output(&self, input: Shape, border: usize) -> Shape {
        Shape {
            images: input.images,
            height: self.window.outputs(input.height),
            width: self.window.outputs(input.width),
            channels: self.packed.outputs(),
            border,
        }
    }

    /// Fills the inside of `output`; `residual` is added where given.
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
        match &self.packed {
            Packed::Lanes(panels) => {
                let (begins, runs) = self.windows(from, to);
                let parts = engine::parts(grid.rows(), panels.panels(), to.channels > grid.rows(), scratch.threads);
                engine::each(parts, |part| {
                    panels.multiply(input.data(), begins, &runs, target, residual, activation, part);
                });
            }
            Packed::Tiles(tiles) => {
                let (lines, steps) = self.spread(input, to, scratch);
                let finish = Finish::new(to.channels, tiles.bias(), grid.rows(), target, residual, activation);
                let by_panels = to.channels > grid.rows();
                let parts = engine::parts(lines.tiles(), tiles.panels(), by_panels, scratch.threads);
                let halves = &scratch.halves;
                engine::each(parts, |part| amx::multiply(tiles, halves, &lines, &steps, finish, part));
            }
        }
    }

    /// Where the windows begin in the input map, and the runs of one window.
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

    /// Splits the input for the tiles, so arranged that the pixels under one tap of neighbouring windows are
    /// neighbours: with a stride, pixels of equal remainder lie together ("phases").
    fn spread(&self, input: &Map, to: Shape, scratch: &mut Scratch) -> (Lines, Vec<usize>) {
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

/// How [`Conv::spread`] arranges an image.
struct Layout {
    phases_down: usize,
    phases_across: usize,
    /// Rows and columns of one phase.
    height: usize,
    width: usize,
    /// Numbers that lie together (a pixel, or a line of a window where those are folded), and the same in whole steps.
    len: usize,
    padded: usize,
    /// Floats between two neighbours of a phase in the source.
    column_stride: usize,
    /// Padded rows and columns of the source (columns: beginnings of windows where lines are folded).
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
        // Where the window is narrower than the stride, the last phases are never looked at.
        let stride = self.source_width.div_ceil(self.width).max(1);
        self.source_width.saturating_sub(across).div_ceil(stride)
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
            // Nothing to drop between lines or images: one long line.
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

    /// Where each step of a window's inputs lies, from the window's beginning.
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


//! Linear layers: rows times packed weights.

use super::amx::{self, Lines, STEP};
use super::engine::{self, Engine, Packed, Scratch};
use super::map::Grid;
use super::product::{Activation, Finish, Left, Residual, Run, Target};

/// `y = activation(x W' + b [+ y])`, one row at a time.
#[derive(Debug)]
pub struct Linear {
    engine: Engine,
    inputs: usize,
    packed: Packed,
}

impl Linear {
    /// `weight` is `[outputs][inputs]`, like in PyTorch.
    pub fn new(engine: Engine, weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        assert!(outputs > 0 && weight.len().is_multiple_of(outputs), "one row of weights for each output");
        let inputs = weight.len() / outputs;
        let row = |n: usize, _, row: &mut [f32]| row.copy_from_slice(&weight[n * inputs..][..inputs]);
        let packed = Packed::new(engine, outputs, 1, inputs, bias, row);
        Self { engine, inputs, packed }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn outputs(&self) -> usize {
        self.packed.outputs()
    }

    /// The size of the packed weights in bytes.
    pub fn bytes(&self) -> usize {
        self.packed.bytes()
    }

    /// Computes a row of `y` for each row of `x`.
    pub fn apply(&self, x: &[f32], y: &mut [f32], activation: Activation, scratch: &mut Scratch) {
        let rows = self.rows(x);
        assert_eq!(y.len(), rows * self.outputs(), "one output row for each input row");
        let grid = Grid::matrix(rows, self.outputs());
        self.multiply(x, rows, Target::new(y, grid), Residual::None, activation, scratch);
    }

    /// Adds the result for each row of `x` to the row of `y`.
    pub fn add_to(&self, x: &[f32], y: &mut [f32], scratch: &mut Scratch) {
        let rows = self.rows(x);
        assert_eq!(y.len(), rows * self.outputs(), "one output row for each input row");
        let grid = Grid::matrix(rows, self.outputs());
        self.multiply(x, rows, Target::new(y, grid), Residual::InPlace, Activation::Identity, scratch);
    }

    fn rows(&self, x: &[f32]) -> usize {
        assert!(x.len().is_multiple_of(self.inputs), "whole rows of {} inputs", self.inputs);
        x.len() / self.inputs
    }

    fn multiply(
        &self,
        x: &[f32],
        rows: usize,
        target: Target<'_>,
        residual: Residual<'_>,
        activation: Activation,
        scratch: &mut Scratch,
    ) {
        let by_panels = self.outputs() > rows;
        let finish = Finish::new(self.packed.bias(), rows, target, residual, activation);
        match &self.packed {
            Packed::Lanes(panels) => {
                let runs = [Run { offset: 0, len: self.inputs }];
                let left = Left { data: x, from: Grid::matrix(rows, self.inputs), runs: &runs };
                let shares = finish.shares(rows, panels.panels(), by_panels, scratch.threads);
                engine::each(shares, |share| panels.multiply(&left, share));
            }
            Packed::Tiles(tiles) => {
                let padded = self.inputs.next_multiple_of(STEP);
                let (inputs, halves) = (self.inputs, &mut scratch.halves);
                engine::split_rows(self.engine, halves, rows, padded, padded, scratch.threads, |row, high, low| {
                    amx::split(&x[row * inputs..][..inputs], 1, inputs, inputs, high, low);
                });
                let lines = Lines::matrix(rows, padded);
                let steps: Vec<usize> = (0..padded).step_by(STEP).collect();
                let shares = finish.shares(lines.tiles(), tiles.panels(), by_panels, scratch.threads);
                let halves = &scratch.halves;
                engine::each(shares, |share| amx::multiply(tiles, halves, &lines, &steps, share));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cpu, Precision};

    fn wave(len: usize, step: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * step).sin()).collect()
    }

    #[test]
    fn the_result_for_a_row_does_not_depend_on_other_rows() {
        let (rows, inputs, outputs) = (131, 200, 97);
        let (w, b, x) = (wave(inputs * outputs, 0.37), wave(outputs, 1.1), wave(rows * inputs, 0.73));
        for cpu in Cpu::available() {
            let linear = Linear::new(Engine { cpu, precision: Precision::Full }, &w, &b);
            let mut all = vec![0.0; rows * outputs];
            linear.apply(&x, &mut all, Activation::Gelu, &mut Scratch::new(2));
            for row in [0, 5, 47, 48, 95, 96, 130] {
                let mut one = vec![0.0; outputs];
                linear.apply(&x[row * inputs..][..inputs], &mut one, Activation::Gelu, &mut Scratch::new(1));
                assert_eq!(one, all[row * outputs..][..outputs], "{cpu}, row {row}");
            }
        }
    }

    #[test]
    fn add_to_adds_to_the_output() {
        let (inputs, outputs) = (96, 64);
        let (w, b, x) = (wave(inputs * outputs, 0.37), wave(outputs, 1.1), wave(3 * inputs, 0.73));
        for cpu in Cpu::available() {
            let linear = Linear::new(Engine { cpu, precision: Precision::Full }, &w, &b);
            let mut fresh = vec![0.0; 3 * outputs];
            linear.apply(&x, &mut fresh, Activation::Identity, &mut Scratch::new(1));
            let mut added = vec![10.0; 3 * outputs];
            linear.add_to(&x, &mut added, &mut Scratch::new(1));
            for (fresh, added) in fresh.iter().zip(&added) {
                assert!((fresh + 10.0 - added).abs() < 1e-5, "{cpu}: {fresh} {added}");
            }
        }
    }
}

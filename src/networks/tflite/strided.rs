//! Layers that walk over tensors axis by axis: broadcasting, reductions, transpositions, slices. They serve the small
//! tensors of the expression network; the hot layers of image networks are in [`super::convolution`].

use std::sync::Arc;

use super::axes::Part;
use super::layer::{Layer, Layout};
use super::operator::{Arithmetic, Function};

/// Maximum axes of a tensor.
const AXES: usize = 5;

/// The stride along each axis, aligned to the last axis.
type Strides = [usize; AXES];

/// A shape, extended by leading axes of length 1.
fn counts(shape: &[usize]) -> [usize; AXES] {
    let missing = AXES - shape.len();
    std::array::from_fn(|axis| axis.checked_sub(missing).map_or(1, |axis| shape[axis]))
}

/// The memory layout of a tensor.
fn strides(shape: &[usize], layout: Layout) -> Strides {
    let counts = counts(shape);
    if let [1, ..] = *shape
        && shape.len() == 4
    {
        return [0, 0, layout.width * layout.step, layout.step, 1];
    }
    let mut strides = [1; AXES];
    for axis in (1..AXES).rev() {
        strides[axis - 1] = strides[axis] * counts[axis];
    }
    strides
}

/// The strides of an output over the `rank` axes of the input; the axes in `gone` are missing from the output.
fn without(gone: &[usize], rank: usize, of_output: Strides) -> Strides {
    let (mut strides, mut next) = ([0; AXES], AXES);
    for axis in (0..rank).rev().filter(|axis| !gone.contains(axis)) {
        next -= 1;
        strides[axis + AXES - rank] = of_output[next];
    }
    strides
}

/// Calls `visit` for each line along the last axis, in order, with its begin in each of `N` tensors.
fn lines<const N: usize>(counts: [usize; AXES], strides: [Strides; N], mut visit: impl FnMut([usize; N])) {
    let (mut place, mut begin) = ([0; AXES - 1], [0; N]);
    loop {
        visit(begin);
        // The next line: the last axis with places left moves on, and those behind it start anew.
        let Some(axis) = (0..AXES - 1).rev().find(|&axis| place[axis] + 1 < counts[axis]) else { return };
        for (begin, strides) in begin.iter_mut().zip(&strides) {
            let back: usize = (axis + 1..AXES - 1).map(|behind| place[behind] * strides[behind]).sum();
            *begin = *begin + strides[axis] - back;
        }
        place[axis] += 1;
        place[axis + 1..].fill(0);
    }
}

/// The strides along the last axis.
fn along<const N: usize>(strides: &[Strides; N]) -> [usize; N] {
    strides.map(|strides| strides[AXES - 1])
}

fn visits(counts: [usize; AXES]) -> u64 {
    counts.iter().product::<usize>() as u64
}

/// A constant that a layer reads like a computed tensor.
#[derive(Debug)]
pub(super) struct Constant {
    pub values: Arc<[f32]>,
    pub output: Layout,
}

impl Layer for Constant {
    fn run(&self, _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let pixels = self.values.chunks_exact(self.output.channels).zip(output.chunks_exact_mut(self.output.step));
        for (from, to) in pixels {
            to[..from.len()].copy_from_slice(from);
            to[from.len()..].fill(0.0);
        }
    }

    fn multiplications(&self) -> u64 {
        self.output.len() as u64
    }
}

/// Combines two tensors element by element.
#[derive(Debug)]
pub(super) struct Combine {
    arithmetic: Arithmetic,
    counts: [usize; AXES],
    /// Strides of output, first and second input.
    strides: [Strides; 3],
}

impl Combine {
    pub fn new(arithmetic: Arithmetic, output: (&[usize], Layout), inputs: [(&[usize], Layout); 2]) -> Self {
        let whole = counts(output.0);
        // An axis of length 1 has stride 0.
        let repeated = |(shape, layout): (&[usize], Layout)| {
            let (own, strides) = (counts(shape), strides(shape, layout));
            std::array::from_fn(|axis| if own[axis] == 1 { 0 } else { strides[axis] })
        };
        let [first, second] = inputs.map(repeated);
        Self { arithmetic, counts: whole, strides: [strides(output.0, output.1), first, second] }
    }

    fn run_with(&self, inputs: &[&[f32]], output: &mut [f32], combine: impl Fn(f32, f32) -> f32) {
        let (first, second) = (inputs[0], inputs[1]);
        let (count, [step, step_a, step_b]) = (self.counts[AXES - 1], along(&self.strides));
        lines(self.counts, self.strides, |[to, a, b]| match (step, step_a, step_b) {
            (1, 1, 1) => {
                let pairs = first[a..a + count].iter().zip(&second[b..b + count]);
                output[to..to + count].iter_mut().zip(pairs).for_each(|(to, (&a, &b))| *to = combine(a, b));
            }
            (1, 1, 0) => {
                let (line, b) = (&first[a..a + count], second[b]);
                output[to..to + count].iter_mut().zip(line).for_each(|(to, &a)| *to = combine(a, b));
            }
            _ => {
                (0..count).for_each(|i| output[to + i * step] = combine(first[a + i * step_a], second[b + i * step_b]));
            }
        });
    }
}

impl Layer for Combine {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        output.fill(0.0);
        match self.arithmetic {
            Arithmetic::Add => self.run_with(inputs, output, |a, b| a + b),
            Arithmetic::Subtract => self.run_with(inputs, output, |a, b| a - b),
            Arithmetic::Multiply => self.run_with(inputs, output, |a, b| a * b),
            Arithmetic::Divide => self.run_with(inputs, output, |a, b| a / b),
            Arithmetic::SquaredDifference => self.run_with(inputs, output, |a, b| (a - b) * (a - b)),
        }
    }

    fn multiplications(&self) -> u64 {
        visits(self.counts)
    }
}

/// Applies a function to each element.
#[derive(Debug)]
pub(super) struct Map {
    pub function: Function,
    pub output: Layout,
}

impl Layer for Map {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let (step, channels) = (self.output.step, self.output.channels);
        for (to, from) in output.chunks_exact_mut(step).zip(inputs[0].chunks_exact(step)) {
            for (to, &v) in to[..channels].iter_mut().zip(from) {
                *to = match self.function {
                    Function::Logistic => 1.0 / (1.0 + (-v).exp()),
                    Function::Negate => -v,
                    Function::Root => v.sqrt(),
                    Function::InverseRoot => 1.0 / v.sqrt(),
                };
            }
            to[channels..].fill(0.0);
        }
    }

    fn multiplications(&self) -> u64 {
        self.output.len() as u64
    }
}

/// Sums along some axes, multiplied by a factor.
#[derive(Debug)]
pub(super) struct Reduce {
    counts: [usize; AXES],
    /// Strides of output and input, over the axes of the input.
    strides: [Strides; 2],
    factor: f32,
}

impl Reduce {
    pub fn new(mean: bool, axes: &[usize], output: (&[usize], Layout), input: (&[usize], Layout)) -> Self {
        let (shape, mut to) = (input.0, strides(output.0, output.1));
        let summed: usize = axes.iter().map(|&axis| shape[axis]).product();
        if output.0.len() == shape.len() {
            axes.iter().for_each(|axis| to[axis + AXES - shape.len()] = 0);
        } else {
            to = without(axes, shape.len(), to);
        }
        let factor = if mean { 1.0 / summed as f32 } else { 1.0 };
        Self { counts: counts(shape), strides: [to, strides(shape, input.1)], factor }
    }
}

impl Layer for Reduce {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        output.fill(0.0);
        let (count, [step, step_from]) = (self.counts[AXES - 1], along(&self.strides));
        lines(self.counts, self.strides, |[to, from]| {
            let from = inputs[0][from..].iter().step_by(step_from.max(1)).take(count);
            match step {
                0 => output[to] = from.fold(output[to], |sum, v| sum + v),
                1 => output[to..to + count].iter_mut().zip(from).for_each(|(to, v)| *to += v),
                _ => from.enumerate().for_each(|(i, v)| output[to + i * step] += v),
            }
        });
        output.iter_mut().for_each(|v| *v *= self.factor);
    }

    fn multiplications(&self) -> u64 {
        visits(self.counts)
    }
}

/// Copies elements for transpositions and slices.
#[derive(Debug)]
pub(super) struct Move {
    counts: [usize; AXES],
    /// Strides of output and input.
    strides: [Strides; 2],
    /// Position of the input's first element.
    begin: usize,
}

impl Move {
    /// Axis `i` of the output is axis `order[i]` of the input.
    pub fn transpose(order: &[usize], output: (&[usize], Layout), input: (&[usize], Layout)) -> Self {
        let (missing, of_input) = (AXES - order.len(), strides(input.0, input.1));
        let turned =
            std::array::from_fn(|axis| axis.checked_sub(missing).map_or(0, |axis| of_input[order[axis] + missing]));
        Self { counts: counts(output.0), strides: [strides(output.0, output.1), turned], begin: 0 }
    }

    pub fn slice(parts: &[Part], output: (&[usize], Layout), input: (&[usize], Layout)) -> Self {
        let (rank, of_input) = (parts.len(), strides(input.0, input.1));
        let begin = parts.iter().enumerate().map(|(axis, part)| part.begin * of_input[axis + AXES - rank]).sum();
        let lengths: Vec<usize> = parts.iter().map(|part| part.length).collect();
        let gone: Vec<usize> = (0..rank).filter(|&axis| parts[axis].drops).collect();
        let of_output = without(&gone, rank, strides(output.0, output.1));
        Self { counts: counts(&lengths), strides: [of_output, of_input], begin }
    }
}

impl Layer for Move {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        output.fill(0.0);
        let from_begin = &inputs[0][self.begin..];
        let (count, [step, step_from]) = (self.counts[AXES - 1], along(&self.strides));
        lines(self.counts, self.strides, |[to, from]| match (step, step_from) {
            (1, 1) => output[to..to + count].copy_from_slice(&from_begin[from..from + count]),
            _ => (0..count).for_each(|i| output[to + i * step] = from_begin[from + i * step_from]),
        });
    }

    fn multiplications(&self) -> u64 {
        visits(self.counts)
    }
}

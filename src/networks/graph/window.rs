//! Other window operators: transposed convolutions, pooling and enlargement.

use std::sync::Arc;

use kernels::Cpu;
use kernels::pointwise::{Lines, Pointwise, Reach, Rectifier};

use super::operator::Sliding;
use super::tensor::{Memory, Tensor, elements};
use crate::axes::{Checked, require};
use crate::rectified::larger;

/// A transposed convolution without overlap: every pixel becomes a separate window.
#[derive(Debug)]
pub(super) struct Spread {
    window: [usize; 2],
    inputs: usize,
    outputs: usize,
    product: Pointwise,
}

impl Spread {
    /// `weight` is in file order: inputs, outputs, rows, columns.
    pub fn new(cpu: Cpu, sliding: Sliding, weight: &Tensor, bias: &[f32], rectifier: Rectifier) -> Checked<Self> {
        let [inputs, outputs, rows, columns] = weight.map()?;
        let taps = rows * columns;
        require(sliding.window == Some([rows, columns]), "a window that the weights do not have")?;
        require(bias.len() == outputs, "a bias for other channels")?;
        // A row of weights for each tap and channel.
        let mut turned = vec![0.0; weight.data.len()];
        for (input, from) in weight.data.chunks_exact(outputs * taps).enumerate() {
            for (at, v) in from.iter().enumerate() {
                turned[(at % taps * outputs + at / taps) * inputs + input] = *v;
            }
        }
        let product = Pointwise::pack(cpu, &turned, &bias.repeat(taps), rectifier);
        Ok(Self { window: [rows, columns], inputs, outputs, product })
    }

    pub fn bytes(&self) -> usize {
        4 * self.product.weights()
    }

    pub fn work(&self, x: &Tensor) -> Checked<u64> {
        let shape = self.output(x)?;
        Ok((elements(&shape)? as u64).saturating_mul(self.inputs as u64))
    }

    fn output(&self, x: &Tensor) -> Checked<Vec<usize>> {
        let [images, channels, height, width] = x.map()?;
        require(channels == self.inputs, "a map of other channels")?;
        let [rows, columns] = self.window;
        let larger = height.checked_mul(rows).zip(width.checked_mul(columns));
        larger.map(|(height, width)| vec![images, self.outputs, height, width]).ok_or_else(|| "too large".to_owned())
    }

    pub fn run(&self, x: Arc<Tensor>, memory: &mut Memory) -> Checked<Arc<Tensor>> {
        let mut y = memory.tensor(self.output(&x)?, true)?;
        let x = x.by_pixels();
        let (width, [rows, columns], pixel) = (x.shape[3], self.window, x.step());
        let (step, part) = (self.product.width(), columns * self.outputs);
        let mut line = memory.take(width * step)?;
        let lines = y.data.chunks_exact_mut(rows * width * part);
        for (x, y) in x.data.chunks_exact(width * pixel).zip(lines) {
            let reach = Reach::pixel(self.inputs, pixel);
            let from = Lines::one(width, pixel);
            self.product.run_lines((x, from), reach, width, None, (&mut line, Lines::one(width, step)));
            for (pixel, window) in line.chunks_exact(step).enumerate() {
                for (row, from) in window.chunks_exact(part).take(rows).enumerate() {
                    y[(row * width + pixel) * part..][..part].copy_from_slice(from);
                }
            }
        }
        memory.keep(line);
        memory.give(x);
        Ok(Arc::new(y))
    }
}

/// Max or average pooling.
pub(super) fn pooled(x: Arc<Tensor>, sliding: Sliding, largest: bool, memory: &mut Memory) -> Checked<Arc<Tensor>> {
    let [images, channels, height, width] = x.map()?;
    let window = sliding.window.ok_or("a pool without a window")?;
    let ([top, left], [rows, columns]) = sliding.over([height, width], window)?;
    require(top < window[0] && left < window[1], "a border wider than the window")?;
    let x = x.by_pixels();
    let step = x.step();
    let mut y = memory.map([images, channels, rows, columns], step)?;
    let inside = |at: usize, axis: usize, before: usize, size: usize| {
        let begin = at * sliding.strides[axis];
        begin.saturating_sub(before)..(begin + window[axis] - before).min(size)
    };
    for (at, y) in y.data.chunks_exact_mut(columns * step).enumerate() {
        let (image, lines) = (at / rows, inside(at % rows, 0, top, height));
        for (column, y) in y.chunks_exact_mut(step).enumerate() {
            let pixels = inside(column, 1, left, width);
            require(!lines.is_empty() && !pixels.is_empty(), "a window beside the map")?;
            let x = |line: usize, pixel: usize| &x.data[((image * height + line) * width + pixel) * step..][..step];
            y.copy_from_slice(x(lines.start, pixels.start));
            for line in lines.clone() {
                // The first pixel is there already.
                for pixel in pixels.start + usize::from(line == lines.start)..pixels.end {
                    let each = y.iter_mut().zip(x(line, pixel));
                    if largest {
                        each.for_each(|(y, &x)| *y = larger(x, *y));
                    } else {
                        each.for_each(|(y, x)| *y += x);
                    }
                }
            }
            if !largest {
                let count = (lines.len() * pixels.len()) as f32;
                y.iter_mut().for_each(|v| *v /= count);
            }
        }
    }
    memory.give(x);
    Ok(Arc::new(y))
}

/// Repeats every pixel by the factors.
pub(super) fn enlarged(x: Arc<Tensor>, factors: &[f32], memory: &mut Memory) -> Checked<Arc<Tensor>> {
    let [images, channels, height, width] = x.map()?;
    let [down, across] = whole_factors(factors)?;
    let x = x.laid(true);
    let mut y = memory.tensor(vec![images, channels, height * down, width * across], true)?;
    let row = width * across * channels;
    for (x, lines) in x.data.chunks_exact(width * channels).zip(y.data.chunks_exact_mut(down * row)) {
        let (first, others) = lines.split_at_mut(row);
        for (x, y) in x.chunks_exact(channels).zip(first.chunks_exact_mut(across * channels)) {
            y.chunks_exact_mut(channels).for_each(|y| y.copy_from_slice(x));
        }
        others.chunks_exact_mut(row).for_each(|other| other.copy_from_slice(first));
    }
    memory.give(x);
    Ok(Arc::new(y))
}

/// The factors of rows and columns, if they are whole numbers.
pub(super) fn whole_factors(factors: &[f32]) -> Checked<[usize; 2]> {
    let whole = |factor: f32| (factor.fract() == 0.0 && (1.0..=64.0).contains(&factor)).then_some(factor as usize);
    let &[1.0, 1.0, down, across] = factors else { return Err("factors of other axes than pixels".into()) };
    let (down, across) = whole(down).zip(whole(across)).ok_or("factors that are no whole numbers")?;
    Ok([down, across])
}

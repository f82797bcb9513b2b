//! Pixels of maps in memory: their sides, their padding, and how products are stored.

use std::ops::Range;

use kernels::Cpu;
use kernels::pointwise::{Lines, Pointwise, Reach, Residual, vector_width};

use super::tensor::Memory;
use crate::axes::Checked;

/// A map of one image.
#[derive(Clone, Copy)]
pub(super) struct Map<'a> {
    pub data: &'a [f32],
    pub height: usize,
    pub width: usize,
    /// Floats from one pixel to the next.
    pub step: usize,
}

/// Rows and columns of an output, and the floats of a pixel.
#[derive(Clone, Copy)]
pub(super) struct Sides {
    pub height: usize,
    pub width: usize,
    pub step: usize,
}

/// Floats of a pixel: whole vectors, unless most of them would be padding.
pub(super) fn padded_channels(channels: usize, cpu: Cpu) -> usize {
    let whole = channels.next_multiple_of(vector_width(cpu));
    if whole > 2 * channels { channels } else { whole }
}

/// Stores products as pixels of an output, in a detour where its pixels are narrower than those of the product.
pub(super) struct Store<'a> {
    product: &'a Pointwise,
    step: usize,
    padded: Vec<f32>,
}

impl<'a> Store<'a> {
    /// For at most `pixels` pixels at a time, `step` floats apart.
    pub fn new(product: &'a Pointwise, step: usize, pixels: usize, memory: &mut Memory) -> Checked<Self> {
        let padded = if product.width() == step { Vec::new() } else { memory.take(pixels * product.width())? };
        Ok(Self { product, step, padded })
    }

    pub fn run(
        &mut self,
        from: (&[f32], Lines),
        reach: Reach,
        pixels: Range<usize>,
        residual: Option<Residual>,
        y: &mut [f32],
    ) {
        let count = pixels.len();
        let residual = residual.map(|all| Residual { data: &all.data[pixels.start * all.step..], step: all.step });
        let y = &mut y[pixels.start * self.step..][..count * self.step];
        let width = self.product.width();
        let to = if self.padded.is_empty() { &mut *y } else { &mut self.padded };
        self.product.run_lines(from, reach, count, residual, (to, Lines::one(count, width)));
        if !self.padded.is_empty() {
            for (to, from) in y.chunks_exact_mut(self.step).zip(self.padded.chunks_exact(width)) {
                to.copy_from_slice(&from[..self.step]);
            }
        }
    }

    pub fn end(self, memory: &mut Memory) {
        memory.keep(self.padded);
    }
}

/// A copy of a map with pixels of `step` floats; empty if the map has such pixels.
pub(super) fn widened(x: Map, channels: usize, step: usize, memory: &mut Memory) -> Checked<Vec<f32>> {
    if x.step == step {
        return Ok(Vec::new());
    }
    let mut wide = memory.take(x.height * x.width * step)?;
    for (to, from) in wide.chunks_exact_mut(step).zip(x.data.chunks_exact(x.step)) {
        to[..channels].copy_from_slice(&from[..channels]);
        to[channels..].fill(0.0);
    }
    Ok(wide)
}

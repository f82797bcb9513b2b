//! Depthwise convolutions: a filter for each channel.

use std::sync::Arc;

use kernels::Cpu;
use kernels::depthwise::{Depthwise, Slide};
use kernels::pointwise::{Lines, Pointwise, Reach, Rectifier, Residual};

use super::operator::Sliding;
use super::pixels::{Map, Sides, Store, widened};
use super::tensor::{Memory, Tensor};
use crate::axes::Checked;
use crate::rectified::rectified;

/// Pixels that are filtered before they are multiplied: few enough for the L1 cache, enough to fill the registers.
const FILTERED: usize = 96;

#[derive(Debug)]
pub(super) struct Filter {
    sliding: Sliding,
    window: [usize; 2],
    channels: usize,
    taps: Taps,
    /// What is applied to the stored outputs, because the kernel does not.
    rectifier: Rectifier,
}

#[derive(Debug)]
enum Taps {
    Packed(Depthwise),
    /// For different vertical and horizontal strides: row by row, channels innermost; and the bias.
    Plain(Vec<f32>, Vec<f32>),
}

impl Filter {
    /// `weight` has the axes channels, 1, rows, columns.
    pub fn new(cpu: Cpu, sliding: Sliding, weight: &Tensor, bias: &[f32], rectifier: Rectifier) -> Checked<Self> {
        let [channels, _, rows, columns] = weight.map()?;
        let window = [rows, columns];
        // The filters side by side, as the channels of one map.
        let filters = Arc::unwrap_or_clone(Arc::new(weight.clone()).plain());
        let filters = Tensor { shape: vec![1, channels, rows, columns], ..filters };
        let weights = Arc::unwrap_or_clone(Arc::new(filters).laid(true)).data;
        let (taps, rectifier) = if sliding.strides[0] != sliding.strides[1] {
            (Taps::Plain(weights, bias.to_vec()), rectifier)
        } else if Depthwise::applies(&rectifier) {
            (Taps::Packed(Depthwise::pack(cpu, window, &weights, bias, rectifier)), Rectifier::Identity)
        } else {
            (Taps::Packed(Depthwise::pack(cpu, window, &weights, bias, Rectifier::Identity)), rectifier)
        };
        Ok(Self { sliding, window, channels, taps, rectifier })
    }

    /// Whether a filter like this can run some rows at a time.
    pub fn runs_in_rows(sliding: &Sliding, rectifier: &Rectifier) -> bool {
        sliding.strides[0] == sliding.strides[1] && Depthwise::applies(rectifier)
    }

    pub fn bytes(&self) -> usize {
        4 * self.taps()
    }

    /// The number of weights of all channels.
    pub fn taps(&self) -> usize {
        self.window[0] * self.window[1] * self.channels
    }

    /// The padding above and left, and the sides of the output.
    pub fn over(&self, sides: [usize; 2]) -> Checked<([usize; 2], [usize; 2])> {
        self.sliding.over(sides, self.window)
    }

    fn slide(&self, x: Map, to: Sides, before: [usize; 2]) -> Slide {
        Slide {
            input_height: x.height,
            input_width: x.width,
            output_height: to.height,
            output_width: to.width,
            height: self.window[0],
            width: self.window[1],
            stride: self.sliding.strides[0],
            top: before[0],
            left: before[1],
        }
    }

    /// Filters a map of one image.
    pub fn run(&self, x: Map, (to, before): (Sides, [usize; 2]), y: &mut [f32], memory: &mut Memory) -> Checked<()> {
        match &self.taps {
            Taps::Packed(filter) => {
                let (slide, step) = (self.slide(x, to, before), filter.channels());
                let wide = widened(x, self.channels, step, memory)?;
                let input = if wide.is_empty() { x.data } else { &wide };
                if step == to.step {
                    filter.run(slide, input, 0..to.height, y);
                } else {
                    let mut result = memory.take(to.height * to.width * step)?;
                    filter.run(slide, input, 0..to.height, &mut result);
                    for (to, from) in y.chunks_exact_mut(to.step).zip(result.chunks_exact(step)) {
                        to.copy_from_slice(&from[..to.len()]);
                    }
                    memory.keep(result);
                }
                memory.keep(wide);
            }
            Taps::Plain(weights, bias) => self.run_plain((weights, bias), x, (to, before), y),
        }
        rectified(&self.rectifier, y, to.step);
        Ok(())
    }

    fn run_plain(&self, (weights, bias): (&[f32], &[f32]), x: Map, (to, before): (Sides, [usize; 2]), y: &mut [f32]) {
        let (channels, [stride, across], width) = (self.channels, self.sliding.strides, self.window[1]);
        for (at, y) in y.chunks_exact_mut(to.step).enumerate() {
            y[..channels].copy_from_slice(bias);
            y[channels..].fill(0.0);
            let (top, left) = (at / to.width * stride, at % to.width * across);
            for (tap, weights) in weights.chunks_exact(channels).enumerate() {
                let row = (top + tap / width).checked_sub(before[0]).filter(|&row| row < x.height);
                let column = (left + tap % width).checked_sub(before[1]).filter(|&column| column < x.width);
                if let Some((row, column)) = row.zip(column) {
                    let pixel = &x.data[(row * x.width + column) * x.step..][..channels];
                    y.iter_mut().zip(weights).zip(pixel).for_each(|((y, w), x)| *y += w * x);
                }
            }
        }
    }

    /// Filters a map of one image, and multiplies the outputs while they are in the cache.
    pub fn multiplied(
        &self,
        product: &Pointwise,
        x: Map,
        (to, before): (Sides, [usize; 2]),
        residual: Option<Residual>,
        y: &mut [f32],
        memory: &mut Memory,
    ) -> Checked<()> {
        let Taps::Packed(filter) = &self.taps else { return Err("a filter that does not run in rows".into()) };
        let (slide, step) = (self.slide(x, to, before), filter.channels());
        let wide = widened(x, self.channels, step, memory)?;
        let input = if wide.is_empty() { x.data } else { &wide };
        let rows = FILTERED.div_ceil(to.width).min(to.height);
        let mut filtered = memory.take(rows * to.width * step)?;
        let mut store = Store::new(product, to.step, rows * to.width, memory)?;
        for first in (0..to.height).step_by(rows) {
            let rows = first..(first + rows).min(to.height);
            let pixels = rows.start * to.width..rows.end * to.width;
            filter.run(slide, input, rows, &mut filtered);
            let from = Lines::one(pixels.len(), step);
            store.run((&filtered, from), Reach::pixel(product.inputs(), step), pixels, residual, y);
        }
        store.end(memory);
        memory.keep(filtered);
        memory.keep(wide);
        Ok(())
    }
}

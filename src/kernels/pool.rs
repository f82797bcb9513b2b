//! Pooling: the maximum under a window, and the mean of a whole map.
#![allow(unsafe_code)]

use rayon::prelude::*;

use super::conv::Window;
use super::cpu::Cpu;
use super::lanes::{self, Kernel, Lanes};
use super::map::{Map, Shape};

/// Computes the maximum under each window; positions outside the map do not count.
pub fn max_pool(cpu: Cpu, window: Window, input: &Map, output: &mut Map, threads: usize) {
    let (from, to) = (input.shape(), output.shape());
    assert!(window.stride > 0 && window.padding < window.side, "every window holds a pixel");
    let (height, width) = (window.outputs(from.height), window.outputs(from.width));
    let expected = Shape { images: from.images, height, width, channels: from.channels, border: to.border };
    assert_eq!(to, expected, "the shape of the output");
    let lines = to.height + 2 * to.border;
    let pool_row = |(line, row): (usize, &mut [f32])| {
        let (image, y) = (line / lines, (line % lines).wrapping_sub(to.border));
        if y < to.height {
            let inside = &mut row[to.border * to.channels..][..to.width * to.channels];
            // SAFETY: `inside` is one whole row of the output for line `y` of `image`.
            unsafe { lanes::run(cpu, MaxRowKernel { window, input, image, y, row: inside }) };
        }
    };
    if threads > 1 {
        output.data_mut().par_chunks_exact_mut(to.row_step()).enumerate().with_min_len(8).for_each(pool_row);
    } else {
        output.data_mut().chunks_exact_mut(to.row_step()).enumerate().for_each(pool_row);
    }
}

struct MaxRowKernel<'a> {
    window: Window,
    input: &'a Map,
    image: usize,
    y: usize,
    row: &'a mut [f32],
}

/// The pixels along one axis that lie under the window of an output.
fn window_range(window: Window, output: usize, pixels: usize) -> std::ops::Range<usize> {
    let start = (output * window.stride).saturating_sub(window.padding);
    let end = (output * window.stride + window.side).saturating_sub(window.padding);
    start..end.min(pixels)
}

impl Kernel for MaxRowKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let from = self.input.shape();
        let channels = from.channels;
        let whole = channels - channels % L::WIDTH;
        for (x, out) in self.row.chunks_exact_mut(channels).enumerate() {
            out.fill(f32::MIN);
            for y in window_range(self.window, self.y, from.height) {
                let row = self.input.row(self.image, y);
                for x in window_range(self.window, x, from.width) {
                    let pixel = &row[x * channels..][..channels];
                    for c in (0..whole).step_by(L::WIDTH) {
                        // SAFETY: `c + WIDTH <= channels`, the length of both slices.
                        unsafe {
                            let to = out.as_mut_ptr().add(c);
                            L::store(to, L::max(L::load(to), L::load(pixel.as_ptr().add(c))));
                        }
                    }
                    for c in whole..channels {
                        out[c] = out[c].max(pixel[c]);
                    }
                }
            }
        }
    }
}

/// Computes the mean of each channel over all pixels, image after image.
pub fn mean_pool(input: &Map) -> Vec<f32> {
    let Shape { images, height, width, channels, .. } = input.shape();
    let mut means = vec![0.0f32; images * channels];
    for (image, means) in means.chunks_exact_mut(channels).enumerate() {
        for y in 0..height {
            for pixel in input.row(image, y).chunks_exact(channels) {
                means.iter_mut().zip(pixel).for_each(|(mean, v)| *mean += v);
            }
        }
        let count = (height * width) as f32;
        means.iter_mut().for_each(|mean| *mean /= count);
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(channels: usize, border: usize) -> Map {
        let mut map = Map::zeros(Shape { images: 2, height: 5, width: 6, channels, border });
        for image in 0..2 {
            for y in 0..5 {
                for (i, v) in map.row_mut(image, y).iter_mut().enumerate() {
                    *v = -((image * 1000 + y * 100 + i) as f32);
                }
            }
        }
        map
    }

    #[test]
    fn the_border_does_not_count_among_negative_numbers() {
        let window = Window { side: 3, stride: 2, padding: 1 };
        for cpu in Cpu::available() {
            for channels in [1, 16, 21] {
                let input = ramp(channels, 2);
                let mut output = Map::zeros(Shape { images: 2, height: 3, width: 3, channels, border: 1 });
                max_pool(cpu, window, &input, &mut output, 1);
                // The ramp falls to the right and down: the first pixel under a window is the largest.
                for (x, first) in [0, 1, 3].into_iter().enumerate() {
                    for c in 0..channels {
                        let expected = -((1000 + 100 + first * channels + c) as f32);
                        assert_eq!(output.row(1, 1)[x * channels + c], expected, "{cpu} x {x} channel {c}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_mean_counts_pixels_only() {
        let input = ramp(2, 1);
        let means = mean_pool(&input);
        assert_eq!(means, [-205.0, -206.0, -1205.0, -1206.0]);
    }
}

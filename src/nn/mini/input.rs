//! What the network is given of a picture: colours and the Laplacian at half size, and measures of the whole.

use super::{INPUTS, MEAN, STD};
use crate::kernels::Map;

/// Sides of pictures must be a multiple of this: the number of halvings.
pub const SIDE_STEP: usize = 32;

/// Numbers of [`View::measures`].
pub const MEASURES: usize = SCALES * SHARPNESS + NATURAL_SCALES * NATURAL + COLOURS;
const SCALES: usize = 3;
const SHARPNESS: usize = 4;
const NATURAL_SCALES: usize = 2;
const NATURAL: usize = 6;
const COLOURS: usize = 10;
/// The picture is cut into this many squares a side for the spread of sharpness.
const SQUARES: usize = 12;

/// A picture, channels innermost and brought around zero.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub width: usize,
    pub height: usize,
    pub data: &'a [f32],
}

/// What is computed once from a picture before the network runs.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub measures: [f32; MEASURES],
}

/// The natural logarithm of what is at least 1, to five digits: the same on every machine, and in lanes.
#[inline(always)]
fn ln(v: f32) -> f32 {
    let bits = v.to_bits();
    let exponent = (bits >> 23) as f32 - 127.0;
    let mantissa = f32::from_bits(bits & 0x007F_FFFF | 0x3F80_0000);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = 1.0 + square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0)));
    exponent * std::f32::consts::LN_2 + 2.0 * s * series
}

/// A plane of brightness, 0 to 255.
struct Plane {
    width: usize,
    height: usize,
    data: Vec<f32>,
}

impl View<'_> {
    fn luma(&self) -> Plane {
        let light = |p: &[f32; 3]| (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]).mul_add(STD, MEAN) * 255.0;
        Plane { width: self.width, height: self.height, data: self.data.as_chunks::<3>().0.iter().map(light).collect() }
    }

    /// Fills one image of a map of half the size and computes the measures.
    pub fn prepare(&self, map: &mut Map, image: usize) -> Prepared {
        let luma = self.luma();
        let edges = luma.laplacian();
        let (width, data) = (self.width, self.data);
        for y in 0..self.height / 2 {
            let rows = [2 * y, 2 * y + 1].map(|y| (&data[y * width * 3..][..width * 3], &edges[y * width..][..width]));
            for (x, pixel) in map.row_mut(image, y).chunks_exact_mut(INPUTS).enumerate() {
                for (half, (colours, edges)) in rows.iter().enumerate() {
                    pixel[6 * half..6 * half + 6].copy_from_slice(&colours[6 * x..6 * x + 6]);
                    for side in 0..2 {
                        // Gentle for strong edges; around zero.
                        pixel[12 + 2 * half + side] = ln(1.0 + edges[2 * x + side].abs() * 0.25) - 1.0;
                    }
                }
            }
        }
        Prepared { measures: self.measures(luma, edges) }
    }

    fn measures(&self, luma: Plane, edges: Vec<f32>) -> [f32; MEASURES] {
        let mut all = Vec::with_capacity(MEASURES);
        self.colours(&luma, &mut all);
        let (mut plane, mut edges) = (luma, edges);
        for scale in 0..SCALES {
            if scale > 0 {
                plane = plane.halved();
                edges = plane.laplacian();
            }
            plane.sharpness(&edges, &mut all);
            if scale < NATURAL_SCALES {
                plane.natural(&mut all);
            }
        }
        all.try_into().unwrap_or([0.0; MEASURES])
    }

    /// Brightness, clipping and colour of the whole picture.
    fn colours(&self, luma: &Plane, all: &mut Vec<f32>) {
        let count = luma.data.len() as f32;
        let mut histogram = [0u32; 256];
        for v in &luma.data {
            histogram[v.clamp(0.0, 255.0) as usize] += 1;
        }
        let share = |range: std::ops::Range<usize>| histogram[range].iter().sum::<u32>() as f32 / count;
        let quantile = |q: f32| {
            let mut left = q * count;
            let at = histogram.iter().position(|&n| {
                left -= n as f32;
                left <= 0.0
            });
            at.unwrap_or(255) as f32 / 255.0
        };
        let mean = luma.data.iter().sum::<f32>() / count;
        let spread = (luma.data.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count).sqrt();
        // Two opposed colours, in units of the full range.
        let (mut sums, mut squares) = ([0.0f32; 2], [0.0f32; 2]);
        for p in self.data.as_chunks::<3>().0 {
            let axes = [(p[0] - p[1]) * STD, (0.5 * (p[0] + p[1]) - p[2]) * STD];
            for i in 0..2 {
                sums[i] += axes[i];
                squares[i] += axes[i] * axes[i];
            }
        }
        let means = sums.map(|sum| sum / count);
        let deviation = |i: usize| (squares[i] / count - means[i] * means[i]).max(0.0).sqrt();
        all.extend([mean / 255.0, spread / 255.0, share(0..5).sqrt(), share(251..256).sqrt()]);
        all.extend([quantile(0.02), quantile(0.98), means[0], means[1], deviation(0), deviation(1)]);
    }
}

impl Plane {
    fn row(&self, y: usize) -> &[f32] {
        &self.data[y * self.width..][..self.width]
    }

    /// Four neighbours minus four times the middle; zero along the edge.
    fn laplacian(&self) -> Vec<f32> {
        let (width, height) = (self.width, self.height);
        let mut out = vec![0.0; width * height];
        for y in 1..height.saturating_sub(1) {
            let (above, here, below) = (self.row(y - 1), self.row(y), self.row(y + 1));
            let row = &mut out[y * width + 1..(y + 1) * width - 1];
            for (x, out) in row.iter_mut().enumerate() {
                *out = above[x + 1] + below[x + 1] + here[x] + here[x + 2] - 4.0 * here[x + 1];
            }
        }
        out
    }

    fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            let (above, below) = (self.row(2 * y), self.row(2 * y + 1));
            data.extend((0..width).map(|x| 0.25 * (above[2 * x] + above[2 * x + 1] + below[2 * x] + below[2 * x + 1])));
        }
        Self { width, height, data }
    }

    /// How sharp the squares of the picture are: on average, the sharpest, and between.
    fn sharpness(&self, edges: &[f32], all: &mut Vec<f32>) {
        let side = (self.width.min(self.height) / SQUARES).max(1);
        let (across, down) = (self.width / side, self.height / side);
        let mut squares = vec![0.0f32; across * down];
        for y in 0..down * side {
            let line = &mut squares[y / side * across..][..across];
            for (sum, part) in line.iter_mut().zip(edges[y * self.width..].chunks_exact(side)) {
                *sum += part.iter().map(|v| v * v).sum::<f32>();
            }
        }
        let area = (side * side) as f32;
        for square in &mut squares {
            *square = (*square / area + 1.0).ln();
        }
        squares.sort_unstable_by(f32::total_cmp);
        let at = |q: f32| squares[((squares.len() - 1) as f32 * q) as usize];
        all.extend([squares.iter().sum::<f32>() / squares.len() as f32, at(0.98), at(0.75), at(0.2)]);
    }

    /// Statistics of brightness over its local deviation, which blur, noise and blocks disturb.
    fn natural(&self, all: &mut Vec<f32>) {
        let mean = self.smooth();
        let squares = Self { data: self.data.iter().map(|v| v * v).collect(), ..*self }.smooth();
        let even: Vec<f32> = (self.data.iter().zip(&mean).zip(&squares))
            .map(|((v, mean), square)| (v - mean) / ((square - mean * mean).max(0.0).sqrt() + 1.0))
            .collect();
        let count = even.len() as f32;
        let size = even.iter().map(|v| v.abs()).sum::<f32>() / count;
        let spread = even.iter().map(|v| v * v).sum::<f32>() / count;
        all.extend([spread.sqrt(), size * size / (spread + 1e-6)]);
        for shift in [1, self.width] {
            let (mut sum, mut sizes) = (0.0f32, 0.0f32);
            for (a, b) in even.iter().zip(&even[shift.min(even.len())..]) {
                sum += a * b;
                sizes += (a * b).abs();
            }
            all.extend([sum / (spread * count + 1e-6), sizes / (spread * count + 1e-6)]);
        }
    }

    /// A Gaussian of seven taps, edges repeated.
    fn smooth(&self) -> Vec<f32> {
        const TAPS: [f32; 7] = [0.012_545, 0.076_616, 0.227_142, 0.367_394, 0.227_142, 0.076_616, 0.012_545];
        let (width, height) = (self.width, self.height);
        let mut across = vec![0.0f32; width * height];
        let mut padded = vec![0.0f32; width + 6];
        for y in 0..height {
            let row = self.row(y);
            padded[3..width + 3].copy_from_slice(row);
            padded[..3].fill(row[0]);
            padded[width + 3..].fill(row[width - 1]);
            let out = &mut across[y * width..][..width];
            for (k, tap) in TAPS.iter().enumerate() {
                out.iter_mut().zip(&padded[k..]).for_each(|(out, v)| *out += tap * v);
            }
        }
        let mut down = vec![0.0f32; width * height];
        for (y, out) in down.chunks_exact_mut(width).enumerate() {
            for (k, tap) in TAPS.iter().enumerate() {
                let from = (y + k).saturating_sub(3).min(height - 1);
                out.iter_mut().zip(&across[from * width..]).for_each(|(out, v)| *out += tap * v);
            }
        }
        down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_good_to_five_digits() {
        for v in [1.0f32, 1.001, 1.5, 1.999, 2.0, 3.7, 64.0, 255.9] {
            assert!((ln(v) - v.ln()).abs() < 2e-5, "{v}: {} {}", ln(v), v.ln());
        }
    }

    #[test]
    fn measures_of_any_picture_are_finite() {
        for value in [-1.8f32, 0.0, 2.2] {
            let data = vec![value; 64 * 32 * 3];
            let mut map = Map::zeros(crate::nn::mini::Convs::input(1, 32, 64));
            let prepared = View { width: 64, height: 32, data: &data }.prepare(&mut map, 0);
            assert!(prepared.measures.iter().all(|v| v.is_finite()), "{:?}", prepared.measures);
        }
    }
}

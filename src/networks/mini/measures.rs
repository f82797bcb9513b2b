//! Inputs of the heads besides the trunk's features: brightness, colour, sharpness by square, and the statistics that blur,
//! noise and JPEG blocks disturb. Pooled features alone are poor at judging focus.

use pulp::{Simd, WithSimd};

use base::pixels::Pixels;

/// Length of [`measures`].
pub const MEASURES: usize = SCALES * SHARPNESS + NATURAL_SCALES * NATURAL + COLOURS;
const SCALES: usize = 3;
const SHARPNESS: usize = 4;
const NATURAL_SCALES: usize = 2;
const NATURAL: usize = 6;
const COLOURS: usize = 10;
/// Squares per side for the distribution of sharpness.
const SQUARES: usize = 12;

/// The natural logarithm of values from 1 on, to five digits. It vectorises and gives the same result on every machine.
#[inline(always)]
pub(super) fn ln(v: f32) -> f32 {
    let bits = v.to_bits();
    let exponent = (bits >> 23) as f32 - 127.0;
    let mantissa = f32::from_bits(bits & 0x007F_FFFF | 0x3F80_0000);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = 1.0 + square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0)));
    exponent * std::f32::consts::LN_2 + 2.0 * s * series
}

/// A sum in sixteen lanes, joined in a fixed order, so that every processor gives the same result.
#[inline(always)]
pub(super) fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut sums = [0.0f32; 16];
    for chunk in chunks {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += of(*v);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|v| of(*v)).sum::<f32>()
}

/// Adds the sum of squared values of each square in a band of rows.
#[inline(always)]
pub(super) fn add_squares(band: &[f32], width: usize, side: usize, squares: &mut Vec<f32>) {
    let mut columns = vec![0.0f32; width];
    for row in band.chunks_exact(width) {
        for (column, v) in columns.iter_mut().zip(row) {
            *column += v * v;
        }
    }
    for part in columns.chunks_exact(side) {
        let mut sum = 0.0;
        for v in part {
            sum += v;
        }
        squares.push(sum);
    }
}

/// Brightness, 0 to 255.
pub(super) struct Plane {
    pub width: usize,
    pub height: usize,
    pub data: Vec<f32>,
}

/// Measures a picture of at least 32 pixels a side.
pub fn measures(picture: &Pixels) -> [f32; MEASURES] {
    pulp::Arch::new().dispatch(Measure(picture))
}

/// Compiled for the processor at hand.
struct Measure<'a>(&'a Pixels);

impl WithSimd for Measure<'_> {
    type Output = [f32; MEASURES];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [f32; MEASURES] {
        let mut all = Vec::with_capacity(MEASURES);
        let mut plane = Plane::luma(self.0);
        self.colours(&plane, &mut all);
        let mut edges = plane.laplacian();
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
}

impl Measure<'_> {
    /// Brightness, clipping and colour of the whole picture.
    #[inline(always)]
    fn colours(&self, luma: &Plane, all: &mut Vec<f32>) {
        let count = luma.data.len() as f32;
        let mut histogram = [0u32; 256];
        for v in &luma.data {
            histogram[usize::from(*v as u8)] += 1;
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
        let mean = sum(&luma.data, |v| v) / count;
        let spread = (sum(&luma.data, |v| (v - mean) * (v - mean)) / count).sqrt();
        // Two opponent colours, in units of the full range.
        let (mut sums, mut squares) = ([0.0f32; 2], [0.0f32; 2]);
        for pixels in self.0.data().chunks(3 * 256) {
            // In chunks, with the two colours apart, so that the loops vectorise.
            let mut axes = [[0.0f32; 256]; 2];
            for (at, p) in pixels.as_chunks::<3>().0.iter().enumerate() {
                let [red, green, blue] = p.map(|v| f32::from(v) / 255.0);
                axes[0][at] = red - green;
                axes[1][at] = 0.5 * (red + green) - blue;
            }
            for (axis, (all, square)) in axes.iter().zip(sums.iter_mut().zip(&mut squares)) {
                *all += sum(axis, |v| v);
                *square += sum(axis, |v| v * v);
            }
        }
        let means = sums.map(|sum| sum / count);
        let deviation = |i: usize| (squares[i] / count - means[i] * means[i]).max(0.0).sqrt();
        all.extend([mean / 255.0, spread / 255.0, share(0..5).sqrt(), share(251..256).sqrt()]);
        all.extend([quantile(0.02), quantile(0.98), means[0], means[1], deviation(0), deviation(1)]);
    }
}

impl Plane {
    #[inline(always)]
    pub fn luma(picture: &Pixels) -> Self {
        let mut data = vec![0.0; (picture.width() * picture.height()) as usize];
        for (light, p) in data.iter_mut().zip(picture.data().as_chunks::<3>().0) {
            *light = 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
        }
        Self { width: picture.width() as usize, height: picture.height() as usize, data }
    }

    #[inline(always)]
    pub fn row(&self, y: usize) -> &[f32] {
        &self.data[y * self.width..][..self.width]
    }

    /// The Laplacian of all pixels; zero along the edge.
    #[inline(always)]
    fn laplacian(&self) -> Vec<f32> {
        let (width, height) = (self.width, self.height);
        let mut out = vec![0.0; width * height];
        for y in 1..height.saturating_sub(1) {
            self.laplacian_of_row(y, &mut out[y * width + 1..(y + 1) * width - 1]);
        }
        out
    }

    /// The Laplacian of a row, from its second pixel on.
    #[inline(always)]
    pub fn laplacian_of_row(&self, y: usize, out: &mut [f32]) {
        let (above, here, below) = (self.row(y - 1), self.row(y), self.row(y + 1));
        let around = above[1..].iter().zip(&below[1..]).zip(here.iter().zip(&here[1..]).zip(&here[2..]));
        for (out, ((above, below), ((left, middle), right))) in out.iter_mut().zip(around) {
            *out = above + below + left + right - 4.0 * middle;
        }
    }

    #[inline(always)]
    pub fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut data = vec![0.0; width * height];
        for (y, row) in data.chunks_exact_mut(width.max(1)).enumerate() {
            let (above, below) = (self.row(2 * y).as_chunks::<2>().0, self.row(2 * y + 1).as_chunks::<2>().0);
            for (v, (a, b)) in row.iter_mut().zip(above.iter().zip(below)) {
                *v = 0.25 * (a[0] + a[1] + b[0] + b[1]);
            }
        }
        Self { width, height, data }
    }

    /// Sharpness of the squares: the mean, the maximum, and quantiles in between.
    #[inline(always)]
    fn sharpness(&self, edges: &[f32], all: &mut Vec<f32>) {
        let side = (self.width.min(self.height) / SQUARES).max(1);
        let (across, down) = (self.width / side, self.height / side);
        let mut squares = Vec::with_capacity(across * down);
        for band in edges.chunks_exact(self.width * side).take(down) {
            add_squares(band, self.width, side, &mut squares);
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
    #[inline(always)]
    fn natural(&self, all: &mut Vec<f32>) {
        let mean = self.smooth();
        let mut squares = vec![0.0; self.data.len()];
        for (square, v) in squares.iter_mut().zip(&self.data) {
            *square = v * v;
        }
        let squares = Self { data: squares, ..*self }.smooth();
        let count = self.data.len() as f32;
        let mut even = vec![0.0; self.data.len()];
        for (even, ((v, mean), square)) in even.iter_mut().zip(self.data.iter().zip(&mean).zip(&squares)) {
            *even = (v - mean) / ((square - mean * mean).max(0.0).sqrt() + 1.0);
        }
        let size = sum(&even, f32::abs) / count;
        let spread = sum(&even, |v| v * v) / count;
        all.extend([spread.sqrt(), size * size / (spread + 1e-6)]);
        for shift in [1, self.width] {
            let shifted = &even[shift.min(even.len())..];
            let mut products = vec![0.0; shifted.len()];
            for (product, (a, b)) in products.iter_mut().zip(even.iter().zip(shifted)) {
                *product = a * b;
            }
            let whole = spread * count + 1e-6;
            all.extend([sum(&products, |v| v) / whole, sum(&products, f32::abs) / whole]);
        }
    }

    /// A Gaussian blur of seven taps, with repeated edges.
    #[inline(always)]
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
        for value in [0, 115, 255] {
            let found = measures(&Pixels::new(64, 32, vec![value; 64 * 32 * 3]).expect("pixels"));
            assert!(found.iter().all(|v| v.is_finite()), "{found:?}");
        }
    }
}

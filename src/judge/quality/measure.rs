//! Measures technical quality in one pass over the pixels. All sums are exact integers, so the result does not depend
//! on the order of the work.

use pulp::{Simd, WithSimd};

use super::{Quality, Weights};
use base::pixels::Pixels;

/// The raw sharpness that counts as fully sharp.
const SHARP_ENOUGH: f64 = 1000.0;
/// The raw colourfulness that counts as fully colourful.
const COLORFUL_ENOUGH: f64 = 100.0;
/// The ratio of standard deviation to mean that counts as full contrast.
const CONTRAST_ENOUGH: f64 = 0.8;

/// Measures a picture of any size.
pub fn measure(picture: &Pixels, weights: &Weights) -> Quality {
    let sums = pulp::Arch::new().dispatch(Pass(picture));
    let sharpness_raw = sums.laplacian.variance();
    let sharpness = (sharpness_raw / SHARP_ENOUGH).clamp(0.0, 1.0);
    let exposure = exposure(&sums.histogram);
    let colorfulness_raw = colorfulness(&sums);
    let colorfulness = (colorfulness_raw / COLORFUL_ENOUGH).clamp(0.0, 1.0);
    let contrast = contrast(&sums.histogram);
    let total = weights.sharpness + weights.exposure + weights.colorfulness + weights.contrast;
    let overall = (weights.sharpness * sharpness
        + weights.exposure * exposure
        + weights.colorfulness * colorfulness
        + weights.contrast * contrast)
        / total;
    Quality { overall, sharpness, exposure, colorfulness, contrast, sharpness_raw, colorfulness_raw }
}

/// Count, sum and sum of squares of integers.
#[derive(Default)]
struct Moments {
    count: u64,
    sum: i64,
    squares: u64,
}

impl Moments {
    fn mean(&self) -> f64 {
        self.sum as f64 / self.count as f64
    }

    /// Population variance, computed exactly up to the last division.
    fn variance(&self) -> f64 {
        let n = i128::from(self.count);
        let spread = n * i128::from(self.squares) - i128::from(self.sum) * i128::from(self.sum);
        spread as f64 / (n as f64 * n as f64)
    }
}

struct Sums {
    histogram: [u64; 256],
    laplacian: Moments,
    /// R - G.
    red_green: Moments,
    /// R + G - 2B: twice the yellow-blue axis, to stay an integer.
    yellow_blue: Moments,
}

/// The pass over the pixels, compiled for the processor at hand.
struct Pass<'a>(&'a Pixels);

impl WithSimd for Pass<'_> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Sums {
        Sums::of(self.0)
    }
}

impl Sums {
    #[inline(always)]
    fn of(picture: &Pixels) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let mut sums = Self {
            histogram: [0; 256],
            laplacian: Moments { count: (width * height) as u64, ..Moments::default() },
            red_green: Moments { count: (width * height) as u64, ..Moments::default() },
            yellow_blue: Moments { count: (width * height) as u64, ..Moments::default() },
        };
        // Three grey rows are in memory at a time: above, here, below.
        let mut rows = [vec![0u8; width], vec![0u8; width], vec![0u8; width]];
        let source: Vec<&[u8]> = picture.rows().collect();
        sums.add_row(source[0], &mut rows[1]);
        if height > 1 {
            sums.add_row(source[1], &mut rows[2]);
        }
        for y in 0..height {
            // The border is mirrored without repeating the edge: row -1 is row 1, row h is row h-2.
            let [above, here, below] = &rows;
            match (y > 0, y + 1 < height) {
                (true, true) => sums.add_laplacian(above, here, below),
                (false, true) => sums.add_laplacian(below, here, below),
                (true, false) => sums.add_laplacian(above, here, above),
                (false, false) => sums.add_laplacian(here, here, here),
            }
            rows.rotate_left(1);
            if y + 2 < height {
                sums.add_row(source[y + 2], &mut rows[2]);
            }
        }
        sums
    }

    /// Adds one row's colours to the sums and leaves its grey values in `grey`.
    #[inline(always)]
    fn add_row(&mut self, row: &[u8], grey: &mut [u8]) {
        let (mut rg_sum, mut yb_sum) = (0i32, 0i32);
        let (mut rg_squares, mut yb_squares) = (0u64, 0u64);
        // Sums and sums of squares over 4096 pixels fit in 32 bits.
        for (pixels, greys) in row.chunks(4096 * 3).zip(grey.chunks_mut(4096)) {
            let (mut rg2, mut yb2) = (0u32, 0u32);
            for (p, out) in pixels.chunks_exact(3).zip(greys) {
                let (r, g, b) = (i32::from(p[0]), i32::from(p[1]), i32::from(p[2]));
                // OpenCV's fixed-point weights of R, G and B.
                *out = ((r * 9798 + g * 19235 + b * 3735 + 16384) >> 15) as u8;
                let (rg, yb) = (r - g, r + g - 2 * b);
                rg_sum += rg;
                yb_sum += yb;
                rg2 += (rg * rg) as u32;
                yb2 += (yb * yb) as u32;
            }
            rg_squares += u64::from(rg2);
            yb_squares += u64::from(yb2);
        }
        self.red_green.sum += i64::from(rg_sum);
        self.red_green.squares += rg_squares;
        self.yellow_blue.sum += i64::from(yb_sum);
        self.yellow_blue.squares += yb_squares;
        // Neighbouring pixels are often equal. Four tables avoid that each increment waits for the one before.
        let mut tables = [[0u32; 256]; 4];
        let mut quads = grey.chunks_exact(4);
        for quad in &mut quads {
            for (table, &value) in tables.iter_mut().zip(quad) {
                table[usize::from(value)] += 1;
            }
        }
        for &value in quads.remainder() {
            tables[0][usize::from(value)] += 1;
        }
        for (value, total) in self.histogram.iter_mut().enumerate() {
            *total += tables.iter().map(|table| u64::from(table[value])).sum::<u64>();
        }
    }

    /// Adds `above + below + left + right - 4 * here` of every pixel of one row.
    #[inline(always)]
    fn add_laplacian(&mut self, above: &[u8], here: &[u8], below: &[u8]) {
        let width = here.len();
        let (mut sum, mut squares) = (0i64, 0u64);
        let mut add = |value: i32| {
            sum += i64::from(value);
            squares += (value * value) as u64;
        };
        let at = |x: usize, left: usize, right: usize| {
            i32::from(above[x]) + i32::from(below[x]) + i32::from(here[left]) + i32::from(here[right])
                - 4 * i32::from(here[x])
        };
        add(at(0, 1.min(width - 1), 1.min(width - 1)));
        if width > 1 {
            add(at(width - 1, width - 2, width - 2));
        }
        if width > 2 {
            let inner = 1..width - 1;
            // |value| <= 1020, so 2048 squares fit in 32 bits.
            let blocks = above[inner.clone()]
                .chunks(2048)
                .zip(below[inner.clone()].chunks(2048))
                .zip(here[inner].chunks(2048))
                .zip(here[..width - 2].chunks(2048).zip(here[2..].chunks(2048)));
            for (((above, below), here), (left, right)) in blocks {
                let (mut block_sum, mut block_squares) = (0i32, 0u32);
                for ((((&a, &b), &h), &l), &r) in above.iter().zip(below).zip(here).zip(left).zip(right) {
                    let value = i32::from(a) + i32::from(b) + i32::from(l) + i32::from(r) - 4 * i32::from(h);
                    block_sum += value;
                    block_squares += (value * value) as u32;
                }
                sum += i64::from(block_sum);
                squares += u64::from(block_squares);
            }
        }
        self.laplacian.sum += sum;
        self.laplacian.squares += squares;
    }
}

/// The mean of the share of unclipped pixels and the entropy of the histogram, in single precision like the original.
fn exposure(histogram: &[u64; 256]) -> f64 {
    let total: u64 = histogram.iter().sum();
    let share = |count: u64| count as f32 / total as f32;
    let clipped = share(histogram[0]) + share(histogram[255]);
    let entropy: f32 =
        -histogram.iter().filter(|&&count| count > 0).map(|&count| share(count) * share(count).ln()).sum::<f32>();
    let spread = entropy / 256f32.ln();
    f64::from((0.5 * (1.0 - clipped) + 0.5 * spread).clamp(0.0, 1.0))
}

fn colorfulness(sums: &Sums) -> f64 {
    let (rg, yb) = (&sums.red_green, &sums.yellow_blue);
    let deviation = (rg.variance() + yb.variance() / 4.0).sqrt();
    let offset = rg.mean().hypot(yb.mean() / 2.0);
    deviation + 0.3 * offset
}

fn contrast(histogram: &[u64; 256]) -> f64 {
    let mut grey = Moments::default();
    for (value, &count) in (0i64..).zip(histogram) {
        grey.count += count;
        grey.sum += value * count as i64;
        grey.squares += (value * value) as u64 * count;
    }
    if grey.sum == 0 {
        return 0.0;
    }
    (grey.variance().sqrt() / grey.mean() / CONTRAST_ENOUGH).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(rgb: [u8; 3]) -> Quality {
        let picture = Pixels::new(40, 30, rgb.repeat(40 * 30)).unwrap();
        measure(&picture, &Weights::default())
    }

    #[track_caller]
    fn near(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-4, "got {got}, expected {expected}");
    }

    #[test]
    fn middle_grey_is_only_half_exposed() {
        let q = plain([128; 3]);
        assert_eq!((q.sharpness, q.colorfulness, q.contrast), (0.0, 0.0, 0.0));
        near(q.exposure, 0.5);
        near(q.overall, 0.15);
    }

    #[test]
    fn plain_black_and_plain_white_score_zero() {
        near(plain([0; 3]).overall, 0.0);
        near(plain([255; 3]).overall, 0.0);
    }

    #[test]
    fn pure_red_is_colourful() {
        let q = plain([255, 0, 0]);
        near(q.colorfulness_raw, 85.5297);
        near(q.overall, 0.3211);
    }

    #[test]
    fn one_pixel_has_neither_edges_nor_contrast() {
        let q = measure(&Pixels::new(1, 1, vec![9, 200, 30]).unwrap(), &Weights::default());
        assert_eq!((q.sharpness_raw, q.contrast), (0.0, 0.0));
        assert!(q.overall.is_finite());
    }

    /// A checkerboard: every Laplacian is ±4·255 with the mirrored border, so the variance is 1020².
    #[test]
    fn checkerboard_has_the_largest_laplacian() {
        let (width, height) = (6, 4);
        let data =
            (0..width * height).flat_map(|i| [if (i % width + i / width) % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let q = measure(&Pixels::new(width, height, data).unwrap(), &Weights::default());
        near(q.sharpness_raw, 1020.0 * 1020.0);
    }

    /// Compares with a direct implementation, to find gaps between the blocks of the inner loops.
    #[test]
    fn wide_pictures_equal_the_direct_formula() {
        let (width, height) = (9001u32, 3u32);
        let mut state = 1u32;
        let data: Vec<u8> = (0..width * height * 3)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let picture = Pixels::new(width, height, data).unwrap();
        let grey = |x: i64, y: i64| {
            let mirror = |v: i64, n: i64| {
                if v < 0 {
                    -v
                } else if v >= n {
                    2 * n - 2 - v
                } else {
                    v
                }
            };
            let [r, g, b] = picture.get(mirror(x, width as i64) as u32, mirror(y, height as i64) as u32);
            f64::from((i32::from(r) * 9798 + i32::from(g) * 19235 + i32::from(b) * 3735 + 16384) >> 15)
        };
        let values: Vec<f64> = (0..i64::from(height))
            .flat_map(|y| (0..i64::from(width)).map(move |x| (x, y)))
            .map(|(x, y)| grey(x - 1, y) + grey(x + 1, y) + grey(x, y - 1) + grey(x, y + 1) - 4.0 * grey(x, y))
            .collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let got = measure(&picture, &Weights::default()).sharpness_raw;
        assert!((got - variance).abs() / variance < 1e-9, "{got} {variance}");
    }
}

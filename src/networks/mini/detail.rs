//! Measurements at the original size of a photo: sharpness by square at three scales, traces of the JPEG grid, fine detail
//! by block, and brightness. Takes of the same scene differ most in these.

use pulp::{Simd, WithSimd};

use super::measures::{Plane, add_squares, ln, sum};
use base::pixels::Pixels;

/// Length of [`details`].
pub const DETAILS: usize = SCALES * SQUARES_AT + 2 + GRID + 2 * DIAGONALS.len() + LIGHT;
const SCALES: usize = 3;
/// The variance of the Laplacian, and the squares at the [`PLACES`] quantiles.
const SQUARES_AT: usize = 1 + PLACES.len();
/// Quantiles of the sharpness of the squares.
const PLACES: [f32; 8] = [0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98];
/// Indexes into [`PLACES`]: squares without detail, which show grain only, and sharp squares.
const PLAIN: usize = 2;
const SHARP: usize = 6;
/// Squares along the shorter side, and their minimum side in pixels.
const SQUARES: usize = 32;
const LEAST: usize = 4;
const GRID: usize = 2;
/// The diagonals of a block's 15 that are measured, from coarse to fine.
const DIAGONALS: [usize; 6] = [2, 4, 6, 8, 10, 12];
const LIGHT: usize = 14;
/// Side of a JPEG block.
const BLOCK: usize = 8;

/// Measures a picture of any size. Values that cannot be measured are zero.
pub fn details(picture: &Pixels) -> [f32; DETAILS] {
    let mut all = Vec::with_capacity(DETAILS);
    pulp::Arch::new().dispatch(Measure { picture, all: &mut all });
    let mut numbers = [0.0; DETAILS];
    numbers.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    numbers
}

/// Compiled for the processor at hand. Sums are kept in lanes and joined in a fixed order, so every processor gives the same
/// values.
struct Measure<'a> {
    picture: &'a Pixels,
    all: &'a mut Vec<f32>,
}

impl WithSimd for Measure<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (picture, all) = (self.picture, self.all);
        let luma = Plane::luma(picture);
        let mut above_grain = [0.0; 2];
        let mut smaller: Option<Plane> = None;
        for scale in 0..SCALES {
            let plane = smaller.as_ref().unwrap_or(&luma);
            let squares = squares(plane);
            if let Some(beyond) = above_grain.get_mut(scale) {
                *beyond = logarithm(squares[1 + SHARP] - squares[1 + PLAIN]);
            }
            all.extend(squares.map(logarithm));
            smaller = Some(plane.halved());
        }
        all.extend(above_grain);
        all.extend(grid(&luma));
        all.extend(cosines(&luma));
        all.extend(light(&luma, picture.data()));
    }
}

fn logarithm(v: f32) -> f32 {
    ln(1.0 + v.max(0.0))
}

/// The variance of the Laplacian, and its mean square in the squares at the [`PLACES`] quantiles.
#[inline(always)]
fn squares(plane: &Plane) -> [f32; SQUARES_AT] {
    let (width, height) = (plane.width, plane.height);
    let side = (width.min(height) / SQUARES).max(LEAST);
    let mut found = [0.0; SQUARES_AT];
    if width < side + 2 || height < side + 2 {
        return found;
    }
    let (across, down) = ((width - 2) / side, (height - 2) / side);
    let used = across * side;
    let mut squares = Vec::with_capacity(across * down);
    let mut edges = vec![0.0f32; used * side];
    let mut total = 0.0f64;
    for band in 0..down {
        for (y, edges) in edges.chunks_exact_mut(used).enumerate() {
            plane.laplacian_of_row(band * side + y + 1, edges);
        }
        total += f64::from(sum(&edges, |v| v));
        add_squares(&edges, used, side, &mut squares);
    }
    let area = (side * side) as f32;
    let count = f64::from(area) * squares.len() as f64;
    let (mean, square) = (total / count, squares.iter().map(|v| f64::from(*v)).sum::<f64>() / count);
    found[0] = (square - mean * mean) as f32;
    squares.sort_unstable_by(f32::total_cmp);
    for (found, place) in found[1..].iter_mut().zip(PLACES) {
        *found = squares[((squares.len() - 1) as f32 * place) as usize] / area;
    }
    found
}

/// The roughness of brightness across the borders of 8x8 blocks relative to elsewhere, along both axes.
#[inline(always)]
fn grid(luma: &Plane) -> [f32; GRID] {
    let (width, height) = (luma.width, luma.height);
    if width < 3 * BLOCK || height < 3 * BLOCK {
        return [0.0; GRID];
    }
    let (mut across, mut down) = ([0.0f64; BLOCK], [0.0f64; BLOCK]);
    // The outermost blocks are skipped, so that every position counts equally often.
    let (columns, rows) = (width / BLOCK * BLOCK - BLOCK, height / BLOCK * BLOCK - BLOCK);
    for y in BLOCK..rows {
        let here = luma.row(y);
        let mut sums = [0.0f32; BLOCK];
        for x in (BLOCK..columns).step_by(BLOCK) {
            add_rough(&mut sums, [&here[x - 1..], &here[x..], &here[x + 1..], &here[x + 2..]]);
        }
        for (all, sum) in across.iter_mut().zip(sums) {
            *all += f64::from(sum);
        }
        let (above, below, far) = (luma.row(y - 1), luma.row(y + 1), luma.row(y + 2));
        let mut sums = [0.0f32; BLOCK];
        for x in (BLOCK..columns).step_by(BLOCK) {
            add_rough(&mut sums, [&above[x..], &here[x..], &below[x..], &far[x..]]);
        }
        down[y % BLOCK] += f64::from(sums.iter().sum::<f32>());
    }
    let count = ((columns - BLOCK) * (rows - BLOCK) / BLOCK) as f64;
    [across, down].map(|sums| {
        let border = sums[BLOCK - 1] / count;
        let elsewhere = sums[..BLOCK - 1].iter().sum::<f64>() / count / (BLOCK - 1) as f64;
        ((border + 0.2) / (elsewhere + 0.2)).ln() as f32
    })
}

/// Adds third differences of four neighbours for the positions of a block, with a cap on strong edges.
#[inline(always)]
fn add_rough(sums: &mut [f32; BLOCK], [a, b, c, d]: [&[f32]; 4]) {
    const STRONG: f32 = 40.0;
    let (a, b, c, d) = (&a[..BLOCK], &b[..BLOCK], &c[..BLOCK], &d[..BLOCK]);
    for k in 0..BLOCK {
        sums[k] += (a[k] - 3.0 * b[k] + 3.0 * c[k] - d[k]).abs().min(STRONG);
    }
}

/// For diagonals of the DCT of 8x8 blocks, from coarse to fine: the mean log magnitude, and the share of coefficients near
/// zero. Uses every second block, in a checkerboard.
#[inline(always)]
fn cosines(luma: &Plane) -> [f32; 2 * DIAGONALS.len()] {
    let wave: [[f32; BLOCK]; BLOCK] = std::array::from_fn(|u| {
        let size = if u == 0 { 0.125f64.sqrt() } else { 0.5 };
        std::array::from_fn(|x| (size * ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos()) as f32)
    });
    let by_pixel: [[f32; BLOCK]; BLOCK] = std::array::from_fn(|x| wave.map(|wave| wave[x]));
    let (mut sizes, mut nothing) = ([[0.0f64; BLOCK]; BLOCK], [[0.0f64; BLOCK]; BLOCK]);
    let mut blocks = 0;
    for by in 0..luma.height / BLOCK {
        let (mut size_here, mut nothing_here) = ([[0.0f32; BLOCK]; BLOCK], [[0.0f32; BLOCK]; BLOCK]);
        for bx in (by % 2..luma.width / BLOCK).step_by(2) {
            blocks += 1;
            let mut lines = [[0.0f32; BLOCK]; BLOCK];
            for (y, line) in lines.iter_mut().enumerate() {
                let row = &luma.data[(by * BLOCK + y) * luma.width + bx * BLOCK..][..BLOCK];
                for (v, waves) in row.iter().zip(&by_pixel) {
                    for (sum, wave) in line.iter_mut().zip(waves) {
                        *sum += v * wave;
                    }
                }
            }
            for (v, (sizes, nothing)) in size_here.iter_mut().zip(&mut nothing_here).enumerate() {
                let mut cosines = [0.0f32; BLOCK];
                for (line, wave) in lines.iter().zip(&wave[v]) {
                    for (sum, line) in cosines.iter_mut().zip(line) {
                        *sum += wave * line;
                    }
                }
                for ((cosine, size), nothing) in cosines.iter().zip(sizes).zip(nothing) {
                    *size += ln(1.0 + cosine.abs());
                    *nothing += if cosine.abs() < 1.0 { 1.0 } else { 0.0 };
                }
            }
        }
        let add = |to: &mut [[f64; BLOCK]; BLOCK], from: [[f32; BLOCK]; BLOCK]| {
            to.as_flattened_mut().iter_mut().zip(from.as_flattened()).for_each(|(to, from)| *to += f64::from(*from));
        };
        add(&mut sizes, size_here);
        add(&mut nothing, nothing_here);
    }
    let mut found = [0.0; 2 * DIAGONALS.len()];
    for (found, diagonal) in found.as_chunks_mut::<2>().0.iter_mut().zip(DIAGONALS) {
        let on = (0..BLOCK).filter_map(|v| Some((v, diagonal.checked_sub(v).filter(|u| *u < BLOCK)?)));
        let count = on.clone().count() as f64 * f64::from(blocks.max(1));
        *found = [&sizes, &nothing].map(|all| (on.clone().map(|(v, u)| all[v][u]).sum::<f64>() / count) as f32);
    }
    found
}

/// Brightness: mean, deviation and quantiles; the shares of white, black and nearly so; the entropy of the histogram.
#[inline(always)]
fn light(luma: &Plane, bytes: &[u8]) -> [f32; LIGHT] {
    let mut four = [[0u32; 256]; 4];
    for values in luma.data.chunks(4) {
        for (histogram, v) in four.iter_mut().zip(values) {
            histogram[usize::from(*v as u8)] += 1;
        }
    }
    let histogram: [u32; 256] = std::array::from_fn(|v| four.iter().map(|histogram| histogram[v]).sum());
    let count = luma.data.len().max(1) as f64;
    let moment = |of: &dyn Fn(f64) -> f64| {
        histogram.iter().enumerate().map(|(v, n)| of(v as f64 + 0.5) * f64::from(*n)).sum::<f64>() / count
    };
    let mean = moment(&|v| v);
    let spread = moment(&|v| (v - mean).powi(2)).sqrt();
    let place = |share: f64| {
        let mut left = share * count;
        let at = histogram.iter().position(|n| {
            left -= f64::from(*n);
            left <= 0.0
        });
        at.unwrap_or(255) as f32
    };
    let mut counts = [0u32; 4];
    for part in bytes.chunks(128) {
        let mut few = [0u8; 4];
        for v in part {
            few[0] += u8::from(*v >= 250);
            few[1] += u8::from(*v >= 254);
            few[2] += u8::from(*v <= 5);
            few[3] += u8::from(*v <= 1);
        }
        for (count, few) in counts.iter_mut().zip(few) {
            *count += u32::from(few);
        }
    }
    let clipped = counts.map(|n| (n as f32 / bytes.len().max(1) as f32).sqrt());
    let evenness: f64 = histogram.iter().map(|n| f64::from(*n) / count).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
    let mut found = [0.0; LIGHT];
    let places = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99].map(place);
    let all = [mean as f32, spread as f32].into_iter().chain(places).chain(clipped).chain([evenness as f32]);
    found.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, value: impl Fn(u32, u32) -> f32) -> Pixels {
        let at = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let data = at.flat_map(|(x, y)| [value(x, y).clamp(0.0, 255.0) as u8; 3]).collect();
        Pixels::new(width, height, data).expect("pixels")
    }

    fn grain(x: u32, y: u32) -> f32 {
        let mut v = x.wrapping_mul(374_761_393).wrapping_add(y.wrapping_mul(668_265_263));
        v = (v ^ (v >> 13)).wrapping_mul(1_274_126_177);
        ((v ^ (v >> 16)) & 255) as f32 / 255.0 - 0.5
    }

    /// A checkerboard in the middle, soft or sharp, on a plain background.
    fn checks(soft: f32, noise: f32) -> Pixels {
        let wave = |v: u32| ((v % 16) as f32 - 7.5).abs() - 4.0;
        picture(256, 192, |x, y| {
            let inside = (64..192).contains(&x) && (48..144).contains(&y);
            let check = if inside { (wave(x) * wave(y) / soft).clamp(-60.0, 60.0) } else { 0.0 };
            120.0 + check + noise * grain(x, y)
        })
    }

    #[test]
    fn pictures_of_any_size_have_numbers() {
        for (width, height) in [(1, 1), (5, 5), (7, 300), (23, 24), (24, 24), (33, 64), (224, 31)] {
            let numbers = details(&picture(width, height, |x, y| 100.0 + 90.0 * grain(x, y)));
            assert!(numbers.iter().all(|v| v.is_finite()), "{width}x{height}: {numbers:?}");
        }
    }

    #[test]
    fn sharpness_is_distinguished_from_grain() {
        let (variance, above_grain) = (0, SCALES * SQUARES_AT);
        let (sharp, grainy) = (details(&checks(0.1, 0.0)), details(&checks(2.0, 24.0)));
        assert!(grainy[variance] > sharp[variance] - 0.5, "{} {}", grainy[variance], sharp[variance]);
        assert!(sharp[above_grain] > grainy[above_grain] + 0.3, "{} {}", sharp[above_grain], grainy[above_grain]);
    }

    #[test]
    fn only_blocks_on_the_jpeg_grid_count() {
        let borders = |picture: &Pixels| details(picture)[SCALES * SQUARES_AT + 2..][..GRID].to_vec();
        let blocks = |shift: u32| {
            picture(160, 160, move |x, y| 90.0 + 40.0 * grain((x + shift) / 8, (y + shift) / 8) + 2.0 * grain(x, y))
        };
        assert!(borders(&blocks(0)).iter().all(|v| *v > 1.0), "{:?}", borders(&blocks(0)));
        assert!(borders(&blocks(3)).iter().all(|v| *v < 0.0), "{:?}", borders(&blocks(3)));
    }

    #[test]
    fn blur_removes_fine_detail() {
        let finest = |picture: &Pixels| {
            let numbers = details(picture);
            let at = SCALES * SQUARES_AT + 2 + GRID + 2 * (DIAGONALS.len() - 1);
            (numbers[at], numbers[at + 1])
        };
        let (noisy, plain) = (finest(&checks(2.0, 60.0)), finest(&checks(2.0, 0.0)));
        assert!(noisy.0 > plain.0 + 0.5 && noisy.1 < plain.1, "{noisy:?} {plain:?}");
    }
}

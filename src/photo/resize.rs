//! The one place that resizes: 8-bit results equal to Pillow's, bit for bit, because the networks were trained on them.
//!
//! `fast_image_resize` (ported from Pillow-SIMD) keeps 16-bit weights where Pillow keeps 32-bit ones and differs by a
//! level here and there, so the two passes are written out. They are plain loops over fixed-size arrays; `pulp` compiles
//! them for the processor it runs on.

use std::borrow::Cow;
use std::f64::consts::PI;

use pulp::{Simd, WithSimd};

use crate::pixels::Pixels;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    Bilinear,
    Bicubic,
    Lanczos3,
}

/// Pillow's `Image.resize` as of 10.2 to 12.0: horizontal pass first. (13.0 takes the vertical one first for some shapes,
/// which moves single pixels by a level; what the networks learned from did not.) A side of zero is taken as one.
pub fn resize(source: &Pixels, width: u32, height: u32, filter: Filter) -> Pixels {
    let (width, height) = (width.max(1), height.max(1));
    let mut result = Cow::Borrowed(source);
    if width != source.width() {
        result = Cow::Owned(horizontal(source, &Taps::new(source.width(), width, filter)));
    }
    if height != source.height() {
        result = Cow::Owned(vertical(&result, &Taps::new(source.height(), height, filter)));
    }
    result.into_owned()
}

/// Pillow's `thumbnail` with Lanczos and no reducing gap: the long side at most `long_side`, never enlarged.
pub fn within(source: &Pixels, long_side: u32) -> Cow<'_, Pixels> {
    match size_within(source.width(), source.height(), long_side) {
        (width, height) if (width, height) == (source.width(), source.height()) => Cow::Borrowed(source),
        (width, height) => Cow::Owned(resize(source, width, height, Filter::Lanczos3)),
    }
}

/// The size [`within`] gives to a picture of `width` x `height`.
pub fn size_within(width: u32, height: u32, long_side: u32) -> (u32, u32) {
    let long_side = long_side.max(1);
    if long_side >= width.max(height) {
        return (width, height);
    }
    let (limit, aspect) = (f64::from(long_side), f64::from(width) / f64::from(height));
    if aspect <= 1.0 {
        (nearest(limit * aspect, |n| (aspect - n / limit).abs()), long_side)
    } else {
        (long_side, nearest(limit / aspect, |n| if n == 0.0 { 0.0 } else { (aspect - limit / n).abs() }))
    }
}

/// Whichever of the two whole neighbours costs less, the lower one when equal; at least one.
fn nearest(number: f64, cost: impl Fn(f64) -> f64) -> u32 {
    let (low, high) = (number.floor(), number.ceil());
    let chosen = if cost(high) < cost(low) { high } else { low };
    chosen.max(1.0) as u32
}

/// torchvision's `Resize(side)`: the short side becomes `side`, the long side `trunc(side * long / short)`.
pub fn short_side(source: &Pixels, side: u32, filter: Filter) -> Cow<'_, Pixels> {
    let side = side.max(1);
    let (width, height) = (source.width(), source.height());
    if width.min(height) == side {
        return Cow::Borrowed(source);
    }
    let along = |long: u32, short: u32| (u64::from(side) * u64::from(long) / u64::from(short)) as u32;
    let (to_width, to_height) =
        if width <= height { (side, along(height, width)) } else { (along(width, height), side) };
    Cow::Owned(resize(source, to_width, to_height, filter))
}

/// torchvision's `CenterCrop(side)`; offsets round half to even as Python does. A picture smaller than that is cut to
/// what there is.
pub fn centre_crop(source: &Pixels, side: u32) -> Pixels {
    let (width, height) = (source.width().min(side.max(1)), source.height().min(side.max(1)));
    let offset = |long: u32, short: u32| (f64::from(long - short) / 2.0).round_ties_even() as u32;
    cut(source, offset(source.width(), width), offset(source.height(), height), width, height)
}

/// The rectangle, or `None` where it is empty or leaves the picture.
pub fn crop(source: &Pixels, x: u32, y: u32, width: u32, height: u32) -> Option<Pixels> {
    let inside = x.checked_add(width)? <= source.width() && y.checked_add(height)? <= source.height();
    (inside && width > 0 && height > 0).then(|| cut(source, x, y, width, height))
}

fn cut(source: &Pixels, x: u32, y: u32, width: u32, height: u32) -> Pixels {
    let (from, to) = (x as usize * 3, (x + width) as usize * 3);
    let mut data = Vec::with_capacity((to - from) * height as usize);
    for row in source.rows().skip(y as usize).take(height as usize) {
        data.extend_from_slice(&row[from..to]);
    }
    whole(width, height, data)
}

fn whole(width: u32, height: u32, data: Vec<u8>) -> Pixels {
    Pixels::new(width, height, data).expect("the buffer was made for this size")
}

/// Pillow's fixed point: 8 bits for the result and 2 for the overshoot of filters with negative lobes.
const PRECISION: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (PRECISION - 1);

/// For each output position the first input position and the weights that start there.
struct Taps {
    window: usize,
    starts: Vec<usize>,
    counts: Vec<usize>,
    weights: Vec<i32>,
}

impl Taps {
    /// Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`, with their order of operations.
    fn new(input: u32, output: u32, filter: Filter) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let window = support.ceil() as usize * 2 + 1;
        let mut taps = Self { window, starts: Vec::new(), counts: Vec::new(), weights: Vec::new() };
        let mut raw = Vec::with_capacity(window);
        for position in 0..output {
            let centre = (f64::from(position) + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(input as usize);
            raw.clear();
            raw.extend((first..end).map(|x| filter.at((x as f64 - centre + 0.5) * (1.0 / stretch))));
            let sum: f64 = raw.iter().sum();
            taps.starts.push(first);
            taps.counts.push(raw.len());
            taps.weights.extend(raw.iter().map(|weight| fixed(if sum == 0.0 { *weight } else { weight / sum })));
            taps.weights.resize(taps.starts.len() * window, 0);
        }
        taps
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let weights = self.weights.chunks_exact(self.window);
        self.starts.iter().zip(&self.counts).zip(weights).map(|((&start, &count), weights)| (start, &weights[..count]))
    }

    fn len(&self) -> usize {
        self.starts.len()
    }
}

/// Rounded half away from zero, as a C cast of `x ± 0.5` does.
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos3 => 3.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        match self {
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => bicubic(x.abs()),
            Self::Lanczos3 if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos3 => 0.0,
        }
    }
}

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// Rows taken together in the horizontal pass: a vector register of sums, or two.
const LANES: usize = 16;

// `pulp` compiles for the processor what is inlined into `with_simd`, hence `always` below; what it does not inline, a
// closure's body among them, stays at the oldest processor's instructions and takes three times as long.

/// Lays `LANES` rows side by side, one row a lane, so that neighbouring columns are neighbouring vectors and every
/// weight is used for all lanes at once.
fn horizontal(source: &Pixels, taps: &Taps) -> Pixels {
    let (from, to) = (source.width() as usize * 3, taps.len() * 3);
    let mut data = vec![0; to * source.height() as usize];
    let (mut lanes, mut sums) = (vec![[0_u8; LANES]; from], vec![[0_u8; LANES]; to]);
    let arch = pulp::Arch::new();
    for (rows, out) in source.data().chunks(from * LANES).zip(data.chunks_mut(to * LANES)) {
        arch.dispatch(Across { rows, taps, lanes: &mut lanes, sums: &mut sums, out });
    }
    whole(taps.len() as u32, source.height(), data)
}

struct Across<'a> {
    rows: &'a [u8],
    taps: &'a Taps,
    lanes: &'a mut [[u8; LANES]],
    sums: &'a mut [[u8; LANES]],
    out: &'a mut [u8],
}

impl WithSimd for Across<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        interleave(self.rows, self.lanes.len(), self.lanes);
        weigh_lanes(self.lanes, self.taps, self.sums);
        separate(self.sums, self.sums.len(), self.out);
    }
}

#[inline(always)]
fn interleave(rows: &[u8], width: usize, lanes: &mut [[u8; LANES]]) {
    let squares = if rows.len() == width * LANES { width / SIDE } else { 0 };
    for square in 0..squares {
        let x = square * SIDE;
        for first in (0..LANES).step_by(SIDE) {
            let columns = transposed(std::array::from_fn(|row| word(&rows[(first + row) * width + x..])));
            for (lane, column) in lanes[x..x + SIDE].iter_mut().zip(columns) {
                lane[first..first + SIDE].copy_from_slice(&column.to_le_bytes());
            }
        }
    }
    for (lane, row) in rows.chunks_exact(width).enumerate() {
        for (column, value) in lanes.iter_mut().zip(row).skip(squares * SIDE) {
            column[lane] = *value;
        }
    }
}

#[inline(always)]
fn separate(lanes: &[[u8; LANES]], width: usize, rows: &mut [u8]) {
    let squares = if rows.len() == width * LANES { width / SIDE } else { 0 };
    for square in 0..squares {
        let x = square * SIDE;
        for first in (0..LANES).step_by(SIDE) {
            let words = transposed(std::array::from_fn(|column| word(&lanes[x + column][first..])));
            for (row, word) in words.into_iter().enumerate() {
                let at = (first + row) * width + x;
                rows[at..at + SIDE].copy_from_slice(&word.to_le_bytes());
            }
        }
    }
    for (lane, row) in rows.chunks_exact_mut(width).enumerate() {
        for (column, value) in lanes.iter().zip(row).skip(squares * SIDE) {
            *value = column[lane];
        }
    }
}

/// Bytes of a word, and words of a square that is transposed at once.
const SIDE: usize = 8;

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Swaps rows and columns of 8 x 8 bytes: halves first, then quarters, then neighbours.
#[inline(always)]
fn transposed(mut rows: [u64; SIDE]) -> [u64; SIDE] {
    for (step, mask) in [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
        for upper in (0..SIDE).filter(|row| row & step == 0) {
            let swapped = ((rows[upper] >> (8 * step)) ^ rows[upper + step]) & mask;
            rows[upper] ^= swapped << (8 * step);
            rows[upper + step] ^= swapped;
        }
    }
    rows
}

#[inline(always)]
fn weigh_lanes(lanes: &[[u8; LANES]], taps: &Taps, out: &mut [[u8; LANES]]) {
    for ((start, weights), out) in taps.iter().zip(out.chunks_exact_mut(3)) {
        for (channel, out) in out.iter_mut().enumerate() {
            let mut sums = [HALF; LANES];
            for (values, weight) in lanes[start * 3 + channel..].iter().step_by(3).zip(weights) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += i32::from(*value) * weight;
                }
            }
            *out = sums.map(to_byte);
        }
    }
}

fn vertical(source: &Pixels, taps: &Taps) -> Pixels {
    let row_bytes = source.width() as usize * 3;
    let mut data = vec![0; row_bytes * taps.len()];
    let mut sums = vec![0; row_bytes];
    let arch = pulp::Arch::new();
    for ((start, weights), out) in taps.iter().zip(data.chunks_exact_mut(row_bytes)) {
        let rows = &source.data()[start * row_bytes..(start + weights.len()) * row_bytes];
        arch.dispatch(Down { rows, weights, sums: &mut sums, out });
    }
    whole(source.width(), taps.len() as u32, data)
}

struct Down<'a> {
    rows: &'a [u8],
    weights: &'a [i32],
    sums: &'a mut [i32],
    out: &'a mut [u8],
}

impl WithSimd for Down<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.sums.fill(HALF);
        for (row, weight) in self.rows.chunks_exact(self.sums.len()).zip(self.weights) {
            for (sum, value) in self.sums.iter_mut().zip(row) {
                *sum += i32::from(*value) * weight;
            }
        }
        for (out, sum) in self.out.iter_mut().zip(self.sums) {
            *out = to_byte(*sum);
        }
    }
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The same picture as `picture` in `tests/reference/resize.py`.
    fn picture(width: u32, height: u32) -> Pixels {
        let mut data = Vec::new();
        for y in 0..height {
            for x in 0..width {
                for c in 0..3_u32 {
                    let hash = x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663) ^ c.wrapping_mul(83_492_791);
                    let hash = (hash ^ (hash >> 13)).wrapping_mul(0x5bd1_e995);
                    let edge = if (x / 7 + y / 5 + c).is_multiple_of(3) { 255 } else { 0 };
                    data.push(((((hash >> 15) & 255) + edge + (x * 3 + y * 2) % 256) / 3) as u8);
                }
            }
        }
        whole(width, height, data)
    }

    fn fnv1a(data: &[u8]) -> String {
        let hash = data
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        format!("{hash:016x}")
    }

    fn recorded() -> Value {
        serde_json::from_str(include_str!("../../tests/reference/resize.json")).expect("the recorded values are JSON")
    }

    fn side(value: &Value, at: usize) -> u32 {
        value[at].as_u64().expect("a size") as u32
    }

    fn assert_recorded(result: &Pixels, case: &Value) {
        assert_eq!((result.width(), result.height()), (side(&case["to"], 0), side(&case["to"], 1)), "{case}");
        let head: Vec<u64> = result.data().iter().take(12).map(|byte| u64::from(*byte)).collect();
        assert_eq!(Value::from(head), case["head"], "{case}");
        assert_eq!(fnv1a(result.data()), case["fnv1a"].as_str().expect("a digest"), "{case}");
    }

    #[test]
    fn resize_equals_pillow_bit_for_bit() {
        for case in recorded()["resized"].as_array().expect("cases") {
            let filter = match case["filter"].as_str() {
                Some("bilinear") => Filter::Bilinear,
                Some("bicubic") => Filter::Bicubic,
                _ => Filter::Lanczos3,
            };
            let source = picture(side(&case["from"], 0), side(&case["from"], 1));
            assert_recorded(&resize(&source, side(&case["to"], 0), side(&case["to"], 1), filter), case);
        }
    }

    #[test]
    fn within_equals_pillows_thumbnail() {
        for case in recorded()["thumbnails"].as_array().expect("cases") {
            let source = picture(side(&case["from"], 0), side(&case["from"], 1));
            let long_side = case["side"].as_u64().expect("a side") as u32;
            assert_recorded(&within(&source, long_side), case);
        }
    }

    #[test]
    fn within_never_enlarges_nor_copies_without_need() {
        assert!(matches!(within(&picture(90, 60), 90), Cow::Borrowed(_)));
        assert!(matches!(within(&picture(90, 60), 4000), Cow::Borrowed(_)));
    }

    #[test]
    fn short_side_truncates_the_long_one() {
        let size = |pixels: Cow<'_, Pixels>| (pixels.width(), pixels.height());
        assert_eq!(size(short_side(&picture(500, 375), 256, Filter::Bilinear)), (341, 256));
        assert_eq!(size(short_side(&picture(375, 500), 256, Filter::Bilinear)), (256, 341));
        assert_eq!(size(short_side(&picture(100, 300), 256, Filter::Bicubic)), (256, 768));
        assert!(matches!(short_side(&picture(300, 256), 256, Filter::Bilinear), Cow::Borrowed(_)));
    }

    #[test]
    fn centre_crop_rounds_its_offset_half_to_even() {
        // (11 - 6) / 2 = 2.5 -> 2 and (13 - 6) / 2 = 3.5 -> 4.
        let source = picture(11, 13);
        let middle = centre_crop(&source, 6);
        assert_eq!((middle.width(), middle.height()), (6, 6));
        assert_eq!(middle.get(0, 0), source.get(2, 4));
        assert_eq!(middle.get(5, 5), source.get(7, 9));
        let small = centre_crop(&source, 12);
        assert_eq!((small.width(), small.height()), (11, 12));
    }

    #[test]
    fn crop_refuses_what_leaves_the_picture() {
        let source = picture(8, 6);
        assert_eq!(crop(&source, 2, 3, 4, 2).expect("inside").get(1, 1), source.get(3, 4));
        assert!(crop(&source, 5, 0, 4, 1).is_none());
        assert!(crop(&source, 0, 0, 0, 1).is_none());
        assert!(crop(&source, u32::MAX, 0, 2, 1).is_none());
    }
}

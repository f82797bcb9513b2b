//! Resizes pictures, bit for bit like Pillow with 8-bit channels, because the networks were trained on its output.
//!
//! `fast_image_resize` (ported from Pillow-SIMD) uses 16-bit weights where Pillow uses 32-bit ones and differs by a
//! level in places, so the two passes are implemented here. They are plain loops over fixed-size arrays, which `pulp`
//! compiles for the processor at hand.
//!
//! The passes are interleaved: source rows are resized horizontally when an output row needs them and then dropped, and
//! weights are computed on use. So little memory is needed beside the result, for any shape of picture.

use std::borrow::Cow;
use std::f64::consts::PI;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use base::pixels::Pixels;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    Bilinear,
    Bicubic,
    Lanczos3,
}

/// Pillow's `Image.resize` of versions 10.2 to 12.0: horizontal pass first. (13.0 runs the vertical one first for some
/// shapes, which changes single pixels by a level; the networks were trained before that.) A side of zero counts as
/// one.
pub fn resize(source: &Pixels, width: u32, height: u32, filter: Filter) -> Pixels {
    let (width, height) = (width.max(1), height.max(1));
    part(source, (width, height), filter, 0..width, 0..height, &|| true).expect("nobody says stop")
}

/// Pillow's `thumbnail` with Lanczos and no reducing gap: the long side at most `long_side`, never enlarged.
pub fn within(source: &Pixels, long_side: u32) -> Cow<'_, Pixels> {
    within_while(source, long_side, &|| true).expect("nobody says stop")
}

/// Like [`within`]; aborts with `None` soon after `go_on` returns false.
pub fn within_while<'a>(source: &'a Pixels, long_side: u32, go_on: &dyn Fn() -> bool) -> Option<Cow<'a, Pixels>> {
    let (width, height) = size_within(source.width(), source.height(), long_side);
    if (width, height) == (source.width(), source.height()) {
        return Some(Cow::Borrowed(source));
    }
    part(source, (width, height), Filter::Lanczos3, 0..width, 0..height, go_on).map(Cow::Owned)
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

/// The neighbouring integer of lower cost, the lower one if equal; at least one.
fn nearest(number: f64, cost: impl Fn(f64) -> f64) -> u32 {
    let (low, high) = (number.floor(), number.ceil());
    let chosen = if cost(high) < cost(low) { high } else { low };
    chosen.max(1.0) as u32
}

/// torchvision's `Resize(side)`: the short side becomes `side`, the long side `trunc(side * long / short)`.
pub fn short_side(source: &Pixels, side: u32, filter: Filter) -> Cow<'_, Pixels> {
    let (width, height) = size_by_short_side(source, side);
    if (width, height) == (source.width(), source.height()) {
        return Cow::Borrowed(source);
    }
    Cow::Owned(resize(source, width, height, filter))
}

/// [`short_side`] followed by [`centre_crop`], computing only the cropped part: for a strip of 1024 x 1 the rest would
/// take 200 MB.
pub fn short_side_cropped(source: &Pixels, side: u32, filter: Filter, crop: u32) -> Pixels {
    let (width, height) = size_by_short_side(source, side);
    let (x, y) = (middle(width, crop), middle(height, crop));
    part(source, (width, height), filter, x, y, &|| true).expect("nobody says stop")
}

fn size_by_short_side(source: &Pixels, side: u32) -> (u32, u32) {
    let side = side.max(1);
    let (width, height) = (source.width(), source.height());
    let along =
        |long: u32, short: u32| u32::try_from(u64::from(side) * u64::from(long) / u64::from(short)).unwrap_or(u32::MAX);
    if width <= height { (side, along(height, width)) } else { (along(width, height), side) }
}

/// torchvision's `CenterCrop(side)`; offsets round half to even, as in Python. A smaller picture is not padded.
pub fn centre_crop(source: &Pixels, side: u32) -> Pixels {
    let (x, y) = (middle(source.width(), side), middle(source.height(), side));
    cut(source, x.start, y.start, x.end - x.start, y.end - y.start)
}

/// The centred range of at most `wanted` pixels.
fn middle(long: u32, wanted: u32) -> Range<u32> {
    let length = long.min(wanted.max(1));
    let offset = (f64::from(long - length) / 2.0).round_ties_even() as u32;
    offset..offset + length
}

/// Crops a rectangle; `None` if it is empty or not inside the picture.
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

/// The resampling along one axis.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    scale: f64,
    stretch: f64,
    support: f64,
    filter: Filter,
}

impl Axis {
    fn new(input: u32, output: u32, filter: Filter) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let stretch = scale.max(1.0);
        Self { input: input as usize, scale, stretch, support: filter.support() * stretch, filter }
    }

    /// The largest number of input positions of an output position.
    fn window(&self) -> usize {
        self.support.ceil() as usize * 2 + 1
    }

    /// Returns the input positions of an output position, and appends their weights to `weights`. Pillow's
    /// `precompute_coeffs` and `normalize_coeffs_8bpc`, with the same order of operations.
    fn weigh(&self, position: u32, raw: &mut Vec<f64>, weights: &mut Vec<i32>) -> Range<usize> {
        let centre = (f64::from(position) + 0.5) * self.scale;
        let first = (centre - self.support + 0.5).max(0.0) as usize;
        let end = ((centre + self.support + 0.5) as usize).min(self.input);
        raw.clear();
        raw.extend((first..end).map(|x| self.filter.at((x as f64 - centre + 0.5) * (1.0 / self.stretch))));
        let sum: f64 = raw.iter().sum();
        weights.extend(raw.iter().map(|weight| fixed(if sum == 0.0 { *weight } else { weight / sum })));
        first..end
    }
}

/// The weights of neighbouring output columns.
struct Taps {
    /// For each column the first input column, and the end of its weights.
    columns: Vec<(usize, usize)>,
    weights: Vec<i32>,
    /// The range of all input columns.
    input: Range<usize>,
}

impl Taps {
    fn new(axis: &Axis, output: Range<u32>) -> Self {
        let (mut columns, mut weights, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        let (mut first, mut end) = (usize::MAX, 0);
        for position in output {
            let input = axis.weigh(position, &mut raw, &mut weights);
            columns.push((input.start, weights.len()));
            (first, end) = (first.min(input.start), end.max(input.end));
        }
        Self { columns, weights, input: first..end }
    }

    /// For each column its first input column, relative to the start of `input`, and its weights.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let mut from = 0;
        self.columns.iter().map(move |&(start, end)| {
            let weights = &self.weights[from..end];
            from = end;
            (start - self.input.start, weights)
        })
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

/// Rows processed together in the horizontal pass: one or two vector registers of sums.
const LANES: usize = 16;

// `pulp` compiles only what is inlined into `with_simd` for the processor at hand, hence `inline(always)` below.
// Anything else, such as a closure's body, uses baseline instructions and takes three times as long.

/// The largest number of weights in memory; wider results are computed in strips of columns. A photo takes one strip.
const WEIGHTS_AT_ONCE: usize = 1 << 20;

/// Computes the columns `x` and rows `y` of the picture resized to `size`; `None` once `go_on` returns false.
fn part(
    source: &Pixels,
    size: (u32, u32),
    filter: Filter,
    x: Range<u32>,
    y: Range<u32>,
    go_on: &dyn Fn() -> bool,
) -> Option<Pixels> {
    let (width, height) = (x.end - x.start, y.end - y.start);
    if size == (source.width(), source.height()) {
        return Some(cut(source, x.start, y.start, width, height));
    }
    let mut data = vec![0; width as usize * height as usize * 3];
    let across = (size.0 != source.width()).then(|| Axis::new(source.width(), size.0, filter));
    let down = (size.1 != source.height()).then(|| Axis::new(source.height(), size.1, filter));
    let columns = across.map_or(width, |axis| (WEIGHTS_AT_ONCE / axis.window()).clamp(1, width as usize) as u32);
    for left in x.clone().step_by(columns as usize) {
        let strip = left..left.saturating_add(columns).min(x.end);
        let mut rows = HorizontalPass::new(source, across.as_ref(), strip.clone());
        let out = (strip.start - x.start) as usize * 3..(strip.end - x.start) as usize * 3;
        let lines = data.chunks_exact_mut(width as usize * 3).map(|line| &mut line[out.clone()]);
        fill(lines, y.clone(), down.as_ref(), &mut rows, go_on)?;
    }
    Some(whole(width, height, data))
}

/// Computes the rows `y` of the result (the vertical pass).
fn fill<'a>(
    lines: impl Iterator<Item = &'a mut [u8]>,
    y: Range<u32>,
    down: Option<&Axis>,
    rows: &mut HorizontalPass,
    go_on: &dyn Fn() -> bool,
) -> Option<()> {
    let arch = pulp::Arch::new();
    let (mut raw, mut weights, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    for (position, out) in y.zip(lines) {
        if !go_on() {
            return None;
        }
        let Some(axis) = down else {
            let (rows, _, first) = rows.reach(position as usize..position as usize + 1, &arch);
            out.copy_from_slice(&rows[first..first + out.len()]);
            continue;
        };
        weights.clear();
        let needed = axis.weigh(position, &mut raw, &mut weights);
        sums.resize(out.len(), 0);
        let (rows, stride, first) = rows.reach(needed, &arch);
        arch.dispatch(Down { rows, stride, first, weights: &weights, sums: &mut sums, out });
    }
    Some(())
}

/// The horizontal pass: source rows, resized on demand from top to bottom.
struct HorizontalPass<'a> {
    source: &'a Pixels,
    strip: Range<u32>,
    taps: Option<Taps>,
    lanes: Vec<[u8; LANES]>,
    sums: Vec<[u8; LANES]>,
    /// The resized rows that may be needed again, and the number of the first.
    band: Vec<u8>,
    first: usize,
}

impl<'a> HorizontalPass<'a> {
    fn new(source: &'a Pixels, axis: Option<&Axis>, strip: Range<u32>) -> Self {
        let taps = axis.map(|axis| Taps::new(axis, strip.clone()));
        let (from, to) = taps.as_ref().map_or((0, 0), |taps| (taps.input.len() * 3, taps.columns.len() * 3));
        let (lanes, sums) = (vec![[0; LANES]; from], vec![[0; LANES]; to]);
        Self { source, strip, taps, lanes, sums, band: Vec::new(), first: 0 }
    }

    /// Returns bytes that start with the first of `rows`, their stride, and the offset of the strip in each row.
    /// Earlier rows cannot be requested later.
    fn reach(&mut self, rows: Range<usize>, arch: &pulp::Arch) -> (&[u8], usize, usize) {
        let stored = self.source.width() as usize * 3;
        let Some(taps) = &self.taps else {
            return (
                &self.source.data()[rows.start * stored..rows.end * stored],
                stored,
                self.strip.start as usize * 3,
            );
        };
        let stride = taps.columns.len() * 3;
        let mut made = self.first + self.band.len() / stride;
        if made < rows.end {
            let done = rows.start.min(made) - self.first;
            self.band.drain(..done * stride);
            self.first = rows.start;
            made = made.max(rows.start);
        }
        while made < rows.end {
            let count = LANES.min(self.source.height() as usize - made);
            let from = self.band.len();
            self.band.resize(from + count * stride, 0);
            let rows = &self.source.data()[made * stored..(made + count) * stored];
            let (lanes, sums, out) = (&mut self.lanes, &mut self.sums, &mut self.band[from..]);
            arch.dispatch(Across { rows, stored, count, taps, lanes, sums, out });
            made += count;
        }
        (&self.band[(rows.start - self.first) * stride..], stride, 0)
    }
}

/// Transposes `LANES` rows, one per lane, so that each weight is applied to all lanes at once.
struct Across<'a> {
    rows: &'a [u8],
    stored: usize,
    count: usize,
    taps: &'a Taps,
    lanes: &'a mut [[u8; LANES]],
    sums: &'a mut [[u8; LANES]],
    out: &'a mut [u8],
}

impl WithSimd for Across<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        interleave(&self.rows[self.taps.input.start * 3..], self.stored, self.count, self.lanes);
        weigh_lanes(self.lanes, self.taps, self.sums);
        separate(self.sums, self.sums.len(), self.out);
    }
}

#[inline(always)]
fn interleave(rows: &[u8], stride: usize, count: usize, lanes: &mut [[u8; LANES]]) {
    let squares = if count == LANES { lanes.len() / SIDE } else { 0 };
    for square in 0..squares {
        let x = square * SIDE;
        for first in (0..LANES).step_by(SIDE) {
            let columns = transposed(std::array::from_fn(|row| word(&rows[(first + row) * stride + x..])));
            for (lane, column) in lanes[x..x + SIDE].iter_mut().zip(columns) {
                lane[first..first + SIDE].copy_from_slice(&column.to_le_bytes());
            }
        }
    }
    for (lane, row) in rows.chunks(stride).take(count).enumerate() {
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

/// Bytes per word, and words per square that is transposed at once.
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

/// The weighted sum of as many rows as there are weights.
struct Down<'a> {
    rows: &'a [u8],
    stride: usize,
    /// The offset of the strip in each row.
    first: usize,
    weights: &'a [i32],
    sums: &'a mut [i32],
    out: &'a mut [u8],
}

impl WithSimd for Down<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.sums.fill(HALF);
        for (row, weight) in self.rows.chunks_exact(self.stride).zip(self.weights) {
            for (sum, value) in self.sums.iter_mut().zip(&row[self.first..]) {
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

    /// Both passes one after the other over all of the picture, with the same weights.
    fn plainly(source: &Pixels, size: (u32, u32), filter: Filter) -> Pixels {
        let weighed = |axis: &Axis, at: u32, value: &dyn Fn(usize) -> u8| {
            let mut weights = Vec::new();
            let input = axis.weigh(at, &mut Vec::new(), &mut weights);
            to_byte(HALF + input.zip(weights).map(|(from, weight)| i32::from(value(from)) * weight).sum::<i32>())
        };
        let (stored, rows) = (source.width() as usize, source.height());
        let across = Axis::new(source.width(), size.0, filter);
        let mut narrow = Vec::new();
        for (y, x, c) in (0..rows as usize).flat_map(|y| (0..size.0).flat_map(move |x| (0..3).map(move |c| (y, x, c))))
        {
            let value = |from: usize| source.data()[(y * stored + from) * 3 + c];
            narrow.push(if size.0 == source.width() { value(x as usize) } else { weighed(&across, x, &value) });
        }
        let (down, line) = (Axis::new(rows, size.1, filter), size.0 as usize * 3);
        let mut data = Vec::new();
        for (y, at) in (0..size.1).flat_map(|y| (0..line).map(move |at| (y, at))) {
            let value = |from: usize| narrow[from * line + at];
            data.push(if size.1 == rows { value(y as usize) } else { weighed(&down, y, &value) });
        }
        whole(size.0, size.1, data)
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_part_equals_that_part_of_the_whole(
            from in (1_u32..90, 1_u32..90),
            to in (1_u32..70, 1_u32..70),
            (left, top) in (0.0..1.0_f64, 0.0..1.0_f64),
            filter in proptest::sample::select(vec![Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3]),
        ) {
            let source = picture(from.0, from.1);
            let expected = plainly(&source, to, filter);
            proptest::prop_assert_eq!(&resize(&source, to.0, to.1, filter), &expected);
            let (x, y) = ((f64::from(to.0) * left) as u32, (f64::from(to.1) * top) as u32);
            let shown = part(&source, to, filter, x..to.0, y..to.1, &|| true);
            proptest::prop_assert_eq!(shown, crop(&expected, x, y, to.0 - x, to.1 - y));
        }
    }

    #[test]
    fn strips_of_columns_join_without_a_seam() {
        let source = picture(700_000, 2);
        for (size, filter) in [((5, 2), Filter::Lanczos3), ((7, 1), Filter::Bilinear)] {
            assert!(WEIGHTS_AT_ONCE / Axis::new(source.width(), size.0, filter).window() < size.0 as usize);
            assert_eq!(resize(&source, size.0, size.1, filter), plainly(&source, size, filter));
        }
    }

    #[test]
    fn a_crop_of_an_enlarged_strip_costs_only_itself() {
        let strip = picture(1024, 1);
        let all = centre_crop(&short_side(&strip, 64, Filter::Bicubic), 60);
        assert_eq!(short_side_cropped(&strip, 64, Filter::Bicubic, 60), all);
        // The whole would be 75,000,000 x 250.
        let long = picture(300_000, 1);
        assert_eq!(short_side_cropped(&long, 250, Filter::Bilinear, 224).width(), 224);
        for (width, height, side, crop) in
            [(300, 200, 256, 224), (200, 301, 256, 224), (40, 30, 30, 24), (64, 64, 64, 70)]
        {
            let photo = picture(width, height);
            let expected = centre_crop(&short_side(&photo, side, Filter::Bilinear), crop);
            assert_eq!(short_side_cropped(&photo, side, Filter::Bilinear, crop), expected);
        }
    }

    #[test]
    fn whoever_says_stop_is_heard() {
        assert!(within_while(&picture(300, 200), 100, &|| false).is_none());
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

//! The two passes of resampling. They are plain loops over fixed-size arrays, which `pulp` compiles for the processor at
//! hand. They are interleaved: source rows are resized horizontally when an output row needs them and then dropped, and
//! weights are computed on use. So little memory is needed beside the result, for any shape of picture.

use std::ops::Range;

use base::pixels::Pixels;
use pulp::{Simd, WithSimd};

use super::crop::{cut, whole};
use super::weights::{Axis, Filter, HALF, PRECISION, Taps};

/// Rows processed together in the horizontal pass: one or two vector registers of sums.
const LANES: usize = 32;

/// Columns that the vertical pass sums together.
const BLOCK: usize = 32;

// `pulp` compiles only what is inlined into `with_simd` for the processor at hand, hence `inline(always)` below.
// Anything else, such as a closure's body, uses baseline instructions and takes three times as long.

/// The largest number of weights in memory; wider results are computed in strips of columns. A photo takes one strip.
pub const WEIGHTS_AT_ONCE: usize = 1 << 20;

/// Computes the columns `x` and rows `y` of the picture resized to `size`; `None` once `go_on` returns false.
pub fn part(
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
    let (mut raw, mut weights) = (Vec::new(), Vec::new());
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
        let (rows, stride, first) = rows.reach(needed, &arch);
        arch.dispatch(Down { rows, stride, first, weights: &weights, out });
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
        let (from, to) = taps.as_ref().map_or((0, 0), |taps| (taps.input.len() * 3, taps.count() * 3));
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
        let stride = taps.count() * 3;
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
    let (blocks, _) = lanes.as_chunks_mut::<{ SIDE * SQUARES }>();
    let (joined, in_blocks) = (count / SIDE * SIDE, blocks.len() * SIDE * SQUARES);
    for first in (0..joined).step_by(SIDE) {
        let mut from: [&[[u8; SIDE * SQUARES]]; SIDE] = [&[]; SIDE];
        for (row, from) in from.iter_mut().enumerate() {
            *from = rows[(first + row) * stride..].as_chunks().0;
        }
        for (at, block) in blocks.iter_mut().enumerate() {
            let mut words = [[0; SQUARES]; SIDE];
            for (words, from) in words.iter_mut().zip(&from) {
                *words = words_of(&from[at]);
            }
            transpose(&mut words);
            for (column, words) in words.iter().enumerate() {
                for (square, word) in words.iter().enumerate() {
                    block[square * SIDE + column][first..first + SIDE].copy_from_slice(&word.to_le_bytes());
                }
            }
        }
    }
    for (lane, row) in rows.chunks(stride).take(count).enumerate() {
        let done = if lane < joined { in_blocks } else { 0 };
        for (column, value) in lanes.iter_mut().zip(row).skip(done) {
            column[lane] = *value;
        }
    }
}

#[inline(always)]
fn separate(lanes: &[[u8; LANES]], width: usize, rows: &mut [u8]) {
    let (blocks, _) = lanes.as_chunks::<{ SIDE * SQUARES }>();
    let (parted, in_blocks) = (rows.len() / width / SIDE * SIDE, blocks.len() * SIDE * SQUARES);
    for first in (0..parted).step_by(SIDE) {
        for (at, block) in blocks.iter().enumerate() {
            let mut words = [[0; SQUARES]; SIDE];
            for (column, words) in words.iter_mut().enumerate() {
                for (square, word) in words.iter_mut().enumerate() {
                    let lane = &block[square * SIDE + column];
                    *word = lane[first..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                }
            }
            transpose(&mut words);
            for (row, words) in words.iter().enumerate() {
                let to = &mut rows[(first + row) * width + at * SIDE * SQUARES..][..SIDE * SQUARES];
                for (to, word) in to.as_chunks_mut::<SIDE>().0.iter_mut().zip(words) {
                    *to = word.to_le_bytes();
                }
            }
        }
    }
    for (lane, row) in rows.chunks_exact_mut(width).enumerate() {
        let done = if lane < parted { in_blocks } else { 0 };
        for (column, value) in lanes.iter().zip(row).skip(done) {
            *value = column[lane];
        }
    }
}

/// Bytes per word, and words per square that is transposed at once.
const SIDE: usize = 8;

/// Squares side by side that are transposed at once: a vector register of words.
const SQUARES: usize = 4;

#[inline(always)]
fn words_of(bytes: &[u8; SIDE * SQUARES]) -> [u64; SQUARES] {
    let mut words = [0; SQUARES];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// Swaps rows and columns of squares of 8 x 8 bytes: halves first, then quarters, then neighbours.
#[inline(always)]
fn transpose(rows: &mut [[u64; SQUARES]; SIDE]) {
    for (step, mask) in [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
        for upper in (0..SIDE).filter(|row| row & step == 0) {
            let (above, below) = rows.split_at_mut(upper + step);
            for (upper, lower) in above[upper].iter_mut().zip(&mut below[0]) {
                let swapped = ((*upper >> (8 * step)) ^ *lower) & mask;
                *upper ^= swapped << (8 * step);
                *lower ^= swapped;
            }
        }
    }
}

#[inline(always)]
fn weigh_lanes(lanes: &[[u8; LANES]], taps: &Taps, out: &mut [[u8; LANES]]) {
    let (pixels, out) = (lanes.as_chunks::<3>().0, out.as_chunks_mut::<3>().0);
    for ((start, weights), out) in taps.iter().zip(out) {
        for (channel, out) in out.iter_mut().enumerate() {
            let mut sums = [HALF; LANES];
            for (at, weight) in weights.iter().enumerate() {
                // Never missing; a loop with two ends is not vectorised across the pixels.
                let Some(pixel) = pixels.get(start + at) else { break };
                for (sum, value) in sums.iter_mut().zip(&pixel[channel]) {
                    *sum += i32::from(*value) * weight;
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = to_byte(sum);
            }
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
    out: &'a mut [u8],
}

impl WithSimd for Down<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rows, stride, first, weights, out } = self;
        let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
        for (at, out) in blocks.iter_mut().enumerate() {
            let mut sums = [HALF; BLOCK];
            for (row, weight) in rows[first + at * BLOCK..].chunks(stride).zip(weights) {
                let Some(values) = row.first_chunk::<BLOCK>() else { break };
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += i32::from(*value) * weight;
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = to_byte(sum);
            }
        }
        let first = first + blocks.len() * BLOCK;
        for (at, out) in rest.iter_mut().enumerate() {
            let values = rows[first + at..].iter().step_by(stride).zip(weights);
            *out = to_byte(values.fold(HALF, |sum, (value, weight)| sum + i32::from(*value) * weight));
        }
    }
}

#[inline(always)]
pub fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

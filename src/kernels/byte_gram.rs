//! Dot products of rows of bytes: a first look at those of rows of unit length, at four times the speed of [`super::gram`]
//! with 256-bit vectors.
//!
//! A number becomes the nearest multiple of a step, as a byte. Products are summed in 16 bits, where intermediate sums may
//! wrap around: a product of two rows is at most that of their lengths, and the lengths are chosen so that this fits.
#![allow(unsafe_code)]

use super::cpu::Cpu;

/// Bytes that are multiplied and summed by one instruction.
const QUAD: usize = 4;
/// Rows beside each other in a panel.
const WIDE: usize = 8;
/// The byte of zero in the rows that are multiplied from the left, which the instruction takes without sign.
const ZERO: u8 = 64;
/// The root of the largest product that 16 bits hold.
const LONGEST: f32 = 181.0;

/// How numbers become bytes, the same for all rows.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    per_one: f32,
    dim: usize,
}

impl Steps {
    /// For rows of `dim` numbers, of unit length or zero, of which the largest is `largest` away from zero.
    pub fn of(largest: f32, dim: usize) -> Self {
        let by_length = LONGEST - 0.5 * (dim as f32).sqrt();
        let by_byte = (f32::from(ZERO) - 1.0) / largest.max(f32::MIN_POSITIVE);
        Self { per_one: by_length.min(by_byte).max(1.0), dim }
    }

    /// Five standard deviations of the difference between a product of rows and that of their bytes.
    pub fn slack(self) -> f32 {
        // Each of the factors is rounded by a number that is spread evenly over a step.
        5.0 * (2.0_f32 / 12.0).sqrt() / self.per_one
    }

    /// The product of bytes of rows whose own product is `cosine`.
    pub fn product(self, cosine: f32) -> f32 {
        cosine * self.per_one * self.per_one
    }

    /// Bytes of a row.
    pub fn row_bytes(self) -> usize {
        self.dim.next_multiple_of(QUAD)
    }

    /// Writes a row as bytes, [`Self::row_bytes`] of them.
    pub fn write(self, row: &[f32], bytes: &mut [u8]) {
        let (of_row, beyond) = bytes.split_at_mut(row.len());
        for (byte, value) in of_row.iter_mut().zip(row) {
            // No number is below zero then, and adding half before cutting off rounds.
            *byte = (value * self.per_one + (f32::from(ZERO) + 0.5)) as u8;
        }
        beyond.fill(ZERO);
    }
}

/// Rows of bytes, arranged to be multiplied from the right.
#[derive(Debug, Default)]
pub struct Panels {
    /// For each eight rows: their first four bytes, one row after the other, their next four, and so on.
    bytes: Vec<i8>,
    /// What each panel's sums begin with, so that [`ZERO`] counts as zero.
    begin: Vec<[i16; WIDE * 2]>,
    quads: usize,
}

impl Panels {
    /// Puts these rows in place of those before. All have the same length, a multiple of four.
    pub fn fill<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a [u8]>, row_bytes: usize) {
        self.quads = row_bytes / QUAD;
        let panels = rows.len().div_ceil(WIDE);
        self.bytes.clear();
        self.bytes.resize(panels * self.quads * QUAD * WIDE, 0);
        self.begin.clear();
        self.begin.resize(panels, [0; WIDE * 2]);
        for (at, row) in rows.enumerate() {
            let (panel, column) = (at / WIDE, at % WIDE);
            let of_panel = &mut self.bytes[panel * self.quads * QUAD * WIDE..];
            let begin = &mut self.begin[panel][column * 2..column * 2 + 2];
            for (quad, bytes) in row.as_chunks::<QUAD>().0.iter().enumerate() {
                let signed = bytes.map(|byte| (i16::from(byte) - i16::from(ZERO)) as i8);
                of_panel[(quad * WIDE + column) * QUAD..][..QUAD].copy_from_slice(&signed);
                for (half, begin) in signed.as_chunks::<2>().0.iter().zip(&mut *begin) {
                    let sum = i16::from(half[0]) + i16::from(half[1]);
                    *begin = begin.wrapping_sub(i16::from(ZERO).wrapping_mul(sum));
                }
            }
        }
    }

    /// The length of a line of products: the number of rows, rounded up to whole panels.
    pub fn line(&self) -> usize {
        self.begin.len() * WIDE
    }

    fn panel(&self, panel: usize) -> (&[i8], &[i16; WIDE * 2]) {
        let length = self.quads * QUAD * WIDE;
        (&self.bytes[panel * length..(panel + 1) * length], &self.begin[panel])
    }
}

/// Puts the products of each of `rows` with the panels' rows into `out`, a line of [`Panels::line`] for each.
pub fn products(cpu: Cpu, rows: &[&[u8]], panels: &Panels, out: &mut Vec<i16>) {
    assert!(rows.iter().all(|row| row.len() == panels.quads * QUAD), "rows of {} bytes", panels.quads * QUAD);
    let line = panels.line();
    out.clear();
    out.resize(rows.len() * line, 0);
    #[cfg(target_arch = "x86_64")]
    if cpu != Cpu::Plain && Cpu::Avx2.supported() {
        // SAFETY: the processor has AVX2; rows have the length of the panels', and `out` has a line for each.
        unsafe { avx2::products(rows, panels, out) };
        return;
    }
    let _ = cpu;
    for (row, out) in rows.iter().zip(out.chunks_exact_mut(line.max(1))) {
        for (panel, out) in out.as_chunks_mut::<WIDE>().0.iter_mut().enumerate() {
            *out = plain(row, panels.panel(panel));
        }
    }
}

fn plain(row: &[u8], (bytes, begin): (&[i8], &[i16; WIDE * 2])) -> [i16; WIDE] {
    let mut sums = *begin;
    for (quad, bytes) in row.as_chunks::<QUAD>().0.iter().zip(bytes.as_chunks::<{ QUAD * WIDE }>().0) {
        for (at, (sum, pair)) in sums.iter_mut().zip(bytes.as_chunks::<2>().0).enumerate() {
            let own = [quad[at % 2 * 2], quad[at % 2 * 2 + 1]];
            let product = |part: usize| i16::from(own[part]) * i16::from(pair[part]);
            *sum = sum.wrapping_add(product(0).wrapping_add(product(1)));
        }
    }
    std::array::from_fn(|at| sums[at * 2].wrapping_add(sums[at * 2 + 1]))
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    #![allow(clippy::wildcard_imports, reason = "dozens of intrinsics")]

    use std::arch::x86_64::*;

    use super::{Panels, QUAD, WIDE};

    /// Rows and panels of which all sums are in registers at once.
    const ROWS: usize = 4;
    const PANELS: usize = 3;

    /// # Safety
    /// The processor has AVX2, each row has as many bytes as the panels' rows, and `out` has a line for each row.
    #[target_feature(enable = "avx2")]
    pub unsafe fn products(rows: &[&[u8]], panels: &Panels, out: &mut [i16]) {
        let (count, line) = (panels.begin.len(), panels.line());
        for first in (0..count).step_by(PANELS) {
            for (at, rows) in rows.chunks(ROWS).enumerate() {
                let out = &mut out[at * ROWS * line + first * WIDE..];
                // SAFETY: as the caller says; the panels from `first` on are there, as many as asked for.
                unsafe {
                    match (rows.len(), count - first) {
                        (4, 3..) => tile::<4, 3>(rows, panels, first, out),
                        (3, 3..) => tile::<3, 3>(rows, panels, first, out),
                        (2, 3..) => tile::<2, 3>(rows, panels, first, out),
                        (1, 3..) => tile::<1, 3>(rows, panels, first, out),
                        (4, 2) => tile::<4, 2>(rows, panels, first, out),
                        (3, 2) => tile::<3, 2>(rows, panels, first, out),
                        (2, 2) => tile::<2, 2>(rows, panels, first, out),
                        (1, 2) => tile::<1, 2>(rows, panels, first, out),
                        (4, _) => tile::<4, 1>(rows, panels, first, out),
                        (3, _) => tile::<3, 1>(rows, panels, first, out),
                        (2, _) => tile::<2, 1>(rows, panels, first, out),
                        _ => tile::<1, 1>(rows, panels, first, out),
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for [`products`]; there are `R` rows, and `P` panels from `first` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn tile<const R: usize, const P: usize>(rows: &[&[u8]], panels: &Panels, first: usize, out: &mut [i16]) {
        let of_panel: [&[i8]; P] = std::array::from_fn(|panel| panels.panel(first + panel).0);
        // SAFETY: each quad of each row and panel that is read lies inside of it, since all have `quads` of them.
        unsafe {
            let begin: [__m256i; P] =
                std::array::from_fn(|panel| _mm256_loadu_si256(panels.begin[first + panel].as_ptr().cast()));
            let rows: [*const u8; R] = std::array::from_fn(|row| rows[row].as_ptr());
            let mut sums = [begin; R];
            for quad in 0..panels.quads {
                let right: [__m256i; P] = std::array::from_fn(|panel| {
                    _mm256_loadu_si256(of_panel[panel].as_ptr().add(quad * QUAD * WIDE).cast())
                });
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let left = _mm256_set1_epi32(row.add(quad * QUAD).cast::<i32>().read_unaligned());
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(left, right));
                    }
                }
            }
            let line = panels.line();
            for (row, sums) in sums.iter().enumerate() {
                for (panel, sum) in sums.iter().enumerate() {
                    let whole = _mm256_madd_epi16(*sum, _mm256_set1_epi16(1));
                    let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packs_epi32(whole, whole));
                    let out = &mut out[row * line + panel * WIDE..][..WIDE];
                    _mm_storeu_si128(out.as_mut_ptr().cast(), _mm256_castsi256_si128(packed));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_numbers::numbers;

    fn unit_rows(count: usize, dim: usize, seed: u32) -> Vec<f32> {
        let mut rows = numbers(count * dim, seed);
        for row in rows.chunks_exact_mut(dim) {
            let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            row.iter_mut().for_each(|value| *value /= norm);
        }
        rows
    }

    #[test]
    fn products_of_bytes_are_near_those_of_rows_on_every_path() {
        for (count, columns, dim) in [(7, 30, 512), (4, 24, 96), (5, 1, 3), (1, 17, 2048)] {
            let rows = unit_rows(count, dim, 7);
            // The last of the columns are equal to rows, for the largest of products.
            let columns = [unit_rows(columns, dim, 9), rows.clone()].concat();
            let largest = columns.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let steps = Steps::of(largest, dim);
            let bytes_of = |rows: &[f32]| {
                let mut bytes = vec![0; rows.len() / dim * steps.row_bytes()];
                let each = rows.chunks_exact(dim).zip(bytes.chunks_exact_mut(steps.row_bytes()));
                each.for_each(|(row, bytes)| steps.write(row, bytes));
                bytes
            };
            let (left, right) = (bytes_of(&rows), bytes_of(&columns));
            let left: Vec<&[u8]> = left.chunks_exact(steps.row_bytes()).collect();
            let mut panels = Panels::default();
            panels.fill(right.chunks_exact(steps.row_bytes()), steps.row_bytes());
            let mut first: Option<Vec<i16>> = None;
            for cpu in Cpu::available() {
                let mut out = Vec::new();
                products(cpu, &left, &panels, &mut out);
                for (row, line) in rows.chunks_exact(dim).zip(out.chunks_exact(panels.line())) {
                    for (column, &product) in columns.chunks_exact(dim).zip(line) {
                        let cosine: f32 = row.iter().zip(column).map(|(x, y)| x * y).sum();
                        let off = (f32::from(product) - steps.product(cosine)).abs();
                        assert!(off <= steps.product(steps.slack()), "{cpu}, {dim} numbers: {product} for {cosine}");
                    }
                }
                assert_eq!(first.get_or_insert_with(|| out.clone()), &out, "{cpu}");
            }
        }
    }

    #[test]
    fn no_rows_have_no_products() {
        let mut out = vec![1];
        products(Cpu::best(), &[], &Panels::default(), &mut out);
        assert!(out.is_empty());
    }
}

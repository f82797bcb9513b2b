//! From coefficients to samples: libjpeg's accurate integer IDCT (`jidctint`), and its reduced versions for a half, a
//! quarter or an eighth of each side (`jidctred`).
//!
//! The fixed-point precision and the two roundings must match libjpeg. Everything between is integer arithmetic without
//! rounding, so it is written as two matrix products, which skip zero rows and columns of a block and use each product for
//! the samples at both ends.

pub type Block = [i16; 64];

const FRACTION: u32 = 13;
/// Fractional bits kept between the two passes.
const PASS_BITS: u32 = 2;

/// The contribution of each frequency to each sample.
type Shares<const SIDE: usize> = [[i32; SIDE]; 8];

/// `jpeg_idct_islow`.
const EIGHT: Shares<8> = [
    [8192, 8192, 8192, 8192, 8192, 8192, 8192, 8192],
    [11363, 9633, 6437, 2260, -2260, -6437, -9633, -11363],
    [10703, 4433, -4433, -10703, -10703, -4433, 4433, 10703],
    [9633, -2259, -11362, -6436, 6436, 11362, 2259, -9633],
    [8192, -8192, -8192, 8192, 8192, -8192, -8192, 8192],
    [6437, -11362, 2261, 9633, -9633, -2261, 11362, -6437],
    [4433, -10704, 10704, -4433, -4433, 10704, -10704, 4433],
    [2260, -6436, 9633, -11363, 11363, -9633, 6436, -2260],
];

/// `jpeg_idct_4x4`: the fourth frequency is not used.
const FOUR: Shares<4> = [
    [16384, 16384, 16384, 16384],
    [20995, 8697, -8697, -20995],
    [15137, -15137, -15137, 15137],
    [7373, -17799, 17799, -7373],
    [0; 4],
    [-4926, 11893, -11893, 4926],
    [-6270, 6270, 6270, -6270],
    [-4176, -1730, 1730, 4176],
];

/// `jpeg_idct_2x2`: of the even frequencies only the mean is used.
const TWO: Shares<2> =
    [[32768, 32768], [29692, -29692], [0; 2], [-10426, 10426], [0; 2], [6967, -6967], [0; 2], [-5906, 5906]];

/// The transform of a block to `SIDE` x `SIDE` samples.
struct Transform<const SIDE: usize> {
    shares: Shares<SIDE>,
    fraction: u32,
}

/// Writes the samples of a row of blocks, `side` x `side` each, to rows of `out`.
#[inline(always)]
pub fn inverse(blocks: &[Block], quantisation: &[u16; 64], side: usize, out: &mut [u8]) {
    match side {
        8 => inverse_to(blocks, quantisation, &Transform { shares: EIGHT, fraction: FRACTION }, out),
        4 => inverse_to(blocks, quantisation, &Transform { shares: FOUR, fraction: FRACTION + 1 }, out),
        2 => inverse_to(blocks, quantisation, &Transform { shares: TWO, fraction: FRACTION + 2 }, out),
        _ => {
            for (out, block) in out.iter_mut().zip(blocks) {
                *out = mean(block, quantisation);
            }
        }
    }
}

#[inline(always)]
fn inverse_to<const SIDE: usize>(
    blocks: &[Block],
    quantisation: &[u16; 64],
    transform: &Transform<SIDE>,
    out: &mut [u8],
) {
    let stride = blocks.len() * SIDE;
    for (at, block) in blocks.iter().enumerate() {
        let (rows, columns) = extent(block);
        let samples = if (rows, columns) == (1, 1) {
            [[mean(block, quantisation); SIDE]; SIDE]
        } else {
            two_passes(block, quantisation, transform, (rows, columns))
        };
        for (samples, out) in samples.iter().zip(out.chunks_exact_mut(stride)) {
            out[at * SIDE..][..SIDE].copy_from_slice(samples);
        }
    }
}

/// The sample of a block of which only the mean counts.
#[inline(always)]
fn mean(block: &Block, quantisation: &[u16; 64]) -> u8 {
    sample(i32::from(block[0]) * i32::from(quantisation[0]) + (1 << 2), 3)
}

/// The number of rows and columns up to the last nonzero coefficient. Four coefficients are looked at together.
#[inline(always)]
fn extent(block: &Block) -> (usize, usize) {
    let (mut rows, mut union) = (1, [0_u64; 2]);
    for (at, row) in block.as_chunks::<8>().0.iter().enumerate() {
        let mut any = 0;
        for (union, four) in union.iter_mut().zip(row.as_chunks::<4>().0) {
            let [a, b, c, d] = four.map(|coefficient| u64::from(coefficient as u16));
            let four = a | b << 16 | c << 32 | d << 48;
            any |= four;
            *union |= four;
        }
        if any != 0 {
            rows = at + 1;
        }
    }
    let [low, high] = union;
    let unused = if high == 0 { 64 + low.leading_zeros() } else { high.leading_zeros() };
    (rows, 8 - (unused / 16).min(7) as usize)
}

#[inline(always)]
fn two_passes<const SIDE: usize>(
    block: &Block,
    quantisation: &[u16; 64],
    Transform { shares, fraction }: &Transform<SIDE>,
    (rows, columns): (usize, usize),
) -> [[u8; SIDE]; SIDE] {
    let shift = fraction - PASS_BITS;
    let mut frequencies = [[0; 8]; 8];
    let coded = block.as_chunks::<8>().0.iter().zip(quantisation.as_chunks::<8>().0);
    for (values, (coefficients, factors)) in frequencies.iter_mut().zip(coded).take(rows) {
        for ((value, coefficient), factor) in values.iter_mut().zip(coefficients).zip(factors) {
            *value = i32::from(*coefficient) * i32::from(*factor);
        }
    }
    let sums = weighed(&frequencies, rows, shares, 1 << (shift - 1));
    // Turned, so that the second pass weighs all rows of samples at once.
    let mut turned = [[0; SIDE]; 8];
    for (column, values) in turned.iter_mut().enumerate() {
        for (value, sums) in values.iter_mut().zip(&sums) {
            *value = sums[column] >> shift;
        }
    }
    let last = fraction + PASS_BITS + 3;
    let sums = weighed(&turned, columns, shares, 1 << (last - 1));
    let mut samples = [[0; SIDE]; SIDE];
    for (x, sums) in sums.iter().enumerate() {
        for (row, sum) in samples.iter_mut().zip(sums) {
            row[x] = sample(*sum, last);
        }
    }
    samples
}

/// The weighted sums of the first `count` rows for each sample. The shares of even frequencies are the same from both ends
/// and those of odd ones opposite, so that each product is used twice.
#[inline(always)]
fn weighed<const SIDE: usize, const WIDTH: usize>(
    rows: &[[i32; WIDTH]; 8],
    count: usize,
    shares: &Shares<SIDE>,
    half: i32,
) -> [[i32; WIDTH]; SIDE] {
    let (mut even, mut odd) = ([[half; WIDTH]; SIDE], [[0; WIDTH]; SIDE]);
    let pairs = rows.as_chunks::<2>().0.iter().zip(shares.as_chunks::<2>().0);
    for (rows, shares) in pairs.take(count.div_ceil(2)) {
        add_weighed(&mut even, &rows[0], &shares[0]);
        add_weighed(&mut odd, &rows[1], &shares[1]);
    }
    let mut sums = [[0; WIDTH]; SIDE];
    for (at, (even, odd)) in even.iter().zip(&odd).enumerate().take(SIDE / 2) {
        for (lane, (even, odd)) in even.iter().zip(odd).enumerate() {
            sums[at][lane] = even.wrapping_add(*odd);
            sums[SIDE - 1 - at][lane] = even.wrapping_sub(*odd);
        }
    }
    sums
}

/// Adds a row to the first half of the sums, each time by another share.
#[inline(always)]
fn add_weighed<const SIDE: usize, const WIDTH: usize>(
    sums: &mut [[i32; WIDTH]; SIDE],
    row: &[i32; WIDTH],
    shares: &[i32; SIDE],
) {
    for (sums, share) in sums.iter_mut().zip(shares).take(SIDE / 2) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum = value.wrapping_mul(*share).wrapping_add(*sum);
        }
    }
}

/// Level-shifted by 128, and clamped to a byte.
#[inline(always)]
fn sample(sum: i32, shift: u32) -> u8 {
    ((sum >> shift) + 128).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(block: &Block, side: usize) -> Vec<u8> {
        let mut out = vec![0; side * side];
        inverse(&[*block], &[1; 64], side, &mut out);
        out
    }

    #[test]
    fn equals_the_cosines_within_a_level() {
        use std::f64::consts::PI;
        let mut block = [0; 64];
        for (at, value) in [(0, 300), (1, -120), (8, 77), (10, 33), (27, -41), (63, 25), (5, 60)] {
            block[at] = value;
        }
        let exact = |x: usize, y: usize| {
            let scale = |k: usize| if k == 0 { 0.5_f64.sqrt() } else { 1.0 };
            let wave = |k: usize, n: usize| (PI * k as f64 * (2 * n + 1) as f64 / 16.0).cos() * scale(k) / 2.0;
            let terms = (0..64).map(|at| f64::from(block[at]) * wave(at % 8, x) * wave(at / 8, y));
            (terms.sum::<f64>() + 128.0).clamp(0.0, 255.0)
        };
        for (at, value) in samples(&block, 8).into_iter().enumerate() {
            assert!((f64::from(value) - exact(at % 8, at / 8)).abs() < 1.0, "{at}: {value}");
        }
    }

    #[test]
    fn smaller_sides_show_the_same_block() {
        let mut block = [0; 64];
        (block[0], block[1], block[8]) = (160, 200, -90);
        let whole = samples(&block, 8);
        for side in [4, 2] {
            let by = 8 / side;
            for (at, value) in samples(&block, side).into_iter().enumerate() {
                let (x, y) = (at % side * by, at / side * by);
                let cells = (0..by * by).map(|i| f64::from(whole[(y + i / by) * 8 + x + i % by]));
                let mean = cells.sum::<f64>() / (by * by) as f64;
                assert!((f64::from(value) - mean).abs() < 3.0, "{side}: {value} for {mean}");
            }
        }
        assert_eq!(samples(&block, 1), [148]);
    }
}

//! From coefficients to samples: libjpeg's accurate integer IDCT (`jidctint`), and its reduced versions for a half, a
//! quarter or an eighth of each side (`jidctred`).
//!
//! The fixed-point precision and the two roundings must match libjpeg. Everything between is integer arithmetic without
//! rounding, so it is written as two matrix products, which skip zero rows and columns of a block.

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

/// Writes the `side` x `side` samples of a block, `stride` apart, to where `out` begins.
#[inline(always)]
pub fn inverse(block: &Block, quantisation: &[u16; 64], side: usize, out: &mut [u8], stride: usize) {
    let (rows, columns) = extent(block);
    if side == 1 || (rows, columns) == (1, 1) {
        let level = sample(i32::from(block[0]) * i32::from(quantisation[0]) + (1 << 2), 3);
        for row in out.chunks_mut(stride).take(side) {
            row[..side].fill(level);
        }
        return;
    }
    match side {
        8 => two_passes(block, quantisation, &EIGHT, FRACTION, (rows, columns), out, stride),
        4 => two_passes(block, quantisation, &FOUR, FRACTION + 1, (rows, columns), out, stride),
        _ => two_passes(block, quantisation, &TWO, FRACTION + 2, (rows, columns), out, stride),
    }
}

/// The number of rows and columns up to the last nonzero coefficient.
#[inline(always)]
fn extent(block: &Block) -> (usize, usize) {
    let (mut rows, mut union) = (1, [0_i16; 8]);
    for (at, row) in block.chunks_exact(8).enumerate() {
        let mut any = 0;
        for (union, coefficient) in union.iter_mut().zip(row) {
            any |= coefficient;
            *union |= coefficient;
        }
        if any != 0 {
            rows = at + 1;
        }
    }
    let mut columns = 8;
    while columns > 1 && union[columns - 1] == 0 {
        columns -= 1;
    }
    (rows, columns)
}

#[inline(always)]
fn two_passes<const SIDE: usize>(
    block: &Block,
    quantisation: &[u16; 64],
    shares: &Shares<SIDE>,
    fraction: u32,
    (rows, columns): (usize, usize),
    out: &mut [u8],
    stride: usize,
) {
    let shift = fraction - PASS_BITS;
    let mut sums = [[1 << (shift - 1); 8]; SIDE];
    let coded = block.chunks_exact(8).zip(quantisation.chunks_exact(8)).zip(shares);
    for ((coefficients, factors), shares) in coded.take(rows) {
        let mut values = [0; 8];
        for ((value, coefficient), factor) in values.iter_mut().zip(coefficients).zip(factors) {
            *value = i32::from(*coefficient) * i32::from(*factor);
        }
        for (sums, share) in sums.iter_mut().zip(shares) {
            for (sum, value) in sums.iter_mut().zip(&values) {
                *sum = value.wrapping_mul(*share).wrapping_add(*sum);
            }
        }
    }
    let last = fraction + PASS_BITS + 3;
    for (row, out) in sums.iter().zip(out.chunks_mut(stride)) {
        let mut sums = [1 << (last - 1); SIDE];
        for (value, shares) in row.iter().zip(shares).take(columns) {
            let value = value >> shift;
            for (sum, share) in sums.iter_mut().zip(shares) {
                *sum = value.wrapping_mul(*share).wrapping_add(*sum);
            }
        }
        for (out, sum) in out[..SIDE].iter_mut().zip(&sums) {
            *out = sample(*sum, last);
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
        inverse(block, &[1; 64], side, &mut out, side);
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

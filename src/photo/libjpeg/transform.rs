//! From coefficients to samples: libjpeg's accurate integer transform (`jidctint`), and its smaller sisters that give a
//! half, a quarter or an eighth of each side (`jidctred`). Their fixed point is part of the result, so it is kept.

pub type Block = [i16; 64];

const FRACTION: u32 = 13;
/// Bits kept between the two passes.
const KEPT: u32 = 2;

/// One number of each column, or of each row.
type Lane = [i32; 8];

/// Writes the `side` x `side` samples of a block, `stride` apart, to where `out` begins.
#[inline(always)]
pub fn inverse(block: &Block, quantisation: &[u16; 64], side: usize, out: &mut [u8], stride: usize) {
    let mut alternating = 0;
    for coefficient in &block[1..] {
        alternating |= coefficient;
    }
    if side == 1 || alternating == 0 {
        let level = sample(i32::from(block[0]) * i32::from(quantisation[0]), 3);
        for row in out.chunks_mut(stride).take(side) {
            row[..side].fill(level);
        }
        return;
    }
    let mut rows = [[0; 8]; 8];
    for ((row, coefficients), factors) in rows.iter_mut().zip(block.chunks_exact(8)).zip(quantisation.chunks_exact(8)) {
        for ((value, coefficient), factor) in row.iter_mut().zip(coefficients).zip(factors) {
            *value = i32::from(*coefficient) * i32::from(*factor);
        }
    }
    match side {
        8 => store(&eight(&transposed(&eight(&rows, FRACTION - KEPT)), FRACTION + KEPT + 3), 8, out, stride),
        4 => store(&four(&transposed(&four(&rows, FRACTION - KEPT + 1)), FRACTION + KEPT + 4), 4, out, stride),
        _ => store(&two(&transposed(&two(&rows, FRACTION - KEPT + 2)), FRACTION + KEPT + 5), 2, out, stride),
    }
}

/// Rounded, brought back around 128, and cut to a byte.
#[inline(always)]
fn sample(value: i32, shift: u32) -> u8 {
    (((value + (1 << (shift - 1))) >> shift) + 128).clamp(0, 255) as u8
}

/// `columns` holds the columns of the result, not rounded by the pass yet.
#[inline(always)]
fn store(columns: &[Lane; 8], side: usize, out: &mut [u8], stride: usize) {
    for (row, out) in transposed(columns).iter().zip(out.chunks_mut(stride)).take(side) {
        for (value, out) in row.iter().zip(&mut out[..side]) {
            *out = (value + 128).clamp(0, 255) as u8;
        }
    }
}

#[inline(always)]
fn transposed(lanes: &[Lane; 8]) -> [Lane; 8] {
    let mut turned = [[0; 8]; 8];
    for (row, lane) in lanes.iter().enumerate() {
        for (value, turned) in lane.iter().zip(&mut turned) {
            turned[row] = *value;
        }
    }
    turned
}

#[inline(always)]
fn combined<const N: usize>(terms: [(&Lane, i32); N]) -> Lane {
    let mut sum = [0; 8];
    for (lane, factor) in terms {
        for (sum, value) in sum.iter_mut().zip(lane) {
            *sum = value.wrapping_mul(factor).wrapping_add(*sum);
        }
    }
    sum
}

/// The sum of the two and their difference, each rounded by `shift` bits.
#[inline(always)]
fn butterfly(a: &Lane, b: &Lane, shift: u32) -> (Lane, Lane) {
    let (mut sum, mut difference) = ([0; 8], [0; 8]);
    for (((sum, difference), a), b) in sum.iter_mut().zip(&mut difference).zip(a).zip(b) {
        let a = a.wrapping_add((1 << shift) >> 1);
        *sum = a.wrapping_add(*b) >> shift;
        *difference = a.wrapping_sub(*b) >> shift;
    }
    (sum, difference)
}

/// `jpeg_idct_islow`, one pass.
#[inline(always)]
fn eight(x: &[Lane; 8], shift: u32) -> [Lane; 8] {
    let one = 1 << FRACTION;
    let low = combined([(&x[0], one), (&x[4], one)]);
    let high = combined([(&x[0], one), (&x[4], -one)]);
    // 0.541196100 +- 0.765366865 and 1.847759065
    let turned = combined([(&x[2], 4433), (&x[6], 4433 - 15137)]);
    let raised = combined([(&x[2], 4433 + 6270), (&x[6], 4433)]);
    let (even0, even3) = butterfly(&low, &raised, 0);
    let (even1, even2) = butterfly(&high, &turned, 0);

    let (a, b, c, d) = (&x[7], &x[5], &x[3], &x[1]);
    // 1.175875602
    let z5 = combined([(a, 9633), (b, 9633), (c, 9633), (d, 9633)]);
    // -0.899976223, -2.562915447, -1.961570560, -0.390180644
    let z1 = combined([(a, -7373), (d, -7373)]);
    let z2 = combined([(b, -20995), (c, -20995)]);
    let z3 = combined([(a, -16069), (c, -16069), (&z5, 1)]);
    let z4 = combined([(b, -3196), (d, -3196), (&z5, 1)]);
    // 0.298631336, 2.053119869, 3.072711026, 1.501321110
    let odd0 = combined([(a, 2446), (&z1, 1), (&z3, 1)]);
    let odd1 = combined([(b, 16819), (&z2, 1), (&z4, 1)]);
    let odd2 = combined([(c, 25172), (&z2, 1), (&z3, 1)]);
    let odd3 = combined([(d, 12299), (&z1, 1), (&z4, 1)]);

    let (y0, y7) = butterfly(&even0, &odd3, shift);
    let (y1, y6) = butterfly(&even1, &odd2, shift);
    let (y2, y5) = butterfly(&even2, &odd1, shift);
    let (y3, y4) = butterfly(&even3, &odd0, shift);
    [y0, y1, y2, y3, y4, y5, y6, y7]
}

/// `jpeg_idct_4x4`, one pass; the fourth frequency is not used.
#[inline(always)]
fn four(x: &[Lane; 8], shift: u32) -> [Lane; 8] {
    let mean = combined([(&x[0], 1 << (FRACTION + 1))]);
    let even = combined([(&x[2], 15137), (&x[6], -6270)]);
    let (outer, inner) = butterfly(&mean, &even, 0);
    let odd0 = combined([(&x[7], -1730), (&x[5], 11893), (&x[3], -17799), (&x[1], 8697)]);
    let odd2 = combined([(&x[7], -4176), (&x[5], -4926), (&x[3], 7373), (&x[1], 20995)]);
    let (y0, y3) = butterfly(&outer, &odd2, shift);
    let (y1, y2) = butterfly(&inner, &odd0, shift);
    [y0, y1, y2, y3, [0; 8], [0; 8], [0; 8], [0; 8]]
}

/// `jpeg_idct_2x2`, one pass; of the even frequencies only the mean is used.
#[inline(always)]
fn two(x: &[Lane; 8], shift: u32) -> [Lane; 8] {
    let mean = combined([(&x[0], 1 << (FRACTION + 2))]);
    let odd = combined([(&x[7], -5906), (&x[5], 6967), (&x[3], -10426), (&x[1], 29692)]);
    let (y0, y1) = butterfly(&mean, &odd, shift);
    [y0, y1, [0; 8], [0; 8], [0; 8], [0; 8], [0; 8], [0; 8]]
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

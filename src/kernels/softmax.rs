//! The softmax of rows of numbers.
#![allow(unsafe_code)]

use super::cpu::Cpu;
use super::lanes::{self, Kernel, Lanes, math};

/// Replaces each row of `width` numbers by its softmax.
pub fn softmax(cpu: Cpu, rows: &mut [f32], width: usize) {
    assert!(width > 0 && rows.len().is_multiple_of(width), "whole rows");
    // SAFETY: the kernel asks for nothing else.
    unsafe { lanes::run(cpu, SoftmaxKernel { rows, width }) };
}

struct SoftmaxKernel<'a> {
    rows: &'a mut [f32],
    width: usize,
}

impl Kernel for SoftmaxKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut padded = vec![0.0; self.width.next_multiple_of(L::WIDTH)];
        for row in self.rows.chunks_exact_mut(self.width) {
            padded[..self.width].copy_from_slice(row);
            // SAFETY: a whole number of vectors.
            let inverse = 1.0 / unsafe { exponentials::<L>(&mut padded, self.width) };
            for (to, from) in row.iter_mut().zip(&padded) {
                *to = from * inverse;
            }
        }
    }
}

/// Replaces the first `count` scores by `exp(score - largest)` and the padding by zeros; returns the sum.
///
/// # Safety
/// As for [`Lanes`]; `scores` is a multiple of `L::WIDTH` long.
#[inline(always)]
pub(crate) unsafe fn exponentials<L: Lanes>(scores: &mut [f32], count: usize) -> f32 {
    scores[count..].fill(f32::MIN);
    let len = scores.len();
    let at = scores.as_mut_ptr();
    // SAFETY: `len` is a multiple of the width.
    unsafe {
        let mut most = L::splat(f32::MIN);
        for i in (0..len).step_by(L::WIDTH) {
            most = L::max(most, L::load(at.add(i)));
        }
        let most = L::splat(L::largest(most));
        let mut sum = L::splat(0.0);
        for i in (0..len).step_by(L::WIDTH) {
            let e = math::exp::<L>(L::sub(L::load(at.add(i)), most));
            L::store(at.add(i), e);
            sum = L::add(sum, e);
        }
        scores[count..].fill(0.0);
        L::sum(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_numbers::numbers;

    #[test]
    fn every_path_equals_the_definition() {
        for cpu in Cpu::available() {
            for width in [1, 3, 16, 83] {
                let mut rows: Vec<f32> = numbers(3 * width, 1).iter().map(|v| 30.0 * v).collect();
                let expected: Vec<f64> = rows
                    .chunks_exact(width)
                    .flat_map(|row| {
                        let shares: Vec<f64> = row.iter().map(|&v| f64::from(v).exp()).collect();
                        let sum: f64 = shares.iter().sum();
                        shares.into_iter().map(move |share| share / sum)
                    })
                    .collect();
                softmax(cpu, &mut rows, width);
                for (got, expected) in rows.iter().zip(&expected) {
                    assert!((f64::from(*got) - expected).abs() < 1e-6, "{cpu} {width}: {got} for {expected}");
                }
            }
        }
    }
}

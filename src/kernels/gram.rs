//! Dot products of rows with rows, from which distances between embeddings are computed.
#![allow(unsafe_code)]

use super::cpu::Cpu;
use super::gradient::{Matrix, multiply};
use super::lanes::{self, Kernel, Lanes};

/// The dot product of two rows of equal length.
pub fn dot(cpu: Cpu, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "rows of one length");
    // SAFETY: both rows have the same length.
    unsafe { lanes::run(cpu, Dot { a, b }) }
}

/// Two rows of the same length.
struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Dot<'_> {
    type Out = f32;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f32 {
        // Several sums, because each addition waits for the one before.
        const SUMS: usize = 4;
        let Self { a, b } = self;
        // SAFETY: every vector that is loaded lies inside both rows, as `at` shows; the path's features are there.
        unsafe {
            let mut sums = [L::splat(0.0); SUMS];
            let mut at = 0;
            while at + SUMS * L::WIDTH <= a.len() {
                for (part, sum) in sums.iter_mut().enumerate() {
                    let from = at + part * L::WIDTH;
                    *sum = L::mul_add(L::load(a.as_ptr().add(from)), L::load(b.as_ptr().add(from)), *sum);
                }
                at += SUMS * L::WIDTH;
            }
            let [first, second, third, fourth] = sums;
            let rest: f32 = a[at..].iter().zip(&b[at..]).map(|(x, y)| x * y).sum();
            L::sum(L::add(L::add(first, second), L::add(third, fourth))) + rest
        }
    }
}

/// Computes `out[r * m + c] = a_r · b_c` for the `dim`-wide rows of `a` (n of them) and `b` (m of them).
///
/// Runs on the calling thread alone. Callers parallelise over blocks of rows, so that the result does not depend on the
/// number of threads.
pub fn rows_times_rows(a: &[f32], b: &[f32], dim: usize, out: &mut [f32]) {
    if dim == 0 || a.is_empty() || b.is_empty() {
        out.fill(0.0);
        return;
    }
    let (n, m) = (a.len() / dim, b.len() / dim);
    assert!(a.len() == n * dim && b.len() == m * dim, "rows of {dim} numbers");
    let rows = Matrix { data: a, rows: n, columns: dim, row_step: dim, column_step: 1 };
    let columns = Matrix { data: b, rows: dim, columns: m, row_step: 1, column_step: dim };
    multiply(rows, columns, out, false);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_direct_sum_of_products() {
        let (n, m, dim) = (7, 5, 19);
        let a: Vec<f32> = (0..n * dim).map(|i| (i as f32 * 0.37).sin()).collect();
        let b: Vec<f32> = (0..m * dim).map(|i| (i as f32 * 0.91).cos()).collect();
        let mut out = vec![f32::NAN; n * m];
        rows_times_rows(&a, &b, dim, &mut out);
        for r in 0..n {
            for c in 0..m {
                let plain: f32 = (0..dim).map(|k| a[r * dim + k] * b[c * dim + k]).sum();
                assert!((out[r * m + c] - plain).abs() < 1e-4, "{r},{c}");
            }
        }
    }

    #[test]
    fn a_dot_product_is_the_sum_of_products_on_every_path() {
        for length in [0, 1, 15, 64, 100, 512] {
            let a: Vec<f32> = (0..length).map(|i| (i as f32 * 0.37).sin()).collect();
            let b: Vec<f32> = (0..length).map(|i| (i as f32 * 0.91).cos()).collect();
            let plain: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            for cpu in Cpu::available() {
                let own = f64::from(dot(cpu, &a, &b));
                assert!((own - plain).abs() < 1e-4, "{cpu}, {length} numbers: {own} {plain}");
            }
        }
    }

    #[test]
    fn rows_without_numbers_multiply_to_zero() {
        let mut out = [1.0; 3];
        rows_times_rows(&[], &[], 0, &mut out);
        assert!(out.iter().all(|value| value.abs() < f32::EPSILON));
    }
}

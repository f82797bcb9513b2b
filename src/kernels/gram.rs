//! Dot products of rows with rows, from which distances between embeddings are computed.

use gemm::{Parallelism, gemm};

/// Computes `out[r * m + c] = a_r · b_c` for the `dim`-wide rows of `a` (n of them) and `b` (m of them).
///
/// Runs on the calling thread alone. Callers parallelise over blocks of rows, so that the result does not depend on the
/// number of threads.
#[allow(unsafe_code)]
pub fn rows_times_rows(a: &[f32], b: &[f32], dim: usize, out: &mut [f32]) {
    if dim == 0 || a.is_empty() || b.is_empty() {
        out.fill(0.0);
        return;
    }
    let (n, m) = (a.len() / dim, b.len() / dim);
    assert!(a.len() == n * dim && b.len() == m * dim, "rows of {dim} numbers");
    assert_eq!(out.len(), n * m, "room for {n} by {m} products");
    // SAFETY: the asserts above pin all three extents: `a` is n x dim and `b` is m x dim, both row-major (`b` is read
    // transposed by swapping its strides), and `out` is n x m row-major and exclusively borrowed. With `read_dst` false
    // nothing is read from `out`.
    unsafe {
        gemm(
            n,
            m,
            dim,
            out.as_mut_ptr(),
            1,
            m as isize,
            false,
            a.as_ptr(),
            1,
            dim as isize,
            b.as_ptr(),
            dim as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
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
    fn rows_without_numbers_multiply_to_zero() {
        let mut out = [1.0; 3];
        rows_times_rows(&[], &[], 0, &mut out);
        assert!(out.iter().all(|value| value.abs() < f32::EPSILON));
    }
}

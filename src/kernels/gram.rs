//! Dot products of rows with rows, from which distances between embeddings are computed.

use super::gradient::{Matrix, multiply};

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
    fn rows_without_numbers_multiply_to_zero() {
        let mut out = [1.0; 3];
        rows_times_rows(&[], &[], 0, &mut out);
        assert!(out.iter().all(|value| value.abs() < f32::EPSILON));
    }
}

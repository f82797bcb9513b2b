//! Matrix products for training that sum over pixels and read feature maps in place.
#![allow(unsafe_code)]

use gemm::Parallelism;

/// A matrix within a slice: element `(row, column)` is at `row * row_step + column * column_step`. Rows may overlap.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub data: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    pub row_step: usize,
    pub column_step: usize,
}

impl Matrix<'_> {
    fn fits(&self) -> bool {
        let last = |count: usize, step: usize| count.saturating_sub(1) * step;
        self.rows == 0
            || self.columns == 0
            || last(self.rows, self.row_step) + last(self.columns, self.column_step) < self.data.len()
    }
}

/// Computes `out += a b` with row-major `out`.
pub fn add_product(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    multiply(a, b, out, true);
}

/// `out = a b` or `out += a b`, on the calling thread alone.
pub(crate) fn multiply(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], add: bool) {
    assert_eq!(a.columns, b.rows, "inner sides");
    assert!(a.fits() && b.fits(), "matrices inside their slices");
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!(out.len(), m * n, "the size of the product");
    if m == 0 || n == 0 || k == 0 {
        if !add {
            out.fill(0.0);
        }
        return;
    }
    // SAFETY: both matrices and the product lie inside their slices, as asserted; `out` is borrowed alone, so nothing
    // that is read is written. With `read_dst` false nothing is read from `out`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.data.as_ptr(),
            a.column_step as isize,
            a.row_step as isize,
            b.data.as_ptr(),
            b.column_step as isize,
            b.row_step as isize,
            f32::from(u8::from(add)),
            1.0f32,
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
    fn products_of_parts_of_slices_are_added() {
        let data: Vec<f32> = (0..12).map(|v| v as f32).collect();
        // A matrix stored by columns, and one whose rows overlap.
        let a = Matrix { data: &data, rows: 3, columns: 2, row_step: 1, column_step: 5 };
        let b = Matrix { data: &data[1..], rows: 2, columns: 2, row_step: 1, column_step: 1 };
        let mut out = vec![1.0; 6];
        add_product(a, b, &mut out);
        let expected = |i: usize, j: usize| 1.0 + data[i] * data[1 + j] + data[i + 5] * data[2 + j];
        for (at, v) in out.iter().enumerate() {
            assert!((v - expected(at / 2, at % 2)).abs() < 1e-4, "{at}: {v}");
        }
    }
}

//! What training needs besides the forward kernels: products that sum over pixels, and the gradient of a convolution's
//! weights, read from the feature maps where they lie.
#![allow(unsafe_code)]

use gemm::Parallelism;

use super::map::{Map, Shape};

/// A matrix inside a slice: element `(row, column)` lies at `row * row_step + column * column_step`. Rows may overlap.
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

/// `out += a b`, `out` row-major.
pub fn add_product(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    assert_eq!(a.columns, b.rows, "inner sides");
    assert!(a.fits() && b.fits(), "matrices inside their slices");
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!(out.len(), m * n, "the size of the product");
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    // SAFETY: both matrices and the product lie inside their slices, as asserted; `out` is borrowed alone, so nothing
    // that is read is written.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            true,
            a.data.as_ptr(),
            a.column_step as isize,
            a.row_step as isize,
            b.data.as_ptr(),
            b.column_step as isize,
            b.row_step as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Adds to `out`, `[side][side * inputs][outputs]`, the gradient of the weights of a convolution at stride 1 that keeps
/// the size (`side` 1 or 3), given its input and the gradient `d` of its output.
///
/// Both maps lie in borders of zeros of equal width, so the pixels under one line of the window are a matrix of
/// overlapping rows, and what runs over the end of a line meets a zero.
pub fn add_weight_gradient(input: &Map, d: &Map, side: usize, out: &mut [f32]) {
    let (from, to) = (input.shape(), d.shape());
    assert_eq!(Shape { channels: from.channels, ..to }, from, "maps of one size");
    assert!(side % 2 == 1 && from.border >= side / 2, "a border as wide as the window reaches");
    let pitch = from.width + 2 * from.border;
    // From the first to the last pixel inside all borders.
    let first = from.border * pitch + from.border;
    let pixels = from.images * (from.height + 2 * from.border) * pitch - 2 * first;
    let b = Matrix {
        data: &d.data()[first * to.channels..],
        rows: pixels,
        columns: to.channels,
        row_step: to.channels,
        column_step: 1,
    };
    let line = side * from.channels;
    for (y, out) in out.chunks_exact_mut(line * to.channels).enumerate() {
        let start = first + y * pitch - (side / 2) * pitch - side / 2;
        let a = Matrix {
            data: &input.data()[start * from.channels..],
            rows: line,
            columns: pixels,
            row_step: 1,
            column_step: from.channels,
        };
        add_product(a, b, out);
    }
}

/// Zeroes `d` where the activated output `y` is zero: what a rectifier passes back.
pub fn rectify(d: &mut Map, y: &Map) {
    assert_eq!(d.shape(), y.shape(), "maps of one shape");
    d.data_mut().iter_mut().zip(y.data()).for_each(|(d, y)| *d = if *y > 0.0 { *d } else { 0.0 });
}

/// Adds the sum of all pixels of `d` to `out`.
pub fn add_pixels(d: &Map, out: &mut [f32]) {
    let Shape { images, height, channels, .. } = d.shape();
    for image in 0..images {
        for y in 0..height {
            for pixel in d.row(image, y).chunks_exact(channels) {
                out.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(shape: Shape, step: f32) -> Map {
        let mut map = Map::zeros(shape);
        let mut at = 0.0;
        for image in 0..shape.images {
            for y in 0..shape.height {
                for value in map.row_mut(image, y) {
                    at += step;
                    *value = at.sin();
                }
            }
        }
        map
    }

    #[test]
    fn the_gradient_of_weights_is_the_sum_over_all_pixels() {
        let shape = Shape { images: 2, height: 4, width: 5, channels: 3, border: 1 };
        let (x, d) = (filled(shape, 0.7), filled(Shape { channels: 4, ..shape }, 0.9));
        for side in [1usize, 3] {
            let mut got = vec![0.0; side * side * 3 * 4];
            add_weight_gradient(&x, &d, side, &mut got);
            let reach = (side / 2) as isize;
            let at = |map: &Map, image: usize, y: isize, x: isize, c: usize| {
                let inside = (0..4).contains(&y) && (0..5).contains(&x);
                if inside { map.row(image, y as usize)[x as usize * map.shape().channels + c] } else { 0.0 }
            };
            for (i, got) in got.iter().enumerate() {
                let (n, c) = (i % 4, i / 4 % 3);
                let (kx, ky) = ((i / 12 % side) as isize - reach, (i / 12 / side) as isize - reach);
                let mut sum = 0.0;
                for image in 0..2 {
                    for y in 0..4 {
                        for column in 0..5 {
                            sum += at(&d, image, y, column, n) * at(&x, image, y + ky, column + kx, c);
                        }
                    }
                }
                assert!((got - sum).abs() < 1e-4, "side {side}, weight {i}: {got} for {sum}");
            }
        }
    }
}

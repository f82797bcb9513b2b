//! Computes the matrix of a perspective transform with the same operations as OpenCV, in the same order, so that even
//! the last digits agree.

/// Returns the matrix, row by row, that maps homogeneous pixel coordinates of a square of `side` pixels to the picture.
/// `corners` are the square's corners in the picture: lower left, upper left, upper right, lower right.
pub(super) fn square_to_picture(corners: [[f32; 2]; 4], side: f32) -> [f64; 9] {
    let square = [[0.0, side], [0.0, 0.0], [side, 0.0], [side, side]];
    let (mut rows, mut rhs) = ([[0.0f64; 8]; 8], [0.0f64; 8]);
    for (i, ([x, y], to)) in corners.into_iter().zip(square).enumerate() {
        for (axis, v) in to.into_iter().enumerate() {
            let row = &mut rows[i + 4 * axis];
            row[3 * axis..3 * axis + 3].copy_from_slice(&[x.into(), y.into(), 1.0]);
            // OpenCV computes these products in single precision.
            row[6..].copy_from_slice(&[(-x * v).into(), (-y * v).into()]);
            rhs[i + 4 * axis] = v.into();
        }
    }
    let [a, b, c, d, e, f, g, h] = solve(rows, rhs);
    inverse([a, b, c, d, e, f, g, h, 1.0])
}

/// Gaussian elimination with partial pivoting.
fn solve(mut rows: [[f64; 8]; 8], mut rhs: [f64; 8]) -> [f64; 8] {
    for i in 0..8 {
        let mut pivot = i;
        for j in i + 1..8 {
            if rows[j][i].abs() > rows[pivot][i].abs() {
                pivot = j;
            }
        }
        rows.swap(i, pivot);
        rhs.swap(i, pivot);
        let factor = -1.0 / rows[i][i];
        let (upper, lower) = rows.split_at_mut(i + 1);
        for (j, row) in lower.iter_mut().enumerate() {
            let times = row[i] * factor;
            for k in i + 1..8 {
                row[k] += times * upper[i][k];
            }
            rhs[i + 1 + j] += times * rhs[i];
        }
    }
    for i in (0..8).rev() {
        let mut sum = rhs[i];
        for k in i + 1..8 {
            sum -= rows[i][k] * rhs[k];
        }
        rhs[i] = sum / rows[i][i];
    }
    rhs
}

fn inverse([a, b, c, d, e, f, g, h, i]: [f64; 9]) -> [f64; 9] {
    let determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
    let minors = [
        e * i - f * h,
        c * h - b * i,
        b * f - c * e,
        f * g - d * i,
        a * i - c * g,
        c * d - a * f,
        d * h - e * g,
        b * g - a * h,
        a * e - b * d,
    ];
    let over = 1.0 / determinant;
    minors.map(|minor| minor * over)
}

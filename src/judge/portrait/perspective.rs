//! The matrix of a perspective, found as OpenCV finds it: the same steps in the same order give the same last digits.

/// From pixels of a square of `side` back to the picture: row by row, of homogeneous coordinates. `corners` are those
/// of the square in the picture: lower left, upper left, upper right, lower right.
pub(super) fn back(corners: [[f32; 2]; 4], side: f32) -> [f64; 9] {
    let square = [[0.0, side], [0.0, 0.0], [side, 0.0], [side, side]];
    let (mut rows, mut right) = ([[0.0f64; 8]; 8], [0.0f64; 8]);
    for (i, ([x, y], to)) in corners.into_iter().zip(square).enumerate() {
        for (axis, v) in to.into_iter().enumerate() {
            let row = &mut rows[i + 4 * axis];
            row[3 * axis..3 * axis + 3].copy_from_slice(&[x.into(), y.into(), 1.0]);
            // These products are single precision.
            row[6..].copy_from_slice(&[(-x * v).into(), (-y * v).into()]);
            right[i + 4 * axis] = v.into();
        }
    }
    let [a, b, c, d, e, f, g, h] = solve(rows, right);
    inverse([a, b, c, d, e, f, g, h, 1.0])
}

/// Elimination with the largest of a column as pivot.
fn solve(mut rows: [[f64; 8]; 8], mut right: [f64; 8]) -> [f64; 8] {
    for i in 0..8 {
        let mut pivot = i;
        for j in i + 1..8 {
            if rows[j][i].abs() > rows[pivot][i].abs() {
                pivot = j;
            }
        }
        rows.swap(i, pivot);
        right.swap(i, pivot);
        let factor = -1.0 / rows[i][i];
        let (upper, lower) = rows.split_at_mut(i + 1);
        for (j, row) in lower.iter_mut().enumerate() {
            let times = row[i] * factor;
            for k in i + 1..8 {
                row[k] += times * upper[i][k];
            }
            right[i + 1 + j] += times * right[i];
        }
    }
    for i in (0..8).rev() {
        let mut sum = right[i];
        for k in i + 1..8 {
            sum -= rows[i][k] * right[k];
        }
        right[i] = sum / rows[i][i];
    }
    right
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

//! The three custom operators of the attention mesh: locating an eye or the mouth, cropping the features there, and mapping
//! refined points back.

use std::sync::Arc;

use super::operator::{Operator, RegionOfLandmarks};
use super::tensor::{Memory, Tensor};
use crate::axes::{Checked, require};

/// Runs one of the three on what `input` gives in turn.
pub(super) fn apply(
    operator: &Operator,
    mut input: impl FnMut() -> Checked<Arc<Tensor>>,
    memory: &mut Memory,
) -> Checked<Arc<Tensor>> {
    let first = input()?;
    match operator {
        Operator::RegionMatrix(region) => matrix_of(region, &first),
        Operator::Crop(sides) => cropped(first, &*input()?, *sides, memory),
        Operator::MoveLandmarks => moved(first, &*input()?),
        _ => Err("no operator of landmarks".into()),
    }
}

/// Applies the planar part of a 4×4 matrix to a point.
fn transformed(matrix: &[f32], x: f32, y: f32) -> (f32, f32) {
    let m = matrix;
    (m[0] * x + m[1] * y + m[3], m[4] * x + m[5] * y + m[7])
}

fn require_matrix(matrix: &Tensor) -> Checked<()> {
    require(matrix.shape == [1, 4, 4], "the second input is a matrix")
}

/// Computes the matrix from a crop's pixels to the map in which landmarks are measured.
fn matrix_of(region: &RegionOfLandmarks, landmarks: &Tensor) -> Checked<Arc<Tensor>> {
    let &[1, points, 3] = landmarks.shape.as_slice() else { return Err("landmarks have three numbers each".into()) };
    let inside = region.subset.iter().chain([&region.left, &region.right]).all(|&index| index < points);
    require(inside && !region.subset.is_empty() && region.height > 0 && region.width > 0, "a region of no landmarks")?;
    let point = |i: usize| (landmarks.data[3 * i], landmarks.data[3 * i + 1]);
    let (left, right) = (point(region.left), point(region.right));
    // Rotate the face level, take the bounding box of the subset, rotate its centre back.
    let (sin, cos) = (-(right.1 - left.1).atan2(right.0 - left.0)).sin_cos();
    let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
    for &i in &region.subset {
        let (x, y) = point(i);
        for (axis, v) in [x * cos - y * sin, x * sin + y * cos].into_iter().enumerate() {
            low[axis] = low[axis].min(v);
            high[axis] = high[axis].max(v);
        }
    }
    let (x, y) = (f32::midpoint(low[0], high[0]), f32::midpoint(low[1], high[1]));
    let (width, height) = (region.width as f32, region.height as f32);
    let scale = (region.scale.0 * (high[0] - low[0]) / width, region.scale.1 * (high[1] - low[1]) / height);
    let (a, b, c, d) = (cos * scale.0, sin * scale.1, -sin * scale.0, cos * scale.1);
    let right = x * cos + y * sin - width / 2.0 * a - height / 2.0 * b;
    let down = y * cos - x * sin - width / 2.0 * c - height / 2.0 * d;
    let data = vec![a, b, 0.0, right, c, d, 0.0, down, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    Ok(Arc::new(Tensor { shape: vec![1, 4, 4], channels_last: false, data }))
}

/// The bilinear crop that a matrix describes. Pixel `k` covers `k..k + 1`, so its centre is at `k + 1/2`.
fn cropped(
    map: Arc<Tensor>,
    matrix: &Tensor,
    [rows, columns]: [usize; 2],
    memory: &mut Memory,
) -> Checked<Arc<Tensor>> {
    let [images, channels, height, width] = map.map()?;
    require(images == 1, "a crop of one image")?;
    require_matrix(matrix)?;
    let map = map.by_pixels();
    let step = map.step();
    let mut crop = memory.map([1, channels, rows, columns], step)?;
    let (right, bottom) = ((width - 1) as f32, (height - 1) as f32);
    for (i, pixel) in crop.data.chunks_exact_mut(step).enumerate() {
        let (column, row) = ((i % columns) as f32 + 0.5, (i / columns) as f32 + 0.5);
        let (x, y) = transformed(&matrix.data, column, row);
        let (x, y) = (x - 0.5, y - 0.5);
        // True for NaN, too.
        if !(x >= 0.0 && y >= 0.0 && x <= right && y <= bottom) {
            pixel.fill(0.0);
            continue;
        }
        let (x0, y0) = (x as usize, y as usize);
        let (dx, dy) = (x - x0 as f32, y - y0 as f32);
        // On the last row and column the weight of the neighbour outside is zero.
        let (x1, y1) = ((x0 + 1).min(width - 1), (y0 + 1).min(height - 1));
        let pixel_at = |y: usize, x: usize| &map.data[(y * width + x) * step..][..step];
        let corners = pixel_at(y0, x0).iter().zip(pixel_at(y0, x1)).zip(pixel_at(y1, x0).iter().zip(pixel_at(y1, x1)));
        for (v, ((a, b), (c, d))) in pixel.iter_mut().zip(corners) {
            *v = (1.0 - dy) * ((1.0 - dx) * a + dx * b) + dy * ((1.0 - dx) * c + dx * d);
        }
    }
    memory.give(map);
    Ok(Arc::new(crop))
}

/// Transforms points by a matrix.
fn moved(points: Arc<Tensor>, matrix: &Tensor) -> Checked<Arc<Tensor>> {
    require_matrix(matrix)?;
    require(matches!(points.shape.as_slice(), [1, _, 2]), "points have two numbers each")?;
    let mut points = Arc::unwrap_or_clone(points);
    for point in points.data.as_chunks_mut::<2>().0 {
        (point[0], point[1]) = transformed(&matrix.data, point[0], point[1]);
    }
    Ok(Arc::new(points))
}

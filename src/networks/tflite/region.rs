//! The three custom operators of the attention mesh: locating an eye or the mouth, cropping the features there, and mapping
//! refined points back.

use super::layer::{Layer, Layout};
use super::operator::RegionOfLandmarks;

/// Applies the planar part of a 4×4 matrix to a point.
fn apply(matrix: &[f32], x: f32, y: f32) -> (f32, f32) {
    let m = matrix;
    (m[0] * x + m[1] * y + m[3], m[4] * x + m[5] * y + m[7])
}

/// Computes the matrix from a crop's pixels to the map in which landmarks are measured.
#[derive(Debug)]
pub(super) struct RegionMatrix(pub RegionOfLandmarks);

impl Layer for RegionMatrix {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let region = &self.0;
        let point = |i: usize| (inputs[0][3 * i], inputs[0][3 * i + 1]);
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
        output.copy_from_slice(&[a, b, 0.0, right, c, d, 0.0, down, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }

    fn multiplications(&self) -> u64 {
        self.0.subset.len() as u64
    }
}

/// The bilinear crop that a matrix describes. Pixel `k` covers `k..k + 1`, so its centre is at `k + 1/2`.
#[derive(Debug)]
pub(super) struct Crop {
    pub input: Layout,
    pub output: Layout,
}

impl Layer for Crop {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let (map, matrix) = (inputs[0], inputs[1]);
        let Layout { height, width, step, .. } = self.input;
        let (right, bottom) = ((width - 1) as f32, (height - 1) as f32);
        for (i, pixel) in output.chunks_exact_mut(self.output.step).enumerate() {
            let (column, row) = ((i % self.output.width) as f32 + 0.5, (i / self.output.width) as f32 + 0.5);
            let (x, y) = apply(matrix, column, row);
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
            let at = |y: usize, x: usize| &map[(y * width + x) * step..][..step];
            let corners = at(y0, x0).iter().zip(at(y0, x1)).zip(at(y1, x0).iter().zip(at(y1, x1)));
            for (v, ((a, b), (c, d))) in pixel.iter_mut().zip(corners) {
                *v = (1.0 - dy) * ((1.0 - dx) * a + dx * b) + dy * ((1.0 - dx) * c + dx * d);
            }
        }
    }

    fn multiplications(&self) -> u64 {
        8 * self.output.len() as u64
    }
}

/// Transforms points by a matrix.
#[derive(Debug)]
pub(super) struct MoveLandmarks;

impl Layer for MoveLandmarks {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        for (to, from) in output.as_chunks_mut().0.iter_mut().zip(inputs[0].as_chunks::<2>().0) {
            let (x, y) = apply(inputs[1], from[0], from[1]);
            *to = [x, y];
        }
    }

    fn multiplications(&self) -> u64 {
        1
    }
}

//! The 468 points of the face mesh: named indices, and conversion to picture coordinates.

use super::crop::Crop;

/// The number of points in the mesh.
pub const COUNT: usize = 468;

/// The side of the mesh network's input, in pixels, which are also the unit of its coordinates.
pub const SIDE: usize = 192;

/// Corners and lids of the eye on the picture's left, in the order of the aspect ratio's formula; 0 and 3 are the
/// corners.
pub const LEFT_EYE: [usize; 6] = [33, 160, 158, 133, 153, 144];
/// The same for the eye on the picture's right.
pub const RIGHT_EYE: [usize; 6] = [362, 385, 387, 263, 373, 380];
pub const MOUTH_CORNERS: [usize; 2] = [61, 291];
/// The upper edge of the upper lip and the lower edge of the lower lip.
pub const LIPS: [usize; 2] = [0, 17];
/// The outer corners of the eyes.
pub const EYE_CORNERS: [usize; 2] = [33, 263];
pub const NOSE_TIP: usize = 1;
pub const FOREHEAD: usize = 10;
pub const CHIN: usize = 152;
/// The edges of the face in front of the ears, on the picture's left and right.
pub const CHEEKS: [usize; 2] = [234, 454];

/// Coordinates as shares of the picture's width and height, and depth as a share of its width.
pub type Point = [f64; 3];

/// Refined positions by the attention network, and the indices of the points they replace.
#[derive(Clone, Copy, Debug)]
pub struct Refinement<'a> {
    pub points: &'a [f32],
    pub indices: &'a [usize],
}

/// Converts the network's output, in pixels of a crop of `side` pixels, to picture coordinates. Depth is not refined.
pub fn place(
    mesh: &[f32],
    side: usize,
    refinements: &[Refinement],
    crop: &Crop,
    width: u32,
    height: u32,
) -> Vec<Point> {
    let mut points: Vec<[f32; 3]> = mesh.as_chunks().0.to_vec();
    for refinement in refinements {
        for (&index, &[x, y]) in refinement.indices.iter().zip(refinement.points.as_chunks().0) {
            points[index][..2].copy_from_slice(&[x, y]);
        }
    }
    let (width, height) = (f64::from(width), f64::from(height));
    let placed = |point: [f32; 3]| {
        let [x, y, z] = point.map(|v| f64::from(v) / side as f64);
        let [x, y] = crop.to_picture(x, y);
        [x / width, y / height, z * crop.side / width]
    };
    points.into_iter().map(placed).collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact by construction")]
mod tests {
    use super::*;

    #[test]
    fn refined_points_replace_the_coarse_ones_in_the_plane_only() {
        let mut mesh = vec![96.0; COUNT * 3];
        mesh[33 * 3 + 2] = 19.2;
        let refined = Refinement { points: &[0.0, 192.0], indices: &[33] };
        let crop = Crop { centre: [100.0, 50.0], side: 20.0, angle: 0.0 };
        let points = place(&mesh, SIDE, &[refined], &crop, 200, 100);
        assert_eq!(points[0][..2], [0.5, 0.5]);
        assert!((points[33][0] - 0.45).abs() < 1e-9 && (points[33][1] - 0.6).abs() < 1e-9);
        assert!((points[33][2] - 0.01).abs() < 1e-6, "a tenth of 20 pixels over 200");
    }
}

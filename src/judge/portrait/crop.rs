//! A crop of a picture as the input of a network: a square, possibly rotated, sampled exactly like OpenCV does. With an
//! exact bilinear warp instead, landmarks would move by 1 % of the distance between the eyes.

use super::detection::Detection;
use super::perspective;
use base::pixels::Pixels;

/// A rotated square: centre and side in pixels, and angle in radians (clockwise, because y points down).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    pub centre: [f64; 2],
    pub side: f64,
    pub angle: f64,
}

/// The colour of positions outside the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    Black,
    /// The colour of the nearest pixel inside.
    Nearest,
}

/// The side of the mesh network's crop as a multiple of the detected box's longer side.
const AROUND_FACE: f64 = 1.5;

impl Crop {
    /// The whole picture, padded to a square.
    pub fn whole(width: u32, height: u32) -> Self {
        let (width, height) = (f64::from(width), f64::from(height));
        Self { centre: [width / 2.0, height / 2.0], side: width.max(height), angle: 0.0 }
    }

    /// The square around a face, rotated so that the eyes are level.
    pub fn around(face: &Detection, width: u32, height: u32) -> Self {
        let size = [f64::from(width), f64::from(height)];
        let [x, y] = face.centre();
        let [left, right] = [face.keypoints[0], face.keypoints[1]].map(|[x, y]| [x * size[0], y * size[1]]);
        let side = AROUND_FACE * (face.width() * size[0]).max(face.height() * size[1]);
        Self { centre: [x * size[0], y * size[1]], side, angle: (right[1] - left[1]).atan2(right[0] - left[0]) }
    }

    /// The longer side of the face's box, in pixels.
    pub fn face_side(&self) -> f64 {
        self.side / AROUND_FACE
    }

    /// Converts a point of the crop, in shares of its side, to pixels of the picture.
    pub fn to_picture(&self, x: f64, y: f64) -> [f64; 2] {
        let (sin, cos) = self.angle.sin_cos();
        let (u, v) = ((x - 0.5) * self.side, (y - 0.5) * self.side);
        [self.centre[0] + u * cos - v * sin, self.centre[1] + u * sin + v * cos]
    }

    /// Samples the crop as `side × side` RGB pixels.
    ///
    /// Like OpenCV, rounds positions to 1/32 pixel and blends with integers, without a half-pixel shift and without
    /// smoothing when shrinking. The rounding of positions halfway between two steps depends on the last digits, so the
    /// positions are computed in the same order as in OpenCV.
    pub fn sample(&self, pixels: &Pixels, side: usize, outside: Outside) -> Vec<u8> {
        let [a, b, c, d, e, f, g, h, i] = perspective::square_to_picture(self.corners(), side as f32);
        let sampler = Sampler::new(pixels, outside);
        let mut bytes = vec![0; side * side * 3];
        for (y, line) in bytes.chunks_exact_mut(side * 3).enumerate() {
            for (block, pixels) in line.chunks_mut(BLOCK * 3).enumerate() {
                let (left, y) = ((block * BLOCK) as f64, y as f64);
                let begin = [a * left + b * y + c, d * left + e * y + f, g * left + h * y + i];
                // All positions first: a loop without memory accesses is compiled to vector instructions.
                let mut positions = [[0; 2]; BLOCK];
                for (x, position) in positions.iter_mut().enumerate() {
                    let x = x as f64;
                    let steps = f64::from(1 << STEP_BITS) / (begin[2] + g * x);
                    *position = [to_whole((begin[0] + a * x) * steps), to_whole((begin[1] + d * x) * steps)];
                }
                sampler.blend(&positions[..pixels.len() / 3], pixels.as_chunks_mut().0);
            }
        }
        bytes
    }

    /// The lower left, upper left, upper right and lower right corners, in single precision.
    fn corners(&self) -> [[f32; 2]; 4] {
        let [x, y] = self.centre.map(|v| v as f32);
        let side = self.side as f32;
        // The original passes the angle in degrees; the conversion changes the last digits.
        let angle = f64::from(self.angle as f32 * 180.0 / std::f32::consts::PI) * std::f64::consts::PI / 180.0;
        let (sin, cos) = (angle.sin() as f32 * 0.5 * side, angle.cos() as f32 * 0.5 * side);
        let (lower, upper) = ([x - sin - cos, y + cos - sin], [x + sin - cos, y - cos - sin]);
        let across = |[a, b]: [f32; 2]| [2.0 * x - a, 2.0 * y - b];
        [lower, upper, across(lower), across(upper)]
    }
}

/// The number of columns that OpenCV computes from one starting position.
const BLOCK: usize = 64;

/// The base-2 logarithm of the number of steps in a pixel.
const STEP_BITS: u32 = 5;

/// The nearest integer, ties to even, of a value that lies within [`FARTHEST`] of zero; beyond it, a value as far.
fn to_whole(v: f64) -> i32 {
    // Adding a number so large that no fraction bits remain rounds to even; the integer is then in the lowest bits.
    const NO_FRACTION: f64 = 6_755_399_441_055_744.0;
    let v = if v < FARTHEST { v } else { FARTHEST };
    let v = if v > -FARTHEST { v } else { -FARTHEST };
    (v + NO_FRACTION).to_bits() as i32
}

/// A position outside every picture, in steps.
const FARTHEST: f64 = (1_u32 << 30) as f64;

struct Sampler<'a> {
    data: &'a [u8],
    width: i32,
    height: i32,
    outside: Outside,
}

/// The bytes 0, 2, 4 and 6 of a number, with room to add up products with weights below 256.
const EVEN_BYTES: u64 = 0x00ff_00ff_00ff_00ff;

/// The bits for a channel of sums, with room for weights below 1024.
const LANE: u32 = 21;

impl<'a> Sampler<'a> {
    fn new(pixels: &'a Pixels, outside: Outside) -> Self {
        let side = |length: u32| i32::try_from(length).unwrap_or(i32::MAX);
        Self { data: pixels.data(), width: side(pixels.width()), height: side(pixels.height()), outside }
    }

    /// The colours at positions (x, y), given in 1/32 pixel.
    fn blend(&self, positions: &[[i32; 2]], colours: &mut [[u8; 3]]) {
        let (right, bottom) = ((self.width - 1) << STEP_BITS, (self.height - 1) << STEP_BITS);
        let is_inside = |&[x, y]: &[i32; 2]| (0..right).contains(&x) & (0..bottom).contains(&y);
        // Not `all`, which would stop early and is not compiled to vector instructions.
        let inside = positions.iter().fold(true, |inside, position| inside & is_inside(position));
        let line = self.width as usize * 3;
        for (colour, &[x, y]) in colours.iter_mut().zip(positions) {
            let (left, top) = (x >> STEP_BITS, y >> STEP_BITS);
            // Six bytes are needed, and eight are read in one go.
            let pair = |at: usize| self.data.get(at..)?.first_chunk().map(|&eight| u64::from_le_bytes(eight));
            let rows = if inside {
                let at = top as usize * line + left as usize * 3;
                pair(at).zip(pair(at + line))
            } else {
                None
            };
            let (upper, lower) = rows.unwrap_or_else(|| {
                let pair = |top| self.pixel(left, top) | self.pixel(left + 1, top) << 24;
                (pair(top), pair(top + 1))
            });
            *colour = blended(upper, lower, x, y);
        }
    }

    fn pixel(&self, x: i32, y: i32) -> u64 {
        let (near_x, near_y) = (x.clamp(0, self.width - 1), y.clamp(0, self.height - 1));
        if self.outside == Outside::Black && (near_x, near_y) != (x, y) {
            return 0;
        }
        let at = (near_y as usize * self.width as usize + near_x as usize) * 3;
        let [r, g, b] = [0, 1, 2].map(|channel| u64::from(self.data[at + channel]));
        r | g << 8 | b << 16
    }
}

/// The colour between two pixels of one line and two of the next, each pair in six bytes.
fn blended(upper: u64, lower: u64, x: i32, y: i32) -> [u8; 3] {
    let steps = (1 << STEP_BITS) - 1;
    let (dx, dy) = ((x & steps) as u64, (y & steps) as u64);
    let down = |upper: u64, lower: u64| (32 - dy) * (upper & EVEN_BYTES) + dy * (lower & EVEN_BYTES);
    // The bytes 0, 2 and 4, and the bytes 1, 3 and 5.
    let (even, odd) = (down(upper, lower), down(upper >> 8, lower >> 8));
    let part = |number: u64, place: u32| (number >> (16 * place)) & 0xffff;
    let left = part(even, 0) | part(odd, 0) << LANE | part(even, 1) << (2 * LANE);
    let right = part(odd, 1) | part(even, 2) << LANE | part(odd, 2) << (2 * LANE);
    let rounded = (32 - dx) * left + dx * right + 512 * (1 | 1 << LANE | 1 << (2 * LANE));
    std::array::from_fn(|channel| (rounded >> (10 + LANE * channel as u32)) as u8)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact by construction")]
mod tests {
    use super::*;

    /// A picture of 4×2 pixels with different greys.
    fn picture() -> Pixels {
        Pixels::new(4, 2, (0..8).flat_map(|v| [v * 10; 3]).collect()).unwrap()
    }

    fn grey(bytes: &[u8]) -> Vec<u8> {
        bytes.chunks(3).map(|p| p[0]).collect()
    }

    #[test]
    fn a_wide_picture_gets_bars_above_and_below() {
        let crop = Crop::whole(4, 2);
        assert_eq!(
            grey(&crop.sample(&picture(), 4, Outside::Black)),
            [0, 0, 0, 0, 0, 10, 20, 30, 40, 50, 60, 70, 0, 0, 0, 0]
        );
        assert_eq!(grey(&crop.sample(&picture(), 4, Outside::Nearest))[12..], [40, 50, 60, 70]);
    }

    #[test]
    fn positions_between_pixels_are_blended_and_rounded_half_up() {
        let crop = Crop { centre: [1.25, 0.5], side: 1.0, angle: 0.0 };
        // One sample at (0.75, 0): 7.5 is rounded to 8.
        assert_eq!(grey(&crop.sample(&picture(), 1, Outside::Black)), [8]);
    }

    #[test]
    fn a_quarter_turn_reads_columns() {
        let crop = Crop { centre: [1.0, 1.0], side: 2.0, angle: std::f64::consts::FRAC_PI_2 };
        // Up in the crop is right in the picture.
        assert_eq!(grey(&crop.sample(&picture(), 2, Outside::Nearest)), [20, 60, 10, 50]);
        let [x, y] = crop.to_picture(1.0, 0.5);
        assert!((x - 1.0).abs() < 1e-12 && (y - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_crop_far_outside_is_black() {
        let crop = Crop { centre: [1e12, -1e12], side: 5.0, angle: 0.3 };
        assert!(crop.sample(&picture(), 3, Outside::Black).iter().all(|&v| v == 0));
    }
}

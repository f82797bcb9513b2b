//! Measures eyes and mouth from landmarks.

use super::landmarks::{CHEEKS, EYE_CORNERS, LEFT_EYE, LIPS, MOUTH_CORNERS, NOSE_TIP, Point, RIGHT_EYE};
use super::thresholds::{LandmarkRounding, Thresholds};

/// The measures that the original takes of a face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expression {
    /// The aspect ratio (height over width) of the eye on the picture's left.
    pub left_ear: f64,
    /// The same for the eye on the picture's right.
    pub right_ear: f64,
    /// The width of the mouth divided by one and a half times the distance of the eyes' outer corners.
    pub mouth_width_ratio: f64,
    /// The height of the mouth's corners above its middle, as a share of the picture's height.
    pub corner_elevation: f64,
    /// The distance of the lips' outer edges, as a share of the picture's height.
    pub lip_separation: f64,
    /// The turn of the head, see [`Thresholds::farthest_turn`].
    pub turn: f64,
}

impl Expression {
    pub fn measure(points: &[Point], width: u32, height: u32, rounding: LandmarkRounding) -> Self {
        let (width, height) = (f64::from(width), f64::from(height));
        let at = |index: usize| {
            let [x, y, _] = points[index];
            match rounding {
                LandmarkRounding::Float => [x * width, y * height],
                LandmarkRounding::Pixel => [(x * width).trunc(), (y * height).trunc()],
            }
        };
        let distance = |a: usize, b: usize| {
            let ([ax, ay], [bx, by]) = (at(a), at(b));
            (ax - bx).hypot(ay - by)
        };
        let openness = |eye: [usize; 6]| {
            let lids = distance(eye[1], eye[5]) + distance(eye[2], eye[4]);
            ratio(lids, 2.0 * distance(eye[0], eye[3]))
        };
        let [left, right] = MOUTH_CORNERS;
        let [upper, lower] = LIPS;
        let middle = f64::midpoint(at(upper)[1], at(lower)[1]);
        let elevation = |corner: usize| (middle - at(corner)[1]) / height;
        let [to_left, to_right] = CHEEKS.map(|cheek| distance(NOSE_TIP, cheek));
        Self {
            left_ear: openness(LEFT_EYE),
            right_ear: openness(RIGHT_EYE),
            mouth_width_ratio: ratio(distance(left, right), 1.5 * distance(EYE_CORNERS[0], EYE_CORNERS[1])),
            corner_elevation: f64::midpoint(elevation(left), elevation(right)),
            lip_separation: distance(upper, lower) / height,
            turn: ratio((to_left - to_right).abs(), to_left + to_right),
        }
    }

    pub fn eye_aspect_ratio(&self) -> f64 {
        f64::midpoint(self.left_ear, self.right_ear)
    }

    pub fn eyes_open(&self, thresholds: &Thresholds) -> bool {
        self.left_ear.min(self.right_ear) >= thresholds.eye_open_ear_threshold
    }

    pub fn is_smiling(&self, thresholds: &Thresholds) -> bool {
        self.mouth_width_ratio > thresholds.smile_width_threshold
            && self.corner_elevation > thresholds.smile_elevation_threshold
    }

    pub fn smile_score(&self) -> f64 {
        let Self { mouth_width_ratio, corner_elevation, lip_separation, .. } = self;
        (0.5 * mouth_width_ratio + 0.3 * corner_elevation.max(0.0) + 0.2 * lip_separation).clamp(0.0, 1.0)
    }
}

/// `a / b`, or zero if `b` is not positive.
fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact by construction")]
mod tests {
    use super::*;
    use crate::portrait::landmarks::COUNT;

    /// A face in a picture of 100×100: eyes 10 wide and 3 high, a mouth 20 wide with corners 2 above its middle.
    fn face() -> Vec<Point> {
        let mut points = vec![[0.5, 0.5, 0.0]; COUNT];
        let mut set = |index: usize, x: f64, y: f64| points[index] = [x / 100.0, y / 100.0, 0.0];
        for (eye, x) in [(LEFT_EYE, 30.0), (RIGHT_EYE, 60.0)] {
            set(eye[0], x, 40.0);
            set(eye[3], x + 10.0, 40.0);
            set(eye[1], x + 3.0, 38.5);
            set(eye[5], x + 3.0, 41.5);
            set(eye[2], x + 6.0, 38.5);
            set(eye[4], x + 6.0, 41.5);
        }
        set(MOUTH_CORNERS[0], 40.0, 68.0);
        set(MOUTH_CORNERS[1], 60.0, 68.0);
        set(LIPS[0], 50.0, 67.0);
        set(LIPS[1], 50.0, 73.0);
        set(NOSE_TIP, 50.0, 55.0);
        set(CHEEKS[0], 20.0, 55.0);
        set(CHEEKS[1], 80.0, 55.0);
        points
    }

    #[test]
    fn the_formulas_are_the_originals() {
        let e = Expression::measure(&face(), 100, 100, LandmarkRounding::Float);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} for {b}");
        near(e.left_ear, 0.3);
        near(e.eye_aspect_ratio(), 0.3);
        near(e.mouth_width_ratio, 20.0 / (1.5 * 40.0));
        near(e.corner_elevation, 0.02);
        near(e.lip_separation, 0.06);
        near(e.smile_score(), 1.0 / 6.0 + 0.006 + 0.012);
        near(e.turn, 0.0);
        assert!(e.eyes_open(&Thresholds::default()) && e.is_smiling(&Thresholds::default()));
    }

    #[test]
    fn one_closed_eye_is_not_open_eyes() {
        let e = Expression { left_ear: 0.199, ..Expression::measure(&face(), 100, 100, LandmarkRounding::Float) };
        assert!(!e.eyes_open(&Thresholds::default()));
        assert!(Expression { left_ear: 0.2, ..e }.eyes_open(&Thresholds::default()), "the limit itself is open");
    }

    #[test]
    fn whole_pixels_change_the_eyes() {
        let e = Expression::measure(&face(), 100, 100, LandmarkRounding::Pixel);
        assert!((e.left_ear - 0.3).abs() < 1e-9, "38.5 and 41.5 both lose half a pixel");
        let coarse = Expression::measure(&face(), 10, 10, LandmarkRounding::Pixel);
        assert!((coarse.left_ear - 1.0).abs() < 1e-9, "3.85 and 4.15 become 3 and 4");
    }

    #[test]
    fn a_face_without_width_gives_zeros() {
        let e = Expression::measure(&vec![[0.5; 3]; COUNT], 100, 100, LandmarkRounding::Float);
        assert_eq!([e.left_ear, e.mouth_width_ratio, e.turn], [0.0; 3]);
    }
}

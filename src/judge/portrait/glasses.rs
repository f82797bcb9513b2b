//! Detection of dark glasses: both eye regions are dark and of uniform brightness, while the skin around them is not.

use super::landmarks::{LEFT_EYE, Point, RIGHT_EYE};
use base::pixels::Pixels;

/// Landmarks on cheeks, nose and forehead, which glasses do not cover.
const SKIN: [usize; 10] = [50, 280, 101, 330, 205, 425, 4, 195, 151, 9];
/// The largest brightness of a lens, as a share of the skin's brightness.
const MAX_LENS_BRIGHTNESS: f64 = 0.5;
/// The largest deviation from the brightness of the lens, as a share of the skin's brightness.
const LENS_TOLERANCE: f64 = 0.06;
/// The smallest share of the sampled points that must have the brightness of the lens: uncovered eyes reach 0.2, eyes
/// behind drawn lenses at least 0.4.
const MIN_COVERAGE: f64 = 0.3;
/// The quantile of the sampled brightnesses that lies on the lens, if there is one.
const LENS_QUANTILE: f64 = 0.2;
/// The sampled ellipse around the middle of an eye, in halves of the eye's width.
const SAMPLED_LENGTH: f64 = 1.0;
const SAMPLED_HEIGHT: f64 = 1.5;
/// Samples from the middle to each side.
const STEPS: i32 = 6;

/// Whether both eyes are behind dark lenses; false if the face lies outside the picture.
pub fn are_dark(pixels: &Pixels, points: &[Point]) -> bool {
    let (width, height) = (f64::from(pixels.width()), f64::from(pixels.height()));
    let position = |index: usize| [points[index][0] * width, points[index][1] * height];
    let skin = SKIN.iter().filter_map(|&index| brightness(pixels, position(index)));
    let Some(skin) = quantile(skin.collect(), 0.5) else { return false };
    let is_covered = |eye: [usize; 6]| {
        let ([ax, ay], [bx, by]) = (position(eye[0]), position(eye[3]));
        let (middle, half) = ([f64::midpoint(ax, bx), f64::midpoint(ay, by)], [(bx - ax) / 2.0, (by - ay) / 2.0]);
        let steps = || (-STEPS..=STEPS).map(|i| f64::from(i) / f64::from(STEPS));
        let inside = steps().flat_map(|s| steps().map(move |t| (s, t))).filter(|(s, t)| s * s + t * t <= 1.0);
        let at = |(s, t): (f64, f64)| {
            let (s, t) = (s * SAMPLED_LENGTH, t * SAMPLED_HEIGHT);
            brightness(pixels, [middle[0] + s * half[0] - t * half[1], middle[1] + s * half[1] + t * half[0]])
        };
        let seen: Vec<f64> = inside.filter_map(at).collect();
        quantile(seen.clone(), LENS_QUANTILE).is_some_and(|lens| {
            let of_lens = seen.iter().filter(|&&v| (v - lens).abs() <= LENS_TOLERANCE * skin).count();
            lens < MAX_LENS_BRIGHTNESS * skin && of_lens as f64 >= MIN_COVERAGE * seen.len() as f64
        })
    };
    is_covered(LEFT_EYE) && is_covered(RIGHT_EYE)
}

/// The value below which the share `quantile` of the values lies.
fn quantile(mut values: Vec<f64>, quantile: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get((quantile * values.len().saturating_sub(1) as f64).round() as usize).copied()
}

/// The luma of the pixel at a position; `None` outside the picture.
fn brightness(pixels: &Pixels, [x, y]: [f64; 2]) -> Option<f64> {
    let inside = x >= 0.0 && y >= 0.0 && x < f64::from(pixels.width()) && y < f64::from(pixels.height());
    inside.then(|| {
        let [r, g, b] = pixels.get(x as u32, y as u32).map(f64::from);
        0.299 * r + 0.587 * g + 0.114 * b
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests a picture of 100×100 with eyes at (30, 40) and (70, 40); `around` gives the grey by distance to an eye.
    fn is_dark(around: impl Fn(f64) -> u8) -> bool {
        let mut points = vec![[0.5, 0.8, 0.0]; 478];
        for (eye, middle) in [(LEFT_EYE, 0.3), (RIGHT_EYE, 0.7)] {
            points[eye[0]] = [middle - 0.08, 0.4, 0.0];
            points[eye[3]] = [middle + 0.08, 0.4, 0.0];
        }
        let grey = |x: f64, y: f64| around((x - 30.0).hypot(y - 40.0).min((x - 70.0).hypot(y - 40.0)));
        let data = (0..100 * 100).flat_map(|i| [grey(f64::from(i % 100), f64::from(i / 100)); 3]).collect();
        are_dark(&Pixels::new(100, 100, data).unwrap(), &points)
    }

    #[test]
    fn lenses_are_dark_and_flat() {
        assert!(is_dark(|distance| if distance < 12.0 { 20 } else { 180 }));
        assert!(!is_dark(|_| 180), "closed eyes");
        assert!(!is_dark(|distance| if distance < 3.0 { 20 } else { 180 }), "pupils");
        assert!(!is_dark(|distance| if distance < 12.0 { 120 } else { 180 }), "in the shadow of a hat");
        assert!(!is_dark(|distance| (distance * 12.0).min(180.0) as u8), "make-up");
        assert!(!are_dark(&Pixels::new(1, 1, vec![0; 3]).unwrap(), &vec![[9.0, 9.0, 0.0]; 478]), "outside");
    }
}

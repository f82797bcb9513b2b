//! Dark glasses, from the picture: where eyes should be it is dark and flat, while the cheeks beside are not.

use super::landmarks::{LEFT_EYE, Point, RIGHT_EYE};
use base::pixels::Pixels;

/// Points on cheeks, nose and forehead, which glasses leave free.
const SKIN: [usize; 10] = [50, 280, 101, 330, 205, 425, 4, 195, 151, 9];
/// Lenses are darker than this share of the skin's brightness …
const DARKER: f64 = 0.5;
/// … and of one brightness, give or take this share of the skin's …
const FLAT: f64 = 0.06;
/// … over at least this share of what is looked at: uncovered eyes reach 0.2, eyes behind drawn lenses 0.4 and more.
const COVERED: f64 = 0.3;
/// The brightness that so many places are darker than: on a lens, where there is one.
const ON_A_LENS: f64 = 0.2;
/// What is looked at around the middle of an eye, in halves of its width, along it and across.
const ALONG: f64 = 1.0;
const ACROSS: f64 = 1.5;
/// Places from the middle to each side.
const STEPS: i32 = 6;

/// Whether both eyes are covered so; not where the face lies outside the picture.
pub fn are_dark(pixels: &Pixels, points: &[Point]) -> bool {
    let (width, height) = (f64::from(pixels.width()), f64::from(pixels.height()));
    let place = |index: usize| [points[index][0] * width, points[index][1] * height];
    let skin = SKIN.iter().filter_map(|&index| brightness(pixels, place(index)));
    let Some(skin) = share(skin.collect(), 0.5) else { return false };
    let is_covered = |eye: [usize; 6]| {
        let ([ax, ay], [bx, by]) = (place(eye[0]), place(eye[3]));
        let (middle, half) = ([f64::midpoint(ax, bx), f64::midpoint(ay, by)], [(bx - ax) / 2.0, (by - ay) / 2.0]);
        let steps = || (-STEPS..=STEPS).map(|i| f64::from(i) / f64::from(STEPS));
        let inside = steps().flat_map(|s| steps().map(move |t| (s, t))).filter(|(s, t)| s * s + t * t <= 1.0);
        let at = |(s, t): (f64, f64)| {
            let (s, t) = (s * ALONG, t * ACROSS);
            brightness(pixels, [middle[0] + s * half[0] - t * half[1], middle[1] + s * half[1] + t * half[0]])
        };
        let seen: Vec<f64> = inside.filter_map(at).collect();
        share(seen.clone(), ON_A_LENS).is_some_and(|lens| {
            let of_lens = seen.iter().filter(|&&v| (v - lens).abs() <= FLAT * skin).count();
            lens < DARKER * skin && of_lens as f64 >= COVERED * seen.len() as f64
        })
    };
    is_covered(LEFT_EYE) && is_covered(RIGHT_EYE)
}

/// The value that a share of the values lies below.
fn share(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get((share * values.len().saturating_sub(1) as f64).round() as usize).copied()
}

/// Of the pixel at a place; `None` outside.
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

    /// A face of grey 180 whose eyes lie at 30 and 70 of 100; around them `around` tells the grey by the distance.
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

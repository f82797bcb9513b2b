//! Pairs of copies of a photo that differ in their framing: one level and centred, the other tilted or off centre.

use base::pixels::Pixels;

use crate::drawn::bilinear;
use crate::rng::Rng;

/// Tilts in degrees; less is hardly seen, more is meant.
const TILTS: [f32; 2] = [1.5, 8.0];
/// The share of a side that a copy shows where the other one is off centre.
const SHARES: [f32; 2] = [0.65, 0.85];
/// The least shift of a copy off centre along one axis, as a share of the shift that reaches the border.
const LEAST_SHIFT: f32 = 0.7;

/// Two copies of a photo, the better first. Both show it equally large and are computed in the same way, so that they differ
/// in nothing else.
pub fn tilted(photo: &Pixels, rng: &mut Rng) -> [Pixels; 2] {
    let angle = rng.between(TILTS[0], TILTS[1]).to_radians() * if rng.chance(0.5) { 1.0 } else { -1.0 };
    let (width, height) = (photo.width() as f32, photo.height() as f32);
    // Turned within the photo, a frame of its shape fits when it is so much smaller.
    let share = 0.99 / (angle.cos() + angle.abs().sin() * (width / height).max(height / width));
    [0.0, angle].map(|angle| part(photo, share, angle, jitter(rng)))
}

/// As [`tilted`], with the second copy off centre.
pub fn off_centre(photo: &Pixels, rng: &mut Rng) -> [Pixels; 2] {
    let share = rng.between(SHARES[0], SHARES[1]);
    let mut shift = [rng.between(-1.0, 1.0), rng.between(-1.0, 1.0)];
    let far = rng.below(2);
    shift[far] = rng.between(LEAST_SHIFT, 1.0).copysign(shift[far]);
    let room = [photo.width(), photo.height()].map(|side| 0.5 * (1.0 - share) * side as f32 - 1.0);
    let off = jitter(rng);
    [jitter(rng), [shift[0] * room[0] + off[0], shift[1] * room[1] + off[1]]].map(|at| part(photo, share, 0.0, at))
}

/// A shift of less than a pixel, so that no copy keeps pixels as they are.
fn jitter(rng: &mut Rng) -> [f32; 2] {
    [rng.between(-0.5, 0.5), rng.between(-0.5, 0.5)]
}

/// A part of a photo, turned about its middle and enlarged to the photo's size.
fn part(photo: &Pixels, share: f32, angle: f32, shift: [f32; 2]) -> Pixels {
    let (width, height) = (photo.width(), photo.height());
    let (sin, cos) = (share * angle.sin(), share * angle.cos());
    let middle = [width, height].map(|side| side as f32 / 2.0);
    let mut data = Vec::with_capacity(photo.data().len());
    for y in 0..height {
        for x in 0..width {
            let (right, down) = (x as f32 + 0.5 - middle[0], y as f32 + 0.5 - middle[1]);
            let (u, v) = (cos * right - sin * down, sin * right + cos * down);
            data.extend(bilinear(photo, u + middle[0] + shift[0] - 0.5, v + middle[1] + shift[1] - 0.5));
        }
    }
    Pixels::new(width, height, data).unwrap_or_else(|| photo.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use networks::mini::framing;

    fn photo(light: impl Fn(f32, f32) -> f32) -> Pixels {
        let data = (0..224 * 224).flat_map(|at| [light((at % 224) as f32, (at / 224) as f32) as u8; 3]);
        Pixels::new(224, 224, data.collect()).expect("whole pixels")
    }

    #[test]
    fn a_horizon_leans_in_the_second_copy_alone_and_a_disc_is_at_its_edge() {
        let mut rng = Rng::at(1, [0, 0]);
        let sea = photo(|_, y| if y < 100.0 { 200.0 } else { 60.0 });
        let disc = photo(|x, y| if (x - 112.0).hypot(y - 112.0) < 50.0 { 220.0 } else { 50.0 });
        for _ in 0..20 {
            let [level, leaning] = tilted(&sea, &mut rng).map(|copy| framing(&copy)[6]);
            assert!(level > 0.5 && leaning < 0.1, "{level} {leaning}");
            let [whole, cut] = off_centre(&disc, &mut rng).map(|copy| framing(&copy)[15..17].iter().sum::<f32>());
            assert!(whole < 0.02 && cut > 0.05, "{whole} {cut}");
        }
    }
}

//! What is made of photos before they are looked at.

use super::data::Photo;
use crate::degrade::{self, Strengths};
use crate::eval::variants::Fault;
use crate::rng::Rng;
use base::pixels::Pixels;
use networks::mini::DEGRADATIONS;
use photo::resize;

/// Opinions this high are of photos without faults worth naming.
const CLEAN: f32 = 0.68;
/// Files tell nothing when both of a pair are written alike.
const ENCODED: u8 = 95;

/// A picture, the faults that are in it, and how much is known of them.
pub struct Made {
    pub pixels: Pixels,
    pub strengths: Strengths,
    pub known: Strengths,
}

/// Cuts, mirrors and, where it is to be faulty, degrades. Nothing that people's opinion would change is done to a clean
/// photo; the first of them is as it is.
pub fn view(photo: &Photo, crop: u32, look: usize, faulty: bool, rng: &mut Rng) -> Made {
    let good = photo.score >= CLEAN;
    let mut strengths = [0.0; DEGRADATIONS.len()];
    let mut known = [if good { 1.0 } else { 0.0 }; DEGRADATIONS.len()];
    let plain = !faulty && look == 0;
    let mut pixels = if plain {
        photo.pixels.clone()
    } else if faulty && rng.chance(0.5) {
        degrade::reframed(&photo.pixels, photo.pixels.width(), rng)
    } else {
        cut(&photo.pixels, crop, rng)
    };
    if !plain && rng.chance(0.5) {
        pixels = degrade::mirrored(&pixels);
    }
    if faulty {
        if rng.chance(0.85) {
            (pixels, strengths) = degrade::degraded(&pixels, rng);
            for (known, strength) in known.iter_mut().zip(strengths) {
                // What was put in is there, whatever the photo was before.
                *known = if strength > 0.0 { 1.0 } else { *known };
            }
        }
    } else {
        known = known.map(|known| 0.5 * known);
        // Files differ in how they were written; photos from a camera were not written twice.
        if !plain && rng.chance(0.2) {
            pixels = degrade::encoded(&pixels, 78 + rng.below(18) as u8);
        }
    }
    Made { pixels, strengths, known }
}

/// A square of at least `crop` a side.
fn cut(photo: &Pixels, crop: u32, rng: &mut Rng) -> Pixels {
    let least = crop.min(photo.width()).min(photo.height());
    let side = least + rng.below((photo.width().min(photo.height()) - least + 1) as usize) as u32;
    let room = |whole: u32| (whole - side + 1) as usize;
    let (x, y) = (rng.below(room(photo.width())) as u32, rng.below(room(photo.height())) as u32);
    resize::crop(photo, x, y, side, side).unwrap_or_else(|| photo.clone())
}

/// The photo itself, or after it copies with one fault each, most of them faint; all of them written alike.
pub fn copy(photo: &Pixels, copy: usize, rng: &mut Rng) -> Pixels {
    let strength = if rng.chance(0.5) { rng.between(0.02, 0.4) } else { rng.between(0.1, 1.0) };
    let applied = |fault: Fault| fault.apply(photo).unwrap_or_else(|| photo.clone());
    let Some(fault) = copy.checked_sub(1) else { return degrade::encoded(photo, ENCODED) };
    let worse = match fault % 4 {
        0 => degrade::apply(photo, degrade::BLUR, strength, rng),
        1 => applied(Fault::Noise(4.0 + 40.0 * strength)),
        2 => {
            let stops = 0.4 + 1.8 * strength;
            applied(Fault::Exposure(if rng.chance(0.5) { stops } else { -stops }))
        }
        _ => return degrade::encoded(photo, (90.0 - 84.0 * strength.sqrt()) as u8),
    };
    degrade::encoded(&worse, ENCODED)
}

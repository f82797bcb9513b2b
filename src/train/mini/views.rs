//! Augmented views and degraded copies of photos.

use super::data::Photo;
use crate::degrade::{self, Strengths};
use crate::eval::variants::Fault;
use crate::rng::Rng;
use base::pixels::Pixels;
use networks::mini::DEGRADATIONS;
use photo::resize;

/// Photos with at least this score are taken to have no faults.
const CLEAN_SCORE: f32 = 0.68;
/// The JPEG quality of all copies, so that compression does not reveal which of a pair is the degraded one.
const COPY_QUALITY: u8 = 95;

/// A picture, the strengths of its faults, and the weight of each strength as a label.
pub struct Augmented {
    pub pixels: Pixels,
    pub strengths: Strengths,
    pub known: Strengths,
}

/// Crops and mirrors a photo, and degrades it on request. View 0 without degradation is unaltered; the other clean
/// views change nothing that people's opinion depends on.
pub fn view(photo: &Photo, crop: u32, view_number: usize, degraded: bool, rng: &mut Rng) -> Augmented {
    let good = photo.score >= CLEAN_SCORE;
    let mut strengths = [0.0; DEGRADATIONS.len()];
    let mut known = [if good { 1.0 } else { 0.0 }; DEGRADATIONS.len()];
    let plain = !degraded && view_number == 0;
    let mut pixels = if plain {
        photo.pixels.clone()
    } else if degraded && rng.chance(0.5) {
        degrade::reframed(&photo.pixels, photo.pixels.width(), rng)
    } else {
        random_square(&photo.pixels, crop, rng)
    };
    if !plain && rng.chance(0.5) {
        pixels = degrade::mirrored(&pixels);
    }
    if degraded {
        if rng.chance(0.85) {
            (pixels, strengths) = degrade::with_random_faults(&pixels, rng);
            for (known, strength) in known.iter_mut().zip(strengths) {
                // The strength of an added fault is known, whatever the photo was like before.
                *known = if strength > 0.0 { 1.0 } else { *known };
            }
        }
    } else {
        known = known.map(|known| 0.5 * known);
        // Re-encodes some views, because photos on disk are compressed differently.
        if !plain && rng.chance(0.2) {
            pixels = degrade::encoded(&pixels, 78 + rng.below(18) as u8);
        }
    }
    Augmented { pixels, strengths, known }
}

/// A random square whose side is at least `crop`.
fn random_square(photo: &Pixels, crop: u32, rng: &mut Rng) -> Pixels {
    let least = crop.min(photo.width()).min(photo.height());
    let side = least + rng.below((photo.width().min(photo.height()) - least + 1) as usize) as u32;
    let positions = |whole: u32| (whole - side + 1) as usize;
    let (x, y) = (rng.below(positions(photo.width())) as u32, rng.below(positions(photo.height())) as u32);
    resize::crop(photo, x, y, side, side).unwrap_or_else(|| photo.clone())
}

/// Copy 0 is the photo itself; the others have one fault each, most of them faint. All are encoded alike.
pub fn copy(photo: &Pixels, copy: usize, rng: &mut Rng) -> Pixels {
    let strength = if rng.chance(0.5) { rng.between(0.02, 0.4) } else { rng.between(0.1, 1.0) };
    let applied = |fault: Fault| fault.apply(photo).unwrap_or_else(|| photo.clone());
    let Some(fault) = copy.checked_sub(1) else { return degrade::encoded(photo, COPY_QUALITY) };
    let worse = match fault % 4 {
        0 => degrade::apply(photo, degrade::BLUR, strength, rng),
        1 => applied(Fault::Noise(4.0 + 40.0 * strength)),
        2 => {
            let stops = 0.4 + 1.8 * strength;
            applied(Fault::Exposure(if rng.chance(0.5) { stops } else { -stops }))
        }
        _ => return degrade::encoded(photo, (90.0 - 84.0 * strength.sqrt()) as u8),
    };
    degrade::encoded(&worse, COPY_QUALITY)
}

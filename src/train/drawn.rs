//! Synthetic screenshots, documents, receipts, charts, drawings and memes, from which the small network learns to tell
//! photographs from other pictures. Everything is drawn by this module, including typefaces, so that no copyrighted
//! picture is trained on.

mod camera;
mod canvas;
mod letters;
mod papers;
mod pictures;
mod screens;

pub use camera::bilinear;

use super::degrade;
use super::rng::Rng;
use base::pixels::Pixels;
use networks::mini::KINDS;

/// Draws a picture of a kind, by its index in [`KINDS`], other than 0 (photographs). `photos` are used as backgrounds
/// of memes, on screens and under paper.
pub fn draw(kind: usize, photos: &[&Pixels], rng: &mut Rng) -> Pixels {
    debug_assert!((1..KINDS.len()).contains(&kind), "photographs are not drawn");
    let picture = match kind {
        1 => screens::screenshot(photos, rng),
        2 => papers::document(photos, rng),
        3 => papers::receipt(photos, rng),
        4 => pictures::chart(rng),
        5 => pictures::drawing(rng),
        _ => pictures::meme(photos, rng),
    };
    // Recompressed, as by messengers.
    if rng.chance(0.4) { degrade::encoded(&picture, 45 + rng.below(50) as u8) } else { picture }
}

/// A random photo, if there are any.
fn random_photo<'a>(photos: &[&'a Pixels], rng: &mut Rng) -> Option<&'a Pixels> {
    photos.get(rng.below(photos.len())).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_repeat_with_their_chance_and_differ_by_it() {
        let photo = Pixels::new(64, 48, (0..64 * 48 * 3).map(|v| (v % 251) as u8).collect()).expect("pixels");
        for (kind, name) in KINDS.iter().enumerate().skip(1) {
            let seeded = |seed| draw(kind, &[&photo], &mut Rng::at(seed, [kind as u64, 0]));
            let (one, other) = (seeded(1), seeded(2));
            assert_eq!(one, seeded(1), "{name}");
            assert_ne!(one, other, "{name}");
            // A picture is not a plain area.
            for picture in [one, other] {
                let (least, most) = (picture.data().iter().min(), picture.data().iter().max());
                assert!(most.zip(least).is_some_and(|(most, least)| most - least > 60), "{name}");
            }
        }
        // Without photos the background is plain.
        assert!(draw(6, &[], &mut Rng::at(3, [0, 0])).width() > 100);
    }
}

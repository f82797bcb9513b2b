//! Pictures that no camera took, or that show paper: what the small network learns to tell from photographs. Everything is
//! drawn here, typefaces too, so nothing of anybody's is learned from.

mod camera;
mod canvas;
mod letters;
mod papers;
mod pictures;
mod screens;

use super::degrade;
use super::rng::Rng;
use base::pixels::Pixels;
use networks::mini::KINDS;

/// A picture of one of [`KINDS`] but the first, by its place there. `photos` are what lies behind memes, on screens and
/// under paper.
pub fn drawn(kind: usize, photos: &[&Pixels], rng: &mut Rng) -> Pixels {
    debug_assert!((1..KINDS.len()).contains(&kind), "photographs are not drawn");
    let picture = match kind {
        1 => screens::screenshot(photos, rng),
        2 => papers::document(photos, rng),
        3 => papers::receipt(photos, rng),
        4 => pictures::chart(rng),
        5 => pictures::drawing(rng),
        _ => pictures::meme(photos, rng),
    };
    // As messengers pass them on.
    if rng.chance(0.4) { degrade::encoded(&picture, 45 + rng.below(50) as u8) } else { picture }
}

/// One of the photos, if there are any.
fn any<'a>(photos: &[&'a Pixels], rng: &mut Rng) -> Option<&'a Pixels> {
    photos.get(rng.below(photos.len())).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_repeat_with_their_chance_and_differ_by_it() {
        let photo = Pixels::new(64, 48, (0..64 * 48 * 3).map(|v| (v % 251) as u8).collect()).expect("pixels");
        for (kind, name) in KINDS.iter().enumerate().skip(1) {
            let draw = |seed| drawn(kind, &[&photo], &mut Rng::at(seed, [kind as u64, 0]));
            let (one, other) = (draw(1), draw(2));
            assert_eq!(one, draw(1), "{name}");
            assert_ne!(one, other, "{name}");
            // Nothing is drawn on nothing: a picture has something to see.
            for picture in [one, other] {
                let (least, most) = (picture.data().iter().min(), picture.data().iter().max());
                assert!(most.zip(least).is_some_and(|(most, least)| most - least > 60), "{name}");
            }
        }
        // Without photos there are plain grounds.
        assert!(drawn(6, &[], &mut Rng::at(3, [0, 0])).width() > 100);
    }
}

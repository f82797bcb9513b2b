//! What the small network is shown of a photo: the whole at its own small size, and the middle as large as it is. Noise
//! and slight blur vanish when a photo is made small.

use std::borrow::Cow;

use crate::nn::mini::{SIDE, answer};
use crate::photo::resize;
use crate::pixels::Pixels;
use crate::quality::{self, Weights};

/// Part of every stored result's key: raised when the same photo comes to be shown otherwise.
pub const REVISION: &str = "views/1";

/// Side of what is cut from the middle.
const CUT: u32 = SIDE as u32;
/// The middle is looked at as large as it is, but no larger than a photo of this long side shows it.
const CLOSEST: u32 = 1024;
/// Below this long side the whole shows about as much.
const LEAST: u32 = 400;

/// The whole first.
pub fn of(photo: &Pixels) -> Vec<Pixels> {
    let side = SIDE as u32;
    let mut views = vec![resize::resize(photo, side, side, resize::Filter::Lanczos3)];
    if photo.long_side() >= LEAST {
        let seen: Cow<'_, Pixels> = resize::within(photo, CLOSEST);
        if seen.width() >= CUT && seen.height() >= CUT {
            views.push(resize::centre_crop(&seen, CUT));
        }
    }
    views
}

/// One answer of the answers to all views: the mean of the judgements, the embedding of the whole. The middle alone is a
/// worse judge than the whole; together they order the takes of bursts better than either.
pub fn together(answers: &[Vec<f32>]) -> Vec<f32> {
    let Some((whole, middles)) = answers.split_first() else { return vec![0.0; answer::LEN] };
    let mut said = whole.clone();
    for (at, value) in said[..answer::DEGRADED.end].iter_mut().enumerate() {
        *value = (*value + middles.iter().map(|middle| middle[at]).sum::<f32>()) / answers.len() as f32;
    }
    said
}

/// What a photo brings into a comparison: what the network says, and how sharp it is, which says much about takes of one
/// scene. Beyond some sharpness it is noise as often as detail. Weight and bound were chosen on bursts that the network had
/// not seen.
pub fn strength(said: &[f32], photo: &Pixels) -> f32 {
    const WEIGHT: f64 = 0.75;
    const ENOUGH: f64 = 500.0;
    let sharpness = quality::measure(photo, &Weights::default()).sharpness_raw;
    (f64::from(said[answer::PREFERENCE]) + WEIGHT * sharpness.min(ENOUGH).ln_1p()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_photo_is_seen_once_and_a_large_one_closely() {
        let sizes = |width, height| -> Vec<u32> {
            let photo = Pixels::new(width, height, vec![9; (width * height * 3) as usize]).expect("pixels");
            of(&photo).iter().map(Pixels::width).collect()
        };
        assert_eq!(sizes(224, 224), [224]);
        assert_eq!(sizes(512, 384), [224, CUT]);
        assert_eq!(sizes(1600, 1200), [224, CUT]);
        assert_eq!(sizes(1024, 40), [224]);
        let mut answers = vec![vec![1.0; answer::LEN], vec![0.0; answer::LEN]];
        let said = together(&answers);
        assert_eq!((said[answer::OPINION], said[answer::EMBEDDED.start]), (0.5, 1.0));
        answers.truncate(1);
        assert_eq!(together(&answers), answers[0]);
    }
}

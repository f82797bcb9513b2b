//! The views of a photo that the built-in network judges: the whole photo, reduced, and for the measures also the centre at
//! full size. Reducing a photo hides noise and slight blur.

use std::borrow::Cow;

use super::{DETAILS, FRAMING, Heads, MEASURES, SIDE, answer, details, framing, measures};
use base::pixels::Pixels;
use photo::resize;

/// Part of the key of stored results; changes when the views change.
pub const REVISION: &str = "views/4";

/// Side of the centre crop.
const CUT: u32 = SIDE as u32;
/// Photos are reduced to this long side before the centre is cropped and details are measured.
const MAX_LONG_SIDE: u32 = 1024;
/// Below this long side the whole photo shows about as much as the centre.
const MIN_LONG_SIDE: u32 = 400;

/// The whole photo, and the centre where the photo is large enough.
#[derive(Clone, Debug)]
pub struct Views {
    pub whole: Pixels,
    pub middle: Option<Pixels>,
}

/// Measures the details of a photo at the size of the views.
pub fn details_of(photo: &Pixels) -> [f32; DETAILS] {
    details(&closely(photo))
}

fn closely(photo: &Pixels) -> Cow<'_, Pixels> {
    resize::within(photo, MAX_LONG_SIDE)
}

pub fn of(photo: &Pixels) -> Views {
    let side = SIDE as u32;
    let whole = resize::resize(photo, side, side, resize::Filter::Lanczos3);
    let seen = (photo.long_side() >= MIN_LONG_SIDE).then(|| closely(photo));
    let wide = seen.filter(|seen| seen.width() >= CUT && seen.height() >= CUT);
    Views { whole, middle: wide.map(|seen| resize::centre_crop(&seen, CUT)) }
}

impl Views {
    pub fn measured(&self) -> Measured {
        Measured {
            whole: measures(&self.whole),
            middle: self.middle.as_ref().map(measures),
            framing: framing(&self.whole),
        }
    }
}

/// The measures of both views, and the framing of the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub whole: [f32; MEASURES],
    pub middle: Option<[f32; MEASURES]>,
    pub framing: [f32; FRAMING],
}

/// The outputs of the heads for the measures of both views. The trunk always sees the whole photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    pub whole: Vec<f32>,
    pub middle: Option<Vec<f32>>,
    pub framing: [f32; FRAMING],
}

impl Answers {
    /// Runs the heads on the trunk's features of the whole photo.
    pub fn of(heads: &Heads, pooled: &[f32], measured: &Measured) -> Self {
        let answer = |measures: &[f32; MEASURES]| heads.answer(pooled, measures);
        Self { whole: answer(&measured.whole), middle: measured.middle.as_ref().map(answer), framing: measured.framing }
    }

    /// The mean over both views.
    fn judged(&self, at: usize) -> f32 {
        let whole = self.whole[at];
        self.middle.as_ref().map_or(whole, |middle| f32::midpoint(whole, middle[at]))
    }

    /// The opinion of quality, 0 to 1.
    pub fn opinion(&self) -> f32 {
        self.judged(answer::OPINION)
    }

    pub fn degraded(&self) -> Vec<f32> {
        answer::DEGRADED.map(|at| self.judged(at)).collect()
    }

    /// The probability of each of [`super::KINDS`], judged from the whole photo.
    pub fn kind(&self) -> &[f32] {
        &self.whole[answer::KIND]
    }

    /// The embedding of the whole photo.
    pub fn embedded(&self) -> &[f32] {
        &self.whole[answer::EMBEDDED]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_photo_has_a_centre_view_and_a_small_one_does_not() {
        let sizes = |width, height| {
            let photo = Pixels::new(width, height, vec![9; (width * height * 3) as usize]).expect("pixels");
            let views = of(&photo);
            (views.whole.width(), views.middle.map(|middle| (middle.width(), middle.height())))
        };
        let cut = Some((CUT, CUT));
        assert_eq!(sizes(224, 224), (224, None));
        assert_eq!(sizes(512, 384), (224, cut));
        assert_eq!(sizes(1600, 1200), (224, cut));
        assert_eq!(sizes(1024, 40), (224, None));
    }

    #[test]
    fn outputs_are_averaged_and_the_embedding_is_that_of_the_whole() {
        let mut answers =
            Answers { whole: vec![1.0; answer::LEN], middle: Some(vec![0.0; answer::LEN]), framing: [0.0; _] };
        assert_eq!((answers.opinion(), answers.degraded()[0], answers.embedded()[0]), (0.5, 0.5, 1.0));
        answers.middle = None;
        assert_eq!(answers.opinion(), 1.0);
    }
}

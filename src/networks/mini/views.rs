//! What the small network is shown of a photo: the whole at its own small size, and for the measures also the middle as
//! large as it is. Noise and slight blur vanish when a photo is made small.

use std::borrow::Cow;

use super::{DETAILS, Heads, MEASURES, SIDE, answer, details, measures};
use base::pixels::Pixels;
use photo::resize;

/// Part of every stored result's key: raised when the same photo comes to be shown otherwise.
pub const REVISION: &str = "views/3";

/// Side of what is cut from the middle.
const CUT: u32 = SIDE as u32;
/// The middle is measured as large as it is, but no larger than a photo of this long side shows it.
const CLOSEST: u32 = 1024;
/// Below this long side the whole shows about as much.
const LEAST: u32 = 400;

/// The whole, and perhaps the middle.
#[derive(Clone, Debug)]
pub struct Views {
    pub whole: Pixels,
    pub middle: Option<Pixels>,
}

/// The details of a photo at the size at which they are looked at.
pub fn details_of(photo: &Pixels) -> [f32; DETAILS] {
    details(&closely(photo))
}

fn closely(photo: &Pixels) -> Cow<'_, Pixels> {
    resize::within(photo, CLOSEST)
}

pub fn of(photo: &Pixels) -> Views {
    let side = SIDE as u32;
    let whole = resize::resize(photo, side, side, resize::Filter::Lanczos3);
    let seen = (photo.long_side() >= LEAST).then(|| closely(photo));
    let wide = seen.filter(|seen| seen.width() >= CUT && seen.height() >= CUT);
    Views { whole, middle: wide.map(|seen| resize::centre_crop(&seen, CUT)) }
}

impl Views {
    pub fn measured(&self) -> Measured {
        Measured { whole: measures(&self.whole), middle: self.middle.as_ref().map(measures) }
    }
}

/// What is measured of both.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub whole: [f32; MEASURES],
    pub middle: Option<[f32; MEASURES]>,
}

/// What the heads say by the measures of both; what the trunk saw is the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    pub whole: Vec<f32>,
    pub middle: Option<Vec<f32>>,
}

impl Answers {
    /// From the trunk's numbers of the whole.
    pub fn of(heads: &Heads, pooled: &[f32], measured: &Measured) -> Self {
        let answer = |measures: &[f32; MEASURES]| heads.answer(pooled, measures);
        Self { whole: answer(&measured.whole), middle: measured.middle.as_ref().map(answer) }
    }

    /// The mean of both judgements.
    fn judged(&self, at: usize) -> f32 {
        let whole = self.whole[at];
        self.middle.as_ref().map_or(whole, |middle| f32::midpoint(whole, middle[at]))
    }

    /// Of quality, 0 to 1.
    pub fn opinion(&self) -> f32 {
        self.judged(answer::OPINION)
    }

    pub fn degraded(&self) -> Vec<f32> {
        answer::DEGRADED.map(|at| self.judged(at)).collect()
    }

    /// How likely each of [`super::KINDS`] is, by the whole.
    pub fn kind(&self) -> &[f32] {
        &self.whole[answer::KIND]
    }

    /// Of the whole.
    pub fn embedded(&self) -> &[f32] {
        &self.whole[answer::EMBEDDED]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_photo_is_seen_once_and_a_large_one_closely() {
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
    fn judgements_are_shared_and_the_whole_is_embedded() {
        let mut answers = Answers { whole: vec![1.0; answer::LEN], middle: Some(vec![0.0; answer::LEN]) };
        assert_eq!((answers.opinion(), answers.degraded()[0], answers.embedded()[0]), (0.5, 0.5, 1.0));
        answers.middle = None;
        assert_eq!(answers.opinion(), 1.0);
    }
}

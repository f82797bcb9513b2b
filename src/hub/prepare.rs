//! Photos to what a network takes, as its manifest describes it.

use rayon::prelude::*;

use crate::nn::fused::Batch;
use crate::nn::preprocess::{Filter, Preprocess, Resize};
use crate::photo::resize;
use crate::pixels::Pixels;

/// The photos as one batch of squares.
pub fn batch(preprocess: &Preprocess, photos: &[Pixels]) -> Batch {
    let side = preprocess.side();
    let prepared: Vec<Vec<f32>> = match photos {
        // A caller with one photo is one of many threads: no detour through the pool.
        [photo] => vec![square(preprocess, photo, side)],
        photos => photos.par_iter().map(|photo| square(preprocess, photo, side)).collect(),
    };
    let side = side as usize;
    Batch { photos: photos.len(), height: side, width: side, data: prepared.concat() }
}

/// Pictures that have the network's size already, as a batch of one.
pub fn as_it_is(preprocess: &Preprocess, picture: &Pixels) -> Batch {
    let mut data = Vec::with_capacity(picture.data().len());
    preprocess.normalise(picture.data(), &mut data);
    Batch { photos: 1, height: picture.height() as usize, width: picture.width() as usize, data }
}

fn square(preprocess: &Preprocess, photo: &Pixels, side: u32) -> Vec<f32> {
    let filter = match preprocess.filter {
        Filter::Bilinear => resize::Filter::Bilinear,
        Filter::Bicubic => resize::Filter::Bicubic,
        Filter::Lanczos => resize::Filter::Lanczos3,
    };
    let resized = match preprocess.resize {
        Resize::ShortSide(short) => resize::short_side(photo, short, filter),
        Resize::Square(side) => std::borrow::Cow::Owned(resize::resize(photo, side, side, filter)),
    };
    let cropped = if preprocess.crop.is_some() { resize::centre_crop(&resized, side) } else { resized.into_owned() };
    let mut out = Vec::with_capacity(cropped.data().len());
    preprocess.normalise(cropped.data(), &mut out);
    out
}

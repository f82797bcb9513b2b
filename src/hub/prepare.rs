//! Preprocessing of photos as described by a manifest.

use rayon::prelude::*;

use base::pixels::Pixels;
use networks::fused::Batch;
use networks::preprocess::{Preprocess, Resize};
use photo::resize;

/// Preprocesses photos into one batch.
pub fn batch(preprocess: &Preprocess, photos: &[Pixels]) -> Batch {
    let side = preprocess.side();
    let prepared: Vec<Vec<f32>> = match photos {
        // A caller with one photo is one of many threads, so the thread pool would only add overhead.
        [photo] => vec![square(preprocess, photo, side)],
        photos => photos.par_iter().map(|photo| square(preprocess, photo, side)).collect(),
    };
    let side = side as usize;
    Batch { photos: photos.len(), height: side, width: side, data: prepared.concat() }
}

/// Normalises pictures that already have the network's size.
pub fn as_they_are(preprocess: &Preprocess, pictures: &[&Pixels]) -> Batch {
    let (width, height) = pictures.first().map_or((0, 0), |picture| (picture.width(), picture.height()));
    let mut data = Vec::with_capacity(pictures.iter().map(|picture| picture.data().len()).sum());
    pictures.iter().for_each(|picture| preprocess.normalise(picture.data(), &mut data));
    Batch { photos: pictures.len(), height: height as usize, width: width as usize, data }
}

fn square(preprocess: &Preprocess, photo: &Pixels, side: u32) -> Vec<f32> {
    let filter = preprocess.filter;
    let cropped = match (preprocess.resize, preprocess.crop) {
        (Resize::ShortSide(short), Some(_)) => resize::short_side_cropped(photo, short, filter, side),
        (Resize::ShortSide(short), None) => resize::short_side(photo, short, filter).into_owned(),
        (Resize::Square(square), Some(_)) => resize::centre_crop(&resize::resize(photo, square, square, filter), side),
        (Resize::Square(square), None) => resize::resize(photo, square, square, filter),
    };
    let mut out = Vec::with_capacity(cropped.data().len());
    preprocess.normalise(cropped.data(), &mut out);
    out
}

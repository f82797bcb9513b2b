//! Batches: photos and their targets as tensors.

use std::path::Path;

use candle_core::{D, Device, Tensor};
use rayon::prelude::*;

use super::recipe::{Backbone, LargeRecipe, OutputMode};
use crate::arrays;
use crate::flaws;
use crate::labels::{Item, Target};
use crate::rng::Rng;
use crate::{TrainError, degrade};
use base::pixels::Pixels;
use networks::multihead::{self, DEGRADATIONS};
use photo::{self, Limits, Scale, resize};

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The targets of a batch; only the lists that belong to its kind of label are filled.
pub struct Targets {
    pub ratings: Vec<f32>,
    /// Shares of the votes for 1 to 10.
    pub votes: Vec<f32>,
    pub classes: Vec<u32>,
    pub strengths: Vec<f32>,
    /// Overall quality.
    pub qualities: Vec<f32>,
    device: Device,
}

impl Targets {
    pub fn loss(&self, outputs: &Tensor, recipe: &LargeRecipe) -> candle_core::Result<Tensor> {
        let count = outputs.dim(0)?;
        if !self.qualities.is_empty() {
            let qualities = Tensor::from_slice(&self.qualities, (count, 1), &self.device)?;
            return (candle_nn::ops::sigmoid(outputs)? - qualities)?.sqr()?.mean_all();
        }
        if !self.strengths.is_empty() {
            let strengths = Tensor::from_slice(&self.strengths, (count, DEGRADATIONS.len()), &self.device)?;
            let errors = (candle_nn::ops::sigmoid(outputs)? - strengths)?.sqr()?;
            return errors.broadcast_mul(&Tensor::new(&flaws::LOSS_WEIGHTS, &self.device)?)?.mean_all();
        }
        if !self.classes.is_empty() {
            return candle_nn::loss::cross_entropy(outputs, &Tensor::from_slice(&self.classes, count, &self.device)?);
        }
        if recipe.output_mode == OutputMode::Distribution {
            let votes = Tensor::from_slice(&self.votes, (count, 10), &self.device)?;
            let log_probabilities = candle_nn::ops::log_softmax(outputs, D::Minus1)?;
            return ((log_probabilities * votes)?.sum_all()? / -(count as f64))?.reshape(());
        }
        let ratings = Tensor::from_slice(&self.ratings, count, &self.device)?;
        (outputs.squeeze(1)? - ratings)?.sqr()?.mean_all()
    }
}

/// Returns the photos of the chosen items, one tensor for each photo of an item, and their targets. With a step, photos
/// are augmented at random, seeded by the step.
pub fn batch(
    items: &[Item],
    chosen: &[usize],
    recipe: &LargeRecipe,
    step: Option<u64>,
    device: &Device,
) -> Result<(Vec<Tensor>, Targets), TrainError> {
    let sides = chosen.first().map_or(1, |&i| items[i].files.len());
    let prepared: Vec<(Vec<Vec<f32>>, flaws::Strengths)> = chosen
        .par_iter()
        .enumerate()
        .map(|(at, &i)| {
            let mut rng =
                Rng::at(recipe.seed ^ 0xA6, [step.unwrap_or(u64::MAX), if step.is_some() { at } else { i } as u64]);
            let mut strengths = [0.0; DEGRADATIONS.len()];
            let mut photos = Vec::new();
            for file in &items[i].files {
                let mut photo = resized_photo(file, items[i].row, recipe)?;
                // One clean photo for every five with flaws.
                if items[i].target == Target::Faults && rng.chance(5.0 / 6.0) {
                    (photo, strengths) = flaws::with_random_flaws(&photo, &mut rng);
                }
                photos.push(tensor_data(&photo, recipe, step.map(|_| &mut rng)));
            }
            Ok((photos, strengths))
        })
        .collect::<Result<_, TrainError>>()?;
    let side = recipe.crop as usize;
    let mut tensors = Vec::new();
    for which in 0..sides {
        let data: Vec<f32> = prepared.iter().flat_map(|(photos, _)| photos[which].iter().copied()).collect();
        let x = Tensor::from_vec(data, (chosen.len(), side, side, 3), device)?;
        tensors.push(x.permute((0, 3, 1, 2))?.contiguous()?);
    }
    let mut targets = Targets {
        ratings: Vec::new(),
        votes: Vec::new(),
        classes: Vec::new(),
        strengths: Vec::new(),
        qualities: Vec::new(),
        device: device.clone(),
    };
    for (&i, (_, strengths)) in chosen.iter().zip(&prepared) {
        match &items[i].target {
            Target::Rating(rating) => {
                targets.ratings.push(*rating);
                // A single rating becomes votes for the two integers around it.
                let (low, share) = ((rating.floor() as usize).clamp(1, 9), rating - rating.floor().clamp(1.0, 9.0));
                targets.votes.extend((1..=10).map(|k| match k {
                    k if k == low => 1.0 - share,
                    k if k == low + 1 => share,
                    _ => 0.0,
                }));
            }
            Target::Votes(votes) => {
                targets.ratings.push(votes.iter().zip(1..).map(|(share, k)| share * k as f32).sum());
                targets.votes.extend(votes);
            }
            Target::Class(class) => targets.classes.push(*class as u32),
            // The single-head network predicts one number for all flaws.
            Target::Faults if recipe.backbone == Backbone::SingleHead => {
                targets.qualities.push(multihead::overall(strengths, &multihead::WEIGHTS));
            }
            Target::Strengths(strengths) if recipe.backbone == Backbone::SingleHead => {
                targets.qualities.push(multihead::overall(strengths, &multihead::WEIGHTS));
            }
            Target::Faults => targets.strengths.extend(strengths),
            Target::Strengths(strengths) => targets.strengths.extend(strengths),
            Target::Quality(quality) => targets.qualities.push(*quality),
        }
    }
    Ok((tensors, targets))
}

/// A photo from a file, or from a row of an array, resized as the network needs it.
fn resized_photo(file: &Path, row: Option<usize>, recipe: &LargeRecipe) -> Result<Pixels, TrainError> {
    let pixels = match row {
        Some(row) => arrays::picture(file, row)?,
        None => decoded(file, recipe)?,
    };
    Ok(if recipe.backbone.judges_quality() {
        resize::resize(&pixels, recipe.resize, recipe.resize, resize::Filter::Lanczos3)
    } else {
        resize::short_side(&pixels, recipe.resize, resize::Filter::Bilinear).into_owned()
    })
}

fn decoded(file: &Path, recipe: &LargeRecipe) -> Result<Pixels, TrainError> {
    let failed = |why: String| TrainError::Photos { path: file.to_owned(), why, others: 0, of: 1 };
    let limits = Limits::default();
    let read = photo::identity::read(file, limits.max_file_bytes).map_err(|error| failed(error.to_string()))?;
    let decoded = photo::decode(&read.bytes, Scale::AtLeast(2 * recipe.resize), &limits);
    Ok(decoded.map_err(|error| failed(error.to_string()))?.pixels)
}

fn tensor_data(photo: &Pixels, recipe: &LargeRecipe, rng: Option<&mut Rng>) -> Vec<f32> {
    let side = recipe.crop;
    let [mean, std] = if recipe.backbone.judges_quality() { [[0.0; 3], [1.0; 3]] } else { [MEAN, STD] };
    let Some(rng) = rng else { return normalised(&resize::centre_crop(photo, side), [1.0; 3], mean, std) };
    let augment = recipe.augment;
    let positions = |whole: u32| (whole.saturating_sub(side) + 1) as usize;
    let mut crop = resize::centre_crop(photo, side);
    if augment.random_crop {
        let (x, y) = (rng.below(positions(photo.width())) as u32, rng.below(positions(photo.height())) as u32);
        crop = resize::crop(photo, x, y, side, side).unwrap_or(crop);
    }
    if rng.chance(augment.flip) {
        crop = degrade::mirrored(&crop);
    }
    let factor = |rng: &mut Rng, by: f32| rng.between(1.0 - by, 1.0 + by);
    let jitter = [factor(rng, augment.brightness), factor(rng, augment.contrast), factor(rng, augment.saturation)];
    normalised(&crop, jitter, mean, std)
}

/// Applies the jitter (factors of brightness, contrast and saturation), and normalises by mean and deviation.
fn normalised(photo: &Pixels, jitter: [f32; 3], by_mean: [f32; 3], by_std: [f32; 3]) -> Vec<f32> {
    let [brightness, contrast, saturation] = jitter;
    let pixels = photo.data().as_chunks::<3>().0;
    let light = |p: &[u8; 3]| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
    let mean = brightness * pixels.iter().map(light).sum::<f32>() / pixels.len().max(1) as f32;
    let mut out = Vec::with_capacity(3 * pixels.len());
    for p in pixels {
        let grey = light(p);
        for c in 0..3 {
            let value = brightness * (grey + saturation * (f32::from(p[c]) - grey));
            let value = (mean + contrast * (value - mean)).clamp(0.0, 255.0);
            out.push((value / 255.0 - by_mean[c]) / by_std[c]);
        }
    }
    out
}

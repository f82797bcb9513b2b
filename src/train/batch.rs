//! One batch for the small network: which photos, what is done to them, and what is asked about them.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::degrade::{self, Strengths};
use super::recipe::{BatchRecipe, MiniRecipe};
use super::rng::Rng;
use base::pixels::Pixels;
use kernels::Map;
use networks::mini::{Convs, DEGRADATIONS, GROUP, MEAN, MEASURES, STD, TRUNK, View};
use photo::resize;

/// A photo to learn from.
#[derive(Debug)]
pub struct Sample {
    pub pixels: Pixels,
    pub score: f32,
}

/// Photos that stand alone, and series in order.
#[derive(Debug)]
pub struct TrainingPhotos {
    pub singles: Vec<Sample>,
    pub series: Vec<Sample>,
    /// What brings the measures around zero.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

/// A batch as the network and the losses take it. Clean photos come first: singles, then runs; variants follow.
#[derive(Debug)]
pub struct Minibatch {
    pub maps: Vec<Map>,
    pub measures: Tensor,
    pub dropped: Tensor,
    pub clean: usize,
    /// The clean photo that each variant was made of.
    pub origins: Tensor,
    pub scores: Tensor,
    /// Who ought to lead whom in opinion, and in preference.
    pub order: Tensor,
    pub preferred: Tensor,
    /// Whether a variant is worse than its origin.
    pub worse: Tensor,
    pub strengths: Tensor,
    pub strengths_known: Tensor,
    /// Large where a variant's origin meets itself.
    pub selves: Tensor,
}

/// Opinions this high are of photos without faults worth naming.
const CLEAN: f32 = 0.68;

/// What becomes of one photo of the batch.
struct Made {
    pixels: Pixels,
    strengths: Strengths,
    known: Strengths,
}

/// Numbers of one picture, and the map filled.
pub fn normalised(pixels: &Pixels) -> Vec<f32> {
    let table: [f32; 256] = std::array::from_fn(|v| (v as f32 / 255.0 - MEAN) / STD);
    pixels.data().iter().map(|v| table[usize::from(*v)]).collect()
}

impl TrainingPhotos {
    /// Steps in which every single photo is seen once.
    pub fn steps(&self, batch: &BatchRecipe) -> u64 {
        (self.singles.len() / batch.singles.max(1)).max(1) as u64
    }

    pub fn scaled(&self, measures: &[f32]) -> Vec<f32> {
        let scaled = |(i, v): (usize, &f32)| ((v - self.mean[i]) / self.std[i]).clamp(-4.0, 4.0);
        measures.iter().enumerate().map(scaled).collect()
    }

    /// The batch of a step: the same for any number of threads, and after a restart.
    pub fn minibatch(&self, recipe: &MiniRecipe, step: u64, device: &Device) -> Result<Minibatch> {
        let batch = recipe.batch;
        let steps = self.steps(&batch);
        let (epoch, at) = (step / steps, (step % steps) as usize);
        let mut order: Vec<usize> = (0..self.singles.len()).collect();
        Rng::at(recipe.seed, [epoch, 1]).shuffle(&mut order);
        let mut rng = Rng::at(recipe.seed ^ 0x5EED, [step, 2]);
        let mut chosen: Vec<&Sample> =
            (0..batch.singles).map(|i| &self.singles[order[(at * batch.singles + i) % order.len()]]).collect();
        let run = batch.run.min(self.series.len());
        let runs = if run > 0 { batch.runs } else { 0 };
        for _ in 0..runs {
            let start = rng.below(self.series.len() - run + 1);
            chosen.extend(&self.series[start..start + run]);
        }
        let clean = chosen.len();
        // Variants of the first singles, and of the first run.
        let of_runs = (runs * run).min(batch.variants / 4);
        let origins: Vec<usize> = (0..batch.variants - of_runs).chain(batch.singles..batch.singles + of_runs).collect();
        let slots: Vec<(usize, bool)> =
            (0..clean).map(|i| (i, false)).chain(origins.iter().map(|&i| (i, true))).collect();
        let groups: Vec<_> = (slots.par_chunks(GROUP).enumerate())
            .map(|(group, slots)| {
                let side = recipe.crop as usize;
                let mut map = Map::zeros(Convs::input(slots.len(), side, side));
                let mut rows = Vec::new();
                for (image, &(origin, variant)) in slots.iter().enumerate() {
                    let mut rng = Rng::at(recipe.seed ^ step, [step, (group * GROUP + image + 100) as u64]);
                    let made = made(chosen[origin], recipe.crop, variant, &mut rng);
                    let data = normalised(&made.pixels);
                    let prepared = View { width: side, height: side, data: &data }.prepare(&mut map, image);
                    let keep = 1.0 - recipe.dropout;
                    let mask: Vec<f32> = (0..TRUNK).map(|_| if rng.chance(keep) { 1.0 / keep } else { 0.0 }).collect();
                    rows.push((self.scaled(&prepared.measures), mask, made.strengths, made.known));
                }
                (map, rows)
            })
            .collect();
        let count = slots.len();
        let mut maps = Vec::new();
        let (mut measures, mut dropped) = (Vec::new(), Vec::new());
        let (mut strengths, mut known) = (Vec::new(), Vec::new());
        for (map, rows) in groups {
            maps.push(map);
            for (own, mask, strength, knows) in rows {
                measures.extend(own);
                dropped.extend(mask);
                strengths.extend(strength);
                known.extend(knows);
            }
        }
        let faults = DEGRADATIONS.len();
        let worse: Vec<f32> = strengths[clean * faults..]
            .chunks_exact(faults)
            .map(|strengths| {
                let most = strengths.iter().copied().fold(0.0, f32::max);
                // The faintest faults are nobody's business.
                if most < 0.15 { 0.0 } else { 0.5 + 0.5 * most }
            })
            .collect();
        let scores: Vec<f32> = chosen.iter().map(|sample| sample.score).collect();
        let tensor = |values: Vec<f32>, dims: &[usize]| Tensor::from_vec(values, dims, device);
        let origins_row: Vec<u32> = origins.iter().map(|&i| i as u32).collect();
        let variants = origins.len();
        let same = |i: usize, j: usize| {
            let run_of = |k: usize| (k - batch.singles) / run.max(1);
            let both = i >= batch.singles && j >= batch.singles;
            origins_alike(i, j) || both && run_of(i) == run_of(j)
        };
        let selves = (0..variants).flat_map(|v| {
            let origin = origins[v];
            (0..clean).map(move |i| if same(origin, i) { 1e4 } else { 0.0 }).collect::<Vec<f32>>()
        });
        Ok(Minibatch {
            maps,
            measures: tensor(measures, &[count, MEASURES])?,
            dropped: tensor(dropped, &[count, TRUNK])?,
            clean,
            origins: Tensor::from_vec(origins_row, variants, device)?,
            order: tensor(matrix(clean, |i, j| opinion_order(&scores, batch.singles, i, j)), &[clean, clean])?,
            preferred: tensor(
                matrix(clean, |i, j| preference_order(&scores, batch.singles, run, i, j)),
                &[clean, clean],
            )?,
            scores: tensor(scores, &[clean])?,
            worse: tensor(worse, &[variants])?,
            strengths: tensor(strengths, &[count, faults])?,
            strengths_known: tensor(known, &[count, faults])?,
            selves: tensor(selves.collect(), &[variants, clean])?,
        })
    }
}

fn origins_alike(i: usize, j: usize) -> bool {
    i == j
}

fn matrix(side: usize, value: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    (0..side * side).map(|at| value(at / side, at % side)).collect()
}

/// How far apart opinions lie, the same at 0.3 as beyond; pairs of one kind weigh more than strangers.
fn opinion_order(scores: &[f32], singles: usize, i: usize, j: usize) -> f32 {
    let apart = scores[i] - scores[j];
    if apart.abs() < 0.03 {
        return 0.0;
    }
    let alike = (i < singles) == (j < singles);
    apart.clamp(-0.3, 0.3) / 0.3 * if alike { 1.0 } else { 0.4 }
}

/// The same for preferences, which are about takes of a scene first.
fn preference_order(scores: &[f32], singles: usize, run: usize, i: usize, j: usize) -> f32 {
    let apart = scores[i] - scores[j];
    if apart.abs() < 0.06 {
        return 0.0;
    }
    let weight = match (i < singles, j < singles) {
        (true, true) => 0.05,
        (false, false) if (i - singles) / run.max(1) == (j - singles) / run.max(1) => 1.0,
        (false, false) => 0.15,
        _ => 0.0,
    };
    apart.clamp(-0.3, 0.3) / 0.3 * weight
}

/// Cuts, mirrors and, for a variant, degrades. Nothing that people's opinion would change is done to a clean photo.
fn made(sample: &Sample, crop: u32, variant: bool, rng: &mut Rng) -> Made {
    let photo = &sample.pixels;
    let cut = |photo: &Pixels, rng: &mut Rng| {
        let room = |whole: u32| (whole.saturating_sub(crop) + 1) as usize;
        let (x, y) = (rng.below(room(photo.width())) as u32, rng.below(room(photo.height())) as u32);
        resize::crop(photo, x, y, crop, crop)
            .unwrap_or_else(|| resize::resize(photo, crop, crop, resize::Filter::Bicubic))
    };
    let good = sample.score >= CLEAN;
    let mut strengths = [0.0; DEGRADATIONS.len()];
    let mut known = [if good { 1.0 } else { 0.0 }; DEGRADATIONS.len()];
    let reframes = variant && rng.chance(0.5);
    let mut pixels = if reframes { degrade::reframed(photo, crop, rng) } else { cut(photo, rng) };
    if rng.chance(0.5) {
        pixels = degrade::mirrored(&pixels);
    }
    if variant {
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
        if rng.chance(0.2) {
            pixels = degrade::encoded(&pixels, 78 + rng.below(18) as u8);
        }
    }
    Made { pixels, strengths, known }
}

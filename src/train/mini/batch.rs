//! One batch for the heads: which photos, which looks at them, and what is asked about them.

use candle_core::{Device, Result, Tensor};

use super::data::{Photo, Take};
use super::looks::{Looks, Places};
use crate::recipe::{BatchRecipe, MiniRecipe};
use crate::rng::Rng;
use networks::mini::{DEGRADATIONS, KINDS, LAYER, POOLED, SEEN, scaled};

/// What is learned from, and what is held out of it.
#[derive(Debug)]
pub struct TrainingSet<'a> {
    pub photos: &'a [Photo],
    pub takes: &'a [Take],
    pub looks: &'a Looks,
    pub places: &'a Places,
    /// Photos to learn from: those that stand alone, and a series in order.
    singles: Vec<usize>,
    series: Vec<usize>,
    /// Pictures that are no photographs: every so many are held out.
    number_drawn: usize,
    folds: Option<(u64, u64)>,
    /// What brings the numbers around zero.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

/// A batch as the heads and the losses take it. Clean photos come first: singles, then runs; variants follow,
/// then what is drawn.
#[derive(Debug)]
pub struct Minibatch {
    pub seen: Tensor,
    pub dropped: [Tensor; 2],
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
    /// The kind of each row.
    pub kinds: Tensor,
}

/// Photos of which mean and deviation are taken.
const MEASURED: usize = 4000;

impl<'a> TrainingSet<'a> {
    pub fn new(
        recipe: &MiniRecipe,
        (photos, takes): (&'a [Photo], &'a [Take]),
        looks: &'a Looks,
        places: &'a Places,
    ) -> Self {
        let learned = |series: bool| -> Vec<usize> {
            (0..photos.len()).filter(|i| photos[*i].place.is_some() == series && !photos[*i].held).collect()
        };
        let (singles, series) = (learned(false), learned(true));
        let all: Vec<usize> = singles.iter().chain(&series).copied().collect();
        let step = (all.len() / MEASURED).max(1);
        let rows: Vec<Vec<f32>> =
            all.iter().step_by(step).map(|photo| looks.seen(places.view(*photo, 0, false))).collect();
        let count = rows.len().max(1) as f32;
        let mean: Vec<f32> = (0..SEEN).map(|i| rows.iter().map(|row| row[i]).sum::<f32>() / count).collect();
        let square = |i: usize| rows.iter().map(|row| (row[i] - mean[i]).powi(2)).sum::<f32>() / count;
        let std = (0..SEEN).map(|i| half::f16::from_f32(square(i).sqrt().max(1e-3)).to_f32()).collect();
        let mean = mean.into_iter().map(|v| half::f16::from_f32(v).to_f32()).collect();
        let folds = recipe.held_out.map(|fold| (fold, recipe.folds));
        Self { photos, takes, looks, places, singles, series, number_drawn: recipe.drawn, folds, mean, std }
    }

    /// Steps in which every single photo is seen once.
    pub fn steps(&self, batch: &BatchRecipe) -> u64 {
        (self.singles.len() / batch.singles.max(1)).max(1) as u64
    }

    /// Photos that stand alone, and that are of a series.
    pub fn counts(&self) -> [usize; 2] {
        [self.singles.len(), self.series.len()]
    }

    /// The series to learn from, in order.
    pub fn series(&self) -> &[usize] {
        &self.series
    }

    /// Rows of what is drawn: what is held out of it, or what is not.
    pub fn drawn(&self, held: bool) -> Vec<usize> {
        let of = |number: usize| self.folds.is_some_and(|(fold, folds)| number as u64 % folds == fold);
        let numbers = |kind| (0..self.number_drawn).filter(move |number| of(*number) == held).map(move |n| (kind, n));
        (1..KINDS.len()).flat_map(numbers).map(|(kind, number)| self.places.drawn(kind, number)).collect()
    }

    /// Scaled rows of the pooled numbers of the photos to learn from, as they are.
    pub fn clean(&self) -> Result<Tensor> {
        let photos: Vec<usize> = self.singles.iter().chain(&self.series).copied().collect();
        let rows: Vec<usize> = photos.iter().map(|photo| self.places.view(*photo, 0, false)).collect();
        self.seen(&rows, &Device::Cpu)?.narrow(1, 0, POOLED)?.contiguous()
    }

    /// Scaled rows of looks.
    pub fn seen(&self, rows: &[usize], device: &Device) -> Result<Tensor> {
        let seen = rows.iter().flat_map(|row| scaled(self.looks.seen(*row).iter(), &self.mean, &self.std));
        Tensor::from_vec(seen.collect::<Vec<f32>>(), (rows.len(), SEEN), device)
    }

    /// The batch of a step: the same for any number of threads, and after a restart.
    pub fn minibatch(&self, recipe: &MiniRecipe, step: u64, device: &Device) -> Result<Minibatch> {
        let batch = recipe.batch;
        let steps = self.steps(&batch);
        let (epoch, at) = (step / steps, (step % steps) as usize);
        let mut order: Vec<usize> = (0..self.singles.len()).collect();
        Rng::at(recipe.seed, [epoch, 1]).shuffle(&mut order);
        let mut rng = Rng::at(recipe.seed ^ 0x5EED, [step, 2]);
        let mut chosen: Vec<usize> =
            (0..batch.singles).map(|i| self.singles[order[(at * batch.singles + i) % order.len()]]).collect();
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
        let mut look = |photo: usize, faulty| self.places.view(photo, rng.below(recipe.looks), faulty);
        let mut rows: Vec<usize> = chosen.iter().map(|photo| look(*photo, false)).collect();
        rows.extend(origins.iter().map(|origin| look(chosen[*origin], true)));
        let photos = rows.len();
        let mut kinds = vec![0u32; rows.len()];
        let drawn = self.drawn(false);
        if !drawn.is_empty() {
            let chosen: Vec<usize> = (0..batch.drawn).map(|_| rng.below(drawn.len())).collect();
            rows.extend(chosen.iter().map(|at| drawn[*at]));
            kinds.extend(chosen.iter().map(|at| 1 + (at * (KINDS.len() - 1) / drawn.len()) as u32));
        }
        let mut mask = |width: usize, dropped: f32| -> Result<Tensor> {
            let keep = 1.0 - dropped;
            let values = (0..rows.len() * width).map(|_| if rng.chance(keep) { 1.0 / keep } else { 0.0 });
            Tensor::from_vec(values.collect::<Vec<f32>>(), (rows.len(), width), device)
        };
        let dropped = [mask(SEEN, recipe.dropout[0])?, mask(LAYER, recipe.dropout[1])?];
        let faults = DEGRADATIONS.len();
        let strengths: Vec<f32> = rows[..photos].iter().flat_map(|row| self.looks.strengths(*row)).collect();
        let known: Vec<f32> = rows[..photos].iter().flat_map(|row| self.looks.known(*row)).collect();
        let worse: Vec<f32> = strengths[clean * faults..]
            .chunks_exact(faults)
            .map(|strengths| {
                let most = strengths.iter().copied().fold(0.0, f32::max);
                // The faintest faults are nobody's business.
                if most < 0.15 { 0.0 } else { 0.5 + 0.5 * most }
            })
            .collect();
        let scores: Vec<f32> = chosen.iter().map(|photo| self.photos[*photo].score).collect();
        let tensor = |values: Vec<f32>, dims: &[usize]| Tensor::from_vec(values, dims, device);
        let origins_row: Vec<u32> = origins.iter().map(|&i| i as u32).collect();
        Ok(Minibatch {
            seen: self.seen(&rows, device)?,
            dropped,
            clean,
            order: tensor(matrix(clean, |i, j| opinion_order(&scores, batch.singles, i, j)), &[clean, clean])?,
            preferred: tensor(
                matrix(clean, |i, j| preference_order(&scores, batch.singles, run, i, j)),
                &[clean, clean],
            )?,
            scores: tensor(scores, &[clean])?,
            worse: tensor(worse, &[origins.len()])?,
            strengths: tensor(strengths, &[photos, faults])?,
            strengths_known: tensor(known, &[photos, faults])?,
            kinds: Tensor::from_vec(kinds, rows.len(), device)?,
            origins: Tensor::from_vec(origins_row, origins.len(), device)?,
        })
    }
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

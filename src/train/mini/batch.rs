//! One batch: the chosen pictures, what the heads see of them, and the training targets.

use candle_core::{Device, Result, Tensor};

use super::data::{Photo, Take};
use super::features::{FeatureTable, RowIndex};
use crate::degrade::Strengths;
use crate::recipe::{BatchRecipe, MiniRecipe};
use crate::rng::Rng;
use networks::mini::{DEGRADATIONS, INPUTS, KINDS, LAYER, POOLED, scaled};

/// The training set and the held-out photos, with their features.
#[derive(Debug)]
pub struct TrainingSet<'a> {
    pub photos: &'a [Photo],
    pub takes: &'a [Take],
    pub features: &'a FeatureTable,
    pub index: &'a RowIndex,
    /// Indices of the training photos: single photos, and the series in order.
    singles: Vec<usize>,
    series: Vec<usize>,
    /// Number of drawn pictures of each kind, of which one fold is held out.
    number_drawn: usize,
    folds: Option<(u64, u64)>,
    /// Mean and standard deviation of the heads' inputs over the training photos.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

/// The pictures of a batch. Clean photos come first: singles, then runs; degraded variants follow, then drawn pictures.
#[derive(Debug)]
pub struct Chosen {
    pub views: Vec<ChosenView>,
    /// Kind and number of each drawn picture.
    pub drawn: Vec<(usize, usize)>,
    clean: usize,
    /// The place of the clean photo that each variant is made from.
    origins: Vec<usize>,
    dropped: [Vec<f32>; 2],
}

#[derive(Debug, Clone, Copy)]
pub struct ChosenView {
    pub photo: usize,
    pub view: usize,
    pub degraded: bool,
}

/// A batch as the heads and the losses take it, in the order of [`Chosen`].
#[derive(Debug)]
pub struct Minibatch {
    pub inputs: Tensor,
    pub dropped: [Tensor; 2],
    pub clean: usize,
    /// The row of the clean photo that each variant was made from.
    pub origins: Tensor,
    pub scores: Tensor,
    /// For each pair of clean photos the sign and weight of the order of their opinions, and of their preferences.
    pub order: Tensor,
    pub preferred: Tensor,
    /// Weight of the pair "variant is worse than its origin"; 0 if the faults are too faint.
    pub worse: Tensor,
    pub strengths: Tensor,
    pub strengths_known: Tensor,
    /// The index in [`KINDS`] of each row.
    pub kinds: Tensor,
}

/// About how many photos the mean and the deviation are computed from.
const MEASURED: usize = 4000;

impl<'a> TrainingSet<'a> {
    pub fn new(
        recipe: &MiniRecipe,
        (photos, takes): (&'a [Photo], &'a [Take]),
        features: &'a FeatureTable,
        index: &'a RowIndex,
    ) -> Self {
        let training = |series: bool| -> Vec<usize> {
            (0..photos.len()).filter(|i| photos[*i].series_number.is_some() == series && !photos[*i].held_out).collect()
        };
        let (singles, series) = (training(false), training(true));
        let all: Vec<usize> = singles.iter().chain(&series).copied().collect();
        let step = (all.len() / MEASURED).max(1);
        let rows: Vec<Vec<f32>> =
            all.iter().step_by(step).map(|photo| features.head_inputs(index.view(*photo, 0, false))).collect();
        let count = rows.len().max(1) as f32;
        let mean: Vec<f32> = (0..INPUTS).map(|i| rows.iter().map(|row| row[i]).sum::<f32>() / count).collect();
        let square = |i: usize| rows.iter().map(|row| (row[i] - mean[i]).powi(2)).sum::<f32>() / count;
        let std = (0..INPUTS).map(|i| half::f16::from_f32(square(i).sqrt().max(1e-3)).to_f32()).collect();
        let mean = mean.into_iter().map(|v| half::f16::from_f32(v).to_f32()).collect();
        let folds = recipe.held_out.map(|fold| (fold, recipe.folds));
        Self { photos, takes, features, index, singles, series, number_drawn: recipe.drawn, folds, mean, std }
    }

    /// Steps per epoch: every single photo is used once.
    pub fn steps(&self, batch: &BatchRecipe) -> u64 {
        (self.singles.len() / batch.singles.max(1)).max(1) as u64
    }

    /// Number of training photos: singles, and photos of the series.
    pub fn counts(&self) -> [usize; 2] {
        [self.singles.len(), self.series.len()]
    }

    /// The training photos of the series, in order.
    pub fn series(&self) -> &[usize] {
        &self.series
    }

    /// Kind and number of the drawn pictures: the held-out ones, or the others.
    pub fn drawn(&self, held_out: bool) -> Vec<(usize, usize)> {
        let is_held_out = |number: usize| self.folds.is_some_and(|(fold, folds)| number as u64 % folds == fold);
        let numbers = |kind| {
            (0..self.number_drawn).filter(move |number| is_held_out(*number) == held_out).map(move |n| (kind, n))
        };
        (1..KINDS.len()).flat_map(numbers).collect()
    }

    /// The scaled pooled features of the unaltered training photos.
    pub fn clean(&self) -> Result<Tensor> {
        let photos: Vec<usize> = self.singles.iter().chain(&self.series).copied().collect();
        let rows: Vec<usize> = photos.iter().map(|photo| self.index.view(*photo, 0, false)).collect();
        self.inputs(&rows, &Device::Cpu)?.narrow(1, 0, POOLED)?.contiguous()
    }

    /// The heads' scaled inputs of some rows.
    pub fn inputs(&self, rows: &[usize], device: &Device) -> Result<Tensor> {
        let inputs = rows.iter().flat_map(|row| scaled(self.features.head_inputs(*row).iter(), &self.mean, &self.std));
        Tensor::from_vec(inputs.collect::<Vec<f32>>(), (rows.len(), INPUTS), device)
    }

    /// The batch of a step, from the precomputed features.
    pub fn minibatch(&self, recipe: &MiniRecipe, step: u64, device: &Device) -> Result<Minibatch> {
        let chosen = self.choose(recipe, step);
        let row = |view: &ChosenView| self.index.view(view.photo, view.view, view.degraded);
        let photos: Vec<usize> = chosen.views.iter().map(row).collect();
        let faults = |values: Vec<f32>| values.try_into().unwrap_or([0.0; DEGRADATIONS.len()]);
        let faults = |row: &usize| [faults(self.features.strengths(*row)), faults(self.features.known(*row))];
        let faults: Vec<[Strengths; 2]> = photos.iter().map(faults).collect();
        let drawn = chosen.drawn.iter().map(|(kind, number)| self.index.drawn(*kind, *number));
        let rows: Vec<usize> = photos.into_iter().chain(drawn).collect();
        self.assemble(recipe, chosen, self.inputs(&rows, device)?, &faults)
    }

    /// The pictures of a step. They do not depend on the number of threads or on restarts.
    pub fn choose(&self, recipe: &MiniRecipe, step: u64) -> Chosen {
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
        // Variants are made of the first singles and of the first run.
        let of_runs = (runs * run).min(batch.variants / 4);
        let origins: Vec<usize> = (0..batch.variants - of_runs).chain(batch.singles..batch.singles + of_runs).collect();
        let mut view = |photo: usize, degraded| ChosenView { photo, view: rng.below(recipe.views), degraded };
        let mut views: Vec<ChosenView> = chosen.iter().map(|photo| view(*photo, false)).collect();
        views.extend(origins.iter().map(|origin| view(chosen[*origin], true)));
        let all_drawn = self.drawn(false);
        let count = if all_drawn.is_empty() { 0 } else { batch.drawn };
        let drawn: Vec<(usize, usize)> = (0..count).map(|_| all_drawn[rng.below(all_drawn.len())]).collect();
        let pictures = views.len() + drawn.len();
        let mut mask = |width: usize, dropped: f32| -> Vec<f32> {
            let keep = 1.0 - dropped;
            (0..pictures * width).map(|_| if rng.chance(keep) { 1.0 / keep } else { 0.0 }).collect()
        };
        let dropped = [mask(INPUTS, recipe.dropout[0]), mask(LAYER, recipe.dropout[1])];
        Chosen { views, drawn, clean, origins, dropped }
    }

    /// The batch of these pictures, each photo with the strengths of its faults and their weights as labels.
    pub fn assemble(
        &self,
        recipe: &MiniRecipe,
        chosen: Chosen,
        inputs: Tensor,
        faults: &[[Strengths; 2]],
    ) -> Result<Minibatch> {
        let Chosen { views, drawn, clean, origins, dropped: [of_inputs, of_layer] } = chosen;
        let (batch, device, pictures) = (recipe.batch, inputs.device().clone(), views.len() + drawn.len());
        let run = batch.run.min(self.series.len());
        let worse: Vec<f32> = faults[clean..]
            .iter()
            .map(|[strengths, _]| {
                let most = strengths.iter().copied().fold(0.0, f32::max);
                // Faults too faint to see do not make a variant worse.
                if most < 0.15 { 0.0 } else { 0.5 + 0.5 * most }
            })
            .collect();
        let each = |part: usize| faults.iter().flat_map(|both| both[part]).collect::<Vec<f32>>();
        let kinds: Vec<u32> = views.iter().map(|_| 0).chain(drawn.iter().map(|(kind, _)| *kind as u32)).collect();
        let scores: Vec<f32> = views[..clean].iter().map(|view| self.photos[view.photo].score).collect();
        let tensor = |values: Vec<f32>, dims: &[usize]| Tensor::from_vec(values, dims, &device);
        let origins_row: Vec<u32> = origins.iter().map(|&i| i as u32).collect();
        let labels = [views.len(), DEGRADATIONS.len()];
        Ok(Minibatch {
            dropped: [tensor(of_inputs, &[pictures, INPUTS])?, tensor(of_layer, &[pictures, LAYER])?],
            inputs,
            clean,
            order: tensor(matrix(clean, |i, j| opinion_order(&scores, batch.singles, i, j)), &[clean, clean])?,
            preferred: tensor(
                matrix(clean, |i, j| preference_order(&scores, batch.singles, run, i, j)),
                &[clean, clean],
            )?,
            scores: tensor(scores, &[clean])?,
            worse: tensor(worse, &[origins.len()])?,
            strengths: tensor(each(0), &labels)?,
            strengths_known: tensor(each(1), &labels)?,
            kinds: Tensor::from_vec(kinds, pictures, &device)?,
            origins: Tensor::from_vec(origins_row, origins.len(), &device)?,
        })
    }
}

fn matrix(side: usize, value: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    (0..side * side).map(|at| value(at / side, at % side)).collect()
}

/// The weight of a pair by the difference of its scores, capped at 0.3. Pairs of two singles or of two series photos
/// weigh more than mixed ones.
fn opinion_order(scores: &[f32], singles: usize, i: usize, j: usize) -> f32 {
    let difference = scores[i] - scores[j];
    if difference.abs() < 0.03 {
        return 0.0;
    }
    let same_kind = (i < singles) == (j < singles);
    difference.clamp(-0.3, 0.3) / 0.3 * if same_kind { 1.0 } else { 0.4 }
}

/// The same for preferences, which mainly compare takes of the same scene.
fn preference_order(scores: &[f32], singles: usize, run: usize, i: usize, j: usize) -> f32 {
    let difference = scores[i] - scores[j];
    if difference.abs() < 0.06 {
        return 0.0;
    }
    let weight = match (i < singles, j < singles) {
        (true, true) => 0.05,
        (false, false) if (i - singles) / run.max(1) == (j - singles) / run.max(1) => 1.0,
        (false, false) => 0.15,
        _ => 0.0,
    };
    difference.clamp(-0.3, 0.3) / 0.3 * weight
}

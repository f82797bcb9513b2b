//! Trains the trunk further, end to end with heads that were trained on its features.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;

use super::batch::{Chosen, ChosenView, TrainingSet};
use super::{Job, Listener, losses, step_options, views};
use crate::adam::{self, Adam};
use crate::checkpoint::{self, Progress};
use crate::degrade::Strengths;
use crate::recipe::{MiniRecipe, TrunkRecipe};
use crate::rng::Rng;
use crate::{TrainError, drawn};
use base::pixels::Pixels;
use networks::checkpoint::{InMemory, Ledger};
use networks::fused::{Batch, Runner};
use networks::mini::{FAMILY, FAR, MEASURES, Mini, POOLED, SIDE, measures, preprocess, scaled, trunk_names};
use networks::mobile::Mobile;
use photo::resize;

/// The file to resume from, which holds the trained trunk in the end.
pub const CHECKPOINT: &str = "trunk.safetensors";
/// The sides that pictures are cut to, one for all pictures of a step.
const SIDES: [u32; 2] = [192, SIDE as u32];

/// Trains the trunk. `heads` were trained on the features of `before`, the trunk as it was. `None` when asked to stop.
pub fn train(
    job: &Job<'_>,
    trunk_recipe: &TrunkRecipe,
    set: &TrainingSet<'_>,
    (heads, before): (&InMemory, &Runner),
    identity: &str,
    listener: &dyn Listener,
) -> Result<Option<InMemory>, TrainError> {
    let recipe = &trunk_recipe.applied_to(job.recipe);
    let start = Ledger::new(job.start);
    let trunk = Mobile::trunk(FAMILY, job.engine, &trunk_names(&start.root()), &Device::Cpu)?;
    let mini = Mini::new(&Device::Cpu, || 0.0)?;
    for (name, var) in &mini.vars {
        if let Some((_, values)) = heads.tensors.get(name) {
            adam::set(var, values.clone())?;
        }
    }
    let of_trunk = trunk.vars.iter().map(|(name, var)| (format!("backbone.{name}"), var.clone()));
    let vars: BTreeMap<String, Var> =
        of_trunk.chain(mini.vars.iter().map(|(name, var)| (name.clone(), var.clone()))).collect();
    let mut adam = Adam::new(&vars)?;
    let file = job.out.join(CHECKPOINT);
    let identity = format!("{} {identity}", recipe.identity());
    let mut progress = match checkpoint::load(&file, &vars, &mut adam)? {
        Some(progress) if progress.recipe != identity => return Err(TrainError::Changed { path: file }),
        Some(progress) => progress,
        None => Progress { recipe: identity, ..Progress::default() },
    };
    let backgrounds = set.photos.iter().map(|photo| &photo.pixels).collect();
    let training = Training { trunk_recipe, recipe, set, trunk, mini, before, backgrounds };
    let per_epoch = set.steps(&recipe.batch);
    let steps = recipe.epochs * per_epoch;
    while progress.steps < steps {
        if job.stop.load(Ordering::Relaxed) {
            checkpoint::save(&file, &vars, &adam, &progress)?;
            return Ok(None);
        }
        let loss = training.loss(progress.steps)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        let head_factor = trunk_recipe.head_factor;
        let options = adam::StepOptions { head_factor, ..step_options(recipe, progress.steps, per_epoch) };
        let norm = adam.step(&vars, &loss.backward()?, options)?;
        if !(value.is_finite() && norm.is_finite()) {
            return Err(TrainError::NotFinite { epoch: progress.steps / per_epoch + 1, step: progress.steps + 1 });
        }
        progress.steps = adam.steps;
        listener.step(progress.steps, steps, value);
        if progress.steps == steps || progress.steps.is_multiple_of(recipe.checkpoint_steps.max(1)) {
            checkpoint::save(&file, &vars, &adam, &progress)?;
        }
    }
    adam.exchange(&vars)?;
    let mut trained = InMemory::default();
    for (name, tensor) in training.trunk.tensors() {
        trained.tensors.insert(name, (tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1()?));
    }
    Ok(Some(trained))
}

/// The networks that learn, and what they learn from.
struct Training<'a> {
    trunk_recipe: &'a TrunkRecipe,
    recipe: &'a MiniRecipe,
    set: &'a TrainingSet<'a>,
    trunk: Mobile,
    mini: Mini,
    /// The trunk as it was.
    before: &'a Runner,
    /// Photos that pictures are drawn on.
    backgrounds: Vec<&'a Pixels>,
}

impl Training<'_> {
    /// The loss of a step.
    fn loss(&self, step: u64) -> Result<Tensor, TrainError> {
        let Self { trunk_recipe: TrunkRecipe { stay, frozen_blocks, .. }, recipe, set, .. } = *self;
        let chosen = set.choose(recipe, step);
        let Seen { batch, measured, faults } = self.see(&chosen, step);
        let pictures = batch.photos;
        let rows_before = if *stay > 0.0 { Some(self.before.run(&batch)) } else { None };
        let row = |values: &[f32]| Tensor::from_slice(values, (1, POOLED), &Device::Cpu);
        let (mean, std) = (row(&set.mean[..POOLED])?, row(&set.std[..POOLED])?);
        let standard = |rows: &Tensor| rows.broadcast_sub(&mean)?.broadcast_div(&std)?.clamp(-FAR, FAR);
        let pooled = standard(&self.trunk.pooled(batch, *frozen_blocks)?)?;
        let measured = Tensor::from_vec(measured, (pictures, MEASURES), &Device::Cpu)?;
        let minibatch = set.assemble(recipe, chosen, Tensor::cat(&[&pooled, &measured], 1)?, &faults)?;
        let outputs = self.mini.heads(&minibatch.inputs, Some(&minibatch.dropped))?;
        let loss = losses(&minibatch, &outputs, &recipe.losses)?;
        let Some(rows) = rows_before.transpose().map_err(candle_core::Error::wrap)? else { return Ok(loss) };
        let before = standard(&Tensor::from_vec(rows, (pictures, POOLED), &Device::Cpu)?)?;
        Ok((loss + ((pooled - before)?.sqr()?.mean_all()? * *stay)?)?)
    }

    fn see(&self, chosen: &Chosen, step: u64) -> Seen {
        let Self { recipe, set, .. } = *self;
        let side = SIDES[Rng::at(recipe.seed, [step, 6]).below(SIDES.len())];
        let view = |&ChosenView { photo, view, degraded }: &ChosenView| {
            let mut rng = Rng::at(recipe.seed ^ photo as u64, [step, 20 + u64::from(degraded)]);
            views::view(&set.photos[photo], side, view, degraded, &mut rng)
        };
        let mut pictures: Vec<views::Augmented> = chosen.views.par_iter().map(view).collect();
        let faults = pictures.iter().map(|picture| [picture.strengths, picture.known]).collect();
        let drawn = |&(kind, number): &(usize, usize)| {
            let mut rng = Rng::at(recipe.seed ^ number as u64, [kind as u64, 5]);
            let pixels = drawn::draw(kind, &self.backgrounds, &mut rng);
            views::Augmented { pixels, strengths: [0.0; _], known: [0.0; _] }
        };
        pictures.extend(chosen.drawn.par_iter().map(drawn).collect::<Vec<_>>());
        let cut = |picture: &views::Augmented| {
            let pixels = cut(&picture.pixels, side);
            let mut data = Vec::new();
            preprocess().normalise(pixels.data(), &mut data);
            (data, measures(&pixels))
        };
        let cuts: Vec<(Vec<f32>, [f32; MEASURES])> = pictures.par_iter().map(cut).collect();
        let (mean, std) = (&set.mean[POOLED..], &set.std[POOLED..]);
        let measured = cuts.iter().flat_map(|(_, measures)| scaled(measures.iter(), mean, std)).collect();
        let (photos, side) = (cuts.len(), side as usize);
        let data = cuts.into_iter().flat_map(|(data, _)| data).collect();
        Seen { batch: Batch { photos, height: side, width: side, data }, measured, faults }
    }
}

/// The middle of a picture of the trunk's size; other pictures are resized.
fn cut(pixels: &Pixels, side: u32) -> Pixels {
    let fits = |pixels: u32| (side..=SIDE as u32).contains(&pixels);
    if fits(pixels.width()) && fits(pixels.height()) {
        resize::centre_crop(pixels, side)
    } else {
        resize::resize(pixels, side, side, resize::Filter::Lanczos3)
    }
}

/// The pictures of a step as the trunk sees them, and what else the heads and the losses know of them.
struct Seen {
    batch: Batch,
    /// The scaled measures of all pictures.
    measured: Vec<f32>,
    faults: Vec<[Strengths; 2]>,
}

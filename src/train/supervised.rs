//! One loop for the large networks: a ResNet with a head for ratings, votes, pairs or classes, or the multi-head network
//! for flaws. On candle, so that it runs on a card as well.

mod batch;
mod judge;
mod network;
mod recipe;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use candle_core::Device;

pub use recipe::{Augment, Backbone, LargeRecipe, OutputMode};

use self::network::Network;
use super::adam::{Adam, Pace};
use super::checkpoint::{self, Progress};
use super::epoch::Epoch;
use super::labels::Item;
use super::mini::Listener;
use super::rng::Rng;
use super::{Ended, TrainError};
use networks::checkpoint::Checkpoint;

/// A run of a large network.
pub struct Job<'a> {
    pub recipe: &'a LargeRecipe,
    pub items: Vec<Item>,
    /// Names of classes, where there are some.
    pub classes: Vec<String>,
    /// Weights to begin with.
    pub start: Option<&'a dyn Checkpoint>,
    pub out: PathBuf,
    pub device: Device,
    pub stop: &'a std::sync::atomic::AtomicBool,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("recipe", &self.recipe).field("items", &self.items.len()).finish_non_exhaustive()
    }
}

/// Splits whole series into those to learn from and those to judge by.
fn split(items: &[Item], recipe: &LargeRecipe) -> (Vec<usize>, Vec<usize>) {
    let mut series: Vec<&str> = items.iter().map(|item| item.series.as_str()).collect();
    series.sort_unstable();
    series.dedup();
    let mut rng = Rng::at(recipe.seed, [0, 5]);
    rng.shuffle(&mut series);
    let held = ((series.len() as f64 * recipe.held_out).round() as usize).clamp(1, series.len().max(2) - 1);
    let held: std::collections::HashSet<&str> = series.into_iter().take(held).collect();
    (0..items.len()).partition(|&i| !held.contains(items[i].series.as_str()))
}

/// Trains until the recipe's end, a stop, or no hope.
pub fn run(job: &Job<'_>, listener: &dyn Listener) -> Result<(Progress, Ended), TrainError> {
    let Job { recipe, items, out, device, stop, .. } = job;
    std::fs::create_dir_all(out).map_err(|error| TrainError::at(out, error))?;
    check(items)?;
    let network = Network::new(job)?;
    let mut adam = Adam::new(&network.vars)?;
    let file = out.join(checkpoint::CHECKPOINT);
    let identity = recipe.identity(items.len());
    let mut progress = match checkpoint::load(&file, &network.vars, &mut adam)? {
        Some(progress) if progress.recipe != identity => return Err(TrainError::Changed { path: file }),
        Some(progress) => progress,
        None => Progress { recipe: identity, ..Progress::default() },
    };
    let (learned, held) = split(items, recipe);
    if learned.is_empty() {
        return Err(TrainError::OneSeries);
    }
    let per_epoch = (learned.len() / recipe.batch).max(1) as u64;
    while progress.epoch < recipe.epochs {
        let started = Instant::now();
        let mut order = learned.clone();
        Rng::at(recipe.seed, [progress.epoch, 1]).shuffle(&mut order);
        let (mut total, mut lengths) = (0.0, 0.0);
        for (at, chosen) in order.chunks(recipe.batch).take(per_epoch as usize).enumerate() {
            if stop.load(Ordering::Relaxed) {
                // Batch statistics have moved on since the checkpoint: an epoch is begun again from it.
                return Ok((progress, Ended::Stopped));
            }
            let step = progress.epoch * per_epoch + at as u64;
            let (photos, targets) = batch::batch(items, chosen, recipe, Some(step), device)?;
            let loss = targets.loss(&network.forward(&photos, true)?, recipe)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            let pace = Pace {
                learning_rate: recipe.rate(progress.epoch),
                head_factor: recipe.head_factor,
                weight_decay: recipe.weight_decay,
                longest: recipe.longest_gradient.unwrap_or(f32::MAX),
                keep: 0.0,
            };
            let length = if value.is_finite() { adam.step(&network.vars, &loss.backward()?, pace)? } else { f32::NAN };
            if !length.is_finite() {
                return Err(TrainError::NotFinite { epoch: progress.epoch + 1, step: step + 1 });
            }
            total += value;
            lengths += f64::from(length);
            listener.step(step + 1, recipe.epochs * per_epoch, value);
        }
        progress.steps = adam.steps;
        progress.epoch += 1;
        let metrics = judge::judge(&network, items, &held, recipe, device)?;
        let figure = metrics.get("figure").copied().unwrap_or(0.0);
        let best = progress.best.is_none_or(|best| figure > best);
        if best {
            (progress.best, progress.best_epoch) = (Some(figure), progress.epoch);
            network::export(&network, job, &progress)?;
        }
        let done = Epoch {
            epoch: progress.epoch,
            steps: progress.steps,
            learning_rate: f64::from(recipe.rate(progress.epoch - 1)),
            train_loss: total / per_epoch as f64,
            gradient: lengths / per_epoch as f64,
            seconds: started.elapsed().as_secs_f64(),
            best,
            metrics,
        };
        progress.history.push(done.clone());
        checkpoint::save(&file, &network.vars, &adam, &progress)?;
        checkpoint::write_course(out, &format!("{}: train loss", recipe.name), &progress)?;
        listener.epoch(&done);
        if progress.epoch - progress.best_epoch >= recipe.patience {
            return Ok((progress, Ended::Early));
        }
    }
    Ok((progress, Ended::Done))
}

/// All files are there before anything is spent on any.
fn check(items: &[Item]) -> Result<(), TrainError> {
    let files: Vec<&PathBuf> = items.iter().flat_map(|item| &item.files).collect();
    let absent: Vec<&&PathBuf> = files.iter().filter(|file| !file.is_file()).collect();
    match absent.first() {
        Some(first) => {
            let (others, of) = (absent.len() - 1, files.len());
            Err(TrainError::Photos { path: (**first).clone(), why: "is not there".into(), others, of })
        }
        None if items.len() < 4 => Err(TrainError::TooFew { items: items.len() }),
        None => Ok(()),
    }
}

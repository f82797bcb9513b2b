//! The training loop of the large networks: a ResNet with a head for ratings, votes, pairs or classes, or a quality
//! network for flaws. It uses candle, so that it also runs on a GPU.

mod batch;
mod judge;
mod network;
mod original;
mod predictions;
mod recipe;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use candle_core::Device;

pub use original::read_recipe;
pub use recipe::{Augment, Backbone, LargeRecipe, OutputMode};

use self::network::Network;
use super::adam::{Adam, StepOptions};
use super::checkpoint::{self, Progress};
use super::epoch::Epoch;
use super::labels::Item;
use super::mini::Listener;
use super::rng::Rng;
use super::{Ended, TrainError};
use networks::checkpoint::Checkpoint;

/// The inputs of a run of a large network.
pub struct Job<'a> {
    pub recipe: &'a LargeRecipe,
    pub items: Vec<Item>,
    /// Names of the classes, if the items are labelled with classes.
    pub classes: Vec<String>,
    /// Initial weights of the backbone.
    pub start: Option<&'a dyn Checkpoint>,
    pub out: PathBuf,
    pub device: Device,
    /// The command line, recorded beside the model.
    pub command: String,
    pub stop: &'a std::sync::atomic::AtomicBool,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("recipe", &self.recipe).field("items", &self.items.len()).finish_non_exhaustive()
    }
}

/// Indices of the items of the training, validation and test sets.
struct Split {
    training: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
}

/// Splits the items at random; all items of a series go to the same set.
fn split(items: &[Item], recipe: &LargeRecipe) -> Split {
    let mut series: Vec<&str> = items.iter().map(|item| item.series.as_str()).collect();
    series.sort_unstable();
    series.dedup();
    let mut rng = Rng::at(recipe.seed, [0, 5]);
    rng.shuffle(&mut series);
    let count = |share: f64| (series.len() as f64 * share).round() as usize;
    let validation = count(recipe.held_out).clamp(1, series.len().max(2) - 1);
    let test = if recipe.test > 0.0 {
        count(recipe.test).clamp(1, series.len().max(validation + 2) - validation - 1)
    } else {
        0
    };
    let place: HashMap<&str, usize> = series.into_iter().enumerate().map(|(at, series)| (series, at)).collect();
    let mut split = Split { training: Vec::new(), validation: Vec::new(), test: Vec::new() };
    for (i, item) in items.iter().enumerate() {
        match place.get(item.series.as_str()) {
            Some(at) if *at < validation => split.validation.push(i),
            Some(at) if *at < validation + test => split.test.push(i),
            _ => split.training.push(i),
        }
    }
    split
}

/// Trains until the last epoch, a stop or early stopping.
pub fn run(job: &Job<'_>, listener: &dyn Listener) -> Result<(Progress, Ended), TrainError> {
    let Job { recipe, items, out, device, stop, .. } = job;
    std::fs::create_dir_all(out).map_err(|error| TrainError::at(out, error))?;
    check(items)?;
    let network = Network::new(job)?;
    let mut adam = Adam::new(&network.vars)?;
    let file = out.join(checkpoint::CHECKPOINT);
    let identity = recipe.identity(items.len());
    let title = format!("{}: train loss", recipe.name);
    let mut progress = match checkpoint::load(&file, &network.vars, &mut adam)? {
        Some(progress) if progress.recipe != identity => return Err(TrainError::Changed { path: file }),
        Some(progress) => {
            // An interrupted run may not have written its history files, and no epoch may be left that would.
            checkpoint::write_history(out, &title, &progress)?;
            progress
        }
        None => Progress { recipe: identity, ..Progress::default() },
    };
    let split = split(items, recipe);
    let Split { training, validation, .. } = &split;
    if training.is_empty() {
        return Err(TrainError::OneSeries);
    }
    checkpoint::write_settings(out, recipe, &job.command)?;
    let first_epoch = progress.epoch;
    let per_epoch = (training.len() / recipe.batch).max(1) as u64;
    while progress.epoch < recipe.epochs {
        let started = Instant::now();
        let mut order = training.clone();
        Rng::at(recipe.seed, [progress.epoch, 1]).shuffle(&mut order);
        let (mut total, mut norms) = (0.0, 0.0);
        for (at, chosen) in order.chunks(recipe.batch).take(per_epoch as usize).enumerate() {
            if stop.load(Ordering::Relaxed) {
                // The running batch statistics have changed since the checkpoint, so a resumed run repeats this epoch
                // from there.
                return Ok((progress, Ended::Stopped));
            }
            let step = progress.epoch * per_epoch + at as u64;
            let (photos, targets) = batch::batch(items, chosen, recipe, Some(step), device)?;
            let loss = targets.loss(&network.forward(&photos, true)?, recipe)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            let options = StepOptions {
                learning_rate: recipe.learning_rate_of(progress.epoch),
                head_factor: recipe.head_factor,
                weight_decay: recipe.weight_decay,
                max_gradient_norm: recipe.longest_gradient.unwrap_or(f32::MAX),
                mean_decay: 0.0,
            };
            let norm = if value.is_finite() { adam.step(&network.vars, &loss.backward()?, options)? } else { f32::NAN };
            if !norm.is_finite() {
                return Err(TrainError::NotFinite { epoch: progress.epoch + 1, step: step + 1 });
            }
            total += value;
            norms += f64::from(norm);
            listener.step(step + 1, recipe.epochs * per_epoch, value);
        }
        progress.steps = adam.steps;
        progress.epoch += 1;
        let (metrics, predictions) = judge::judge(&network, items, validation, recipe, device)?;
        predictions
            .write(&out.join(checkpoint::PREDICTIONS).join(format!("val_epoch_{:03}.parquet", progress.epoch - 1)))?;
        let figure = metrics.get("figure").copied().unwrap_or(0.0);
        let best = progress.best.is_none_or(|best| figure > best);
        if best {
            (progress.best, progress.best_epoch) = (Some(figure), progress.epoch);
            network::export(&network, job, &progress)?;
        }
        let done = Epoch {
            epoch: progress.epoch,
            steps: progress.steps,
            learning_rate: f64::from(recipe.learning_rate_of(progress.epoch - 1)),
            train_loss: total / per_epoch as f64,
            gradient: norms / per_epoch as f64,
            seconds: started.elapsed().as_secs_f64(),
            best,
            metrics,
        };
        progress.history.push(done.clone());
        checkpoint::save(&file, &network.vars, &adam, &progress)?;
        checkpoint::write_history(out, &title, &progress)?;
        listener.epoch(&done);
        if progress.epoch - progress.best_epoch >= recipe.patience {
            conclude(job, &network, &split, &progress, listener)?;
            return Ok((progress, Ended::Early));
        }
    }
    if progress.epoch > first_epoch {
        conclude(job, &network, &split, &progress, listener)?;
    }
    Ok((progress, Ended::Done))
}

/// Writes the results of the run: the metrics of the best epoch, and those of its model on the test set.
fn conclude(
    job: &Job<'_>,
    network: &Network,
    split: &Split,
    progress: &Progress,
    listener: &dyn Listener,
) -> Result<(), TrainError> {
    let best = progress.history.iter().find(|epoch| epoch.epoch == progress.best_epoch);
    let mut results = serde_json::json!({
        "best_epoch": progress.best_epoch,
        "final_epoch": progress.epoch,
        "validation": best.map(|epoch| &epoch.metrics),
        "test": null,
        "test_items": split.test.len(),
    });
    if !split.test.is_empty() {
        network.load(&job.out.join(checkpoint::MODEL))?;
        let (metrics, predictions) = judge::judge(network, &job.items, &split.test, job.recipe, &job.device)?;
        predictions.write(&job.out.join(checkpoint::PREDICTIONS).join("test.parquet"))?;
        let values: Vec<String> = metrics.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
        listener.note(&format!("test on {} items that nothing was chosen by: {}", split.test.len(), values.join(", ")));
        results["test"] = serde_json::json!(metrics);
    }
    let text = serde_json::to_vec_pretty(&results).map_err(|error| TrainError::at(&job.out, error))?;
    checkpoint::replace(&job.out.join(checkpoint::RESULTS), &text)
}

/// Checks that all files exist and that there are enough items, before any time is spent.
fn check(items: &[Item]) -> Result<(), TrainError> {
    let files: Vec<&PathBuf> = items.iter().flat_map(|item| &item.files).collect();
    let missing: Vec<&&PathBuf> = files.iter().filter(|file| !file.is_file()).collect();
    match missing.first() {
        Some(first) => {
            let (others, of) = (missing.len() - 1, files.len());
            Err(TrainError::Photos { path: (**first).clone(), why: "is not there".into(), others, of })
        }
        None if items.len() < 4 => Err(TrainError::TooFew { items: items.len() }),
        None => Ok(()),
    }
}

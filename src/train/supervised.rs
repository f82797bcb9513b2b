//! One loop for the large networks: a ResNet with a head for ratings, votes, pairs or classes, or the multi-head network
//! for flaws. On candle, so that it runs on a card as well.

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
    /// What was typed, to be kept beside the model.
    pub command: String,
    pub stop: &'a std::sync::atomic::AtomicBool,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("recipe", &self.recipe).field("items", &self.items.len()).finish_non_exhaustive()
    }
}

/// Items to learn from, to choose the best epoch by, and to be judged at the end.
struct Split {
    learned: Vec<usize>,
    held: Vec<usize>,
    test: Vec<usize>,
}

/// Series stay whole.
fn split(items: &[Item], recipe: &LargeRecipe) -> Split {
    let mut series: Vec<&str> = items.iter().map(|item| item.series.as_str()).collect();
    series.sort_unstable();
    series.dedup();
    let mut rng = Rng::at(recipe.seed, [0, 5]);
    rng.shuffle(&mut series);
    let count = |share: f64| (series.len() as f64 * share).round() as usize;
    let held = count(recipe.held_out).clamp(1, series.len().max(2) - 1);
    let test = if recipe.test > 0.0 { count(recipe.test).clamp(1, series.len().max(held + 2) - held - 1) } else { 0 };
    let place: HashMap<&str, usize> = series.into_iter().enumerate().map(|(at, series)| (series, at)).collect();
    let mut split = Split { learned: Vec::new(), held: Vec::new(), test: Vec::new() };
    for (i, item) in items.iter().enumerate() {
        match place.get(item.series.as_str()) {
            Some(at) if *at < held => split.held.push(i),
            Some(at) if *at < held + test => split.test.push(i),
            _ => split.learned.push(i),
        }
    }
    split
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
    let title = format!("{}: train loss", recipe.name);
    let mut progress = checkpoint::resume(out, &network.vars, &mut adam, identity, &title)?;
    let split = split(items, recipe);
    let Split { learned, held, .. } = &split;
    if learned.is_empty() {
        return Err(TrainError::OneSeries);
    }
    checkpoint::write_terms(out, recipe, &job.command)?;
    let begun = progress.epoch;
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
        let (metrics, said_of) = judge::judge(&network, items, held, recipe, device)?;
        said_of
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
            learning_rate: f64::from(recipe.rate(progress.epoch - 1)),
            train_loss: total / per_epoch as f64,
            gradient: lengths / per_epoch as f64,
            seconds: started.elapsed().as_secs_f64(),
            best,
            metrics,
        };
        progress.history.push(done.clone());
        checkpoint::save(&file, &network.vars, &adam, &progress)?;
        checkpoint::write_course(out, &title, &progress)?;
        listener.epoch(&done);
        if progress.epoch - progress.best_epoch >= recipe.patience {
            conclude(job, &network, &split, &progress, listener)?;
            return Ok((progress, Ended::Early));
        }
    }
    if progress.epoch > begun {
        conclude(job, &network, &split, &progress, listener)?;
    }
    Ok((progress, Ended::Done))
}

/// What the run came to: the best epoch's figures, and those of the test, which nothing was chosen by.
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
        let (metrics, said_of) = judge::judge(network, &job.items, &split.test, job.recipe, &job.device)?;
        said_of.write(&job.out.join(checkpoint::PREDICTIONS).join("test.parquet"))?;
        let told: Vec<String> = metrics.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
        listener.told(&format!("test on {} items that nothing was chosen by: {}", split.test.len(), told.join(", ")));
        results["test"] = serde_json::json!(metrics);
    }
    let text = serde_json::to_vec_pretty(&results).map_err(|error| TrainError::at(&job.out, error))?;
    checkpoint::replace(&job.out.join(checkpoint::RESULTS), &text)
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

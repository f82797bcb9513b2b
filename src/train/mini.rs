//! The training run of the small network.

mod comparison_head;
mod data;
mod judge;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};
use safetensors::tensor::Dtype;

use self::comparison_head::TrainingSet;
pub use self::data::Folds;
use self::data::{Gathered, Held};
use super::adam::{Adam, Pace};
use super::batch::{Minibatch, TrainingPhotos};
use super::checkpoint::{self, Progress};
use super::epoch::Epoch;
use super::recipe::{Losses, MiniRecipe};
use super::rng::Rng;
use super::{Ended, TrainError, loss};
use kernels::Engine;
use networks::checkpoint::{InMemory, Ledger};
use networks::fused::Runner;
use networks::mini::{FusedMini, MEASURES, Mini, Outputs};

/// Pairs of a burst count when opinions lie this far apart.
pub const MARGIN: f64 = 0.15;

/// Where a run reads and writes, and on what it computes.
#[derive(Debug)]
pub struct Job<'a> {
    pub recipe: &'a MiniRecipe,
    pub data: PathBuf,
    pub out: PathBuf,
    pub engine: Engine,
    pub device: Device,
    /// What was typed, to be kept beside the model.
    pub command: String,
    pub stop: &'a AtomicBool,
}

/// What a run tells while it goes on.
pub trait Listener: Sync {
    fn decoded(&self, photos: usize, of: usize);
    fn step(&self, step: u64, of: u64, loss: f64);
    fn epoch(&self, epoch: &Epoch);
    /// What is worth knowing beside the epochs.
    fn told(&self, what: &str);
}

/// The network alone, as of the epoch that is kept.
pub const NETWORK: &str = "network.safetensors";

/// Trains until the recipe's end, a stop, or no hope. What is finished lies in `out`.
pub fn run(job: &Job<'_>, listener: &dyn Listener) -> Result<(Progress, Ended), TrainError> {
    std::fs::create_dir_all(&job.out).map_err(|error| TrainError::at(&job.out, error))?;
    let gathered = data::gather(job.recipe, &job.data, &|done, of| listener.decoded(done, of))?;
    let (progress, ended) = network(job, &gathered.training_photos, &gathered.held, listener)?;
    if ended == Ended::Stopped || !finish(job, &gathered, &progress, listener)? {
        return Ok((progress, Ended::Stopped));
    }
    Ok((progress, ended))
}

/// The first stretch: all that the network says.
fn network(
    job: &Job<'_>,
    training_photos: &TrainingPhotos,
    held: &Held,
    listener: &dyn Listener,
) -> Result<(Progress, Ended), TrainError> {
    let Job { recipe, out, engine, device, stop, .. } = job;
    let mut rng = Rng::at(recipe.seed, [0, 9]);
    let mini = Mini::new(*engine, device, || rng.normal())?;
    let mut adam = Adam::new(&mini.vars)?;
    let file = out.join(checkpoint::CHECKPOINT);
    let identity = format!("{} {} {}", recipe.identity(), training_photos.singles.len(), training_photos.series.len());
    let mut progress = match checkpoint::load(&file, &mini.vars, &mut adam)? {
        Some(progress) if progress.recipe != identity => return Err(TrainError::Changed { path: file }),
        Some(progress) => progress,
        None => Progress { recipe: identity, ..Progress::default() },
    };
    checkpoint::write_terms(out, &recipe.in_full(), &job.command)?;
    let per_epoch = training_photos.steps(&recipe.batch);
    let mut epoch = Course::default();
    let mut started = Instant::now();
    while progress.steps < recipe.epochs * per_epoch {
        if stop.load(Ordering::Relaxed) {
            checkpoint::save(&file, &mini.vars, &adam, &progress)?;
            return Ok((progress, Ended::Stopped));
        }
        let minibatch = training_photos.minibatch(recipe, progress.steps, device)?;
        let pace = pace(recipe, progress.steps, per_epoch);
        let at = (progress.steps / per_epoch + 1, progress.steps + 1);
        let (value, length) = step(&mini, &mut adam, minibatch, recipe, pace)?;
        if !(value.is_finite() && length.is_finite()) {
            return Err(TrainError::NotFinite { epoch: at.0, step: at.1 });
        }
        progress.steps = adam.steps;
        epoch.add(value, f64::from(length));
        listener.step(progress.steps, recipe.epochs * per_epoch, value);
        if progress.steps.is_multiple_of(per_epoch) {
            progress.epoch = progress.steps / per_epoch;
            adam.exchange(&mini.vars)?;
            let metrics = judge::judge(&fused(&tensors(&mini, training_photos)?, *engine)?, held)?;
            let figure = metrics.get("figure").copied();
            let best = figure.is_some_and(|figure| progress.best.is_none_or(|best| figure > best));
            if best {
                (progress.best, progress.best_epoch) = (figure, progress.epoch);
            }
            if best || recipe.patience.is_none() {
                export(&tensors(&mini, training_photos)?, &about(recipe, &progress), &out.join(NETWORK))?;
            }
            adam.exchange(&mini.vars)?;
            progress.history.push(Epoch {
                epoch: progress.epoch,
                steps: progress.steps,
                learning_rate: f64::from(pace.learning_rate),
                train_loss: epoch.loss(),
                gradient: epoch.gradient(),
                seconds: started.elapsed().as_secs_f64(),
                best,
                metrics,
            });
            started = Instant::now();
            epoch = Course::default();
            checkpoint::save(&file, &mini.vars, &adam, &progress)?;
            checkpoint::write_course(out, &format!("{} {}: train loss", recipe.name, recipe.version), &progress)?;
            if let Some(done) = progress.history.last() {
                listener.epoch(done);
            }
            if recipe.patience.is_some_and(|patience| progress.epoch - progress.best_epoch >= patience) {
                return Ok((progress, Ended::Early));
            }
        } else if progress.steps.is_multiple_of(recipe.checkpoint_steps.max(1)) {
            checkpoint::save(&file, &mini.vars, &adam, &progress)?;
        }
    }
    Ok((progress, Ended::Done))
}

/// Sums over the steps of an epoch, or of what of it this stretch saw.
#[derive(Debug, Default)]
struct Course {
    steps: u64,
    loss: f64,
    gradient: f64,
}

impl Course {
    fn add(&mut self, loss: f64, gradient: f64) {
        self.steps += 1;
        self.loss += loss;
        self.gradient += gradient;
    }

    fn loss(&self) -> f64 {
        self.loss / self.steps.max(1) as f64
    }

    fn gradient(&self) -> f64 {
        self.gradient / self.steps.max(1) as f64
    }
}

/// A rise, a plateau, and a way down in the last epochs.
fn pace(recipe: &MiniRecipe, step: u64, per_epoch: u64) -> Pace {
    let (step, end) = (step as f32, (recipe.epochs * per_epoch) as f32);
    let fall = (recipe.decay_epochs * per_epoch).max(1) as f32;
    let rise = ((step + 1.0) / recipe.warmup_steps.max(1) as f32).min(1.0);
    let left = ((end - step) / fall).clamp(0.0, 1.0);
    Pace {
        learning_rate: recipe.learning_rate * rise * left.max(0.01),
        head_factor: 1.0,
        weight_decay: recipe.weight_decay,
        longest: recipe.longest_gradient,
        keep: recipe.mean_keep,
    }
}

fn step(
    mini: &Mini,
    adam: &mut Adam,
    minibatch: Minibatch,
    recipe: &MiniRecipe,
    pace: Pace,
) -> Result<(f64, f32), TrainError> {
    let device = minibatch.scores.device().clone();
    let pooled = mini.pooled(minibatch.maps, &device)?;
    let said = mini.heads(&pooled, &minibatch.measures, Some(&minibatch.dropped))?;
    let asked = Asked {
        clean: minibatch.clean,
        origins: minibatch.origins,
        scores: minibatch.scores,
        order: minibatch.order,
        preferred: minibatch.preferred,
        worse: minibatch.worse,
        strengths: minibatch.strengths,
        known: minibatch.strengths_known,
        selves: minibatch.selves,
    };
    let total = asked.loss(&said, &recipe.losses)?;
    let value = f64::from(total.to_scalar::<f32>()?);
    if !value.is_finite() {
        return Ok((value, 0.0));
    }
    let length = adam.step(&mini.vars, &total.backward()?, pace)?;
    Ok((value, length))
}

/// The questions of a batch, without its photos.
struct Asked {
    clean: usize,
    origins: Tensor,
    scores: Tensor,
    order: Tensor,
    preferred: Tensor,
    worse: Tensor,
    strengths: Tensor,
    known: Tensor,
    selves: Tensor,
}

impl Asked {
    fn loss(&self, said: &Outputs, weights: &Losses) -> candle_core::Result<Tensor> {
        let variants = self.worse.dim(0)?;
        let clean = |all: &Tensor| all.narrow(0, 0, self.clean);
        let varied = |all: &Tensor| all.narrow(0, self.clean, variants);
        let of_origins = |all: &Tensor| clean(all)?.contiguous()?.index_select(&self.origins, 0);
        let opinion = clean(&said.opinion)?;
        let preference = clean(&said.preference)?;
        let mut total = (loss::gentle(&opinion, &self.scores, 0.1)? * weights.opinion)?;
        total = (total + (loss::uncorrelated(&opinion, &self.scores)? * weights.correlation)?)?;
        total = (total + (loss::disorder(&opinion, &self.order, 0.1)? * weights.order)?)?;
        total = (total + (loss::disorder(&preference, &self.preferred, 1.0)? * weights.preference)?)?;
        let behind = |all: &Tensor, width: f64| loss::behind(&of_origins(all)?, &varied(all)?, &self.worse, width);
        let degraded = (behind(&said.preference, 1.0)? + (behind(&said.opinion, 0.1)? * 0.5)?)?;
        total = (total + (degraded * weights.degraded_order)?)?;
        let faults = loss::logistic(&said.degradation, &self.strengths, &self.known)?;
        total = (total + (faults * weights.degradation)?)?;
        let (anchors, others) = (of_origins(&said.embedding)?, clean(&said.embedding)?);
        let contrast = loss::contrast(&anchors, &varied(&said.embedding)?, &others, &self.selves, 0.1)?;
        total + (contrast * weights.contrast)?
    }
}

/// The second stretch: the referee, and the model that is whole; `false` when asked to stop. A model that this run made
/// before is left alone.
fn finish(
    job: &Job<'_>,
    gathered: &Gathered,
    progress: &Progress,
    listener: &dyn Listener,
) -> Result<bool, TrainError> {
    let Job { recipe, out, engine, stop, .. } = job;
    let about = about(recipe, progress);
    // The network and its referee.
    let model = out.join(checkpoint::MODEL);
    if checkpoint::about(&model).is_some_and(|found| found == about) {
        return Ok(true);
    }
    let mut all = checkpoint::read_half(&out.join(NETWORK))?;
    let runner = fused(&all, *engine)?;
    let Gathered { training_photos, takes, held } = gathered;
    let training_set = TrainingSet { takes, singles: &training_photos.singles, series: &training_photos.series };
    let Some(referee) = comparison_head::train(&runner, training_set, &recipe.referee, recipe.seed, stop)? else {
        return Ok(false);
    };
    if let Some([pairs, first]) = comparison_head::agreement(&runner, &referee, &held.bursts)? {
        listener.told(&format!("takes held out: {pairs:.3} of the pairs in order, {first:.3} of the first places"));
    }
    all.tensors.extend(referee.tensors.into_iter().map(|(name, tensor)| (format!("referee.{name}"), tensor)));
    export(&all, &about, &model)?;
    Ok(true)
}

/// The network as it would be used, in memory.
fn fused(tensors: &InMemory, engine: Engine) -> Result<Runner, TrainError> {
    let ledger = Ledger::new(tensors);
    let network = FusedMini::new(engine, &ledger.root()).map_err(candle_core::Error::wrap)?;
    Ok(Runner::new(Box::new(network)))
}

fn tensors(mini: &Mini, training_photos: &TrainingPhotos) -> Result<InMemory, TrainError> {
    let mut all = InMemory::default();
    for (name, tensor) in mini.tensors()? {
        all.tensors.insert(name, (tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1()?));
    }
    all.tensors.insert("measures.mean".into(), (vec![MEASURES], training_photos.mean.clone()));
    all.tensors.insert("measures.std".into(), (vec![MEASURES], training_photos.std.clone()));
    Ok(all)
}

/// What a file says of itself.
fn about(recipe: &MiniRecipe, progress: &Progress) -> String {
    let MiniRecipe { name, version, held_out, referee, .. } = recipe;
    let epoch = if recipe.patience.is_some() { progress.best_epoch } else { progress.epoch };
    let seed = recipe.seed;
    serde_json::json!({
        "name": name, "version": version, "epoch": epoch, "held_out": held_out, "seed": seed, "referee": referee,
    })
    .to_string()
}

/// Writes tensors as they are shipped: in half precision.
fn export(tensors: &InMemory, about: &str, path: &Path) -> Result<(), TrainError> {
    let half = |values: &[f32]| values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let all: Vec<(String, Vec<usize>, Vec<u8>)> =
        tensors.tensors.iter().map(|(name, (shape, values))| (name.clone(), shape.clone(), half(values))).collect();
    checkpoint::write(path, &all, Dtype::F16, (checkpoint::ABOUT, about.to_owned()))
}

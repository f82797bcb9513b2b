//! The training run of the small network.

mod batch;
mod comparison_head;
mod data;
mod judge;
mod looks;
mod views;
mod whitening;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};
use safetensors::tensor::Dtype;

use self::batch::{Minibatch, TrainingSet};
pub use self::data::Folds;
pub use self::looks::{FILE as LOOKS, KEY as LOOKS_KEY};
use self::looks::{Looking, Places};
use super::adam::{Adam, Pace};
use super::checkpoint::{self, Progress};
use super::epoch::Epoch;
use super::recipe::{Losses, MiniRecipe};
use super::rng::Rng;
use super::{Ended, TrainError, loss};
use kernels::Engine;
use networks::checkpoint::{Checkpoint, InMemory, Ledger};
use networks::fused::Runner;
use networks::mini::{self, FAMILY, Heads, Mini, Outputs, SEEN, TRUNK};
use networks::mobile::FusedMobile;

/// Pairs of a burst count when opinions lie this far apart.
pub const MARGIN: f64 = 0.15;

/// Pictures are taken for something else than photographs as readily as this share of the photos to learn from allows: they
/// know no screens and papers but those that were drawn, and real ones lie nearer to photos.
const STRANGE: f64 = 0.0025;

/// Where a run reads and writes, and on what it computes.
pub struct Job<'a> {
    pub recipe: &'a MiniRecipe,
    pub data: PathBuf,
    /// Whose trunk it stands on.
    pub start: &'a dyn Checkpoint,
    pub out: PathBuf,
    /// Where looks are kept, if not in `out`.
    pub looks: Option<PathBuf>,
    pub engine: Engine,
    /// What was typed, to be kept beside the model.
    pub command: String,
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("data", &self.data).field("out", &self.out).finish_non_exhaustive()
    }
}

/// What a run tells while it goes on.
pub trait Listener: Sync {
    fn decoded(&self, photos: usize, of: usize);
    fn looked(&self, pictures: usize, of: usize);
    fn step(&self, step: u64, of: u64, loss: f64);
    fn epoch(&self, epoch: &Epoch);
    /// What is worth knowing beside the epochs.
    fn told(&self, what: &str);
}

/// The heads alone, as of the epoch that is kept.
pub const NETWORK: &str = "network.safetensors";

/// Trains until the recipe's end, a stop, or no hope. What is finished lies in `out`.
pub fn run(job: &Job<'_>, listener: &dyn Listener) -> Result<(Progress, Ended), TrainError> {
    let Job { recipe, out, stop, .. } = job;
    std::fs::create_dir_all(out).map_err(|error| TrainError::at(out, error))?;
    let names = Ledger::new(job.start);
    let mut trunk = mini::folded(&names.root()).map_err(candle_core::Error::wrap)?;
    // Looked at as it ships: in half precision.
    let all = trunk.tensors.values_mut().flat_map(|(_, values)| values);
    all.for_each(|v| *v = half::f16::from_f32(*v).to_f32());
    let runner = {
        let ledger = Ledger::new(&trunk);
        let network = FusedMobile::trunk(FAMILY, job.engine, &ledger.root().under(TRUNK));
        Runner::new(Box::new(network.map_err(candle_core::Error::wrap)?))
    };
    let gathered = data::gather(recipe, &job.data, &|done, of| listener.decoded(done, of))?;
    let (photos, takes) = (&gathered.photos[..], &gathered.takes[..]);
    let places = Places::new(recipe, photos, takes);
    let looking = Looking { recipe, photos, takes, runner: &runner, trunk: &trunk };
    let file = job.looks.clone().unwrap_or_else(|| out.join(LOOKS));
    let Some(looks) = looking.all(&places, &file, stop, &|done, of| listener.looked(done, of))? else {
        return Ok((Progress::default(), Ended::Stopped));
    };
    let set = TrainingSet::new(recipe, (photos, takes), &looks, &places);
    let (progress, ended) = network(job, &set, &looking.identity(), listener)?;
    if ended == Ended::Stopped || !finish(job, &set, trunk, &progress, listener)? {
        return Ok((progress, Ended::Stopped));
    }
    Ok((progress, ended))
}

/// The first stretch: all that the heads say.
fn network(
    job: &Job<'_>,
    set: &TrainingSet<'_>,
    looks: &str,
    listener: &dyn Listener,
) -> Result<(Progress, Ended), TrainError> {
    let Job { recipe, out, stop, .. } = job;
    let mut rng = Rng::at(recipe.seed, [0, 9]);
    let mini = Mini::new(&Device::Cpu, || rng.normal())?;
    let mut adam = Adam::new(&mini.vars)?;
    let file = out.join(checkpoint::CHECKPOINT);
    let [singles, series] = set.counts();
    let identity = format!("{} {looks} {singles} {series}", recipe.identity());
    let title = format!("{} {}: train loss", recipe.name, recipe.version);
    let mut progress = checkpoint::resume(out, &mini.vars, &mut adam, identity, &title)?;
    checkpoint::write_terms(out, &recipe.in_full(), &job.command)?;
    let per_epoch = set.steps(&recipe.batch);
    let mut epoch = Course::default();
    let mut started = Instant::now();
    while progress.steps < recipe.epochs * per_epoch {
        if stop.load(Ordering::Relaxed) {
            checkpoint::save(&file, &mini.vars, &adam, &progress)?;
            return Ok((progress, Ended::Stopped));
        }
        let minibatch = set.minibatch(recipe, progress.steps, &Device::Cpu)?;
        let pace = pace(recipe, progress.steps, per_epoch);
        let at = (progress.steps / per_epoch + 1, progress.steps + 1);
        let (value, length) = step(&mini, &mut adam, &minibatch, recipe, pace)?;
        if !(value.is_finite() && length.is_finite()) {
            return Err(TrainError::NotFinite { epoch: at.0, step: at.1 });
        }
        progress.steps = adam.steps;
        epoch.add(value, f64::from(length));
        listener.step(progress.steps, recipe.epochs * per_epoch, value);
        if progress.steps.is_multiple_of(per_epoch) {
            progress.epoch = progress.steps / per_epoch;
            adam.exchange(&mini.vars)?;
            let metrics = judge::judge(&mini, set)?;
            let figure = metrics.get("figure").copied();
            let best = figure.is_some_and(|figure| progress.best.is_none_or(|best| figure > best));
            if best {
                (progress.best, progress.best_epoch) = (figure, progress.epoch);
            }
            if best || recipe.patience.is_none() {
                export(&tensors(&mini, set)?, &about(recipe, &progress), &out.join(NETWORK))?;
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
            checkpoint::write_course(out, &title, &progress)?;
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
    minibatch: &Minibatch,
    recipe: &MiniRecipe,
    pace: Pace,
) -> Result<(f64, f32), TrainError> {
    let said = mini.heads(&minibatch.seen, Some(&minibatch.dropped))?;
    let total = losses(minibatch, &said, &recipe.losses)?;
    let value = f64::from(total.to_scalar::<f32>()?);
    if !value.is_finite() {
        return Ok((value, 0.0));
    }
    let length = adam.step(&mini.vars, &total.backward()?, pace)?;
    Ok((value, length))
}

/// All that is asked of a batch.
fn losses(asked: &Minibatch, said: &Outputs, weights: &Losses) -> candle_core::Result<Tensor> {
    let variants = asked.worse.dim(0)?;
    let clean = |all: &Tensor| all.narrow(0, 0, asked.clean);
    let varied = |all: &Tensor| all.narrow(0, asked.clean, variants);
    let of_origins = |all: &Tensor| clean(all)?.contiguous()?.index_select(&asked.origins, 0);
    let opinion = clean(&said.opinion)?;
    let preference = clean(&said.preference)?;
    let mut total = (loss::gentle(&opinion, &asked.scores, 0.1)? * weights.opinion)?;
    total = (total + (loss::uncorrelated(&opinion, &asked.scores)? * weights.correlation)?)?;
    total = (total + (loss::disorder(&opinion, &asked.order, 0.1)? * weights.order)?)?;
    total = (total + (loss::disorder(&preference, &asked.preferred, 1.0)? * weights.preference)?)?;
    let behind = |all: &Tensor, width: f64| loss::behind(&of_origins(all)?, &varied(all)?, &asked.worse, width);
    let degraded = (behind(&said.preference, 1.0)? + (behind(&said.opinion, 0.1)? * 0.5)?)?;
    total = (total + (degraded * weights.degraded_order)?)?;
    let photos = said.degradation.narrow(0, 0, asked.clean + variants)?;
    let faults = loss::logistic(&photos, &asked.strengths, &asked.strengths_known)?;
    total = (total + (faults * weights.degradation)?)?;
    total + (candle_nn::loss::cross_entropy(&said.kind, &asked.kinds)? * weights.kind)?
}

/// The second stretch: the referee, and the model that is whole; `false` when asked to stop. A model that this run made
/// before is left alone.
fn finish(
    job: &Job<'_>,
    set: &TrainingSet<'_>,
    trunk: InMemory,
    progress: &Progress,
    listener: &dyn Listener,
) -> Result<bool, TrainError> {
    let Job { recipe, out, engine, stop, .. } = job;
    let about = about(recipe, progress);
    let model = out.join(checkpoint::MODEL);
    if checkpoint::about(&model).is_some_and(|found| found == about) {
        return Ok(true);
    }
    let mut all = checkpoint::read_half(&out.join(NETWORK))?;
    all.tensors.extend(whitening::embedding(&set.clean()?)?.tensors);
    let heads = |all: &InMemory| -> Result<Heads, TrainError> {
        let ledger = Ledger::new(all);
        Ok(Heads::new(*engine, &ledger.root()).map_err(candle_core::Error::wrap)?)
    };
    let margin = judge::margin(&heads(&all)?, set, STRANGE);
    if let Some((_, bias)) = all.tensors.get_mut("kind.bias") {
        bias[0] -= margin;
    }
    let heads = heads(&all)?;
    let Some(referee) = comparison_head::train(&heads, set, &recipe.referee, recipe.seed, stop)? else {
        return Ok(false);
    };
    if let Some([pairs, first]) = comparison_head::agreement(&heads, &referee, set)? {
        listener.told(&format!("takes held out: {pairs:.3} of the pairs in order, {first:.3} of the first places"));
    }
    all.tensors.extend(referee.tensors.into_iter().map(|(name, tensor)| (format!("referee.{name}"), tensor)));
    all.tensors.extend(trunk.tensors);
    export(&all, &about, &model)?;
    Ok(true)
}

fn tensors(mini: &Mini, set: &TrainingSet<'_>) -> Result<InMemory, TrainError> {
    let mut all = InMemory { tensors: mini.tensors()? };
    all.tensors.insert("seen.mean".into(), (vec![SEEN], set.mean.clone()));
    all.tensors.insert("seen.std".into(), (vec![SEEN], set.std.clone()));
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

//! The training run of the small network `album-mini`.

mod batch;
mod comparison_head;
mod data;
mod features;
mod framing;
mod judge;
mod trunk;
mod views;
mod whitening;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};
use safetensors::tensor::Dtype;

use self::batch::{Minibatch, TrainingSet};
use self::comparison_head::HeldOutResult;
pub use self::data::Folds;
use self::features::{Extractor, RowIndex};
pub use self::features::{FILE as FEATURES_FILE, KEY as FEATURES_KEY};
pub use self::trunk::CHECKPOINT as TRUNK_CHECKPOINT;
use super::adam::{Adam, StepOptions};
use super::checkpoint::{self, Progress};
use super::epoch::Epoch;
use super::recipe::{Losses, MiniRecipe};
use super::rng::Rng;
use super::{Ended, TrainError, loss};
use kernels::Engine;
use networks::checkpoint::{Checkpoint, InMemory, Ledger};
use networks::fused::Runner;
use networks::mini::{self, FAMILY, Heads, INPUTS, Mini, Outputs, TRUNK};
use networks::mobile::FusedMobile;

/// Pairs of photos of a burst count in the ranking metrics when their labelled scores differ by at least this.
pub const MIN_SCORE_GAP: f64 = 0.15;

/// The share of training photos that may be classified as something other than a photograph. The bias of the kind head
/// is shifted to use up this share, because real screenshots and documents look more like photos than the synthetic
/// ones that the head was trained on.
const FALSE_ALARM_SHARE: f64 = 0.0025;

/// The inputs of a run: what it reads, where it writes, and what it computes with.
pub struct Job<'a> {
    pub recipe: &'a MiniRecipe,
    pub data: PathBuf,
    /// The weights that the trunk begins from.
    pub start: &'a dyn Checkpoint,
    pub out: PathBuf,
    /// The file of precomputed features, if it is not in `out`.
    pub features: Option<PathBuf>,
    pub engine: Engine,
    /// The command line, recorded beside the model.
    pub command: String,
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("data", &self.data).field("out", &self.out).finish_non_exhaustive()
    }
}

/// The folder of the heads that the trunk is trained with, in that of the run.
pub const FIRST_HEADS: &str = "start";

/// Receives the progress of a run.
pub trait Listener: Sync {
    fn decoded(&self, photos: usize, of: usize);
    fn features_extracted(&self, pictures: usize, of: usize);
    fn step(&self, step: u64, of: u64, loss: f64);
    fn epoch(&self, epoch: &Epoch);
    /// A message for the user that belongs to no epoch.
    fn note(&self, message: &str);
}

/// Passes on all but the epochs: those of the first heads are no epochs of the model.
struct FirstHeads<'a>(&'a dyn Listener);

impl Listener for FirstHeads<'_> {
    fn decoded(&self, photos: usize, of: usize) {
        self.0.decoded(photos, of);
    }

    fn features_extracted(&self, pictures: usize, of: usize) {
        self.0.features_extracted(pictures, of);
    }

    fn step(&self, step: u64, of: u64, loss: f64) {
        self.0.step(step, of, loss);
    }

    fn epoch(&self, _: &Epoch) {}

    fn note(&self, message: &str) {
        self.0.note(message);
    }
}

/// File name of the heads' weights, as of the epoch that is kept.
pub const NETWORK: &str = "network.safetensors";
/// The features that the trained trunk extracts.
pub const TRAINED_FEATURES: &str = "trained-looks.safetensors";

/// Trains until the last epoch, a stop or early stopping, and writes the model to `out`.
pub fn run(job: &Job<'_>, listener: &dyn Listener) -> Result<(Progress, Ended), TrainError> {
    let Job { recipe, out, stop, .. } = job;
    std::fs::create_dir_all(out).map_err(|error| TrainError::at(out, error))?;
    let (mut trunk, mut runner) = as_shipped(job.start, job.engine)?;
    let gathered = data::gather(recipe, &job.data, &|done, of| listener.decoded(done, of))?;
    let (photos, takes) = (&gathered.photos[..], &gathered.takes[..]);
    let index = RowIndex::new(recipe, photos, takes);
    let features = |trunk: &InMemory, runner: &Runner, file: &Path| {
        let extractor = Extractor { recipe, photos, takes, runner, trunk };
        let features = extractor.all(&index, file, stop, &|done, of| listener.features_extracted(done, of))?;
        Ok::<_, TrainError>((features, extractor.identity()))
    };
    let stopped = || Ok((Progress::default(), Ended::Stopped));
    let file = job.features.clone().unwrap_or_else(|| out.join(FEATURES_FILE));
    let (Some(mut seen), mut identity) = features(&trunk, &runner, &file)? else { return stopped() };
    if let Some(trunk_recipe) = &recipe.trunk {
        let set = TrainingSet::new(recipe, (photos, takes), &seen, &index);
        let folder = out.join(FIRST_HEADS);
        std::fs::create_dir_all(&folder).map_err(|error| TrainError::at(&folder, error))?;
        let (progress, ended) = train_heads(job, &folder, &set, &identity, &FirstHeads(listener))?;
        if ended == Ended::Stopped {
            return Ok((progress, ended));
        }
        let heads = checkpoint::read_half(&folder.join(NETWORK))?;
        let trained = trunk::train(job, trunk_recipe, &set, (&heads, &runner), &identity, listener)?;
        let Some(trained) = trained else { return stopped() };
        (trunk, runner) = as_shipped(&trained, job.engine)?;
        let (Some(of_trained), of_identity) = features(&trunk, &runner, &out.join(TRAINED_FEATURES))? else {
            return stopped();
        };
        (seen, identity) = (of_trained, of_identity);
    }
    let set = TrainingSet::new(recipe, (photos, takes), &seen, &index);
    let (progress, ended) = train_heads(job, out, &set, &identity, listener)?;
    if ended == Ended::Stopped || !finish(job, &set, trunk, &progress, listener)? {
        return Ok((progress, Ended::Stopped));
    }
    Ok((progress, ended))
}

/// A trunk with the weights that are shipped, which have half precision: features are extracted with them.
fn as_shipped(weights: &dyn Checkpoint, engine: Engine) -> Result<(InMemory, Runner), TrainError> {
    let weights = Ledger::new(weights);
    let mut trunk = mini::folded(&weights.root()).map_err(candle_core::Error::wrap)?;
    let all = trunk.tensors.values_mut().flat_map(|(_, values)| values);
    all.for_each(|v| *v = half::f16::from_f32(*v).to_f32());
    let ledger = Ledger::new(&trunk);
    let network = FusedMobile::trunk(FAMILY, engine, &ledger.root().under(TRUNK));
    let runner = Runner::new(Box::new(network.map_err(candle_core::Error::wrap)?));
    drop(ledger);
    Ok((trunk, runner))
}

/// Trains all heads except the comparison head.
fn train_heads(
    job: &Job<'_>,
    out: &Path,
    set: &TrainingSet<'_>,
    features: &str,
    listener: &dyn Listener,
) -> Result<(Progress, Ended), TrainError> {
    let Job { recipe, stop, .. } = job;
    let mut rng = Rng::at(recipe.seed, [0, 9]);
    let mini = Mini::new(&Device::Cpu, || rng.normal())?;
    let mut adam = Adam::new(&mini.vars)?;
    let file = out.join(checkpoint::CHECKPOINT);
    let [singles, series] = set.counts();
    let identity = format!("{} {features} {singles} {series}", recipe.identity());
    let title = format!("{} {}: train loss", recipe.name, recipe.version);
    let mut progress = match checkpoint::load(&file, &mini.vars, &mut adam)? {
        Some(progress) if progress.recipe != identity => return Err(TrainError::Changed { path: file }),
        Some(progress) => {
            // An interrupted run may have saved its checkpoint but not its history files. If that was its last epoch,
            // nothing later would write them.
            checkpoint::write_history(out, &title, &progress)?;
            progress
        }
        None => Progress { recipe: identity, ..Progress::default() },
    };
    checkpoint::write_settings(out, &recipe.in_full(), &job.command)?;
    let per_epoch = set.steps(&recipe.batch);
    let mut sums = EpochSums::default();
    let mut started = Instant::now();
    while progress.steps < recipe.epochs * per_epoch {
        if stop.load(Ordering::Relaxed) {
            checkpoint::save(&file, &mini.vars, &adam, &progress)?;
            return Ok((progress, Ended::Stopped));
        }
        let minibatch = set.minibatch(recipe, progress.steps, &Device::Cpu)?;
        let options = step_options(recipe, progress.steps, per_epoch);
        let at = (progress.steps / per_epoch + 1, progress.steps + 1);
        let (value, gradient_norm) = step(&mini, &mut adam, &minibatch, recipe, options)?;
        if !(value.is_finite() && gradient_norm.is_finite()) {
            return Err(TrainError::NotFinite { epoch: at.0, step: at.1 });
        }
        progress.steps = adam.steps;
        sums.add(value, f64::from(gradient_norm));
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
                learning_rate: f64::from(options.learning_rate),
                train_loss: sums.loss(),
                gradient: sums.gradient(),
                seconds: started.elapsed().as_secs_f64(),
                best,
                metrics,
            });
            started = Instant::now();
            sums = EpochSums::default();
            checkpoint::save(&file, &mini.vars, &adam, &progress)?;
            checkpoint::write_history(out, &title, &progress)?;
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

/// Sums over the steps of an epoch; after a resume, over those since the resume.
#[derive(Debug, Default)]
struct EpochSums {
    steps: u64,
    loss: f64,
    gradient: f64,
}

impl EpochSums {
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

/// The learning rate schedule: linear warm-up, plateau, linear decay in the last epochs.
fn step_options(recipe: &MiniRecipe, step: u64, per_epoch: u64) -> StepOptions {
    let (step, end) = (step as f32, (recipe.epochs * per_epoch) as f32);
    let decay = (recipe.decay_epochs * per_epoch).max(1) as f32;
    let warmup = ((step + 1.0) / recipe.warmup_steps.max(1) as f32).min(1.0);
    let left = ((end - step) / decay).clamp(0.0, 1.0);
    StepOptions {
        learning_rate: recipe.learning_rate * warmup * left.max(0.01),
        head_factor: 1.0,
        weight_decay: recipe.weight_decay,
        max_gradient_norm: recipe.longest_gradient,
        mean_decay: recipe.mean_keep,
    }
}

fn step(
    mini: &Mini,
    adam: &mut Adam,
    minibatch: &Minibatch,
    recipe: &MiniRecipe,
    options: StepOptions,
) -> Result<(f64, f32), TrainError> {
    let outputs = mini.heads(&minibatch.inputs, Some(&minibatch.dropped))?;
    let total = losses(minibatch, &outputs, &recipe.losses)?;
    let value = f64::from(total.to_scalar::<f32>()?);
    if !value.is_finite() {
        return Ok((value, 0.0));
    }
    let gradient_norm = adam.step(&mini.vars, &total.backward()?, options)?;
    Ok((value, gradient_norm))
}

/// The weighted sum of all losses of a batch.
fn losses(batch: &Minibatch, outputs: &Outputs, weights: &Losses) -> candle_core::Result<Tensor> {
    let variants = batch.worse.dim(0)?;
    let clean = |all: &Tensor| all.narrow(0, 0, batch.clean);
    let varied = |all: &Tensor| all.narrow(0, batch.clean, variants);
    let of_origins = |all: &Tensor| clean(all)?.contiguous()?.index_select(&batch.origins, 0);
    let opinion = clean(&outputs.opinion)?;
    let preference = clean(&outputs.preference)?;
    let mut total = (loss::pseudo_huber(&opinion, &batch.scores, 0.1)? * weights.opinion)?;
    total = (total + (loss::correlation_loss(&opinion, &batch.scores)? * weights.correlation)?)?;
    total = (total + (loss::ranking_matrix(&opinion, &batch.order, 0.1)? * weights.order)?)?;
    total = (total + (loss::ranking_matrix(&preference, &batch.preferred, 1.0)? * weights.preference)?)?;
    let below_origin =
        |all: &Tensor, width: f64| loss::ranked_pairs(&of_origins(all)?, &varied(all)?, &batch.worse, width);
    let degraded = (below_origin(&outputs.preference, 1.0)? + (below_origin(&outputs.opinion, 0.1)? * 0.5)?)?;
    total = (total + (degraded * weights.degraded_order)?)?;
    let photos = outputs.degradation.narrow(0, 0, batch.clean + variants)?;
    let faults = loss::binary_cross_entropy(&photos, &batch.strengths, &batch.strengths_known)?;
    total = (total + (faults * weights.degradation)?)?;
    total + (candle_nn::loss::cross_entropy(&outputs.kind, &batch.kinds)? * weights.kind)?
}

/// The last stage: trains the comparison head and writes the complete model; `false` when asked to stop. Does nothing
/// if `out` already holds the model of this recipe and epoch.
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
    let bias_shift = judge::kind_bias_shift(&heads(&all)?, set, FALSE_ALARM_SHARE);
    if let Some((_, bias)) = all.tensors.get_mut("kind.bias") {
        bias[0] -= bias_shift;
    }
    let heads = heads(&all)?;
    let Some(comparison_tensors) = comparison_head::train(&heads, set, &recipe.comparison_head, recipe.seed, stop)?
    else {
        return Ok(false);
    };
    let judged = comparison_head::judge(&heads, &comparison_tensors, set, &recipe.comparison_head, recipe.seed)?;
    if let Some(HeldOutResult { pairwise, first, level, centred }) = judged {
        listener.note(&format!(
            "bursts not trained on: {:.1} % of the pairs in the right order, the best take first in {:.0} %; photos not \
             trained on: {:.1} % of the level copies preferred to tilted ones, {:.1} % of the centred to others",
            100.0 * pairwise,
            100.0 * first,
            100.0 * level,
            100.0 * centred
        ));
    }
    all.tensors
        .extend(comparison_tensors.tensors.into_iter().map(|(name, tensor)| (format!("referee.{name}"), tensor)));
    all.tensors.extend(trunk.tensors);
    export(&all, &about, &model)?;
    Ok(true)
}

fn tensors(mini: &Mini, set: &TrainingSet<'_>) -> Result<InMemory, TrainError> {
    let mut all = InMemory { tensors: mini.tensors()? };
    all.tensors.insert("seen.mean".into(), (vec![INPUTS], set.mean.clone()));
    all.tensors.insert("seen.std".into(), (vec![INPUTS], set.std.clone()));
    Ok(all)
}

/// The metadata of a model file.
fn about(recipe: &MiniRecipe, progress: &Progress) -> String {
    let MiniRecipe { name, version, held_out, comparison_head, .. } = recipe;
    let epoch = if recipe.patience.is_some() { progress.best_epoch } else { progress.epoch };
    let seed = recipe.seed;
    serde_json::json!({
        "name": name, "version": version, "epoch": epoch, "held_out": held_out, "seed": seed, "referee": comparison_head,
    })
    .to_string()
}

/// Writes tensors in half precision, as models are shipped.
fn export(tensors: &InMemory, about: &str, path: &Path) -> Result<(), TrainError> {
    let half = |values: &[f32]| values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let all: Vec<(String, Vec<usize>, Vec<u8>)> =
        tensors.tensors.iter().map(|(name, (shape, values))| (name.clone(), shape.clone(), half(values))).collect();
    checkpoint::write(path, &all, Dtype::F16, (checkpoint::ABOUT, about.to_owned()))
}

//! The training run of the small network.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use safetensors::tensor::Dtype;

use super::adam::{Adam, Pace};
use super::batch::{Lesson, Lessons, Sample, normalised};
use super::checkpoint::{self, Epoch, Progress};
use super::photos::{self, Label};
use super::recipe::{Losses, MiniRecipe};
use super::rng::Rng;
use super::{Ended, TrainError, loss};
use crate::eval::ranking::{self, Judged};
use crate::eval::scores;
use crate::kernels::{Engine, Map};
use crate::nn::checkpoint::{InMemory, Ledger};
use crate::nn::fused::{Batch, Runner};
use crate::nn::mini::{Convs, FusedMini, GROUP, MEASURES, Mini, Outputs, SIDE, View, answer};
use crate::pixels::Pixels;
use crate::quality::{self, Weights};

/// Pairs of a burst count when opinions lie this far apart.
pub const MARGIN: f64 = 0.15;
/// Photos from which the measures' means are taken.
const MEASURED: usize = 2000;
/// Neighbouring numbers of a series that stay in one fold where no group is known.
const BLOCK: u64 = 50;

/// Where a run reads and writes, and on what it computes.
#[derive(Debug)]
pub struct Job<'a> {
    pub recipe: &'a MiniRecipe,
    pub data: PathBuf,
    pub out: PathBuf,
    pub engine: Engine,
    pub device: Device,
    pub stop: &'a AtomicBool,
}

/// What a run tells while it goes on.
pub trait Listener: Sync {
    fn decoded(&self, photos: usize, of: usize);
    fn step(&self, step: u64, of: u64, loss: f64);
    fn epoch(&self, epoch: &Epoch);
}

/// The photos of a fold that is held out.
#[derive(Debug)]
pub struct Held {
    pub photos: Vec<(Pixels, f32, bool)>,
    pub bursts: Vec<Burst>,
}

/// A take, as large as it is.
#[derive(Debug)]
pub struct Burst {
    pub pixels: Pixels,
    pub score: f32,
    pub group: usize,
}

/// Which fold each photo belongs to: a burst goes as a whole, and so do neighbours in a series.
#[derive(Debug)]
pub struct Folds {
    groups: HashMap<String, String>,
    series: String,
    count: u64,
}

impl Folds {
    pub fn new(bursts: &[Label], series: &str, count: u64) -> Self {
        let group = |label: &Label| Some((label.file.clone(), label.group.clone()?));
        Self { groups: bursts.iter().filter_map(group).collect(), series: series.to_owned(), count }
    }

    pub fn of(&self, file: &str) -> u64 {
        let key = match self.groups.get(file) {
            Some(group) => group.clone(),
            None if file.starts_with(&self.series) => format!("block {}", number(file) / BLOCK),
            None => file.to_owned(),
        };
        // FNV-1a: the same on every machine.
        let hash = key
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Rng::at(hash, [0, 0]).draw() % self.count
    }
}

fn number(file: &str) -> u64 {
    let stem = file.split('.').next().unwrap_or_default();
    let digits: String = stem.chars().rev().take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().unwrap_or(0)
}

/// Reads everything, and deals it out.
pub fn gather(
    recipe: &MiniRecipe,
    data: &Path,
    decoded: &(dyn Fn(usize, usize) + Sync),
) -> Result<(Lessons, Held), TrainError> {
    let own = &recipe.data;
    let labels = photos::labels(&data.join(&own.labels))?;
    let bursts = own.bursts.as_ref().map(|bursts| photos::labels(&data.join(&bursts.labels))).transpose()?;
    let bursts = bursts.unwrap_or_default();
    let folds = Folds::new(&bursts, &own.series, recipe.folds);
    let known: HashSet<&str> = labels.iter().map(|label| label.file.as_str()).collect();
    let total = labels.len() + bursts.len();
    let names: Vec<&str> = labels.iter().map(|label| label.file.as_str()).collect();
    let pixels = photos::decode(&data.join(&own.photos), &names, |done| decoded(done, total))?;
    let (mut singles, mut series) = (Vec::new(), Vec::new());
    let mut held = Held { photos: Vec::new(), bursts: Vec::new() };
    let mut deal = |label: &Label, pixels: Pixels, held: &mut Held| {
        let in_series = label.file.starts_with(&own.series);
        if folds.of(&label.file) == recipe.held_out {
            held.photos.push((pixels, label.score, in_series));
        } else if in_series {
            series.push((number(&label.file), Sample { pixels, score: label.score }));
        } else {
            singles.push(Sample { pixels, score: label.score });
        }
    };
    let side = SIDE as u32;
    for (label, pixels) in labels.iter().zip(pixels) {
        let fits = (pixels.width(), pixels.height()) == (side, side);
        let pixels = if fits { pixels } else { photos::squared(&pixels, side) };
        deal(label, pixels, &mut held);
    }
    if let Some(files) = &own.bursts {
        let names: Vec<&str> = bursts.iter().map(|label| label.file.as_str()).collect();
        let pixels = photos::decode(&data.join(&files.photos), &names, |done| decoded(labels.len() + done, total))?;
        let mut groups: Vec<&String> = bursts.iter().filter_map(|label| label.group.as_ref()).collect();
        groups.sort();
        groups.dedup();
        for (label, pixels) in bursts.iter().zip(pixels) {
            if !known.contains(label.file.as_str()) {
                deal(label, photos::squared(&pixels, side), &mut held);
            }
            let group = label.group.as_ref().and_then(|group| groups.binary_search(&group).ok());
            if let Some(group) = group.filter(|_| folds.of(&label.file) == recipe.held_out) {
                held.bursts.push(Burst { pixels, score: label.score, group });
            }
        }
    }
    series.sort_by_key(|(number, _)| *number);
    let series: Vec<Sample> = series.into_iter().map(|(_, sample)| sample).collect();
    let everything = || singles.iter().chain(&series);
    let step = (everything().count() / MEASURED).max(1);
    let (mean, std) = spread(everything().step_by(step));
    Ok((Lessons { singles, series, mean, std }, held))
}

/// Mean and deviation of the measures.
fn spread<'a>(samples: impl Iterator<Item = &'a Sample>) -> (Vec<f32>, Vec<f32>) {
    let rows: Vec<&Sample> = samples.collect();
    let rows: Vec<[f32; MEASURES]> = rows
        .par_iter()
        .map(|sample| {
            let (width, height) = (sample.pixels.width() as usize, sample.pixels.height() as usize);
            let data = normalised(&sample.pixels);
            let mut map = Map::zeros(Convs::input(1, height, width));
            View { width, height, data: &data }.prepare(&mut map, 0).measures
        })
        .collect();
    let count = rows.len().max(1) as f32;
    let mean: Vec<f32> = (0..MEASURES).map(|i| rows.iter().map(|row| row[i]).sum::<f32>() / count).collect();
    let square = |i: usize| rows.iter().map(|row| (row[i] - mean[i]).powi(2)).sum::<f32>() / count;
    let std = (0..MEASURES).map(|i| square(i).sqrt().max(1e-4)).collect();
    (mean, std)
}

/// Trains until the recipe's end, a stop, or no hope. What is finished lies in `out`.
pub fn run(job: &Job<'_>, listener: &dyn Listener) -> Result<(Progress, Ended), TrainError> {
    let Job { recipe, out, engine, device, stop, .. } = job;
    std::fs::create_dir_all(out).map_err(|error| TrainError::at(out, error))?;
    let (lessons, held) = gather(recipe, &job.data, &|done, of| listener.decoded(done, of))?;
    let mut rng = Rng::at(recipe.seed, [0, 9]);
    let mini = Mini::new(*engine, device, || rng.normal())?;
    let mut adam = Adam::new(&mini.vars)?;
    let file = out.join("checkpoint.safetensors");
    let identity = format!("{} {} {}", recipe.identity(), lessons.singles.len(), lessons.series.len());
    let mut progress = match checkpoint::load(&file, &mini.vars, &mut adam)? {
        Some(progress) if progress.recipe != identity => return Err(TrainError::Changed { path: file }),
        Some(progress) => progress,
        None => Progress { recipe: identity, ..Progress::default() },
    };
    let per_epoch = lessons.steps(&recipe.batch);
    let mut epoch = Course::default();
    let mut started = Instant::now();
    while progress.steps < recipe.epochs * per_epoch {
        if stop.load(Ordering::Relaxed) {
            checkpoint::save(&file, &mini.vars, &adam, &progress)?;
            return Ok((progress, Ended::Stopped));
        }
        let lesson = lessons.lesson(recipe, progress.steps, device)?;
        let pace = pace(recipe, progress.steps, per_epoch);
        let at = (progress.steps / per_epoch + 1, progress.steps + 1);
        let (value, length) = step(&mini, &mut adam, lesson, recipe, pace)?;
        if !(value.is_finite() && length.is_finite()) {
            return Err(TrainError::NotFinite { epoch: at.0, step: at.1 });
        }
        progress.steps = adam.steps;
        epoch.add(value, f64::from(length));
        listener.step(progress.steps, recipe.epochs * per_epoch, value);
        if progress.steps.is_multiple_of(per_epoch) {
            progress.epoch = progress.steps / per_epoch;
            adam.exchange(&mini.vars)?;
            let metrics = judge(&mini, &lessons, &held, *engine)?;
            let figure = metrics.get("figure").copied().unwrap_or(0.0);
            let best = progress.best.is_none_or(|best| figure > best);
            if best {
                (progress.best, progress.best_epoch) = (Some(figure), progress.epoch);
                export(&mini, &lessons, recipe, &progress, &out.join("best.safetensors"))?;
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
            if progress.epoch - progress.best_epoch >= recipe.patience {
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
    lesson: Lesson,
    recipe: &MiniRecipe,
    pace: Pace,
) -> Result<(f64, f32), TrainError> {
    let device = lesson.scores.device().clone();
    let pooled = mini.pooled(lesson.maps, &device)?;
    let said = mini.heads(&pooled, &lesson.measures, Some(&lesson.dropped))?;
    let asked = Asked {
        clean: lesson.clean,
        origins: lesson.origins,
        scores: lesson.scores,
        order: lesson.order,
        preferred: lesson.preferred,
        worse: lesson.worse,
        strengths: lesson.strengths,
        known: lesson.strengths_known,
        selves: lesson.selves,
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

/// The network as it would be used, in memory.
fn fused(mini: &Mini, lessons: &Lessons, engine: Engine) -> Result<Runner, TrainError> {
    let mut file = InMemory::default();
    for (name, shape, values) in tensors(mini, lessons)? {
        file.tensors.insert(name, (shape, values));
    }
    let ledger = Ledger::new(&file);
    let network = FusedMini::new(engine, &ledger.root()).map_err(candle_core::Error::wrap)?;
    Ok(Runner::new(Box::new(network)))
}

fn tensors(mini: &Mini, lessons: &Lessons) -> Result<Vec<(String, Vec<usize>, Vec<f32>)>, TrainError> {
    let mut all = Vec::new();
    for (name, tensor) in mini.tensors()? {
        all.push((name, tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1()?));
    }
    all.push(("measures.mean".into(), vec![MEASURES], lessons.mean.clone()));
    all.push(("measures.std".into(), vec![MEASURES], lessons.std.clone()));
    Ok(all)
}

/// The answers for photos of the size that the network judges.
pub fn answers(runner: &Runner, photos: &[&Pixels]) -> Result<Vec<Vec<f32>>, TrainError> {
    let group = |photos: &[&Pixels]| -> Result<Vec<Vec<f32>>, TrainError> {
        let data = photos.iter().flat_map(|photo| normalised(photo)).collect();
        let batch = Batch::new(photos.len(), SIDE, SIDE, data);
        let batch = batch.ok_or_else(|| candle_core::Error::Msg("photos of another size".into()))?;
        let rows = runner.run(&batch).map_err(candle_core::Error::wrap)?;
        Ok(rows.chunks_exact(answer::LEN).map(<[f32]>::to_vec).collect())
    };
    let groups: Result<Vec<_>, _> = photos.chunks(4 * GROUP).map(group).collect();
    Ok(groups?.concat())
}

/// Figures on what was held out.
fn judge(mini: &Mini, lessons: &Lessons, held: &Held, engine: Engine) -> Result<BTreeMap<String, f64>, TrainError> {
    let runner = fused(mini, lessons, engine)?;
    let photos: Vec<&Pixels> = held.photos.iter().map(|(pixels, ..)| pixels).collect();
    let said = answers(&runner, &photos)?;
    let mut metrics = BTreeMap::new();
    let truth: Vec<(f64, bool)> = held.photos.iter().map(|(_, score, series)| (f64::from(*score), *series)).collect();
    let pick = |which: &dyn Fn(bool) -> bool| -> (Vec<f64>, Vec<f64>) {
        let kept = said.iter().zip(&truth).filter(|(_, (_, series))| which(*series));
        kept.map(|(row, (score, _))| (f64::from(row[answer::OPINION]), *score)).unzip()
    };
    let (predicted, scores) = pick(&|_| true);
    let srcc = scores::spearman(&predicted, &scores);
    metrics.insert("srcc".to_owned(), srcc);
    metrics.insert("plcc".to_owned(), scores::pearson(&predicted, &scores));
    metrics.insert("mae".to_owned(), scores::mean_absolute_error(&predicted, &scores));
    let (predicted, scores) = pick(&|series| series);
    metrics.insert("srcc_series".to_owned(), scores::spearman(&predicted, &scores));
    let (predicted, scores) = pick(&|series| !series);
    metrics.insert("srcc_singles".to_owned(), scores::spearman(&predicted, &scores));
    let mut figure = srcc + metrics["srcc_series"] + metrics["srcc_singles"];
    if !held.bursts.is_empty() {
        let small: Vec<Pixels> =
            held.bursts.par_iter().map(|take| photos::squared(&take.pixels, SIDE as u32)).collect();
        let said = answers(&runner, &small.iter().collect::<Vec<_>>())?;
        let sharp: Vec<f64> = held
            .bursts
            .par_iter()
            .map(|take| quality::measure(&take.pixels, &Weights::default()).sharpness_raw)
            .collect();
        let ranked = |predicted: &dyn Fn(usize) -> f64| {
            let judged = held.bursts.iter().enumerate().map(|(i, take)| Judged {
                group: take.group,
                truth: f64::from(take.score),
                predicted: predicted(i),
            });
            ranking::total(&ranking::by_group(&judged.collect::<Vec<_>>(), MARGIN))
        };
        let preference = ranked(&|i| f64::from(said[i][answer::PREFERENCE]));
        metrics.insert("pairwise".to_owned(), preference.pairwise());
        metrics.insert("top1".to_owned(), preference.top1());
        metrics.insert("pairwise_opinion".to_owned(), ranked(&|i| f64::from(said[i][answer::OPINION])).pairwise());
        metrics.insert("pairwise_sharpness".to_owned(), ranked(&|i| sharp[i]).pairwise());
        figure += preference.pairwise();
    }
    metrics.insert("figure".to_owned(), figure);
    Ok(metrics)
}

/// Writes the model as it is shipped: half precision, ready for the kernels.
fn export(
    mini: &Mini,
    lessons: &Lessons,
    recipe: &MiniRecipe,
    progress: &Progress,
    path: &Path,
) -> Result<(), TrainError> {
    let half = |values: Vec<f32>| values.into_iter().flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect();
    let all: Vec<(String, Vec<usize>, Vec<u8>)> =
        tensors(mini, lessons)?.into_iter().map(|(name, shape, values)| (name, shape, half(values))).collect();
    let about = serde_json::json!({
        "name": recipe.name, "version": recipe.version, "epoch": progress.epoch, "steps": progress.steps,
    });
    checkpoint::write(path, &all, Dtype::F16, ("albumctl", about.to_string()))
}

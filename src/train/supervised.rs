//! One loop for the large networks: a ResNet, a head, and items whose targets are ratings, votes, pairs, classes or
//! faults. On candle, so that it runs on a card as well.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{ModuleT, VarBuilder, VarMap};
use rayon::prelude::*;
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};

use super::adam::{Adam, Pace, set, values};
use super::checkpoint::{self, Epoch, Progress};
use super::labels::{Item, Target};
use super::mini::Listener;
use super::rng::Rng;
use super::{Ended, TrainError, degrade, loss};
use crate::eval::scores;
use crate::nn::checkpoint::Checkpoint;
use crate::nn::head::{Bend, Head, HeadConfig};
use crate::nn::mini::DEGRADATIONS;
use crate::nn::resnet::{Depth, Naming, ResNet};
use crate::photo::{self, Limits, Scale, resize};
use crate::pixels::Pixels;

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The recipe of a large network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeRecipe {
    pub name: String,
    /// resnet18 or resnet50.
    pub backbone: String,
    /// For ratings: regression or distribution.
    #[serde(default)]
    pub output_mode: OutputMode,
    /// Hidden layers of the head.
    #[serde(default)]
    pub mlp_hidden_dims: Vec<usize>,
    #[serde(default)]
    pub dropout: f32,
    pub resize: u32,
    pub crop: u32,
    pub augment: Augment,
    /// Of the backbone; the head's is so many times as high.
    pub learning_rate: f32,
    pub head_factor: f32,
    pub weight_decay: f32,
    pub batch: usize,
    pub epochs: u64,
    pub patience: u64,
    pub seed: u64,
    /// Share of the series that is held out and judged.
    pub held_out: f64,
    /// For pairs.
    #[serde(default)]
    pub min_agreement: f64,
    #[serde(default)]
    pub min_reviewers: usize,
    /// For pairs derived from scores: how far apart those lie.
    #[serde(default)]
    pub margin: f32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    #[default]
    Regression,
    Distribution,
}

/// What is done to photos that are learned from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    pub random_crop: bool,
    pub flip: f32,
    pub brightness: f32,
    pub contrast: f32,
    pub saturation: f32,
}

impl LargeRecipe {
    pub fn parse(file: &std::path::Path, yaml: &str) -> Result<Self, TrainError> {
        let bad = |why: String| TrainError::Recipe { file: file.to_owned(), why };
        let recipe: Self = serde_yaml::from_str(yaml).map_err(|error| bad(error.to_string()))?;
        if !matches!(recipe.backbone.as_str(), "resnet18" | "resnet50") {
            return Err(bad(format!("backbone `{}` is not known; resnet18 or resnet50", recipe.backbone)));
        }
        if recipe.crop < 32 || recipe.crop > recipe.resize || recipe.batch < 2 || recipe.epochs == 0 {
            return Err(bad("`crop` lies between 32 and `resize`, `batch` is 2 or more, `epochs` 1 or more".into()));
        }
        if !(recipe.held_out > 0.0 && recipe.held_out < 1.0) || recipe.mlp_hidden_dims.contains(&0) {
            return Err(bad("`held_out` is a share between 0 and 1, hidden layers have a width".into()));
        }
        Ok(recipe)
    }

    fn depth(&self) -> Depth {
        if self.backbone == "resnet18" { Depth::Eighteen } else { Depth::Fifty }
    }

    fn identity(&self, items: usize) -> String {
        let lasting = Self { epochs: 0, patience: 0, ..self.clone() };
        format!("{} {items}", serde_json::to_string(&lasting).unwrap_or_default())
    }
}

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

struct Network {
    vars: BTreeMap<String, Var>,
    backbone: ResNet,
    head: Head,
    config: HeadConfig,
    /// What the head is called in a file.
    part: &'static str,
}

impl Network {
    fn new(job: &Job<'_>) -> Result<Self, TrainError> {
        let recipe = job.recipe;
        let (part, outputs) = match job.items.first().map(|item| (&item.target, item.files.len())) {
            Some((Target::Class(_), 2)) => ("mlp", 2),
            Some((Target::Class(_), _)) => ("head", job.classes.len()),
            Some((Target::Faults, _)) => ("head", DEGRADATIONS.len()),
            _ if recipe.output_mode == OutputMode::Distribution => ("head", 10),
            _ => ("head", 1),
        };
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, DType::F32, &job.device);
        let depth = recipe.depth();
        let backbone = ResNet::new(depth, Naming::Torchvision, &vb.pp("backbone"))?;
        let config = HeadConfig {
            inputs: depth.features(),
            hidden: recipe.mlp_hidden_dims.clone(),
            outputs,
            bend: Bend::Relu,
            dropout: recipe.dropout,
        };
        let head = Head::new(&config, &vb.pp(part))?;
        let vars: BTreeMap<String, Var> =
            map.data().lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone().into_iter().collect();
        // candle draws from a source that cannot be repeated: everything is drawn again.
        let mut rng = Rng::at(recipe.seed, [0, 9]);
        for (name, var) in &vars {
            let fan_in: usize = var.dims().iter().skip(1).product();
            let one = name.ends_with("running_var") || (name.ends_with("weight") && var.rank() == 1);
            let value = match var.rank() {
                1 => vec![if one { 1.0 } else { 0.0 }; var.elem_count()],
                _ => (0..var.elem_count()).map(|_| rng.normal() * (2.0 / fan_in as f32).sqrt()).collect(),
            };
            set(var, value)?;
        }
        // Ratings begin in the middle of their scale.
        if outputs == 1
            && let Some((_, var)) = vars.iter().rfind(|(name, _)| name.starts_with("head.") && name.ends_with("bias"))
        {
            set(var, vec![5.5])?;
        }
        let network = Self { vars, backbone, head, config, part };
        if let Some(start) = job.start {
            network.begin_with(start)?;
        }
        Ok(network)
    }

    /// Takes the backbone's weights, whatever stands before their names.
    fn begin_with(&self, start: &dyn Checkpoint) -> Result<(), TrainError> {
        for (name, var) in self.vars.iter().filter(|(name, _)| name.starts_with("backbone.")) {
            let bare = name.trim_start_matches("backbone.");
            let found = [name.as_str(), bare].into_iter().find(|name| start.shape(name).as_deref() == Some(var.dims()));
            let Some(found) = found else {
                return Err(TrainError::at(
                    &start.file(),
                    format!("no tensor `{bare}` of shape {:?} to begin with", var.dims()),
                ));
            };
            set(var, start.read(found).map_err(|error| TrainError::at(&start.file(), error))?)?;
        }
        Ok(())
    }

    fn forward(&self, photos: &[Tensor], train: bool) -> candle_core::Result<Tensor> {
        let features =
            photos.iter().map(|x| self.backbone.forward_t(x, train)).collect::<candle_core::Result<Vec<_>>>()?;
        match &features[..] {
            [first, second] => self.head.forward_t(&(first - second)?, train),
            [only] => self.head.forward_t(only, train),
            _ => candle_core::bail!("items of one photo, or two"),
        }
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
    let file = out.join("checkpoint.safetensors");
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
            let (photos, targets) = batch(items, chosen, recipe, Some(step), device)?;
            let loss = targets.loss(&network.forward(&photos, true)?, recipe)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            let pace = Pace {
                learning_rate: recipe.learning_rate,
                head_factor: recipe.head_factor,
                weight_decay: recipe.weight_decay,
                longest: f32::MAX,
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
        let metrics = judge(&network, items, &held, recipe, device)?;
        let figure = metrics.get("figure").copied().unwrap_or(0.0);
        let best = progress.best.is_none_or(|best| figure > best);
        if best {
            (progress.best, progress.best_epoch) = (Some(figure), progress.epoch);
            export(&network, job, &progress)?;
        }
        let done = Epoch {
            epoch: progress.epoch,
            steps: progress.steps,
            learning_rate: f64::from(recipe.learning_rate),
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

/// What a batch is asked.
struct Targets {
    ratings: Vec<f32>,
    votes: Vec<f32>,
    classes: Vec<u32>,
    strengths: Vec<f32>,
    device: Device,
}

impl Targets {
    fn loss(&self, said: &Tensor, recipe: &LargeRecipe) -> candle_core::Result<Tensor> {
        let count = said.dim(0)?;
        if !self.strengths.is_empty() {
            let shape = (count, DEGRADATIONS.len());
            let strengths = Tensor::from_slice(&self.strengths, shape, &self.device)?;
            return loss::logistic(said, &strengths, &strengths.ones_like()?);
        }
        if !self.classes.is_empty() {
            return candle_nn::loss::cross_entropy(said, &Tensor::from_slice(&self.classes, count, &self.device)?);
        }
        if recipe.output_mode == OutputMode::Distribution {
            let votes = Tensor::from_slice(&self.votes, (count, 10), &self.device)?;
            let likely = candle_nn::ops::log_softmax(said, D::Minus1)?;
            return ((likely * votes)?.sum_all()? / -(count as f64))?.reshape(());
        }
        let ratings = Tensor::from_slice(&self.ratings, count, &self.device)?;
        (said.squeeze(1)? - ratings)?.sqr()?.mean_all()
    }
}

/// Photos of the chosen items as tensors, one for each photo of an item, and what is asked about them. With a step they
/// are augmented as that step says.
fn batch(
    items: &[Item],
    chosen: &[usize],
    recipe: &LargeRecipe,
    step: Option<u64>,
    device: &Device,
) -> Result<(Vec<Tensor>, Targets), TrainError> {
    let sides = chosen.first().map_or(1, |&i| items[i].files.len());
    let prepared: Vec<(Vec<Vec<f32>>, degrade::Strengths)> = chosen
        .par_iter()
        .enumerate()
        .map(|(at, &i)| {
            let mut rng =
                Rng::at(recipe.seed ^ 0xA6, [step.unwrap_or(u64::MAX), if step.is_some() { at } else { i } as u64]);
            let mut strengths = [0.0; DEGRADATIONS.len()];
            let mut photos = Vec::new();
            for file in &items[i].files {
                let mut photo = opened(file, recipe)?;
                if items[i].target == Target::Faults && rng.chance(0.83) {
                    (photo, strengths) = degrade::degraded(&photo, &mut rng);
                }
                photos.push(tensor_data(&photo, recipe, step.map(|_| &mut rng)));
            }
            Ok((photos, strengths))
        })
        .collect::<Result<_, TrainError>>()?;
    let side = recipe.crop as usize;
    let mut tensors = Vec::new();
    for which in 0..sides {
        let data: Vec<f32> = prepared.iter().flat_map(|(photos, _)| photos[which].iter().copied()).collect();
        let x = Tensor::from_vec(data, (chosen.len(), side, side, 3), device)?;
        tensors.push(x.permute((0, 3, 1, 2))?.contiguous()?);
    }
    let mut targets = Targets {
        ratings: Vec::new(),
        votes: Vec::new(),
        classes: Vec::new(),
        strengths: Vec::new(),
        device: device.clone(),
    };
    for (&i, (_, strengths)) in chosen.iter().zip(&prepared) {
        match &items[i].target {
            Target::Rating(rating) => {
                targets.ratings.push(*rating);
                // A lone rating as votes: for the two whole numbers around it.
                let (low, share) = ((rating.floor() as usize).clamp(1, 9), rating - rating.floor().clamp(1.0, 9.0));
                targets.votes.extend((1..=10).map(|k| match k {
                    k if k == low => 1.0 - share,
                    k if k == low + 1 => share,
                    _ => 0.0,
                }));
            }
            Target::Votes(votes) => {
                targets.ratings.push(votes.iter().zip(1..).map(|(share, k)| share * k as f32).sum());
                targets.votes.extend(votes);
            }
            Target::Class(class) => targets.classes.push(*class as u32),
            Target::Faults => targets.strengths.extend(strengths),
        }
    }
    Ok((tensors, targets))
}

fn opened(file: &PathBuf, recipe: &LargeRecipe) -> Result<Pixels, TrainError> {
    let failed = |why: String| TrainError::Photos { path: file.clone(), why, others: 0, of: 1 };
    let bytes = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    let decoded = photo::decode(&bytes, Scale::AtLeast(2 * recipe.resize), &Limits::default());
    let pixels = decoded.map_err(|error| failed(error.to_string()))?.pixels;
    Ok(resize::short_side(&pixels, recipe.resize, resize::Filter::Bilinear).into_owned())
}

fn tensor_data(photo: &Pixels, recipe: &LargeRecipe, rng: Option<&mut Rng>) -> Vec<f32> {
    let side = recipe.crop;
    let Some(rng) = rng else { return normalised(&resize::centre_crop(photo, side), [1.0; 3]) };
    let augment = recipe.augment;
    let room = |whole: u32| (whole.saturating_sub(side) + 1) as usize;
    let mut cut = resize::centre_crop(photo, side);
    if augment.random_crop {
        let (x, y) = (rng.below(room(photo.width())) as u32, rng.below(room(photo.height())) as u32);
        cut = resize::crop(photo, x, y, side, side).unwrap_or(cut);
    }
    if rng.chance(augment.flip) {
        cut = degrade::mirrored(&cut);
    }
    let around = |rng: &mut Rng, by: f32| rng.between(1.0 - by, 1.0 + by);
    let jitter = [around(rng, augment.brightness), around(rng, augment.contrast), around(rng, augment.saturation)];
    normalised(&cut, jitter)
}

/// Brightness, contrast and saturation are factors.
fn normalised(photo: &Pixels, [brightness, contrast, saturation]: [f32; 3]) -> Vec<f32> {
    let pixels = photo.data().as_chunks::<3>().0;
    let light = |p: &[u8; 3]| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
    let mean = brightness * pixels.iter().map(light).sum::<f32>() / pixels.len().max(1) as f32;
    let mut out = Vec::with_capacity(3 * pixels.len());
    for p in pixels {
        let grey = light(p);
        for c in 0..3 {
            let value = brightness * (grey + saturation * (f32::from(p[c]) - grey));
            let value = (mean + contrast * (value - mean)).clamp(0.0, 255.0);
            out.push((value / 255.0 - MEAN[c]) / STD[c]);
        }
    }
    out
}

/// Figures on what is held out.
fn judge(
    network: &Network,
    items: &[Item],
    held: &[usize],
    recipe: &LargeRecipe,
    device: &Device,
) -> Result<BTreeMap<String, f64>, TrainError> {
    let (mut predicted, mut truth) = (Vec::new(), Vec::new());
    let (mut right, mut apart, mut faults) = (0usize, 0.0, 0usize);
    for chosen in held.chunks(recipe.batch) {
        let (photos, targets) = batch(items, chosen, recipe, None, device)?;
        let said = network.forward(&photos, false)?.to_vec2::<f32>()?;
        for (at, row) in said.iter().enumerate() {
            if let Some(class) = targets.classes.get(at) {
                let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class as u32);
                right += usize::from(best == Some(*class));
            } else if targets.strengths.is_empty() {
                let output = match recipe.output_mode {
                    OutputMode::Regression => crate::nn::rating::Output::Regression,
                    OutputMode::Distribution => crate::nn::rating::Output::Distribution,
                };
                predicted.push(f64::from(output.rating(row)));
                truth.push(f64::from(targets.ratings[at]));
            } else {
                let own = &targets.strengths[at * DEGRADATIONS.len()..][..DEGRADATIONS.len()];
                let logistic = |v: &f32| 1.0 / (1.0 + (-v).exp());
                apart += row.iter().zip(own).map(|(v, t)| f64::from((logistic(v) - t).abs())).sum::<f64>();
                faults += own.len();
            }
        }
    }
    let mut metrics = BTreeMap::new();
    if faults > 0 {
        let mae = apart / faults as f64;
        metrics.insert("mae".to_owned(), mae);
        metrics.insert("figure".to_owned(), 1.0 - mae);
    } else if predicted.is_empty() {
        let accuracy = right as f64 / held.len().max(1) as f64;
        metrics.insert("accuracy".to_owned(), accuracy);
        metrics.insert("figure".to_owned(), accuracy);
    } else {
        metrics.insert("srcc".to_owned(), scores::spearman(&predicted, &truth));
        metrics.insert("plcc".to_owned(), scores::pearson(&predicted, &truth));
        metrics.insert("mae".to_owned(), scores::mean_absolute_error(&predicted, &truth));
        metrics.insert("figure".to_owned(), metrics["srcc"]);
    }
    Ok(metrics)
}

/// Weights and configuration as `aesthetics --model` and `compare --model` read them.
fn export(network: &Network, job: &Job<'_>, progress: &Progress) -> Result<(), TrainError> {
    let recipe = job.recipe;
    let mut all = Vec::new();
    for (name, var) in &network.vars {
        let bytes = values(var)?.iter().flat_map(|v| v.to_le_bytes()).collect();
        all.push((name.clone(), var.dims().to_vec(), bytes));
    }
    let mode = if recipe.output_mode == OutputMode::Distribution { "distribution" } else { "regression" };
    let mut config = serde_json::json!({
        "model": {
            "backbone": recipe.backbone,
            "mlp_hidden_dims": network.config.hidden,
            "dropout": recipe.dropout,
            "activation": "relu",
        },
        "transform": { "resize_size": recipe.resize, "crop_size": recipe.crop },
    });
    if network.part == "mlp" {
        config["model"]["cnn_backbone"] = "resnet50".into();
        config["model"]["transform_type"] = "standard".into();
    } else if job.classes.is_empty() {
        config["model"]["output_mode"] = mode.into();
    } else {
        config["classes"] = serde_json::json!(job.classes);
    }
    config["name"] = recipe.name.clone().into();
    config["epoch"] = progress.epoch.into();
    checkpoint::write(&job.out.join("best.safetensors"), &all, Dtype::F32, ("config", config.to_string()))
}

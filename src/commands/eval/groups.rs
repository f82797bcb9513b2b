//! Comparing groups found by embeddings with given ones, also with unrelated photos mixed in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rayon::prelude::*;

use super::{DRAWS, DataArgs, Judgement, figure, groups_of, medium};
use crate::commands::open_models::Networks;
use crate::context::Context;
use crate::error::CommandError;
use crate::report::records::EvalRecord;
use base::pixels::Pixels;
use hub::{Embedder, TaskNetwork as _};
use judge::cluster::agreement::pairwise;
use judge::cluster::{self, Calibration, Embeddings, Input, Method, Noise, hdbscan, scene_layout};
use photo::resize;
use train::eval::bootstrap;
use train::eval::grouping::{Agreement, PairCounts, Strangers};
use train::photos::{self, Label};
use train::rng::Rng;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) data: DataArgs,

    /// Also photos that belong to no group: those of a folder whose names do not begin as --series says
    #[arg(long, value_name = "DIR")]
    strangers: Option<PathBuf>,

    /// Strangers in a draw
    #[arg(long, value_name = "N", default_value_t = 300)]
    count: usize,

    /// Draws of strangers
    #[arg(long, value_name = "N", default_value_t = 20)]
    draws: u64,
}

/// A function from a photo to its feature vector.
type Describe<'a> = dyn Fn(&Pixels) -> Result<Vec<f32>, CommandError> + Sync + 'a;

pub(super) fn judge(
    args: &Args,
    labels: &[Label],
    networks: &Networks<'_>,
    context: &Context,
) -> Result<Judgement, CommandError> {
    let truth = groups_of(labels)?;
    let file = context.settings().album.clustering.feature_checkpoint.as_deref();
    let model: Embedder = networks.open(args.data.network.which(file, hub::MINI))?;
    let learned =
        |photo: &Pixels| -> Result<Vec<f32>, CommandError> { Ok(model.embed(std::slice::from_ref(photo))?.concat()) };
    let described: [(String, Box<Describe<'_>>); 4] = [
        (model.reference(), Box::new(learned)),
        (
            format!("{}@{}", scene_layout::NAME, scene_layout::VERSION),
            Box::new(|photo| Ok(scene_layout::describe(photo))),
        ),
        ("colour histogram".into(), Box::new(|photo| Ok(histogram(photo)))),
        ("pixels".into(), Box::new(|photo| Ok(plain_pixels(photo)))),
    ];
    let names: Vec<&str> = labels.iter().map(|label| label.file.as_str()).collect();
    let strangers = args.strangers()?;
    let drawn = args.drawn(strangers.len())?;
    // Only strangers that are part of a draw are decoded. The last entries of `described` are baselines.
    let taken: BTreeSet<usize> = drawn.iter().flatten().copied().collect();
    let mut figures = Vec::new();
    for (at, (subject, describe)) in described.iter().enumerate() {
        let calibration = Calibration::of(subject);
        let own = described_by(args.data.folder(), &names, describe, context)?;
        let embeddings = embeddings(own.iter())?;
        // The defaults are for albums, where most scenes have one or two takes; bursts have many.
        let many = hdbscan::Params { min_cluster_size: 5, min_samples: Some(1), epsilon: 0.0 };
        let methods = [
            ("agglomerative", Method::Agglomerative(calibration.agglomerative)),
            ("hdbscan", Method::Hdbscan(calibration.hdbscan)),
            ("hdbscan, size 5", Method::Hdbscan(many)),
        ];
        for (name, method) in &methods {
            let found = found(&embeddings, method)?;
            figures.extend(agreeing("groups", subject, name, &truth, &found));
        }
        let Some(folder) = args.strangers.as_deref().filter(|_| at < LEARNED) else { continue };
        let taken_names: Vec<&str> = taken.iter().map(|&at| strangers[at].as_str()).collect();
        let rows = described_by(folder, &taken_names, describe, context)?;
        let rows: BTreeMap<usize, Vec<f32>> = taken.iter().copied().zip(rows).collect();
        for (name, method) in &methods {
            figures.extend(among(subject, name, method, (&truth, &own), (&drawn, &rows))?);
        }
    }
    Ok(Judgement { figures, ..Judgement::default() })
}

/// The first entries of `described`, which can group an album; only these are tested with strangers.
const LEARNED: usize = 2;

impl Args {
    /// The names of photos that belong to no group.
    fn strangers(&self) -> Result<Vec<String>, CommandError> {
        let Some(folder) = &self.strangers else { return Ok(Vec::new()) };
        let unreadable = || format!("cannot read {}", folder.display());
        let entries = std::fs::read_dir(folder).with_context(unreadable).map_err(CommandError::usage)?;
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.with_context(unreadable).map_err(CommandError::failed)?.file_name();
            let name = name.to_string_lossy().into_owned();
            if photo::is_photo_name(name.as_ref()) && !name.starts_with(&self.data.series) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The strangers of each draw, by index.
    fn drawn(&self, strangers: usize) -> Result<Vec<Vec<usize>>, CommandError> {
        if self.strangers.is_none() {
            return Ok(Vec::new());
        }
        if strangers < self.count {
            let why = anyhow::anyhow!("--strangers has {strangers} photos that count, --count asks for {}", self.count);
            return Err(CommandError::usage(why));
        }
        let draw = |draw: u64| {
            let mut all: Vec<usize> = (0..strangers).collect();
            Rng::at(SEED, [draw, 0]).shuffle(&mut all);
            all.truncate(self.count);
            all
        };
        Ok((0..self.draws).map(draw).collect())
    }
}

/// Computes feature vectors. Photos are decoded in chunks, as there may be thousands.
fn described_by(
    folder: &Path,
    names: &[&str],
    describe: &Describe<'_>,
    context: &Context,
) -> Result<Vec<Vec<f32>>, CommandError> {
    const AT_ONCE: usize = 256;
    let mut rows = Vec::with_capacity(names.len());
    for names in names.chunks(AT_ONCE) {
        let decoded = photos::decode(folder, names, |_| {}).map_err(CommandError::failed)?;
        let of_photo = |photo: &Pixels| describe(&medium(photo, context));
        rows.extend(decoded.par_iter().map(of_photo).collect::<Result<Vec<_>, _>>()?);
    }
    Ok(rows)
}

/// A fixed seed, so that the draws of strangers are always the same.
const SEED: u64 = 17;

fn embeddings<'a>(rows: impl Iterator<Item = &'a Vec<f32>>) -> Result<Embeddings, CommandError> {
    let rows: Vec<&[f32]> = rows.map(Vec::as_slice).collect();
    Embeddings::new(&rows.concat(), rows.first().map_or(0, |row| row.len())).map_err(CommandError::failed)
}

fn found(embeddings: &Embeddings, method: &Method) -> Result<Vec<i64>, CommandError> {
    let times = vec![None; embeddings.len()];
    let found = cluster::cluster(&Input::new(embeddings, &times), method, Noise::AsIndividualClusters);
    Ok(found.map_err(CommandError::failed)?.labels)
}

/// Means over the draws of strangers, with the lowest and highest: of strangers alone, and mixed with the given groups.
fn among(
    subject: &str,
    name: &str,
    method: &Method,
    (truth, own): (&[usize], &[Vec<f32>]),
    (drawn, rows): (&[Vec<usize>], &BTreeMap<usize, Vec<f32>>),
) -> Result<Vec<EvalRecord>, CommandError> {
    let mut figures = Vec::new();
    for (place, truth, own) in [("strangers alone", &[][..], &[][..]), ("strangers among groups", truth, own)] {
        let mut outcomes: [Vec<f64>; 3] = Default::default();
        for draw in drawn {
            let embeddings = embeddings(own.iter().chain(draw.iter().map(|at| &rows[at])))?;
            let found = found(&embeddings, method)?;
            let strangers = draw.iter().map(|_| None);
            let known: Vec<Option<usize>> = truth.iter().copied().map(Some).chain(strangers).collect();
            let outcome = Strangers::new(&known, &found);
            let whole: Vec<usize> = truth.iter().copied().chain(truth.len()..truth.len() + draw.len()).collect();
            let values = [outcome.joined, outcome.largest as f64, pairwise(&whole, &found).f1];
            outcomes.iter_mut().zip(values).for_each(|(all, value)| all.push(value));
        }
        for (metric, values) in ["strangers_joined", "largest_false_group", "f1"].iter().zip(&outcomes) {
            if *metric == "f1" && truth.is_empty() {
                continue;
            }
            let mut row = figure("groups", subject, &format!("{name}, {place}"), metric);
            row.value = values.iter().sum::<f64>() / values.len() as f64;
            row.low = values.iter().copied().reduce(f64::min);
            row.high = values.iter().copied().reduce(f64::max);
            row.count = truth.len() + drawn.first().map_or(0, Vec::len);
            figures.push(row);
        }
    }
    Ok(figures)
}

/// The agreement of found groups with given ones, with intervals by bootstrap over the given groups.
pub fn agreeing<T: PartialEq>(task: &str, subject: &str, part: &str, truth: &[usize], found: &[T]) -> Vec<EvalRecord> {
    let counted = PairCounts::new(truth, found);
    let whole = counted.agreement();
    let groups: Vec<usize> = (0..counted.groups()).collect();
    let metrics: [(&str, fn(&Agreement) -> f64); 4] = [
        ("f1", |agreement| agreement.f1),
        ("precision", |agreement| agreement.precision),
        ("recall", |agreement| agreement.recall),
        ("ari", |agreement| agreement.adjusted_rand),
    ];
    let of_metric = |(name, metric): (&str, fn(&Agreement) -> f64)| {
        let [low, high] = bootstrap::interval(&groups, DRAWS, 1, |drawn| {
            let mut times = vec![0.0; groups.len()];
            drawn.iter().for_each(|&&group| times[group] += 1.0);
            metric(&counted.drawn(&times))
        });
        let mut row = figure(task, subject, part, name);
        (row.value, row.low, row.high, row.count) = (metric(&whole), Some(low), Some(high), truth.len());
        row
    };
    metrics.into_iter().map(of_metric).collect()
}

/// A colour histogram of eight levels per channel, as square roots of shares.
fn histogram(photo: &Pixels) -> Vec<f32> {
    let mut bins = vec![0.0f32; 512];
    for p in photo.data().as_chunks::<3>().0 {
        bins[usize::from(p[0] >> 5) << 6 | usize::from(p[1] >> 5) << 3 | usize::from(p[2] >> 5)] += 1.0;
    }
    let count = (photo.data().len() / 3) as f32;
    bins.iter().map(|bin| (bin / count).sqrt()).collect()
}

/// A thumbnail of 16×16 pixels, with its mean subtracted.
fn plain_pixels(photo: &Pixels) -> Vec<f32> {
    let small = resize::resize(photo, 16, 16, resize::Filter::Lanczos3);
    let mean = small.data().iter().map(|v| f32::from(*v)).sum::<f32>() / small.data().len() as f32;
    small.data().iter().map(|v| f32::from(*v) - mean).collect()
}

//! `albumctl eval`: models against what people said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::networks::{self, NetworkArgs, Networks};
use super::{aesthetics, compare};
use crate::analyses::Comparing;
use crate::cluster::agreement;
use crate::cluster::{self, Embeddings, Input, Method, Noise, scene_layout};
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::eval::ranking::{self, Judged, Ranking};
use crate::eval::variants::{self, Fault, Variant};
use crate::eval::{bootstrap, scores};
use crate::hub::{Aesthetic, Comparator, Embedder, Network, Which, built_in};
use crate::photo::resize;
use crate::pixels::Pixels;
use crate::quality;
use crate::report::records::EvalRecord;
use crate::train::degrade;
use crate::train::mini::Folds;
use crate::train::photos::{self, Label};

/// The baseline that is the variance of the Laplacian.
const SHARPNESS: &str = "sharpness";
/// Draws for an interval.
const DRAWS: usize = 1000;

/// Judge models on labelled photos, beside trivial baselines
///
/// Intervals are the middle 95 % over 1000 draws of whole groups (or photos, where they stand alone) with replacement.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Rank and linear correlation of ratings with given scores, and the mean error
    Scores(DataArgs),
    /// Order of takes inside groups: pairs, first place, reciprocal rank
    Bursts(DataArgs),
    /// Groups found by embeddings, against given ones
    Groups(DataArgs),
    /// Photos against degraded copies of themselves, asked both ways round
    Degradations(DataArgs),
}

#[derive(Debug, clap::Args)]
struct DataArgs {
    /// CSV with columns file, score (or mos) and, for bursts and groups, group
    #[arg(value_name = "LABELS")]
    labels: PathBuf,

    /// Where the files lie; beside the labels unless told
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,

    /// Only what `train mini` holds out: fold K of N, dealt as its recipe does
    #[arg(long, value_name = "K/N")]
    held_out: Option<String>,

    /// With --held-out: names of photos in series begin so
    #[arg(long, value_name = "PREFIX", default_value = "ss01_")]
    series: String,

    /// With --held-out: the label file with the groups
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,

    /// Pairs count when their scores lie this far apart
    #[arg(long, value_name = "SCORE", default_value_t = 0.15)]
    margin: f64,

    /// Photos for the degradations, evenly picked
    #[arg(long, value_name = "N", default_value_t = 50)]
    sample: usize,

    #[command(flatten)]
    network: NetworkArgs,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let (Command::Scores(data) | Command::Bursts(data) | Command::Groups(data) | Command::Degradations(data)) =
        &args.command;
    let labels = data.labels().map_err(CommandError::usage)?;
    let networks = Networks::new(&data.network, context)?;
    let figures = match &args.command {
        Command::Scores(_) => of_scores(data, &labels, &networks, context)?,
        Command::Bursts(_) => of_bursts(data, &labels, &networks, context)?,
        Command::Groups(_) => of_groups(data, &labels, &networks, context)?,
        Command::Degradations(_) => of_degradations(data, &labels, &networks, context)?,
    };
    networks.tell(context);
    let mut output = context.output::<EvalRecord>()?;
    for figure in &figures {
        output.write(&context.ui, figure)?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

impl DataArgs {
    /// All labels, or those of the fold that is asked for.
    fn labels(&self) -> anyhow::Result<Vec<Label>> {
        let mut labels = photos::labels(&self.labels)?;
        if let Some(fold) = &self.held_out {
            let parts = fold.split_once('/').and_then(|(k, n)| Some((k.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
            let Some((held, count)) = parts.filter(|(held, count)| held < count) else {
                anyhow::bail!("--held-out takes K/N, such as 0/5, not `{fold}`");
            };
            let groups = self.groups.as_ref().map(|file| photos::labels(file)).transpose()?;
            let folds = Folds::new(groups.as_deref().unwrap_or(&labels), &self.series, count);
            labels.retain(|label| folds.of(&label.file) == held);
        }
        anyhow::ensure!(!labels.is_empty(), "{}: no photo of it is asked for", self.labels.display());
        Ok(labels)
    }

    /// As typed, as configured, or what is built in.
    fn model<N: Network>(
        &self,
        which: Which<'_>,
        does: &str,
        networks: &Networks,
        context: &Context,
    ) -> Result<N, CommandError> {
        match &self.network.model {
            Some(_) => networks.open(which, context),
            None => networks.open_or_built_in(which, does, context),
        }
    }

    fn decoded(&self, labels: &[Label]) -> Result<Vec<Pixels>, CommandError> {
        let beside = self.labels.parent().unwrap_or(Path::new("."));
        let folder = self.photos.as_deref().unwrap_or(beside);
        let names: Vec<&str> = labels.iter().map(|label| label.file.as_str()).collect();
        photos::decode(folder, &names, |_| {}).map_err(CommandError::failed)
    }
}

fn figure(task: &str, subject: &str, part: &str, metric: &str) -> EvalRecord {
    EvalRecord {
        task: task.into(),
        subject: subject.into(),
        part: part.into(),
        metric: metric.into(),
        value: 0.0,
        low: None,
        high: None,
        count: 0,
    }
}

/// The size at which photos are judged everywhere.
fn medium(photo: &Pixels, context: &Context) -> Pixels {
    resize::within(photo, context.settings().thumbnail_sizes.medium).into_owned()
}

type Judge<'a> = (String, Box<dyn Fn(&Pixels) -> Result<f64, CommandError> + Sync + 'a>);

/// What can rate a photo alone without having learned.
fn rule_based(context: &Context) -> Vec<Judge<'_>> {
    let weights = context.settings().quality_assessment.weights;
    vec![
        (SHARPNESS.into(), Box::new(move |photo| Ok(quality::measure(photo, &weights).sharpness_raw))),
        ("rule-based".into(), Box::new(move |photo| Ok(quality::measure(photo, &weights).overall))),
    ]
}

fn each(photos: &[Pixels], judge: &Judge<'_>) -> Result<Vec<f64>, CommandError> {
    photos.par_iter().map(|photo| (judge.1)(photo)).collect()
}

fn of_scores(
    data: &DataArgs,
    labels: &[Label],
    networks: &Networks,
    context: &Context,
) -> Result<Vec<EvalRecord>, CommandError> {
    let file = context.settings().quality_assessment.ava_checkpoint.as_deref();
    let model: Aesthetic =
        data.model(data.network.which(file, aesthetics::MODEL), aesthetics::RATES, networks, context)?;
    let photos: Vec<Pixels> = data.decoded(labels)?.iter().map(|photo| medium(photo, context)).collect();
    let rate = |photo: &Pixels| {
        let rated = model.score(std::slice::from_ref(photo)).map_err(networks::refused)?;
        // On the scale of the labels, for the mean error.
        Ok((f64::from(rated[0]) - 1.0) / 9.0)
    };
    let mut judges: Vec<Judge<'_>> = vec![(model.reference(), Box::new(rate))];
    judges.extend(rule_based(context));
    let mut figures = Vec::new();
    let in_series = |label: &Label| label.file.starts_with(&data.series);
    for judge in &judges {
        let said = each(&photos, judge)?;
        let rows: Vec<(f64, f64, bool)> =
            labels.iter().zip(&said).map(|(label, said)| (*said, f64::from(label.score), in_series(label))).collect();
        for (part, keep) in [("all", None), ("series", Some(true)), ("singles", Some(false))] {
            let rows: Vec<(f64, f64)> = (rows.iter())
                .filter(|row| keep.is_none_or(|keep| row.2 == keep))
                .map(|(said, truth, _)| (*said, *truth))
                .collect();
            if rows.len() < 3 {
                continue;
            }
            let split = |rows: &[&(f64, f64)]| -> (Vec<f64>, Vec<f64>) { rows.iter().copied().copied().unzip() };
            let metrics: [(&str, fn(&[f64], &[f64]) -> f64); 3] =
                [("srcc", scores::spearman), ("plcc", scores::pearson), ("mae", scores::mean_absolute_error)];
            for (name, metric) in metrics {
                // Raw sharpness is on no scale of scores.
                if name == "mae" && judge.0 == SHARPNESS {
                    continue;
                }
                let value = |rows: &[&(f64, f64)]| {
                    let (said, truth) = split(rows);
                    metric(&said, &truth)
                };
                let [low, high] = bootstrap::interval(&rows, DRAWS / 2, 1, value);
                let mut row = figure("scores", &judge.0, part, name);
                row.value = value(&rows.iter().collect::<Vec<_>>());
                (row.low, row.high, row.count) = (Some(low), Some(high), rows.len());
                figures.push(row);
            }
        }
    }
    Ok(figures)
}

fn comparator(data: &DataArgs, networks: &Networks, context: &Context) -> Result<Comparator, CommandError> {
    let file = context.settings().quality_assessment.siamese_checkpoint.as_deref();
    data.model(data.network.which(file, compare::MODEL), compare::COMPARES, networks, context)
}

/// The group of each label, numbered in the order of their names.
fn groups_of(labels: &[Label]) -> Result<Vec<usize>, CommandError> {
    let mut names: Vec<&String> = labels.iter().filter_map(|label| label.group.as_ref()).collect();
    names.sort();
    names.dedup();
    let number = |label: &Label| label.group.as_ref().and_then(|group| names.binary_search(&group).ok());
    let numbers: Option<Vec<usize>> = labels.iter().map(number).collect();
    numbers
        .ok_or_else(|| CommandError::usage(anyhow::anyhow!("the labels need a column `group`, filled for every photo")))
}

fn of_bursts(
    data: &DataArgs,
    labels: &[Label],
    networks: &Networks,
    context: &Context,
) -> Result<Vec<EvalRecord>, CommandError> {
    let groups = groups_of(labels)?;
    let comparing = Comparing::new(comparator(data, networks, context)?).map_err(networks::refused)?;
    let photos: Vec<Pixels> = data.decoded(labels)?.iter().map(|photo| medium(photo, context)).collect();
    let features: Vec<Vec<f32>> = photos
        .par_iter()
        .map(|photo| {
            let features = comparing.network.features(std::slice::from_ref(photo)).map_err(networks::refused)?;
            Ok(features.concat())
        })
        .collect::<Result<_, CommandError>>()?;
    // Pairs are what such a model answers: a photo's place is the sum of its leads over its group.
    let mut said = vec![0.0; labels.len()];
    for (i, own) in features.iter().enumerate() {
        for (j, other) in features.iter().enumerate() {
            if i != j && groups[i] == groups[j] {
                let ahead = comparing.network.prefer(own, other).map_err(networks::refused)?;
                said[i] += f64::from(ahead);
            }
        }
    }
    let mut subjects = vec![(comparing.network.reference(), said)];
    for judge in rule_based(context) {
        let said = each(&photos, &judge)?;
        subjects.push((judge.0, said));
    }
    let beside = data.photos.clone().or_else(|| data.labels.parent().map(Path::to_owned)).unwrap_or_default();
    let size = |label: &Label| std::fs::metadata(beside.join(&label.file)).map_or(0.0, |file| file.len() as f64);
    subjects.push(("largest file".into(), labels.iter().map(size).collect()));
    subjects.push(("first".into(), (0..labels.len()).map(|i| -(i as f64)).collect()));
    // Equals share their places: the expectation of drawing lots.
    subjects.push(("random".into(), vec![0.0; labels.len()]));
    let mut figures = Vec::new();
    for (subject, said) in subjects {
        let judged: Vec<Judged> = (labels.iter().zip(&groups).zip(&said))
            .map(|((label, &group), &predicted)| Judged { group, truth: f64::from(label.score), predicted })
            .collect();
        let rankings = ranking::by_group(&judged, data.margin);
        let sum = |groups: &[&Ranking]| ranking::total(&groups.iter().copied().copied().collect::<Vec<_>>());
        let whole = ranking::total(&rankings);
        let metrics: [(&str, fn(&Ranking) -> f64, usize); 3] = [
            ("pairwise", Ranking::pairwise, whole.pairs),
            ("top1", Ranking::top1, whole.groups),
            ("mrr", Ranking::mean_reciprocal_rank, whole.groups),
        ];
        for (name, metric, count) in metrics.into_iter().filter(|(_, _, count)| *count > 0) {
            let [low, high] = bootstrap::interval(&rankings, DRAWS, 1, |groups| metric(&sum(groups)));
            let mut row = figure("bursts", &subject, "all", name);
            (row.value, row.low, row.high, row.count) = (metric(&whole), Some(low), Some(high), count);
            figures.push(row);
        }
    }
    Ok(figures)
}

fn of_groups(
    data: &DataArgs,
    labels: &[Label],
    networks: &Networks,
    context: &Context,
) -> Result<Vec<EvalRecord>, CommandError> {
    let truth = groups_of(labels)?;
    let file = context.settings().album.clustering.feature_checkpoint.as_deref();
    let model: Embedder = networks.open(data.network.which(file, built_in::MINI), context)?;
    let photos: Vec<Pixels> = data.decoded(labels)?.iter().map(|photo| medium(photo, context)).collect();
    let learned = |photo: &Pixels| -> Result<Vec<f32>, CommandError> {
        Ok(model.embed(std::slice::from_ref(photo)).map_err(networks::refused)?.concat())
    };
    let described: [(String, Box<dyn Fn(&Pixels) -> Result<Vec<f32>, CommandError> + Sync>); 4] = [
        (model.reference(), Box::new(learned)),
        (
            format!("{}@{}", scene_layout::NAME, scene_layout::VERSION),
            Box::new(|photo| Ok(scene_layout::describe(photo))),
        ),
        ("colour histogram".into(), Box::new(|photo| Ok(histogram(photo)))),
        ("pixels".into(), Box::new(|photo| Ok(plain_pixels(photo)))),
    ];
    let mut figures = Vec::new();
    for (subject, describe) in &described {
        let rows: Vec<Vec<f32>> = photos.par_iter().map(describe).collect::<Result<_, _>>()?;
        let dim = rows.first().map_or(0, Vec::len);
        let embeddings = Embeddings::new(&rows.concat(), dim).map_err(CommandError::failed)?;
        let times = vec![None; labels.len()];
        for name in ["hdbscan", "agglomerative"] {
            let Some(method) = Method::by_name(name) else { continue };
            let input = Input::new(&embeddings, &times);
            let found = cluster::cluster(&input, &method, Noise::AsIndividualClusters).map_err(CommandError::failed)?;
            let score = agreement::pairwise(&truth, &found.labels);
            let metrics = [
                ("f1", score.f1),
                ("precision", score.precision),
                ("recall", score.recall),
                ("ari", agreement::adjusted_rand(&truth, &found.labels)),
            ];
            for (metric, value) in metrics {
                let mut row = figure("groups", subject, name, metric);
                (row.value, row.count) = (value, labels.len());
                figures.push(row);
            }
        }
    }
    Ok(figures)
}

/// Eight levels a channel, as shares under a root.
fn histogram(photo: &Pixels) -> Vec<f32> {
    let mut bins = vec![0.0f32; 512];
    for p in photo.data().as_chunks::<3>().0 {
        bins[usize::from(p[0] >> 5) << 6 | usize::from(p[1] >> 5) << 3 | usize::from(p[2] >> 5)] += 1.0;
    }
    let count = (photo.data().len() / 3) as f32;
    bins.iter().map(|bin| (bin / count).sqrt()).collect()
}

/// Sixteen pixels a side around their mean.
fn plain_pixels(photo: &Pixels) -> Vec<f32> {
    let small = resize::resize(photo, 16, 16, resize::Filter::Lanczos3);
    let mean = small.data().iter().map(|v| f32::from(*v)).sum::<f32>() / small.data().len() as f32;
    small.data().iter().map(|v| f32::from(*v) - mean).collect()
}

/// Both photos of a pair are written by the encoder, the degraded one at its own quality: files tell nothing.
const ENCODED: u8 = 95;

fn of_degradations(
    data: &DataArgs,
    labels: &[Label],
    networks: &Networks,
    context: &Context,
) -> Result<Vec<EvalRecord>, CommandError> {
    let comparing = comparator(data, networks, context)?;
    let step = (labels.len() / data.sample.max(1)).max(1);
    let chosen: Vec<Label> = labels.iter().step_by(step).take(data.sample).cloned().collect();
    let originals: Vec<Pixels> = data.decoded(&chosen)?.iter().map(|photo| medium(photo, context)).collect();
    let variants = variants::all();
    let weights = context.settings().quality_assessment.weights;
    let features = |photo: &Pixels| -> Result<Vec<f32>, CommandError> {
        Ok(comparing.features(std::slice::from_ref(photo)).map_err(networks::refused)?.concat())
    };
    let prefer = |a: &[f32], b: &[f32]| comparing.prefer(a, b).map(f64::from).map_err(networks::refused);
    // Per photo: for each variant whether the original won when first and when second, by the model and by the rules.
    let asked = |original: &Pixels| -> Result<Vec<[f64; 4]>, CommandError> {
        let whole = degrade::encoded(original, ENCODED);
        let (own, own_rules) = (features(&whole)?, quality::measure(&whole, &weights));
        let itself = prefer(&own, &own)?;
        let mut rows = vec![[itself; 4]];
        for variant in &variants {
            let worse = match variant.fault {
                Fault::Jpeg(quality) => degrade::encoded(original, quality),
                fault => degrade::encoded(&fault.apply(original).unwrap_or_else(|| original.clone()), ENCODED),
            };
            let (other, rules) = (features(&worse)?, quality::measure(&worse, &weights));
            let won = |ahead: f64| {
                if ahead > 0.5 {
                    1.0
                } else if ahead < 0.5 {
                    0.0
                } else {
                    0.5
                }
            };
            let by_rule = |a: f64, b: f64| {
                if a > b {
                    1.0
                } else if a < b {
                    0.0
                } else {
                    0.5
                }
            };
            rows.push([
                won(prefer(&own, &other)?),
                1.0 - won(prefer(&other, &own)?),
                by_rule(own_rules.overall, rules.overall),
                by_rule(own_rules.sharpness_raw, rules.sharpness_raw),
            ]);
        }
        Ok(rows)
    };
    let rows: Vec<Vec<[f64; 4]>> = originals.par_iter().map(asked).collect::<Result<_, _>>()?;
    let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut add = |kind, at| kinds.entry(kind).or_default().push(at);
    for (at, Variant { kind, technical, .. }) in variants.iter().enumerate() {
        add(kind, at + 1);
        add(if *technical { "technical" } else { "crops" }, at + 1);
    }
    let mut figures = Vec::new();
    let reference = comparing.reference();
    let subjects: [(&str, &[usize]); 3] = [(&reference, &[0, 1]), ("rule-based", &[2]), ("sharpness", &[3])];
    for (subject, columns) in subjects {
        for (kind, at) in &kinds {
            let mean = |photos: &[&Vec<[f64; 4]>]| {
                let mut values = Vec::new();
                for rows in photos {
                    at.iter().for_each(|&v| values.extend(columns.iter().map(|&c| rows[v][c])));
                }
                values.iter().sum::<f64>() / values.len().max(1) as f64
            };
            let [low, high] = bootstrap::interval(&rows, DRAWS, 1, mean);
            let mut row = figure("degradations", subject, kind, "original_preferred");
            row.value = mean(&rows.iter().collect::<Vec<_>>());
            (row.low, row.high, row.count) = (Some(low), Some(high), rows.len() * at.len());
            figures.push(row);
        }
    }
    // A constant answer would show here: the share of pairs in which the first photo won, both ways round.
    let firsts = rows.iter().flat_map(|rows| &rows[1..]).map(|row| f64::midpoint(row[0], 1.0 - row[1]));
    let count = rows.len() * variants.len() * 2;
    let mut row = figure("degradations", &reference, "all", "first_preferred");
    (row.value, row.count) = (firsts.sum::<f64>() / (count / 2).max(1) as f64, count);
    figures.push(row);
    let mut row = figure("degradations", &reference, "identity", "confidence");
    (row.value, row.count) = (rows.iter().map(|rows| rows[0][0]).sum::<f64>() / rows.len().max(1) as f64, rows.len());
    figures.push(row);
    Ok(figures)
}

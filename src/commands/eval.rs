//! `albumctl eval`: evaluates models on labelled photos.

mod baselines;
mod bursts;
mod degradations;
mod groups;
mod order;
mod scores;
mod selection;
mod taste;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::open_models::{NetworkArgs, Networks};
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::model_selection::{COMPARES, COMPARISON_MODEL};
use crate::report::output::whole_file;
use crate::report::place::Content;
use crate::report::records::EvalRecord;
use base::pixels::Pixels;
use hub::{Comparator, ModelChoice, TaskNetwork};
use photo::resize;
use train::mini::Folds;
use train::photos::{self, Label};
use train::plot::{self, Bar};

/// The number of bootstrap samples for an interval.
const DRAWS: usize = 1000;

/// Evaluate models on labelled photos, beside trivial baselines
///
/// Intervals are 95 % bootstrap intervals over 1000 draws of groups (or of single photos) with replacement.
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
    /// Groups found by embeddings, against given ones, also with unrelated photos among them
    Groups(groups::Args),
    /// Photos against degraded copies of themselves, compared in both orders
    Degradations(DataArgs),
    /// The picks of `select`: its groups, the take it picks of each given group, and its order of takes
    ///
    /// Uses the models of `select`; --model has no effect.
    Selection(DataArgs),
    /// How many decisions of simulated people it takes until a taste learned from them helps, and that it never harms
    Taste(taste::Args),
}

#[derive(Debug, clap::Args)]
struct DataArgs {
    /// CSV with columns file, score (or mos) and, for bursts and groups, group
    #[arg(value_name = "LABELS")]
    labels: PathBuf,

    /// Folder of the files; by default that of the labels
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,

    /// Only fold K of N, the one that `train mini` holds out with the same recipe
    #[arg(long, value_name = "K/N")]
    held_out: Option<String>,

    /// With --held-out and --strangers: the prefix of the names of photos in series
    #[arg(long, value_name = "PREFIX", default_value = "ss01_")]
    series: String,

    /// With --held-out: the label file with the groups
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,

    /// Minimum difference of scores for a pair to count
    #[arg(long, value_name = "SCORE", default_value_t = 0.15)]
    margin: f64,

    /// Number of photos for the degradations, evenly spaced
    #[arg(long, value_name = "N", default_value_t = 50)]
    sample: usize,

    /// Also write plots as SVG files into this folder
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,

    #[command(flatten)]
    network: NetworkArgs,
}

/// The result of an evaluation.
#[derive(Default)]
struct Judgement {
    figures: Vec<EvalRecord>,
    /// Further plots as SVG, each with its file name.
    pictures: Vec<(String, String)>,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let (task, data) = match &args.command {
        Command::Scores(data) => ("scores", data),
        Command::Bursts(data) => ("bursts", data),
        Command::Groups(args) => ("groups", &args.data),
        Command::Degradations(data) => ("degradations", data),
        Command::Selection(data) => ("selection", data),
        Command::Taste(args) => return print(&taste::judge(args, context)?, context),
    };
    context.reads(&data.labels)?;
    data.groups.iter().try_for_each(|file| context.reads(file))?;
    let labels = data.labels().map_err(CommandError::usage)?;
    let judgement = if let Command::Selection(_) = &args.command {
        selection::judge(data, &labels, context)?
    } else {
        let networks = Networks::new(&data.network, context)?;
        match &args.command {
            Command::Scores(_) => scores::judge(data, &labels, &networks, context)?,
            Command::Bursts(_) => bursts::judge(data, &labels, &networks, context)?,
            Command::Groups(args) => groups::judge(args, &labels, &networks, context)?,
            _ => degradations::judge(data, &labels, &networks, context)?,
        }
    };
    let ending = print(&judgement, context)?;
    if let Some(folder) = &data.plots {
        draw(folder, task, &judgement).map_err(CommandError::failed)?;
    }
    Ok(ending)
}

fn print(judgement: &Judgement, context: &Context) -> Result<Ending, CommandError> {
    let mut output = context.output::<EvalRecord>()?;
    for figure in &judgement.figures {
        output.write(&context.ui, figure)?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

/// Writes a bar chart for every metric, and the further plots.
fn draw(folder: &Path, task: &str, judgement: &Judgement) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut metrics: Vec<&str> = judgement.figures.iter().map(|figure| figure.metric.as_str()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let bars = |metric: &str| {
        let of_metric = judgement.figures.iter().filter(|figure| figure.metric == metric);
        let bar = |figure: &EvalRecord| Bar {
            label: format!("{}, {}", figure.part, figure.subject),
            value: figure.value,
            range: figure.low.zip(figure.high),
        };
        let mut bars: Vec<Bar> = of_metric.map(bar).collect();
        // Sorted by part, so that its subjects are side by side.
        bars.sort_by(|a, b| a.label.split(',').next().cmp(&b.label.split(',').next()));
        (format!("{metric}.svg"), plot::bars(&format!("{task}: {metric}"), &bars))
    };
    let pictures = metrics.into_iter().map(bars).chain(judgement.pictures.iter().cloned());
    for (name, picture) in pictures {
        whole_file(
            &folder.join(format!("{task}-{name}")),
            Content::Text,
            |out| Ok(out.write_all(picture.as_bytes())?),
        )?;
    }
    Ok(())
}

impl DataArgs {
    /// Reads the labels: all, or those of the given fold.
    fn labels(&self) -> anyhow::Result<Vec<Label>> {
        let mut labels = photos::labels(&self.labels)?;
        if let Some(fold) = &self.held_out {
            let parts = fold.split_once('/').and_then(|(k, n)| Some((k.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
            let Some((held_out, count)) = parts.filter(|(held_out, count)| held_out < count) else {
                anyhow::bail!("--held-out takes K/N, such as 0/5, not `{fold}`");
            };
            let groups = self.groups.as_ref().map(|file| photos::labels(file)).transpose()?;
            let folds = Folds::new(groups.as_deref().unwrap_or(&labels), &self.series, count);
            labels.retain(|label| folds.of(&label.file) == held_out);
        }
        anyhow::ensure!(!labels.is_empty(), "{}: no photo of it is asked for", self.labels.display());
        Ok(labels)
    }

    /// Opens the named model, otherwise the configured or the built-in one.
    fn model<N: TaskNetwork>(
        &self,
        which: ModelChoice<'_>,
        does: &str,
        networks: &Networks<'_>,
    ) -> Result<N, CommandError> {
        networks.open_or_built_in(self.network.model.is_some(), which, does)
    }

    /// The folder of the photos.
    fn folder(&self) -> &Path {
        self.photos.as_deref().unwrap_or_else(|| self.labels.parent().unwrap_or(Path::new(".")))
    }

    fn decoded(&self, labels: &[Label]) -> Result<Vec<Pixels>, CommandError> {
        let names: Vec<&str> = labels.iter().map(|label| label.file.as_str()).collect();
        photos::decode(self.folder(), &names, |_| {}).map_err(CommandError::failed)
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

/// Resizes a photo to the size at which all commands measure photos.
fn medium(photo: &Pixels, context: &Context) -> Pixels {
    resize::within(photo, context.settings().thumbnail_sizes.medium).into_owned()
}

fn comparator(data: &DataArgs, networks: &Networks<'_>, context: &Context) -> Result<Comparator, CommandError> {
    let file = context.settings().quality_assessment.siamese_checkpoint.as_deref();
    data.model(data.network.which(file, COMPARISON_MODEL), COMPARES, networks)
}

/// The group of each label, numbered in the order of the group names.
fn groups_of(labels: &[Label]) -> Result<Vec<usize>, CommandError> {
    let mut names: Vec<&String> = labels.iter().filter_map(|label| label.group.as_ref()).collect();
    names.sort();
    names.dedup();
    let number = |label: &Label| label.group.as_ref().and_then(|group| names.binary_search(&group).ok());
    let numbers: Option<Vec<usize>> = labels.iter().map(number).collect();
    numbers
        .ok_or_else(|| CommandError::usage(anyhow::anyhow!("the labels need a column `group`, filled for every photo")))
}

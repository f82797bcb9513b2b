//! `albumctl train`: models from labelled photos.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context as _;

use super::open_models;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::place::{Content, Outputs, PlaceError};
use crate::report::records::TrainRecord;
use base::reading;
use networks::checkpoint::Checkpoint;
use networks::weights::WeightsFile;
use train::checkpoint::{ABOUT, CHECKPOINT, CURVE, KEY, METRICS, MODEL, Progress};
use train::epoch::Epoch;
use train::labels::{self, Agreement, Item};
use train::recipe::MiniRecipe;
use train::supervised::{self, LargeRecipe};
use train::{Ended, TrainError, mini, photos};

/// Path in the repository, and text.
const AESTHETICS: (&str, &str) = ("configs/train/aesthetics.yaml", include_str!("../../configs/train/aesthetics.yaml"));
const SIAMESE: (&str, &str) = ("configs/train/siamese.yaml", include_str!("../../configs/train/siamese.yaml"));
const QUALITY: (&str, &str) = ("configs/train/quality.yaml", include_str!("../../configs/train/quality.yaml"));
const CLASSIFIER: (&str, &str) = ("configs/train/classifier.yaml", include_str!("../../configs/train/classifier.yaml"));
/// What labels may be.
const RATINGS: &str = "AVA.txt, or a CSV with columns file and score";
const PAIRS: &str = "The official pair list, a folder of review files, or a CSV with columns file, score and group";
const MINI: (&str, &str) = ("configs/train/album-mini.yaml", include_str!("../../configs/train/album-mini.yaml"));

/// Train models on labelled photos
///
/// A run writes into its folder: checkpoint.safetensors to go on from, best.safetensors (the model), metrics.jsonl and
/// curve.svg. Started again with the same folder it goes on where it was, after a kill, too.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Mini(MiniArgs),
    /// Ratings, from AVA's votes or from scores; the result works with `aesthetics --model`
    #[command(mut_arg("labels", |arg| arg.help(RATINGS)))]
    Aesthetics(LabelledArgs),
    /// Which of two is better, from people's choices; the result works with `compare --model`
    #[command(mut_arg("labels", |arg| arg.help(PAIRS)))]
    Siamese(LabelledArgs),
    Quality(QualityArgs),
    Classifier(ClassifierArgs),
}

/// What the large networks' runs have in common.
#[derive(Debug, clap::Args)]
struct LargeArgs {
    /// Where the run lives
    #[arg(long, value_name = "DIR")]
    run: PathBuf,

    /// A recipe instead of the built-in one in configs/train
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,

    /// Weights to begin with, such as ResNet-50's from ImageNet (torchvision's names); drawn at random without
    #[arg(long, value_name = "FILE")]
    start: Option<PathBuf>,

    /// So many epochs instead of the recipe's
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
}

/// Labels in one place and photos in another.
#[derive(Debug, clap::Args)]
struct LabelledArgs {
    #[arg(value_name = "LABELS")]
    labels: PathBuf,

    /// Where the photos lie
    #[arg(long, value_name = "DIR")]
    photos: PathBuf,

    #[command(flatten)]
    large: LargeArgs,
}

/// Flaws, drawn upon clean photos on the way; the result works with `score --degradations --model`
#[derive(Debug, clap::Args)]
struct QualityArgs {
    /// A folder of clean photos
    #[arg(value_name = "DIR")]
    photos: PathBuf,

    #[command(flatten)]
    large: LargeArgs,
}

/// Classes, from a folder with a folder for each; the result works with `classify --model`
#[derive(Debug, clap::Args)]
struct ClassifierArgs {
    #[arg(value_name = "DIR", help = "A folder with a folder of photos for each class")]
    photos: PathBuf,

    #[command(flatten)]
    large: LargeArgs,
}

/// The small built-in network: opinion, preference, degradations and an embedding at once
#[derive(Debug, clap::Args)]
struct MiniArgs {
    /// The folder with the label files and photos that the recipe names
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Where the run lives
    #[arg(long, value_name = "DIR")]
    run: PathBuf,

    /// A recipe instead of the built-in one, configs/train/album-mini.yaml
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,

    /// So many epochs instead of the recipe's
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,

    /// The last N epochs slow down, instead of the recipe's
    #[arg(long, value_name = "N")]
    decay_epochs: Option<u64>,

    /// The fold that is held out and judged, counted from 0, instead of the recipe's
    #[arg(long, value_name = "N")]
    held_out: Option<u64>,
}

impl Args {
    /// The files it writes, to be checked before any work.
    pub fn claim(&self, outputs: &mut Outputs) -> Result<(), PlaceError> {
        let run = match &self.command {
            Command::Mini(args) => &args.run,
            Command::Aesthetics(args) | Command::Siamese(args) => &args.large.run,
            Command::Quality(args) => &args.large.run,
            Command::Classifier(args) => &args.large.run,
        };
        let place = |name: &str| run.join(name);
        let checkpoint = place(CHECKPOINT);
        outputs.add("--run", &checkpoint, Content::Model(KEY))?;
        // A run that has begun owns the models beside its checkpoint.
        if !checkpoint.exists() {
            outputs.add("--run", &place(mini::NETWORK), Content::Model(ABOUT))?;
            outputs.add("--run", &place(MODEL), Content::Model(ABOUT))?;
        }
        outputs.add("--run", &place(METRICS), Content::Text)?;
        outputs.add("--run", &place(CURVE), Content::Text)
    }
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    match &args.command {
        Command::Mini(args) => run_mini(args, context),
        Command::Aesthetics(args) => {
            context.reads(&args.labels)?;
            let recipe = large_recipe(&args.large, &AESTHETICS)?;
            let items = if args.labels.extension().is_some_and(|extension| extension == "txt") {
                let (items, absent) = labels::ava(&args.labels, &args.photos).map_err(refused)?;
                if absent > 0 {
                    context.ui.note(&format!("{absent} photos of {} are not here", args.labels.display()));
                }
                items
            } else {
                labels::rated(&photos::labels(&args.labels).map_err(refused)?, &args.photos)
            };
            run_large(&args.large, &recipe, (items, Vec::new()), context)
        }
        Command::Siamese(args) => {
            context.reads(&args.labels)?;
            let recipe = large_recipe(&args.large, &SIAMESE)?;
            let agreement = Agreement { least: recipe.min_agreement, reviewers: recipe.min_reviewers };
            let items = if args.labels.is_dir() {
                labels::reviews(&args.labels, &args.photos, agreement)
            } else if args.labels.extension().is_some_and(|extension| extension == "txt") {
                labels::pair_list(&args.labels, &args.photos, agreement)
            } else {
                let labels = photos::labels(&args.labels).map_err(refused)?;
                Ok(labels::pairs_of_groups(&labels, &args.photos, recipe.margin))
            };
            run_large(&args.large, &recipe, (items.map_err(refused)?, Vec::new()), context)
        }
        Command::Quality(args) => {
            let recipe = large_recipe(&args.large, &QUALITY)?;
            let items = labels::clean(&args.photos).map_err(refused)?;
            run_large(&args.large, &recipe, (items, Vec::new()), context)
        }
        Command::Classifier(args) => {
            let recipe = large_recipe(&args.large, &CLASSIFIER)?;
            let found = labels::classes(&args.photos).map_err(refused)?;
            run_large(&args.large, &recipe, found, context)
        }
    }
}

fn run_mini(args: &MiniArgs, context: &Context) -> Result<Ending, CommandError> {
    let (origin, text) = match &args.recipe {
        None => (PathBuf::from(MINI.0), MINI.1.to_owned()),
        Some(file) => {
            let text =
                reading::read_text(file, reading::TEXT).with_context(|| format!("cannot read {}", file.display()));
            (file.clone(), text.map_err(CommandError::usage)?)
        }
    };
    let mut recipe = MiniRecipe::parse(&origin, &text).map_err(refused)?;
    recipe.epochs = args.epochs.unwrap_or(recipe.epochs);
    recipe.decay_epochs = args.decay_epochs.unwrap_or(recipe.decay_epochs);
    recipe.held_out = args.held_out.or(recipe.held_out);
    let recipe = recipe.checked(&origin).map_err(refused)?;
    let (engine, device) = open_models::engine_and_device(context)?;
    args.recipe.iter().try_for_each(|file| context.reads(file))?;
    let job = mini::Job {
        recipe: &recipe,
        data: args.data.clone(),
        out: args.run.clone(),
        engine,
        device,
        stop: context.stop(),
    };
    report(&recipe.name, &args.run, context, |told| mini::run(&job, told))
}

fn large_recipe(args: &LargeArgs, (origin, text): &(&str, &str)) -> Result<LargeRecipe, CommandError> {
    let recipe = match &args.recipe {
        None => LargeRecipe::parse(Path::new(origin), text),
        Some(file) => {
            let text =
                reading::read_text(file, reading::TEXT).with_context(|| format!("cannot read {}", file.display()));
            LargeRecipe::parse(file, &text.map_err(CommandError::usage)?)
        }
    };
    let recipe = recipe.map_err(refused)?;
    Ok(LargeRecipe { epochs: args.epochs.unwrap_or(recipe.epochs), ..recipe })
}

fn run_large(
    args: &LargeArgs,
    recipe: &LargeRecipe,
    (items, classes): (Vec<Item>, Vec<String>),
    context: &Context,
) -> Result<Ending, CommandError> {
    args.recipe.iter().chain(&args.start).try_for_each(|file| context.reads(file))?;
    let (_, device) = open_models::engine_and_device(context)?;
    let start = args.start.as_ref().map(|file| WeightsFile::open(file)).transpose().map_err(CommandError::usage)?;
    let job = supervised::Job {
        recipe,
        items,
        classes,
        start: start.as_ref().map(|file| file as &dyn Checkpoint),
        out: args.run.clone(),
        device,
        stop: context.stop(),
    };
    report(&recipe.name, &args.run, context, |told| supervised::run(&job, told))
}

/// Runs, passes epochs on, and says how it ended.
fn report(
    model: &str,
    run: &Path,
    context: &Context,
    work: impl FnOnce(&dyn mini::Listener) -> Result<(Progress, Ended), TrainError>,
) -> Result<Ending, CommandError> {
    let output = Mutex::new(context.output::<TrainRecord>()?);
    let told = Listener { context, model, output: &output, failed: Mutex::default() };
    let (progress, ended) = work(&told).map_err(refused)?;
    if let Some(error) = told.failed.into_inner().unwrap_or_default() {
        return Err(error.into());
    }
    let output = output.into_inner().map_err(|_| anyhow::anyhow!("the output broke"))?;
    if ended == Ended::Stopped {
        output.finish_part(&context.ui)?;
    } else {
        output.finish(&context.ui)?;
    }
    let run = run.display();
    match ended {
        Ended::Stopped => {
            context.ui.note(&format!("stopped after {} steps; the same command goes on from {run}", progress.steps));
            Ok(Ending::Interrupted)
        }
        Ended::Early => {
            context.ui.note(&format!("nothing better since epoch {}; ended early", progress.best_epoch));
            Ok(Ending::AllDone)
        }
        Ended::Done => Ok(Ending::AllDone),
    }
}

/// Passes epochs on as lines, and steps as progress.
struct Listener<'a, W> {
    context: &'a Context,
    model: &'a str,
    output: &'a Mutex<W>,
    failed: Mutex<Option<std::io::Error>>,
}

impl mini::Listener for Listener<'_, crate::report::output::Output<TrainRecord>> {
    fn decoded(&self, photos: usize, of: usize) {
        if photos == of {
            self.context.ui.detail(&format!("read {of} photos"));
        }
    }

    fn step(&self, step: u64, of: u64, loss: f64) {
        if step.is_multiple_of(20) {
            self.context.ui.detail(&format!("step {step} of {of}, loss {loss:.4}"));
        }
    }

    fn told(&self, what: &str) {
        self.context.ui.note(what);
    }

    fn epoch(&self, epoch: &Epoch) {
        let record = TrainRecord { model: self.model.to_owned(), epoch: epoch.clone() };
        let written = self.output.lock().map(|mut output| output.write(&self.context.ui, &record));
        if let (Ok(Err(error)), Ok(mut failed)) = (written, self.failed.lock()) {
            failed.get_or_insert(error);
        }
    }
}

/// Recipes and labels are the user's to mend.
fn refused(error: TrainError) -> CommandError {
    match error {
        TrainError::Recipe { .. }
        | TrainError::Labels { .. }
        | TrainError::TooFew { .. }
        | TrainError::OneSeries
        | TrainError::Changed { .. } => CommandError::usage(error),
        _ => CommandError::failed(error),
    }
}

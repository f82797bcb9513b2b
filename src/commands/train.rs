//! `albumctl train`: trains models on labelled photos.

mod run_report;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::run_report::{refused, report, typed};
use super::open_models::{self, NetworkArgs, Networks, PrecisionArg};
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::place::{Content, Outputs, PlaceError};
use base::contain::contained;
use base::reading;
use hub::ModelChoice;
use networks::checkpoint::Checkpoint;
use networks::weights::WeightsFile;
use train::checkpoint::{ABOUT, CHECKPOINT, COMMAND, CURVE, KEY, METRICS, MODEL, RECIPE, RESULTS};
use train::labels::{self, Item, RequiredAgreement, Target};
use train::recipe::MiniRecipe;
use train::supervised::{self, LargeRecipe};
use train::{TrainError, arrays, mini, photos, review_table};

/// The built-in recipes: path in the repository, and text.
const AESTHETICS: (&str, &str) = ("configs/train/aesthetics.yaml", include_str!("../../configs/train/aesthetics.yaml"));
const SIAMESE: (&str, &str) = ("configs/train/siamese.yaml", include_str!("../../configs/train/siamese.yaml"));
const QUALITY: (&str, &str) = ("configs/train/quality.yaml", include_str!("../../configs/train/quality.yaml"));
const SINGLE_HEAD: (&str, &str) =
    ("configs/train/quality-single-head.yaml", include_str!("../../configs/train/quality-single-head.yaml"));
const CLASSIFIER: (&str, &str) = ("configs/train/classifier.yaml", include_str!("../../configs/train/classifier.yaml"));
/// The accepted formats of labels, for the help.
const RATINGS: &str = "AVA.txt, or a CSV with columns file and score";
const PAIRS: &str = "The official pair list, a folder of review files, the CSV of reviews (compareFile1, LEFT, …), or a CSV with columns file, score and group";
const MINI: (&str, &str) = ("configs/train/album-mini.yaml", include_str!("../../configs/train/album-mini.yaml"));

/// Train models on labelled photos
///
/// A run writes into its folder: checkpoint.safetensors (to resume from), best.safetensors (the model), metrics.jsonl,
/// curve.svg, recipe.yaml and command.txt. Large networks also write results.json, and predictions/ with the predictions for
/// the held-out photos, a Parquet file per epoch; the built-in network also writes network.safetensors and
/// looks.safetensors. Started again with the same folder, a run resumes, even after a kill.
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
    /// Preferences between two photos, from people's choices; the result works with `compare --model`
    #[command(mut_arg("labels", |arg| arg.help(PAIRS)))]
    Siamese(LabelledArgs),
    Quality(QualityArgs),
    Classifier(ClassifierArgs),
}

/// The options that the large networks share.
#[derive(Debug, clap::Args)]
struct LargeArgs {
    /// The folder of the run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,

    /// A recipe instead of the built-in one in configs/train; training files of the original are accepted, too
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,

    /// Initial weights, such as ResNet-50's from ImageNet (torchvision's names); random without
    #[arg(long, value_name = "FILE")]
    start: Option<PathBuf>,

    #[command(flatten)]
    overrides: RecipeOverrides,
}

/// Options that override the recipe.
#[derive(Debug, Clone, Copy, clap::Args)]
struct RecipeOverrides {
    /// Number of epochs instead of the recipe's
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,

    /// Photos or pairs per step instead of the recipe's
    #[arg(long, alias = "batch_size", value_name = "N")]
    batch_size: Option<usize>,

    /// Learning rate instead of the recipe's
    #[arg(long, alias = "learning-rate", value_name = "RATE")]
    lr: Option<f32>,
}

/// Options for labels and photos in separate places.
#[derive(Debug, clap::Args)]
struct LabelledArgs {
    #[arg(value_name = "LABELS")]
    labels: PathBuf,

    /// Folder of the photos
    #[arg(long, value_name = "DIR")]
    photos: PathBuf,

    #[command(flatten)]
    large: LargeArgs,
}

/// Quality, from clean photos that are degraded during training, or from labelled arrays; the result works with `score
/// --degradations --model`
///
/// A folder of clean photos trains one head per degradation. Arrays with four labels per photo (colour cast, blurriness,
/// watermark, noise) train the same heads; arrays with one label per photo train the smaller network with a single head.
#[derive(Debug, clap::Args)]
struct QualityArgs {
    /// A folder of clean photos
    #[arg(value_name = "DIR", required_unless_present = "images", conflicts_with = "images")]
    photos: Option<PathBuf>,

    /// Photos as an .npy array, N×H×W×3 or N×3×H×W: bytes, or floats from 0 to 1 or to 255
    #[arg(long, alias = "train_images", value_name = "FILE.npy", requires = "labels")]
    images: Option<PathBuf>,

    /// Their labels as an .npy array, each 0 to 1: N overall qualities, or N×4 degradations
    #[arg(long, alias = "train_labels", value_name = "FILE.npy", requires = "images")]
    labels: Option<PathBuf>,

    #[command(flatten)]
    large: LargeArgs,
}

/// Classes, from a folder with a subfolder for each; the result works with `classify --model`
#[derive(Debug, clap::Args)]
struct ClassifierArgs {
    #[arg(value_name = "DIR", help = "A folder with a folder of photos for each class")]
    photos: PathBuf,

    #[command(flatten)]
    large: LargeArgs,
}

/// The built-in network: opinion, preference, degradations, kind and embedding at once
#[derive(Debug, clap::Args)]
struct MiniArgs {
    /// The folder with the label files and photos that the recipe names
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// The folder of the run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,

    /// The trunk: a model such as efficientnet-lite0, or a file of its weights
    #[arg(long, value_name = "NAME|FILE", default_value = hub::MINI)]
    start: String,

    /// Folder for the trunk's features of the photos, if not the run's; runs over the same photos can share it
    #[arg(long, value_name = "FILE")]
    looks: Option<PathBuf>,

    /// A recipe instead of the built-in one, configs/train/album-mini.yaml
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,

    #[command(flatten)]
    overrides: RecipeOverrides,

    /// Number of epochs at the end with a falling learning rate, instead of the recipe's
    #[arg(long, value_name = "N")]
    decay_epochs: Option<u64>,

    /// The held-out fold, counted from 0, instead of the recipe's
    #[arg(long, value_name = "N")]
    held_out: Option<u64>,
}

impl Args {
    /// Registers the files it writes, to be checked before any work.
    pub fn claim(&self, outputs: &mut Outputs) -> Result<(), PlaceError> {
        let run = match &self.command {
            Command::Mini(args) => &args.run,
            Command::Aesthetics(args) | Command::Siamese(args) => &args.large.run,
            Command::Quality(args) => &args.large.run,
            Command::Classifier(args) => &args.large.run,
        };
        let place = |name: &str| run.join(name);
        let large = !matches!(self.command, Command::Mini(_));
        if let Command::Mini(MiniArgs { looks, .. }) = &self.command {
            let looks = looks.clone().unwrap_or_else(|| place(mini::FEATURES_FILE));
            outputs.add("--looks", &looks, Content::Model(mini::FEATURES_KEY))?;
            outputs.add("--run", &place(mini::TRAINED_FEATURES), Content::Model(mini::FEATURES_KEY))?;
            outputs.add("--run", &place(mini::TRUNK_CHECKPOINT), Content::Model(KEY))?;
            claim_course(&place(mini::FIRST_HEADS), outputs)?;
        }
        if large {
            outputs.add("--run", &place(RESULTS), Content::Text)?;
        }
        claim_course(run, outputs)
    }
}

/// Registers the files of a training run in one folder.
fn claim_course(folder: &Path, outputs: &mut Outputs) -> Result<(), PlaceError> {
    let place = |name: &str| folder.join(name);
    let checkpoint = place(CHECKPOINT);
    outputs.add("--run", &checkpoint, Content::Model(KEY))?;
    // If there is a checkpoint, the models beside it belong to this run and may be replaced.
    if !checkpoint.exists() {
        outputs.add("--run", &place(mini::NETWORK), Content::Model(ABOUT))?;
        outputs.add("--run", &place(MODEL), Content::Model(ABOUT))?;
    }
    [METRICS, CURVE, RECIPE, COMMAND].map(place).iter().try_for_each(|text| outputs.add("--run", text, Content::Text))
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    // Training needs one thread per core, all started at once, and fails early without them.
    contained(candle_core::utils::barrier_pool)
        .map_err(|cause| anyhow::anyhow!("cannot start the threads that training computes in: {cause}"))?;
    match &args.command {
        Command::Mini(args) => run_mini(args, context),
        Command::Aesthetics(args) => {
            context.reads(&args.labels)?;
            let recipe = large_recipe(&args.large, &AESTHETICS, context)?;
            let items = if args.labels.extension().is_some_and(|extension| extension == "txt") {
                let (items, absent) = labels::ava(&args.labels, &args.photos).map_err(refused)?;
                if absent > 0 {
                    context.ui.note(&format!("{absent} photos of {} are missing", args.labels.display()));
                }
                items
            } else {
                labels::rated(&photos::labels(&args.labels).map_err(refused)?, &args.photos)
            };
            run_large(&args.large, &recipe, (items, Vec::new()), context)
        }
        Command::Siamese(args) => {
            context.reads(&args.labels)?;
            let recipe = large_recipe(&args.large, &SIAMESE, context)?;
            let agreement =
                RequiredAgreement { min_share: recipe.min_agreement, reviewers: recipe.min_reviewers.unwrap_or(2) };
            let counted = args.labels.is_dir() || review_table::is_review_table(&args.labels);
            if !counted && let Some(least) = recipe.min_reviewers.filter(|least| *least > 1) {
                let (file, why) =
                    (args.labels.clone(), format!("it counts no reviewers; `min_reviewers: {least}` asks for them"));
                return Err(refused(TrainError::Labels { file, why }));
            }
            let items = if args.labels.is_dir() {
                labels::reviews(&args.labels, &args.photos, agreement)
            } else if counted {
                review_table::pairs(&args.labels, &args.photos, agreement)
            } else if args.labels.extension().is_some_and(|extension| extension == "txt") {
                labels::pair_list(&args.labels, &args.photos, agreement)
            } else {
                let labels = photos::labels(&args.labels).map_err(refused)?;
                Ok(labels::pairs_of_groups(&labels, &args.photos, recipe.margin))
            };
            run_large(&args.large, &recipe, (items.map_err(refused)?, Vec::new()), context)
        }
        Command::Quality(args) => {
            let files = args.images.iter().chain(&args.labels);
            files.into_iter().try_for_each(|file| context.reads(file))?;
            let items = match (&args.images, &args.labels, &args.photos) {
                (Some(images), Some(labels), _) => arrays::items(images, labels),
                (.., Some(photos)) => labels::clean(photos),
                _ => Ok(Vec::new()),
            };
            let items = items.map_err(refused)?;
            let one_label = matches!(items.first(), Some(Item { target: Target::Quality(_), .. }));
            let recipe = large_recipe(&args.large, if one_label { &SINGLE_HEAD } else { &QUALITY }, context)?;
            run_large(&args.large, &recipe, (items, Vec::new()), context)
        }
        Command::Classifier(args) => {
            let recipe = large_recipe(&args.large, &CLASSIFIER, context)?;
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
    recipe.epochs = args.overrides.epochs.unwrap_or(recipe.epochs);
    recipe.learning_rate = args.overrides.lr.unwrap_or(recipe.learning_rate);
    if let Some(photos) = args.overrides.batch_size {
        recipe.batch = recipe.batch.of(photos);
    }
    recipe.decay_epochs = args.decay_epochs.unwrap_or(recipe.decay_epochs);
    recipe.held_out = args.held_out.or(recipe.held_out);
    let recipe = recipe.checked(&origin).map_err(refused)?;
    let (engine, _) = open_models::engine_and_device(context)?;
    let networks = NetworkArgs { model: Some(args.start.clone()), precision: PrecisionArg::Full };
    let which = networks.which(None, hub::MINI);
    if let ModelChoice::Path(file) = which {
        context.reads(file)?;
    }
    args.recipe.iter().try_for_each(|file| context.reads(file))?;
    let start = Networks::new(&networks, context)?.weights(which)?;
    let job = mini::Job {
        recipe: &recipe,
        data: args.data.clone(),
        start: &start,
        out: args.run.clone(),
        features: args.looks.clone(),
        engine,
        command: typed(),
        stop: context.stop(),
    };
    report(&recipe.name, &args.run, context, |listener| mini::run(&job, listener))
}

fn large_recipe(
    args: &LargeArgs,
    (origin, text): &(&str, &str),
    context: &Context,
) -> Result<LargeRecipe, CommandError> {
    let mut note = |message: &str| context.ui.note(message);
    let recipe = match &args.recipe {
        None => supervised::read_recipe(Path::new(origin), text, &mut note),
        Some(file) => {
            let text =
                reading::read_text(file, reading::TEXT).with_context(|| format!("cannot read {}", file.display()));
            supervised::read_recipe(file, &text.map_err(CommandError::usage)?, &mut note)
        }
    };
    let recipe = recipe.map_err(refused)?;
    let RecipeOverrides { epochs, batch_size, lr } = args.overrides;
    let recipe = LargeRecipe {
        epochs: epochs.unwrap_or(recipe.epochs),
        batch: batch_size.unwrap_or(recipe.batch),
        learning_rate: lr.unwrap_or(recipe.learning_rate),
        ..recipe
    };
    recipe.checked(args.recipe.as_deref().unwrap_or(Path::new(origin))).map_err(refused)
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
        command: typed(),
        stop: context.stop(),
    };
    report(&recipe.name, &args.run, context, |listener| supervised::run(&job, listener))
}

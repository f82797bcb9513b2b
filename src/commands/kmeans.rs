//! `albumctl kmeans`: clusters features in Parquet or `.npy` files that need not fit in memory.

mod vectors;

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::addresses::{here_only, lines_stay_here, refuse_offline};
use super::engine::{EngineArgs, PassArgs};
use super::features::{self, DataArgs};
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::place::{Content, Outputs, PlaceError};
use crate::report::records::KmeansModelRecord;
use scale::fit::{self, Event};
use scale::{Init, MODEL_MARK, Model, assign, is_remote};

/// Cluster features in files, more than fit into memory
///
/// The files are those that `embed --output features.parquet` writes, with a column `id` (string) and a column `feature`
/// (list of f32, f64 or f16); or .npy matrices with one row per photo, as `embed --output features.npy` writes them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Fit(Box<FitArgs>),
    Assign(AssignArgs),
    Info(InfoArgs),
}

/// Find clusters
///
/// Memory holds the centroids and a few batches of rows. The same rows give bit-identical centroids for any number of
/// threads, files and order of files, on this machine and on a cluster (--engine). A killed run resumes when it is started
/// again.
#[derive(Debug, clap::Args)]
struct FitArgs {
    #[command(flatten)]
    data: DataArgs,

    /// The number of clusters
    #[arg(short = 'k', long, value_name = "K", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    clusters: u32,

    /// The initial centroids: distant rows found in a few passes (k-means||), or random rows
    #[arg(long, value_enum, value_name = "HOW", default_value = "kmeans++")]
    init: InitArg,

    #[arg(long, value_name = "N", default_value_t = 100, help = "Stop after this many iterations")]
    max_iterations: u64,

    /// Stop when the centroids together move less than this
    #[arg(long, value_name = "DISTANCE", default_value_t = 1e-4)]
    tolerance: f64,

    /// The seed for the initial centroids
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,

    /// Normalise every row to length 1 first
    #[arg(long)]
    normalize: bool,

    /// Use about this many rows per iteration, in whole row groups, instead of all
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    mini_batch: Option<u64>,

    /// The file of the model; with `object-stores` it may be a URL
    #[arg(short, long, value_name = "FILE", default_value = "kmeans.safetensors")]
    model: PathBuf,

    /// Folder for iterations on this machine, to resume from; by default beside the model
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Before each iteration, also store every row's cluster, id and distance as .npy files, one shard per file of the data
    /// (needs another pass over the data)
    #[arg(long)]
    write_assignments: bool,

    #[command(flatten)]
    engine: EngineArgs,

    #[command(flatten)]
    passes: PassArgs,
}

/// Assign each row its cluster and distance, as Parquet; or find the clusters of vectors on standard input
///
/// With --data or --data-file the rows `id, cluster, distance` are written to the Parquet file given by -o. Without, each
/// line of --vector or of standard input is a vector: numbers in JSON brackets, or separated by spaces or commas. Both may
/// also be an .npy array of one vector, or of one vector per row.
#[derive(Debug, clap::Args)]
struct AssignArgs {
    #[command(flatten)]
    data: DataArgs,

    /// A file of vectors instead of standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "data_file"])]
    vector: Option<PathBuf>,

    /// The model that `kmeans fit` made
    #[arg(short, long, value_name = "FILE", default_value = "kmeans.safetensors")]
    model: PathBuf,
}

/// Show the contents of a model
#[derive(Debug, clap::Args)]
struct InfoArgs {
    #[arg(value_name = "MODEL", default_value = "kmeans.safetensors")]
    model: PathBuf,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum InitArg {
    #[value(name = "kmeans++")]
    KMeansPlusPlus,
    Random,
}

impl Args {
    /// Registers the files it names, to be checked before any work.
    pub fn claim(&self, outputs: &mut Outputs) -> Result<(), PlaceError> {
        match &self.command {
            Command::Fit(args) if !is_remote(&args.model) => {
                outputs.add("--model", &args.model, Content::Model(MODEL_MARK))
            }
            _ => Ok(()),
        }
    }

    /// Whether `-o` receives a Parquet file of labels instead of lines.
    pub fn writes_labels(&self) -> bool {
        matches!(&self.command, Command::Assign(args) if !args.data.is_empty())
    }
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    match &args.command {
        Command::Fit(args) => fit(args, context),
        Command::Assign(args) => assign(args, context),
        Command::Info(args) => {
            lines_stay_here(context)?;
            write_record(&load(&args.model, context)?, &args.model, context)
        }
    }
}

fn fit(args: &FitArgs, context: &Context) -> Result<Ending, CommandError> {
    lines_stay_here(context)?;
    refuse_offline(&[&args.model], context)?;
    let work = args.work.clone().unwrap_or_else(|| fit::work_beside(&args.model));
    here_only(Some(&work), "the folder of iterations", "--work DIR")?;
    let cluster = args.engine.cluster(context)?;
    let source = features::open(&args.data, context)?;
    if cluster.is_some() && args.write_assignments {
        let refusal = anyhow::anyhow!("a cluster keeps no assignments");
        return Err(CommandError::usage(refusal).hint("without --engine this machine does"));
    }
    let options = fit::Options {
        clusters: args.clusters as usize,
        init: match args.init {
            InitArg::KMeansPlusPlus => Init::KMeansPlusPlus,
            InitArg::Random => Init::Random,
        },
        given: None,
        max_iterations: args.max_iterations,
        tolerance: args.tolerance,
        seed: args.seed,
        normalize: args.normalize,
        mini_batch: args.mini_batch,
        work,
        write_assignments: args.write_assignments,
        threads: context.threads(),
        batch_rows: None,
    };
    let started = Instant::now();
    let mut on_event = |event: &Event| progress(event, context);
    let model = match cluster {
        None => fit::fit(&source, &options, context.stop(), &mut on_event),
        Some(cluster) => {
            let work = || scale::absolute(&options.work).to_string_lossy().into_owned();
            let passes = (args.passes.share.clone().unwrap_or_else(work), args.passes.task_rows);
            let rows = (&source, options.normalize);
            cluster.run(rows, passes, context, |engine| fit::fit_on(engine, &options, &mut on_event))
        }
    };
    let Some(model) = features::unless_stopped(model)? else {
        context.ui.note("interrupted; started again, it resumes after the last complete iteration");
        return Ok(Ending::Interrupted);
    };
    model.save(&args.model)?;
    context.ui.summary(
        &format!(
            "kmeans fit: {} rows, {} clusters, {} iterations in {:.1} s{}",
            model.rows,
            model.centroids.len(),
            model.iterations,
            started.elapsed().as_secs_f64(),
            if model.converged { "" } else { ", not at rest" }
        ),
        false,
    );
    write_record(&model, &args.model, context)
}

fn progress(event: &Event, context: &Context) {
    let text = match event {
        Event::Seeding => "looking the rows through and choosing where to begin".to_owned(),
        Event::Resumed { iteration } => {
            context.ui.note(&format!("going on from iteration {iteration} of a run before"));
            return;
        }
        Event::Iterated(line) => {
            context.telemetry.add("kmeans_iteration", std::time::Duration::from_secs_f64(line.seconds), 1);
            let reseeded =
                if line.reseeded > 0 { format!(", {} empty reseeded", line.reseeded) } else { String::new() };
            format!(
                "iteration {:>3}: inertia {:.6e}, shift {:.3e}, {:.2} s{reseeded}",
                line.iteration, line.inertia, line.shift, line.seconds
            )
        }
        Event::Measuring => "measuring the clusters".to_owned(),
    };
    context.ui.detail(&text);
}

fn assign(args: &AssignArgs, context: &Context) -> Result<Ending, CommandError> {
    if args.data.is_empty() {
        lines_stay_here(context)?;
        return vectors::assign(load(&args.model, context)?, args.vector.as_deref(), context);
    }
    refuse_offline(context.output_file().as_slice(), context)?;
    let model = load(&args.model, context)?;
    let source = features::open(&args.data, context)?;
    let Some(target) = context.output_file() else {
        let unnamed = anyhow::anyhow!("the labels need a file to go to");
        return Err(CommandError::usage(unnamed).hint("-o labels.parquet"));
    };
    let rows = assign::assign(&source, model, target, context.threads(), context.stop());
    let Some(rows) = features::unless_stopped(rows)? else {
        context.ui.warn(&format!("{}: not written: the run was interrupted", target.display()));
        return Ok(Ending::Interrupted);
    };
    let seconds = context.telemetry.elapsed().as_secs_f64();
    context.ui.summary(&format!("kmeans assign: {rows} rows in {seconds:.1} s to {}", target.display()), false);
    Ok(Ending::AllDone)
}

fn load(model: &Path, context: &Context) -> Result<Model, CommandError> {
    refuse_offline(&[model], context)?;
    Ok(Model::load(model)?)
}

fn write_record(model: &Model, path: &Path, context: &Context) -> Result<Ending, CommandError> {
    let mut output = context.output::<KmeansModelRecord>()?;
    output.write(&context.ui, &record(model, path))?;
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

fn record(model: &Model, path: &Path) -> KmeansModelRecord {
    KmeansModelRecord {
        model: path.to_string_lossy().into_owned(),
        clusters: model.centroids.len(),
        dim: model.centroids.dim,
        rows: model.rows,
        iterations: model.iterations,
        converged: model.converged,
        inertia: model.inertia,
        normalize: model.normalize,
        seed: model.seed,
        sizes: model.sizes.clone(),
    }
}

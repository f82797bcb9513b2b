//! `albumctl dedup`: which photos are duplicates of which, by their features or by their looks.

mod hashes;
mod semantic;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use super::engine::{EngineArgs, PassArgs};
use super::features::DataArgs;
use super::folder_delivery::{Delivery, FolderArgs};
use crate::arguments::WalkArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use base::reading::Stream;
use scale::dedup::Keep;

/// Find duplicates
///
/// By default by content: rows of features (--data) are grouped by k-means, and inside a group a row is a duplicate if its
/// cosine similarity to a kept row reaches the threshold; with --engine ballista://… on a cluster. With --method phash by
/// appearance: photos (PATH) whose perceptual hashes differ in few bits. Each line tells whether the row is kept and, if not,
/// what it duplicates. Nothing is ever deleted; --copy-to and --link-to put the kept photos into a folder, if ids are paths of
/// photos.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Photos, folders, or - for a list on standard input, with --method phash
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    walk: WalkArgs,

    /// Compare content (features) or appearance (perceptual hashes)
    #[arg(long, value_enum, value_name = "METHOD", default_value = "semantic")]
    method: Method,

    /// Maximum number of differing bits of two 64-bit perceptual hashes; 0: equal hashes only
    #[arg(long, value_name = "BITS", default_value_t = 6, value_parser = clap::value_parser!(u32).range(..=16))]
    bits: u32,

    #[command(flatten)]
    data: DataArgs,

    /// Minimum cosine similarity of duplicates; 1 is the same direction
    #[arg(long, value_name = "COSINE", default_value_t = 0.95, value_parser = cosine)]
    similarity: f64,

    /// Which one of a set of duplicates is kept; by default best if there are scores, else first
    #[arg(long, value_enum, value_name = "RULE")]
    keep: Option<KeepArg>,

    /// A column of the data that holds scores, for --keep best
    #[arg(long, value_name = "COLUMN", conflicts_with = "scores")]
    score_column: Option<String>,

    /// JSON lines of `analyze`, `select`, `aesthetics` or `score`, for --keep best
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,

    /// The field of those lines; by default the first of composite_score, aesthetic_score and iqa_score that is present
    #[arg(long, value_name = "NAME", requires = "scores")]
    score_field: Option<String>,

    /// Number of groups; by default about one per 1,500 rows
    #[arg(short = 'k', long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    clusters: Option<u32>,

    /// Megabytes for rows while they are compared
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    memory: u32,

    /// Folder for rows during the comparison; they take as much space as in the data
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Number of rows to compare with all others, to estimate what the groups missed; 0 for none
    #[arg(long, value_name = "N", default_value_t = 500)]
    sample: usize,

    #[arg(long, value_name = "N", default_value_t = 42, help = "Another seed groups the rows another way")]
    seed: u64,

    /// Print kept rows, duplicates, or both
    #[arg(long, value_enum, value_name = "WHICH", default_value = "all")]
    show: Show,

    #[command(flatten)]
    folder: FolderArgs,

    /// Write nothing, and print what would be written
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    engine: EngineArgs,

    #[command(flatten)]
    passes: PassArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    Semantic,
    Phash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum KeepArg {
    /// The one with the highest score
    Best,
    /// The one farthest from the centre of its group
    Farthest,
    /// The one nearest to the centre of its group
    Nearest,
    /// The first in the order of files and rows
    First,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Show {
    All,
    Kept,
    Removed,
}

fn cosine(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err("a cosine above 0 and up to 1".to_owned()) }
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    args.scores.iter().try_for_each(|file| context.reads(file))?;
    match args.method {
        Method::Semantic if args.paths.is_empty() => semantic::run(args, context),
        Method::Semantic => {
            let photos = anyhow::anyhow!("photos were named, but features are compared");
            Err(CommandError::usage(photos).hint("--data features.parquet (from `embed`), or --method phash"))
        }
        Method::Phash => hashes::run(args, context),
    }
}

impl Args {
    /// Plans the delivery of the photos that stay, in order.
    fn delivery(&self, kept: impl Iterator<Item = PathBuf>) -> Result<Delivery, CommandError> {
        self.folder.plan(&self.folder.items(kept.map(|path| (path, None))), false, self.dry_run)
    }

    /// Whether a row's line is shown.
    fn shows(&self, kept: bool) -> bool {
        match self.show {
            Show::All => true,
            Show::Kept => kept,
            Show::Removed => !kept,
        }
    }

    fn keep(&self, have_scores: bool) -> Result<Keep, CommandError> {
        match self.keep {
            Some(KeepArg::Best) if !have_scores => {
                let unknown = anyhow::anyhow!("--keep best needs scores");
                Err(CommandError::usage(unknown).hint("--scores analysis.jsonl, or --score-column NAME"))
            }
            Some(KeepArg::Best) => Ok(Keep::Best),
            Some(KeepArg::Farthest) => Ok(Keep::Farthest),
            Some(KeepArg::Nearest) => Ok(Keep::Nearest),
            Some(KeepArg::First) => Ok(Keep::First),
            None => Ok(if have_scores { Keep::Best } else { Keep::First }),
        }
    }
}

/// Reads the score of each photo by its path from JSON lines.
fn read_scores(file: &Path, field: Option<&str>, context: &Context) -> anyhow::Result<HashMap<String, f32>> {
    let lines = Stream::open(file, context.stop()).with_context(|| format!("cannot read {}", file.display()))?;
    let names = field.map_or_else(|| vec!["composite_score", "aesthetic_score", "iqa_score"], |field| vec![field]);
    let mut scores = HashMap::new();
    for (number, line) in lines.lines().enumerate() {
        let place = || format!("{}: line {}", file.display(), number + 1);
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Value = serde_json::from_str(&line).with_context(place)?;
        let score = names.iter().find_map(|name| line.get(name)?.as_f64());
        if let (Some(id), Some(score)) = (line["image_path"].as_str(), score) {
            scores.insert(id.to_owned(), score as f32);
        }
    }
    Ok(scores)
}

fn warn_of_missing(scores: &[Option<f32>], file: &Path, context: &Context) {
    let without = scores.iter().filter(|score| score.is_none()).count();
    if without > 0 {
        let (all, file) = (scores.len(), file.display());
        context.ui.warn(&format!("{without} of {all} have no score in {file}; any that has one is kept before them"));
    }
}

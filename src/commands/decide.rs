//! `albumctl decide`: stores a person's decisions about photos.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{album, photos};
use crate::arguments::PhotoArgs;
use crate::context::{Context, journal_failed};
use crate::error::{CommandError, Ending};
use crate::failure::{Failure, Stage};
use crate::journal::{NewDecision, PhotoId};
use crate::pipeline;
use crate::report::photo_path::PhotoPath;
use crate::report::records::{DecidedRecord, DecisionLine, DecisionRecord, LoggedRecord};
use judge::select::Decision;
use kernels::Precision;
use photo::identity::{self, ContentId, ReadError};
use photo::scan;

/// Keep or reject photos: `select` puts these decisions before any score
///
/// A photo you keep is always picked, one you reject never. A decision belongs to the picture: it survives renaming, moving
/// and copying, ratings, captions, places and rotation tags that other programs write, an empty cache and other models.
/// Editing the picture makes it another photo. Decisions are stored in $XDG_DATA_HOME/albumctl/journal.sqlite. A decision
/// about a RAW file or its JPEG holds for both.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub file: FileArgs,
}

#[derive(Debug, clap::Args)]
pub struct FileArgs {
    /// Read decisions from a file: saved by the page of a report, or printed by `decide`; - is standard input
    ///
    /// The last line about a photo counts, and null withdraws its decision. Photos are recognised by their content and
    /// picture: they need not be at the path in the file, nor on this machine.
    #[arg(long, value_name = "FILE", required = true)]
    pub from: Option<PathBuf>,

    /// Store nothing, and print what would be stored
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Always pick these photos
    Keep(PhotosArgs),
    /// Never pick these photos
    Reject(PhotosArgs),
    /// Withdraw the decisions about these photos
    Clear(PhotosArgs),
    /// List the decisions in force, with the photo's path at that time
    List,
    /// List all decisions ever made or withdrawn, oldest first
    Log,
}

#[derive(Debug, clap::Args)]
pub struct PhotosArgs {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// Store nothing, and print what would be stored
    #[arg(long)]
    pub dry_run: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    match &args.command {
        Some(Command::Keep(args)) => decide(args, Some(Decision::Keep), context),
        Some(Command::Reject(args)) => decide(args, Some(Decision::Reject), context),
        Some(Command::Clear(args)) => decide(args, None, context),
        Some(Command::List) => list(context),
        Some(Command::Log) => log(context),
        None => from_file(&args.file, context),
    }
}

/// One line of a file of decisions.
struct FileLine {
    path: PathBuf,
    decision: Option<Decision>,
    id: PhotoId,
}

fn from_file(args: &FileArgs, context: &Context) -> Result<Ending, CommandError> {
    let file = args.from.as_deref().unwrap_or(Path::new("-"));
    let lines = read(file, context)?;
    let mut output = context.output::<DecisionRecord>()?;
    let mut current = context.decisions()?;
    let mut new_decisions = Vec::new();
    let mut records = Vec::new();
    for FileLine { path, decision, id } in &lines {
        records.push(DecisionRecord {
            path: PhotoPath::of(path),
            decision: decision.map(Into::into),
            before: current.of(Some(id.content), id.picture).map(Into::into),
            content: id.content.to_string(),
            picture: id.picture.map(|picture| picture.to_string()),
            applied: !args.dry_run,
        });
        // If the path still holds this photo, the decision covers its RAW files too.
        let is_there =
            pipeline::identify(path, context.store(), &context.limits()).is_ok_and(|there| there == id.content);
        let raws = if is_there { raw_ids(&scan::partners_of([path.as_path()])[0], context)? } else { Vec::new() };
        for photo in std::iter::once(*id).chain(raws) {
            current.record(photo, *decision);
            new_decisions.push(NewDecision { photo, decision: *decision, path });
        }
    }
    if !args.dry_run && !new_decisions.is_empty() {
        let mut journal = context.journal()?;
        context.telemetry.time("journal", || journal.decide(&new_decisions)).map_err(journal_failed)?;
    }
    for record in &records {
        output.write(&context.ui, record)?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

/// Reads all lines. One that cannot be parsed is an error, so that a file is obeyed whole or not at all.
fn read(file: &Path, context: &Context) -> Result<Vec<FileLine>, CommandError> {
    let named = file.display();
    let lines = album::lines(file, context)?;
    let mut parsed_lines = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {named}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let parsed = || -> anyhow::Result<FileLine> {
            let line: DecisionLine = serde_json::from_str(&line)?;
            let id = PhotoId {
                content: line.content.parse().map_err(|_| anyhow::anyhow!("`content` is no BLAKE3 hash"))?,
                picture: line
                    .picture
                    .map(|text| text.parse())
                    .transpose()
                    .map_err(|_| anyhow::anyhow!("`picture` is no BLAKE3 hash"))?,
            };
            Ok(FileLine { path: line.path.to_path(), decision: line.decision.map(Into::into), id })
        };
        let what = || format!("{named}, line {}: not a line of decisions", number + 1);
        parsed_lines.push(parsed().with_context(what).map_err(CommandError::usage)?);
    }
    Ok(parsed_lines)
}

/// A photo to decide about, with the identities of its files, its own first.
struct DecisionTarget {
    photo: scan::Photo,
    ids: Vec<PhotoId>,
}

fn decide(args: &PhotosArgs, decision: Option<Decision>, context: &Context) -> Result<Ending, CommandError> {
    let paths = scan::with_partners(photos::named(&args.photos, context)?);
    let scan = photos::scan(&paths, &args.photos, context)?;
    // Opened before the photos are read, so that an unwritable journal is reported without waiting for them.
    let journal = if args.dry_run { None } else { Some(context.journal()?) };
    let before = context.decisions()?;
    let (mut targets, mut unread) = (Vec::new(), Vec::new());
    let hub = context.model_hub(Precision::Full)?;
    let mut tally = photos::analyse(&scan, &[], hub.medium(), &hub, context, |photo, report| {
        let mut ids: Vec<PhotoId> = report.id().into_iter().collect();
        for raw in &photo.raws {
            match id_of(raw, context) {
                Ok(id) => ids.push(id),
                Err(error) => unread.push(Failure {
                    path: raw.clone(),
                    stage: Stage::Read,
                    code: error.code(),
                    cause: error.to_string(),
                }),
            }
        }
        targets.push(DecisionTarget { photo: photo.clone(), ids });
        Ok(())
    })?;
    unread.iter().try_for_each(|failure| tally.fail(failure, context))?;
    if tally.interrupted {
        let cause = "interrupted before all photos were read; nothing was decided";
        return Err(CommandError::interrupted(anyhow::anyhow!(cause)));
    }
    // Opened before anything is stored, so that no decision is made if the output cannot be written.
    let mut output = context.output::<DecisionRecord>()?;
    if let Some(mut journal) = journal {
        let decisions: Vec<NewDecision> = targets
            .iter()
            .flat_map(|DecisionTarget { photo, ids }| {
                ids.iter().map(|&id| NewDecision { photo: id, decision, path: &photo.path })
            })
            .collect();
        context.telemetry.time("journal", || journal.decide(&decisions)).map_err(journal_failed)?;
    }
    // Printed only now that the decisions are on disk.
    for DecisionTarget { photo, ids } in &targets {
        let id = ids[0];
        let record = DecisionRecord {
            path: PhotoPath::of(&photo.path),
            decision: decision.map(Into::into),
            before: before.of(Some(id.content), id.picture).map(Into::into),
            content: id.content.to_string(),
            picture: id.picture.map(|picture| picture.to_string()),
            applied: !args.dry_run,
        };
        output.write(&context.ui, &record)?;
    }
    tally.close(output, context)?;
    Ok(tally.end("decide", context))
}

/// The identity of a file in the journal.
pub fn id_of(file: &Path, context: &Context) -> Result<PhotoId, ReadError> {
    let bytes = identity::read(file, context.limits().max_file_bytes)?.bytes;
    Ok(PhotoId { content: ContentId::of(&bytes), picture: Some(photo::picture_of(&bytes, &context.limits())) })
}

/// The identities of RAW files.
pub fn raw_ids<'a>(
    raws: impl IntoIterator<Item = &'a PathBuf>,
    context: &Context,
) -> Result<Vec<PhotoId>, CommandError> {
    let id = |raw: &PathBuf| {
        let cannot = |error| anyhow::Error::new(error).context(format!("cannot read {}", raw.display()));
        Ok(id_of(raw, context).map_err(cannot)?)
    };
    raws.into_iter().map(id).collect()
}

fn log(context: &Context) -> Result<Ending, CommandError> {
    let mut output = context.output::<LoggedRecord>()?;
    for logged in context.decision_log()? {
        output.write(&context.ui, &LoggedRecord::from(logged))?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

fn list(context: &Context) -> Result<Ending, CommandError> {
    let mut output = context.output::<DecidedRecord>()?;
    for decision in context.decisions_in_force()? {
        output.write(&context.ui, &DecidedRecord::from(decision))?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

//! `albumctl decide`: stores a person's decisions about photos.

use super::photos;
use crate::arguments::PhotoArgs;
use crate::context::{Context, journal_failed};
use crate::error::{CommandError, Ending};
use crate::failure::{Failure, Stage};
use crate::journal::{NewDecision, PhotoId};
use crate::report::photo_path::PhotoPath;
use crate::report::records::{DecidedRecord, DecisionRecord};
use judge::select::Decision;
use kernels::Precision;
use photo::identity::{self, ContentId};
use photo::scan;

/// Keep or reject photos for good: `select` obeys before any score
///
/// A photo you keep is always picked, one you reject never. What you decide goes with the picture: renaming, moving or
/// copying it, ratings, captions, places and rotation tags that other programs write, clearing the cache and changing models
/// lose nothing; editing the picture makes it another photo.
/// Decisions lie in $XDG_DATA_HOME/albumctl/journal.sqlite. Of a RAW file and its JPEG both are meant, whichever is named.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Always pick these photos
    Keep(PhotosArgs),
    /// Never pick these photos
    Reject(PhotosArgs),
    /// Take back what was decided about these photos
    Clear(PhotosArgs),
    /// Every decision in force, with the place where the photo lay then
    List,
}

#[derive(Debug, clap::Args)]
pub struct PhotosArgs {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// Write nothing down, and say what would be
    #[arg(long)]
    pub dry_run: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    match &args.what {
        What::Keep(args) => decide(args, Some(Decision::Keep), context),
        What::Reject(args) => decide(args, Some(Decision::Reject), context),
        What::Clear(args) => decide(args, None, context),
        What::List => list(context),
    }
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
        let own = report.content.map(|content| PhotoId { content, picture: report.picture });
        let mut ids: Vec<PhotoId> = own.into_iter().collect();
        for raw in &photo.raws {
            match identity::read(raw, context.limits().max_file_bytes) {
                Ok(read) => {
                    ids.push(PhotoId {
                        content: ContentId::of(&read.bytes),
                        picture: Some(photo::picture_of(&read.bytes, &context.limits())),
                    });
                }
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

fn list(context: &Context) -> Result<Ending, CommandError> {
    let mut output = context.output::<DecidedRecord>()?;
    for decision in context.decisions_in_force()? {
        output.write(&context.ui, &DecidedRecord::from(decision))?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

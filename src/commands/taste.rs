//! `albumctl taste`: the taste learned from decisions.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::album;
use super::learning::{Lessons, ScoredAlbum, told};
use crate::context::{Context, journal_failed};
use crate::error::{CommandError, Ending};
use crate::journal::{Facts, PhotoId, TasteExample, TasteMemory};
use crate::report::records::{TasteLessonRecord, TasteRecord};
use base::reading::Stream;
use judge::select::Weights;

/// Show or manage the taste learned from your decisions
///
/// `select` and `review` learn from photos you kept or rejected, from those you kept instead of a pick, and from pairs you
/// compared. The taste counts only if it orders photos measurably better than the scores alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what the taste adds to scores, and how well it orders photos
    Show,
    /// Forget the taste; decisions stay in force, but no taste is learned from those made so far
    Reset,
    /// Print everything it is learned from, one line each: numbers only, no pictures
    Export,
    /// Learn from the output of `taste export`, also from another machine
    Import {
        /// The file; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    match &args.command {
        Command::Show => show(context),
        Command::Reset => {
            context.journal()?.reset_taste().map_err(journal_failed)?;
            context.ui.note("your taste is forgotten; your decisions stay");
            Ok(Ending::AllDone)
        }
        Command::Export => export(context),
        Command::Import { file } => import(file, context),
    }
}

/// The content of the journal, without an album.
fn lessons(context: &Context) -> Result<Lessons, CommandError> {
    let album = ScoredAlbum { reports: &[], photos: &[], weights: &Weights::default() };
    Ok(Lessons::of(album, &context.taste_memory()?, &context.decisions()?))
}

fn show(context: &Context) -> Result<Ending, CommandError> {
    let lessons = lessons(context)?;
    let mut output = context.output::<TasteRecord>()?;
    // Of several models, the one of most examples.
    let mut models: Vec<&str> = lessons.examples.iter().map(|example| example.model.as_str()).collect();
    models.sort_unstable();
    let most = models.chunk_by(|a, b| a == b).max_by_key(|same| same.len()).map_or("", |same| same[0]);
    if let Some(learned) = lessons.learn(most) {
        output.write(&context.ui, &TasteRecord::new(&learned, most))?;
        context.ui.note(&told(&learned, learned.helps()));
    } else {
        context.ui.note("nothing is learned yet: select or review an album after deciding about some of its photos");
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

fn export(context: &Context) -> Result<Ending, CommandError> {
    let Lessons { examples, .. } = lessons(context)?;
    let pairs = context.taste_memory()?.pairs;
    let mut output = context.output::<TasteLessonRecord>()?;
    for example in &examples {
        output.write(&context.ui, &TasteLessonRecord::of_example(example))?;
    }
    for (better, worse) in &pairs {
        output.write(&context.ui, &TasteLessonRecord::of_pair(better, worse))?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

fn import(file: &Path, context: &Context) -> Result<Ending, CommandError> {
    let memory = read(album::lines(file, context)?, file)?;
    context.journal()?.import_taste(&memory).map_err(journal_failed)?;
    let (photos, pairs) = (memory.examples.len(), memory.pairs.len());
    context.ui.note(&format!("learned from {photos} photos and {pairs} pairs"));
    Ok(Ending::AllDone)
}

/// Reads all lines; a file is imported completely or not at all.
fn read(lines: Stream, file: &Path) -> Result<TasteMemory, CommandError> {
    let mut memory = TasteMemory::default();
    for (number, line) in lines.lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {}", file.display()))?;
        if line.trim().is_empty() {
            continue;
        }
        let lesson = serde_json::from_str(&line).map_err(anyhow::Error::from).and_then(|record| lesson(&record));
        let what = || format!("{}, line {}: not a line of `taste export`", file.display(), number + 1);
        match lesson.with_context(what).map_err(CommandError::usage)? {
            Lesson::Photo(example) => memory.examples.push(*example),
            Lesson::Pair(better, worse) => memory.pairs.push((better, worse)),
        }
    }
    Ok(memory)
}

enum Lesson {
    Photo(Box<TasteExample>),
    Pair(PhotoId, PhotoId),
}

fn lesson(record: &TasteLessonRecord) -> anyhow::Result<Lesson> {
    let id = |content: &str, picture: Option<&String>| -> anyhow::Result<PhotoId> {
        let content = content.parse().map_err(|_| anyhow::anyhow!("`{content}` is no BLAKE3 hash"))?;
        let picture = picture.map(|text| text.parse().map_err(|_| anyhow::anyhow!("`{text}` is no BLAKE3 hash")));
        Ok(PhotoId { content, picture: picture.transpose()? })
    };
    let photo = id(&record.content, record.picture.as_ref())?;
    if let Some(worse) = &record.better_than {
        return Ok(Lesson::Pair(photo, id(worse, record.better_than_picture.as_ref())?));
    }
    let (Some(scene), Some(model), Some(embedding)) = (&record.scene, &record.model, &record.embedding) else {
        anyhow::bail!("`scene`, `model` or `embedding` is missing");
    };
    anyhow::ensure!(embedding.iter().all(|value| value.is_finite()), "`embedding` holds what is no number");
    let scene: photo::identity::ContentId = scene.parse().map_err(|_| anyhow::anyhow!("`scene` is no BLAKE3 hash"))?;
    Ok(Lesson::Photo(Box::new(TasteExample {
        photo,
        scene: scene.0,
        decision: record.decision.map(Into::into),
        facts: Facts {
            composite: record.composite_score,
            kind: record.kind.clone(),
            scores: record.scores.clone().unwrap_or_default(),
        },
        model: model.clone(),
        embedding: embedding.clone(),
    })))
}

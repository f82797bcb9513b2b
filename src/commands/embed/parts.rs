//! Embedding photos on a cluster: each list of photos becomes a part file, and existing parts are not made again.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Args;
use super::find::FoundPhotos;
use crate::analyses::EmbeddingAnalysis;
use crate::commands::engine::Cluster;
use crate::commands::open_models::PrecisionArg;
use crate::commands::photos::Tally;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::failure::{Failure, Stage};
use hub::{ModelChoice, TaskNetwork as _};
use scale::distributed::client::Client;
use scale::distributed::photos::{Item, List, Notes, lists, part_name};
use scale::{ScaleError, absolute, files};

/// A file with the parts of the last run, for `--data-file`.
const PARTS: &str = "parts.txt";
/// A folder of lists that are not embedded yet.
const LISTS: &str = "lists";

pub fn on_cluster(
    cluster: &Cluster<'_>,
    args: &Args,
    embedding: &EmbeddingAnalysis,
    found: &FoundPhotos,
    context: &Context,
) -> Result<Ending, CommandError> {
    let Some(folder) = context.output_file() else {
        let unnamed = anyhow::anyhow!("the parts need a folder to go to, which every machine sees");
        return Err(CommandError::usage(unnamed).hint("-o features/, or -o s3://bucket/features"));
    };
    let folder = absolute(folder);
    files::make_folder(&folder)?;
    let mut tally = Tally::default();
    for unreadable in &found.scan.unreadable {
        let (path, cause) = (unreadable.path.clone(), unreadable.cause.to_string());
        tally.fail(&Failure { path, stage: Stage::Scan, code: unreadable.cause.code(), cause }, context)?;
    }
    let parts = parts(args, embedding, found, &folder)?;
    let mut notes = HashMap::new();
    for part in existing(&parts, &folder)? {
        let before = Notes::beside(&part);
        // Photos that could not be read last time may be readable now.
        if before.may_come() {
            Notes::forget(&part);
        } else {
            notes.insert(part, before);
        }
    }
    if !notes.is_empty() {
        context.ui.note(&format!("{} of {} parts are there already", notes.len(), parts.len()));
    }
    let todo: Vec<&List> = parts.iter().filter(|list| !notes.contains_key(&list.part)).collect();
    let embedded = if todo.is_empty() { Ok(()) } else { embed(cluster, &todo, &folder, context) };
    let existing = existing(&parts, &folder)?;
    // Only a completed run with results replaces the list of an earlier one.
    tally.interrupted = matches!(embedded, Err(ScaleError::Stopped));
    if !tally.interrupted && !existing.is_empty() {
        write_list_of_parts(&parts, &existing, &folder)?;
    }
    let names: HashMap<String, &PathBuf> =
        found.scan.photos.iter().map(|photo| (photo.path.to_string_lossy().into_owned(), &photo.path)).collect();
    for list in parts.iter().filter(|list| existing.contains(&list.part)) {
        let notes = notes.remove(&list.part).unwrap_or_else(|| Notes::beside(&list.part));
        tally.done += notes.done;
        for unread in notes.failed {
            let path = names.get(&unread.id).map_or_else(|| PathBuf::from(&unread.id), |path| (*path).clone());
            context.ui.warn(&format!("{}: {}", path.display(), unread.cause));
            tally.failed += 1;
        }
    }
    match embedded {
        Ok(()) | Err(ScaleError::Stopped) => Ok(tally.end("embed", context)),
        Err(error) => Err(error.into()),
    }
}

/// All lists of the run, whether done or not.
fn parts(
    args: &Args,
    embedding: &EmbeddingAnalysis,
    found: &FoundPhotos,
    folder: &Path,
) -> Result<Vec<List>, CommandError> {
    let identity = embedding.network.identity()?;
    let model = match args.network.model.as_deref().map(ModelChoice::typed) {
        Some(ModelChoice::Path(file)) => absolute(file).to_string_lossy().into_owned(),
        _ => embedding.network.reference(),
    };
    let items = found.scan.photos.iter().map(|photo| Item {
        id: photo.path.to_string_lossy().into_owned(),
        path: absolute(&photo.path),
        stamp: found.stamps.get(&photo.path).cloned().unwrap_or_else(|| stamp(&photo.path)),
    });
    let lists = lists(items.collect(), args.part_photos).into_iter().map(|photos| List {
        model: model.clone(),
        identity: identity.clone(),
        fast: args.network.precision == PrecisionArg::Fast,
        part: folder.join(part_name(&photos, &identity)),
        photos,
    });
    Ok(lists.collect())
}

/// A text that changes whenever the photo does.
fn stamp(photo: &Path) -> String {
    let Ok(metadata) = std::fs::metadata(photo) else { return String::new() };
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{} {}", metadata.len(), modified.unwrap_or_default().as_nanos())
}

/// The parts that exist.
fn existing(parts: &[List], folder: &Path) -> Result<HashSet<PathBuf>, ScaleError> {
    let present: HashSet<PathBuf> = files::lying_in(folder)?.into_iter().collect();
    Ok(parts.iter().map(|list| &list.part).filter(|part| present.contains(*part)).cloned().collect())
}

fn embed(cluster: &Cluster<'_>, todo: &[&List], folder: &Path, context: &Context) -> Result<(), ScaleError> {
    let waiting = folder.join(LISTS);
    files::make_folder(&waiting)?;
    let place = |list: &List| waiting.join(list.part.with_extension("list").file_name().unwrap_or_default());
    for list in todo {
        list.write(&place(list))?;
    }
    let share = folder.to_string_lossy().into_owned();
    let options = cluster.options(share, None);
    let progress = context.ui.progress(todo.len() as u64);
    let reported = AtomicUsize::new(todo.len());
    let left = || {
        // If the folder cannot be listed now, the next call tries again.
        let present: HashSet<PathBuf> = files::lying_in(folder).unwrap_or_default().into_iter().collect();
        let left = todo.iter().filter(|list| !present.contains(&list.part));
        let left: Vec<String> = left.map(|list| place(list).to_string_lossy().into_owned()).collect();
        for _ in left.len()..reported.fetch_min(left.len(), Ordering::Relaxed) {
            progress.step();
        }
        left
    };
    let warn = |message: &str| context.ui.warn(message);
    let embedded = Client::connect(&options, context.stop(), &warn).and_then(|client| client.embed(&left));
    drop(progress);
    todo.iter().for_each(|list| files::remove(&place(list)));
    let _ = std::fs::remove_dir(&waiting);
    embedded
}

/// Writes the list of the run's parts, and removes parts of an earlier run that are not among them.
fn write_list_of_parts(parts: &[List], existing: &HashSet<PathBuf>, folder: &Path) -> Result<(), CommandError> {
    let path = folder.join(PARTS);
    let now: HashSet<&Path> = parts.iter().map(|list| list.part.as_path()).collect();
    let before = files::read(&path).unwrap_or_default();
    for part in String::from_utf8_lossy(&before).lines().map(Path::new) {
        if !now.contains(part) && part.parent() == Some(folder) {
            Notes::forget(part);
        }
    }
    let listed = parts.iter().filter(|list| existing.contains(&list.part));
    let lines: Vec<String> = listed.map(|list| list.part.display().to_string() + "\n").collect();
    Ok(files::write(&path, lines.concat().as_bytes())?)
}

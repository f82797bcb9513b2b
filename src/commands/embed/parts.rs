//! Photos embedded by a cluster: lists are dealt out, parts come back, and those that are there stay.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Args;
use super::find::Found;
use crate::analyses::EmbeddingAnalysis;
use crate::commands::engine::Cluster;
use crate::commands::open_models::PrecisionArg;
use crate::commands::photos::Tally;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::failure::{Failure, Stage};
use hub::{Network as _, Which};
use scale::distributed::client::Client;
use scale::distributed::photos::{Item, List, Notes, lists, part_name};
use scale::{ScaleError, absolute, files};

/// The parts of the last run, for `--data-file`.
const PARTS: &str = "parts.txt";
/// Lists that wait to be embedded.
const LISTS: &str = "lists";

pub fn on_cluster(
    cluster: &Cluster<'_>,
    args: &Args,
    embedding: &EmbeddingAnalysis,
    found: &Found,
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
    let mut told = HashMap::new();
    for part in there(&parts, &folder)? {
        let before = Notes::beside(&part);
        // What could not be had the last time may be now.
        if before.may_come() {
            Notes::forget(&part);
        } else {
            told.insert(part, before);
        }
    }
    if !told.is_empty() {
        context.ui.note(&format!("{} of {} parts are there already", told.len(), parts.len()));
    }
    let todo: Vec<&List> = parts.iter().filter(|list| !told.contains_key(&list.part)).collect();
    let embedded = if todo.is_empty() { Ok(()) } else { embed(cluster, &todo, &folder, context) };
    let there = there(&parts, &folder)?;
    // The list of an earlier run stays until a whole one with results takes its place.
    tally.interrupted = matches!(embedded, Err(ScaleError::Stopped));
    if !tally.interrupted && !there.is_empty() {
        settle(&parts, &there, &folder)?;
    }
    let names: HashMap<String, &PathBuf> =
        found.scan.photos.iter().map(|photo| (photo.path.to_string_lossy().into_owned(), &photo.path)).collect();
    for list in parts.iter().filter(|list| there.contains(&list.part)) {
        let told = told.remove(&list.part).unwrap_or_else(|| Notes::beside(&list.part));
        tally.done += told.done;
        for unread in told.failed {
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

/// What there is to do, list by list, done or not.
fn parts(args: &Args, embedding: &EmbeddingAnalysis, found: &Found, folder: &Path) -> Result<Vec<List>, CommandError> {
    let identity = embedding.network.identity()?;
    let model = match args.network.model.as_deref().map(Which::typed) {
        Some(Which::File(file)) => absolute(file).to_string_lossy().into_owned(),
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

/// Another when the photo was changed.
fn stamp(photo: &Path) -> String {
    let Ok(metadata) = std::fs::metadata(photo) else { return String::new() };
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{} {}", metadata.len(), modified.unwrap_or_default().as_nanos())
}

/// Which of the parts are there.
fn there(parts: &[List], folder: &Path) -> Result<HashSet<PathBuf>, ScaleError> {
    let lying: HashSet<PathBuf> = files::lying_in(folder)?.into_iter().collect();
    Ok(parts.iter().map(|list| &list.part).filter(|part| lying.contains(*part)).cloned().collect())
}

fn embed(cluster: &Cluster<'_>, todo: &[&List], folder: &Path, context: &Context) -> Result<(), ScaleError> {
    let waiting = folder.join(LISTS);
    files::make_folder(&waiting)?;
    let place = |list: &List| waiting.join(list.part.with_extension("list").file_name().unwrap_or_default());
    for list in todo {
        list.write(&place(list))?;
    }
    let share = folder.to_string_lossy().into_owned();
    let options = cluster.options(share);
    let progress = context.ui.progress(todo.len() as u64);
    let told = AtomicUsize::new(todo.len());
    let left = || {
        // A folder that cannot be looked at now is looked at again soon.
        let lying: HashSet<PathBuf> = files::lying_in(folder).unwrap_or_default().into_iter().collect();
        let left = todo.iter().filter(|list| !lying.contains(&list.part));
        let left: Vec<String> = left.map(|list| place(list).to_string_lossy().into_owned()).collect();
        for _ in left.len()..told.fetch_min(left.len(), Ordering::Relaxed) {
            progress.step();
        }
        left
    };
    let tell = |what: &str| context.ui.warn(what);
    let embedded = Client::connect(&options, context.stop(), &tell).and_then(|client| client.embed(&left));
    drop(progress);
    todo.iter().for_each(|list| files::remove(&place(list)));
    let _ = std::fs::remove_dir(&waiting);
    embedded
}

/// Says which parts belong together, and removes those that an earlier run left and this one has no photos for.
fn settle(parts: &[List], there: &HashSet<PathBuf>, folder: &Path) -> Result<(), CommandError> {
    let path = folder.join(PARTS);
    let now: HashSet<&Path> = parts.iter().map(|list| list.part.as_path()).collect();
    let before = files::read(&path).unwrap_or_default();
    for part in String::from_utf8_lossy(&before).lines().map(Path::new) {
        if !now.contains(part) && part.parent() == Some(folder) {
            Notes::forget(part);
        }
    }
    let there = parts.iter().filter(|list| there.contains(&list.part));
    let lines: Vec<String> = there.map(|list| list.part.display().to_string() + "\n").collect();
    Ok(files::write(&path, lines.concat().as_bytes())?)
}

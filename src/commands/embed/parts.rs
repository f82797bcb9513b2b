//! Photos embedded by a cluster: lists are dealt out, parts come back, and those that are there stay.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::Args;
use crate::analyses::Embedding;
use crate::commands::engine::everywhere;
use crate::commands::networks::{self, PrecisionArg};
use crate::commands::photos::Tally;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::failure::{Failure, Stage};
use crate::hub::Network as _;
use crate::photo::scan::Scan;
use crate::scale::ScaleError;
use crate::scale::distributed::client::Client;
use crate::scale::distributed::photos::{Item, List, Told, lists, part_name};

/// The parts of the last run, for `--data-file`.
const PARTS: &str = "parts.txt";
/// Lists that wait to be embedded.
const LISTS: &str = "lists";

pub fn on_cluster(
    address: &str,
    args: &Args,
    embedding: &Embedding,
    scan: &Scan,
    context: &Context,
) -> Result<Ending, CommandError> {
    let Some(folder) = context.output_file() else {
        let unnamed = anyhow::anyhow!("the parts need a folder to go to, which every machine sees");
        return Err(CommandError::usage(unnamed).hint("-o features/"));
    };
    let folder = everywhere(folder);
    let mut tally = Tally::default();
    for unreadable in &scan.unreadable {
        let (path, cause) = (unreadable.path.clone(), unreadable.cause.to_string());
        tally.fail(&Failure { path, stage: Stage::Scan, code: unreadable.cause.code(), cause }, context)?;
    }
    let parts = parts(args, embedding, scan, &folder)?;
    let there = parts.iter().filter(|list| list.part.exists()).count();
    if there > 0 {
        context.ui.note(&format!("{there} of {} parts are there already", parts.len()));
    }
    let embedded = embed(address, args, &parts, &folder, context);
    settle(&parts, &folder)?;
    let names: HashMap<String, &PathBuf> =
        scan.photos.iter().map(|photo| (photo.path.to_string_lossy().into_owned(), &photo.path)).collect();
    for list in parts.iter().filter(|list| list.part.exists()) {
        let told = Told::beside(&list.part);
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
fn parts(args: &Args, embedding: &Embedding, scan: &Scan, folder: &Path) -> Result<Vec<List>, CommandError> {
    let identity = embedding.network.identity().map_err(networks::refused)?;
    let model = match &args.network.model {
        Some(typed) if typed.contains(['/', '\\', '.']) => everywhere(Path::new(typed)).to_string_lossy().into_owned(),
        _ => embedding.network.reference(),
    };
    let items = scan.photos.iter().map(|photo| Item {
        id: photo.path.to_string_lossy().into_owned(),
        path: everywhere(&photo.path),
        stamp: stamp(&photo.path),
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
    let Ok(metadata) = fs::metadata(photo) else { return String::new() };
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{} {}", metadata.len(), modified.unwrap_or_default().as_nanos())
}

fn embed(address: &str, args: &Args, parts: &[List], folder: &Path, context: &Context) -> Result<(), ScaleError> {
    let waiting = folder.join(LISTS);
    fs::create_dir_all(&waiting).map_err(|cause| ScaleError::Io { path: waiting.clone(), cause })?;
    let mut todo: Vec<(PathBuf, &Path)> = Vec::new();
    for list in parts.iter().filter(|list| !list.part.exists()) {
        let path = waiting.join(list.part.with_extension("list").file_name().unwrap_or_default());
        list.write(&path)?;
        todo.push((path, &list.part));
    }
    if todo.is_empty() {
        let _ = fs::remove_dir_all(&waiting);
        return Ok(());
    }
    let share = folder.to_string_lossy().into_owned();
    let options = args.engine.client_options(address, share);
    let progress = context.ui.progress(todo.len() as u64);
    let told = std::sync::atomic::AtomicUsize::new(todo.len());
    let left = || {
        let left = todo.iter().filter(|(_, part)| !part.exists()).map(|(list, _)| list.to_string_lossy().into_owned());
        let left: Vec<String> = left.collect();
        for _ in left.len()..told.swap(left.len(), std::sync::atomic::Ordering::Relaxed) {
            progress.step();
        }
        left
    };
    let tell = |what: &str| context.ui.warn(what);
    let embedded = Client::connect(&options, context.stop(), &tell).and_then(|client| client.embed(&left));
    drop(progress);
    let _ = fs::remove_dir_all(&waiting);
    embedded
}

/// Says which parts belong together, and removes those that an earlier run left and this one has no photos for.
fn settle(parts: &[List], folder: &Path) -> Result<(), CommandError> {
    let path = folder.join(PARTS);
    let now: HashSet<&Path> = parts.iter().map(|list| list.part.as_path()).collect();
    for line in fs::read_to_string(&path).unwrap_or_default().lines() {
        let part = Path::new(line);
        if !now.contains(part) && part.parent() == Some(folder) {
            Told::forget(part);
        }
    }
    let there = parts.iter().filter(|list| list.part.exists());
    let lines: Vec<String> = there.map(|list| list.part.display().to_string() + "\n").collect();
    fs::write(&path, lines.concat())
        .map_err(|error| CommandError::failed(anyhow::anyhow!("{}: {error}", path.display())))
}

//! `models pull`: fetches and verifies models.

use std::collections::HashMap;
use std::sync::Mutex;

use super::model_library::{self, human};
use super::{Acceptance, admit, close, ending};
use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind, Ending};
use crate::report::records::PulledRecord;
use crate::ui::Bytes;
use hub::cache::{Cache, Leftover};
use hub::digest::Digest;
use hub::fetch::{Client, Event, ExpectedFile, NetworkSettings, PullError, Pulled, Puller, Settings};
use hub::manifest::Manifest;
use hub::model_library::ModelLibrary;
use hub::sources::Source;

/// Fetch models; an interrupted pull is resumed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// NAME, NAME@VERSION, or faces for all that faces need
    #[arg(value_name = "MODEL")]
    models: Vec<String>,

    /// All models
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    acceptance: Acceptance,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let library = model_library::open(context)?;
    let manifests = model_library::named(&library, &args.models, args.all)?;
    let mut order = Vec::new();
    let mut refused = 0;
    for manifest in &manifests {
        match admit(manifest, context) {
            Ok(()) => {}
            Err(error) if manifests.len() == 1 || error.kind == CommandErrorKind::Usage => return Err(error),
            Err(error) => {
                context.ui.warn(&error.to_string());
                refused += 1;
                continue;
            }
        }
        // What is part of the binary is here already.
        let elsewhere = manifest.files.iter().filter(|file| manifest.built_in_weights(file).is_none());
        for file in elsewhere {
            order.push((*manifest, manifest.wanted_file(file, &library.cache).map_err(CommandError::failed)?));
        }
    }
    if order.is_empty() && refused == 0 {
        context.ui.note("all of it is part of the binary");
        return Ok(Ending::AllDone);
    }
    let outcomes = pull(&order, args.acceptance.trust_first, &library.cache, context)?;
    let mut output = context.output::<PulledRecord>()?;
    let (mut done, mut failed) = (0, refused);
    let mut pulled = Vec::new();
    for ((manifest, wanted), outcome) in order.iter().zip(outcomes) {
        match outcome {
            Ok(got) => {
                let trusted = remember(manifest, wanted, &got, &library, context)?;
                output.write(&context.ui, &record(manifest, wanted, &got, trusted))?;
                pulled.push(got.digest);
                done += 1;
            }
            Err(PullError::Interrupted { .. }) => {}
            Err(error) => {
                failed += 1;
                let error = explained(manifest, &error, &library.cache);
                if context.strict || order.len() == 1 {
                    close(output, done, context)?;
                    return Err(error);
                }
                context.ui.warn(&error.to_string());
            }
        }
    }
    close(output, done, context)?;
    make_room(&pulled, &library, context)?;
    if context.stopped() {
        return Ok(Ending::Interrupted);
    }
    Ok(ending(done, failed))
}

/// Fetches models that a run needs: all of them, or an error.
pub fn missing(references: &[&str], context: &Context) -> Result<(), CommandError> {
    let library = model_library::open(context)?;
    let mut order = Vec::new();
    for reference in references {
        let manifest = model_library::find(&library, reference)?;
        admit(manifest, context)?;
        let wanted = manifest.wanted(&library.cache).map_err(CommandError::failed)?;
        order.extend(wanted.into_iter().map(|wanted| (manifest, wanted)));
    }
    let mut pulled = Vec::new();
    for ((manifest, wanted), outcome) in order.iter().zip(pull(&order, false, &library.cache, context)?) {
        let got = outcome.map_err(|error| explained(manifest, &error, &library.cache))?;
        remember(manifest, wanted, &got, &library, context)?;
        pulled.push(got.digest);
    }
    make_room(&pulled, &library, context)
}

/// The record of a file that was pulled or imported.
pub fn record(manifest: &Manifest, wanted: &ExpectedFile, got: &Pulled, trusted_now: bool) -> PulledRecord {
    PulledRecord {
        model: manifest.reference(),
        file: wanted.name.clone(),
        path: got.path.display().to_string(),
        bytes: got.bytes,
        sha256: got.digest.hex(),
        transferred: got.transferred,
        already_there: got.already_there,
        trusted_now,
    }
}

/// Fetches files, with a progress bar and messages about retries.
pub fn pull(
    order: &[(&Manifest, ExpectedFile)],
    trust_first: bool,
    cache: &Cache,
    context: &Context,
) -> Result<Vec<Result<Pulled, PullError>>, CommandError> {
    let settings = Settings { offline: context.offline, trust_first, ..Settings::default() };
    let network = NetworkSettings::from_environment(std::env::vars_os());
    let client = Client::new(network, settings).map_err(CommandError::failed)?;
    let puller = Puller::new(&client, cache, context.stop());
    let wanted: Vec<ExpectedFile> = order.iter().map(|(_, wanted)| wanted.clone()).collect();
    let total = wanted.iter().filter_map(|wanted| wanted.size).sum();
    let bar = context.ui.bytes(total);
    let have = Mutex::new(HashMap::new());
    Ok(puller.pull(&wanted, &|index, event| report(&wanted[index], index, event, &bar, &have, context)))
}

fn report(
    wanted: &ExpectedFile,
    index: usize,
    event: Event,
    bar: &Bytes<'_>,
    have: &Mutex<HashMap<usize, u64>>,
    context: &Context,
) {
    let name = &wanted.name;
    match event {
        Event::Begun { from, .. } => {
            bar.say(name);
            advance(index, from, bar, have);
            if from > 0 {
                context.ui.detail(&format!("{name}: resumes at {}", human(from)));
            }
        }
        Event::Bytes { have: bytes, .. } => advance(index, bytes, bar, have),
        Event::Done => advance(index, wanted.size.unwrap_or(0), bar, have),
        Event::Waiting => context.ui.note(&format!("{name}: another albumctl is fetching it; waiting for that one")),
        Event::Retry { cause, after } => {
            context.ui.detail(&format!("{name}: {cause}; again in {:.1} s", after.as_secs_f32()));
        }
        Event::NextSource { failed, cause } => {
            context.ui.detail(&format!("{name}: {failed}: {cause}; trying the next source"));
        }
        Event::SetAside { cause } => context.ui.warn(&format!("{name}: {cause}; fetching it again")),
    }
}

fn advance(index: usize, bytes: u64, bar: &Bytes<'_>, have: &Mutex<HashMap<usize, u64>>) {
    let mut have = have.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    have.insert(index, bytes);
    bar.set(have.values().sum());
}

/// Stores the file's hash, and notes if no manifest knows it. Returns whether it was accepted for the first time.
pub fn remember(
    manifest: &Manifest,
    wanted: &ExpectedFile,
    got: &Pulled,
    library: &ModelLibrary,
    context: &Context,
) -> Result<bool, CommandError> {
    let first = library.remember(manifest, wanted, got).map_err(CommandError::failed)?;
    if first {
        let (name, digest) = (&wanted.name, got.digest);
        context.ui.note(&format!("{name}: no manifest knows its sha256; {digest} is trusted from now on"));
    }
    Ok(first)
}

/// The error with hints about what the user can do.
fn explained(manifest: &Manifest, error: &PullError, cache: &Cache) -> CommandError {
    let cause = anyhow::anyhow!("{}: {error}", manifest.reference());
    let failed = CommandError::failed(cause);
    match error {
        PullError::Offline { .. } | PullError::NoSource { .. } => {
            let mend = manifest.mend();
            CommandError::failed(anyhow::anyhow!("{error}\n{}", manifest.what_is_missing(cache))).hint(mend)
        }
        PullError::NotTrusted { .. } => failed.hint(format!(
            "`albumctl models pull {} --trust-first` accepts what comes and holds the file to that hash",
            manifest.reference()
        )),
        PullError::NoRoom { .. } | PullError::DiskFull { .. } => {
            failed.hint("`albumctl models gc` shows what can go (--dry-run), or name another folder with --models-dir")
        }
        PullError::NoGoodSource { name, .. } => {
            let file = manifest.files.iter().find(|file| file.name == *name);
            let address = file.and_then(|file| file.sources.iter().find_map(Source::address));
            let fetch = address.map_or_else(|| "get the file".to_owned(), |address| format!("fetch {address}"));
            failed.hint(format!("{fetch} where there is a network, then {}", manifest.import()))
        }
        PullError::Interrupted { .. } => CommandError { kind: CommandErrorKind::Interrupted, ..failed },
        PullError::Cache(_) => failed,
    }
}

/// Removes files above the size limit and reports them.
pub fn make_room(pulled: &[Digest], library: &ModelLibrary, context: &Context) -> Result<(), CommandError> {
    for gone in library.make_room(pulled).map_err(CommandError::failed)? {
        if let Leftover::Blob(digest) = gone.what {
            context.ui.note(&format!("removed sha256-{digest} ({}): {}", human(gone.bytes), gone.why));
        }
    }
    let usage = library.cache.usage().map_err(CommandError::failed)?;
    if let Some(max) = usage.max_bytes.filter(|max| usage.bytes > *max) {
        let over = format!("models take {}, more than cache_max_size_gb allows ({})", human(usage.bytes), human(max));
        context.ui.warn(&format!("{over}; what is in use or new is not removed"));
    }
    Ok(())
}

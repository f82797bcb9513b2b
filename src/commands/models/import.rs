//! `models import`: adds model files from disk, for machines without a network.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::model_library;
use super::{Acceptance, admit, close, ending, pull};
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::PulledRecord;
use base::reading::{self, Stream};
use hub::digest::Digest;
use hub::fetch::{ExpectedFile, Pulled};
use hub::manifest::{Manifest, ManifestFile};
use hub::model_library::ModelLibrary;

/// Import model files from disk; each is recognised by its sha256
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, under any name
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The model that a file belongs to, if no manifest has its sha256 (with --trust-first)
    #[arg(long = "as", value_name = "MODEL")]
    model: Option<String>,

    #[command(flatten)]
    acceptance: Acceptance,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let library = model_library::open(context)?;
    let mut output = context.output::<PulledRecord>()?;
    let (mut done, mut failed) = (0, 0);
    let mut kept = Vec::new();
    for path in &args.files {
        context.reads(path)?;
        match import(path, args, &library, context) {
            Ok(records) => {
                kept.extend(records.iter().filter_map(|record| record.sha256.parse::<Digest>().ok()));
                for record in records {
                    output.write(&context.ui, &record)?;
                }
                done += 1;
            }
            Err(error) if args.files.len() == 1 || context.strict => {
                close(output, done, context)?;
                return Err(error);
            }
            Err(error) => {
                context.ui.warn(&error.to_string());
                failed += 1;
            }
        }
    }
    close(output, done, context)?;
    pull::make_room(&kept, &library, context)?;
    Ok(ending(done, failed))
}

/// Imports a file; returns one record for each model that it belongs to.
fn import(
    path: &Path,
    args: &Args,
    library: &ModelLibrary,
    context: &Context,
) -> Result<Vec<PulledRecord>, CommandError> {
    let named = |error| anyhow::Error::new(error).context(path.display().to_string());
    let file = reading::open(path).map(|file| Stream::of(file, context.stop()));
    let (digest, bytes) = file.and_then(Digest::of_reader).with_context(|| path.display().to_string())?;
    let owners = match &args.model {
        Some(reference) => {
            vec![owner_by_name(path, digest, bytes, model_library::find(library, reference)?, args, library)?]
        }
        None => owners_by_hash(&digest, library)?,
    };
    if owners.is_empty() {
        let unknown = anyhow!("{}: no model has a file with sha256 {digest}", path.display());
        let refusal = CommandError::failed(unknown).hint("`albumctl models list` shows what there is");
        return Err(refusal.hint("`--as MODEL --trust-first` takes it as that model's file"));
    }
    for (manifest, _) in &owners {
        admit(manifest, context)?;
    }
    let already_there = library.cache.presence(&digest, Some(bytes)) == hub::cache::Presence::Ready;
    library.cache.import(path, context.stop(), |found| *found == digest).map_err(named)?;
    let got = Pulled { path: library.cache.blob_path(&digest), digest, bytes, transferred: 0, already_there };
    let mut records = Vec::new();
    for (manifest, wanted) in owners {
        let trusted = pull::remember(manifest, &wanted, &got, library, context)?;
        records.push(pull::record(manifest, &wanted, &got, trusted));
    }
    Ok(records)
}

fn owners_by_hash<'a>(
    digest: &Digest,
    library: &'a ModelLibrary,
) -> Result<Vec<(&'a Manifest, ExpectedFile)>, CommandError> {
    let mut owners = Vec::new();
    for manifest in library.catalogue.manifests() {
        for wanted in manifest.wanted(&library.cache).map_err(CommandError::failed)? {
            if wanted.sha256 == Some(*digest) {
                owners.push((manifest, wanted));
            }
        }
    }
    Ok(owners)
}

/// Finds the model's file that this one can be, by name and size where these are known.
fn owner_by_name<'a>(
    path: &Path,
    digest: Digest,
    bytes: u64,
    manifest: &'a Manifest,
    args: &Args,
    library: &ModelLibrary,
) -> Result<(&'a Manifest, ExpectedFile), CommandError> {
    let wanted = |file: &ManifestFile| manifest.wanted_file(file, &library.cache).map_err(CommandError::failed);
    let same_name = |file: &&ManifestFile| path.file_name().is_some_and(|name| name == file.name.as_str());
    let file = match manifest.files.as_slice() {
        [only] => only,
        several => several.iter().find(same_name).ok_or_else(|| {
            let names: Vec<&str> = several.iter().map(|file| file.name.as_str()).collect();
            let unclear = anyhow!("{} has several files, and none is called {}", manifest.reference(), path.display());
            CommandError::usage(unclear).hint(format!("call it one of {}", names.join(", ")))
        })?,
    };
    let wanted = wanted(file)?;
    if let Some(expected) = wanted.size.filter(|size| *size != bytes) {
        return Err(CommandError::failed(anyhow!(
            "{}: {bytes} bytes, {} of {} has {expected}",
            path.display(),
            file.name,
            manifest.reference()
        )));
    }
    wanted.judge(&digest).map_err(|error| anyhow::Error::new(error).context(path.display().to_string()))?;
    if wanted.sha256.is_none() && !args.acceptance.trust_first {
        let unknown = anyhow!("no manifest knows the sha256 of {}; this file has {digest}", file.name);
        return Err(CommandError::failed(unknown).hint("--trust-first accepts it and holds the file to that hash"));
    }
    Ok((manifest, wanted))
}

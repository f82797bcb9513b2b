//! `models rm`: deletes the files of models.

use std::io::ErrorKind;

use anyhow::Context as _;

use super::{close, ending, model_library};
use crate::context::Context;
use crate::error::{CommandError, Ending, with_causes};
use crate::report::records::RemovedRecord;
use hub::digest::Digest;
use hub::manifest::Manifest;
use hub::model_library::ModelLibrary;

/// Delete the files of models; a file that another model shares stays
#[derive(Debug, clap::Args)]
pub struct Args {
    /// NAME (its newest version) or NAME@VERSION
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,

    /// All versions of the named models
    #[arg(long)]
    all_versions: bool,

    /// Also forget your own manifest of the model, and the hashes accepted for it
    #[arg(long)]
    forget: bool,

    /// Only print what would be removed
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let library = model_library::open(context)?;
    let named = model_library::named(&library, &args.models, false)?;
    let manifests = if args.all_versions { library.catalogue.versions_of(&named) } else { named };
    let mut own = library.own_files(&manifests).map_err(CommandError::failed)?;
    let mut output = context.output::<RemovedRecord>()?;
    let (mut done, mut failed) = (0, 0);
    for manifest in manifests {
        let digests = own.remove(&manifest.reference()).unwrap_or_default();
        let files = digests.iter().map(|sha256| delete(manifest, sha256, args, &library));
        let mut outcomes: Vec<_> = files.collect();
        // If a file could not be deleted, the manifest stays, so that the command can be repeated.
        if args.forget && outcomes.iter().all(Result::is_ok) {
            outcomes.push(forget(manifest, args, &library, context));
        }
        for outcome in outcomes {
            match outcome {
                Ok(Some(record)) => {
                    output.write(&context.ui, &record)?;
                    done += 1;
                }
                Ok(None) => {}
                Err(error) => {
                    failed += 1;
                    context.ui.warn(&format!("{}: not removed: {}", manifest.reference(), with_causes(&error)));
                }
            }
        }
    }
    close(output, done, context)?;
    Ok(ending(done, failed))
}

/// Deletes a file that no other model shares; `None` where it does not exist.
fn delete(
    manifest: &Manifest,
    sha256: &Digest,
    args: &Args,
    library: &ModelLibrary,
) -> anyhow::Result<Option<RemovedRecord>> {
    let path = library.cache.blob_path(sha256);
    let metadata = match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        looked => looked.with_context(|| path.display().to_string())?,
    };
    if !args.dry_run {
        library.cache.remove(sha256)?;
    }
    let (model, path, why) = (Some(manifest.reference()), path.display().to_string(), "asked for".to_owned());
    Ok(Some(RemovedRecord { model, path, bytes: metadata.len(), why, applied: !args.dry_run }))
}

/// Deletes the user's own manifest of a model, and the hashes accepted for it.
fn forget(
    manifest: &Manifest,
    args: &Args,
    library: &ModelLibrary,
    context: &Context,
) -> anyhow::Result<Option<RemovedRecord>> {
    for file in manifest.files.iter().filter(|file| file.sha256.is_none() && !args.dry_run) {
        library.cache.distrust(&manifest.reference(), &file.name)?;
    }
    let Some(own) = &manifest.own else {
        context.ui.note(&format!("the manifest of {} is built in and stays", manifest.reference()));
        return Ok(None);
    };
    let bytes = own.metadata().with_context(|| own.display().to_string())?.len();
    if !args.dry_run {
        std::fs::remove_file(own).with_context(|| own.display().to_string())?;
    }
    let (model, path) = (Some(manifest.reference()), own.display().to_string());
    Ok(Some(RemovedRecord { model, path, bytes, why: "manifest".to_owned(), applied: !args.dry_run }))
}

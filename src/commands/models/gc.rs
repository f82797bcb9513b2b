//! `models gc`: removes leftovers and files above the size limit.

use std::collections::HashSet;

use super::{ending, model_library};
use crate::context::Context;
use crate::error::{CommandError, Ending, with_causes};
use crate::report::records::RemovedRecord;
use hub::cache::{Collection, Leftover};
use hub::digest::Digest;
use hub::model_library::ModelLibrary;

/// Remove interrupted pulls and quarantined files, and bring the folder below cache_max_size_gb
///
/// The least recently used models are removed first. Files in use, or fetched within the last ten minutes, stay.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also remove files that no manifest names
    #[arg(long)]
    unlisted: bool,

    /// Only print what would be removed
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let library = model_library::open(context)?;
    let listed = listed(&library)?;
    let collection =
        Collection { keep: &[], listed: args.unlisted.then_some(&listed), leftovers: true, dry_run: args.dry_run };
    let mut output = context.output::<RemovedRecord>()?;
    let mut failed = 0;
    let collected = library.cache.collect_telling(&collection, |error| {
        context.ui.warn(&format!("not removed: {error}"));
        failed += 1;
    });
    let collected = collected.map_err(CommandError::failed)?;
    let done = collected.len();
    for gone in collected {
        let path = match &gone.what {
            Leftover::Blob(digest) => library.cache.blob_path(digest),
            Leftover::File(path) => path.clone(),
        };
        let model = match &gone.what {
            Leftover::Blob(digest) => {
                library.catalogue.with_digest(digest).first().map(|(manifest, _)| manifest.reference())
            }
            Leftover::File(_) => None,
        };
        let (path, why) = (path.display().to_string(), gone.why.to_owned());
        output.write(&context.ui, &RemovedRecord { model, path, bytes: gone.bytes, why, applied: !args.dry_run })?;
    }
    output.finish(&context.ui)?;
    match model_library::usage(&library) {
        Ok(usage) => context.ui.summary(&usage, failed > 0),
        Err(error) => {
            context.ui.warn(&format!("the remaining size cannot be determined: {}", with_causes(&error)));
            failed += 1;
        }
    }
    Ok(ending(done, failed))
}

/// The hashes that manifests name, and those that the user has accepted.
fn listed(library: &ModelLibrary) -> Result<HashSet<Digest>, CommandError> {
    let mut listed = HashSet::new();
    for manifest in library.catalogue.manifests() {
        let wanted = manifest.wanted(&library.cache).map_err(CommandError::failed)?;
        listed.extend(wanted.iter().filter_map(|wanted| wanted.sha256));
    }
    Ok(listed)
}

//! `models rm`: delete the files of a model.

use std::io::ErrorKind;

use anyhow::Context as _;

use super::model_library;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::RemovedRecord;
use hub::catalogue::Entry;
use hub::model_library::ModelLibrary;

/// Delete the files of models; a file that another model shares stays
#[derive(Debug, clap::Args)]
pub struct Args {
    /// NAME (its newest version) or NAME@VERSION
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,

    /// Every version of the models named
    #[arg(long)]
    all_versions: bool,

    /// Also forget your own manifest of the model, and the hashes accepted for it
    #[arg(long)]
    forget: bool,

    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let library = model_library::open(context)?;
    let named = model_library::named(&library, &args.models, false)?;
    let entries = if args.all_versions { library.catalogue.versions_of(&named) } else { named };
    let mut own = library.own_files(&entries).map_err(CommandError::failed)?;
    let mut output = context.output::<RemovedRecord>()?;
    for entry in entries {
        for sha256 in own.remove(&entry.reference()).unwrap_or_default() {
            let path = library.cache.blob_path(&sha256);
            let metadata = match path.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                looked => looked.with_context(|| path.display().to_string())?,
            };
            if !args.dry_run {
                library.cache.remove(&sha256).map_err(CommandError::failed)?;
            }
            let model = Some(entry.reference());
            let why = "asked for".to_owned();
            let path = path.display().to_string();
            let record = RemovedRecord { model, path, bytes: metadata.len(), why, applied: !args.dry_run };
            output.write(&context.ui, &record)?;
        }
        if args.forget {
            forget(entry, args, &library, context, &mut |record| output.write(&context.ui, record))?;
        }
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

fn forget(
    entry: &Entry,
    args: &Args,
    library: &ModelLibrary,
    context: &Context,
    write: &mut dyn FnMut(&RemovedRecord) -> std::io::Result<()>,
) -> Result<(), CommandError> {
    for file in entry.files.iter().filter(|file| file.sha256.is_none() && !args.dry_run) {
        library.cache.distrust(&entry.reference(), &file.name).map_err(CommandError::failed)?;
    }
    let Some(own) = &entry.own else {
        context.ui.note(&format!("the manifest of {} is built in and stays", entry.reference()));
        return Ok(());
    };
    let bytes = own.metadata().with_context(|| own.display().to_string())?.len();
    if !args.dry_run {
        std::fs::remove_file(own).with_context(|| own.display().to_string())?;
    }
    let (model, path) = (Some(entry.reference()), own.display().to_string());
    Ok(write(&RemovedRecord { model, path, bytes, why: "manifest".to_owned(), applied: !args.dry_run })?)
}

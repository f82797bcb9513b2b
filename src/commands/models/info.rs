//! `models list` and `models info`.

use super::model_library;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::record;
use crate::report::records::ModelRecord;

/// List all models, and how much of each is here
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only those for this task, e.g. aesthetics, comparison, embedding or face
    #[arg(long, value_name = "TASK")]
    task: Option<String>,

    /// Only those that are here
    #[arg(long)]
    here: bool,
}

/// Show everything about a model: files, hashes, sources, licence, figures
#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// NAME or NAME@VERSION
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
}

pub fn list(args: &ListArgs, context: &Context) -> Result<Ending, CommandError> {
    let library = model_library::open(context)?;
    let blobs = library.cache.blobs().map_err(CommandError::failed)?;
    let mut output = context.output::<ModelRecord>()?;
    for manifest in library.catalogue.manifests() {
        let record = record(manifest, &library.cache, &blobs);
        let right_task = args.task.as_ref().is_none_or(|task| *task == record.task);
        if right_task && (!args.here || record.bytes_here > 0) {
            output.write(&context.ui, &record)?;
        }
    }
    output.finish(&context.ui)?;
    context.ui.summary(&model_library::usage(&library)?, false);
    Ok(Ending::AllDone)
}

pub fn info(args: &InfoArgs, context: &Context) -> Result<Ending, CommandError> {
    let library = model_library::open(context)?;
    let manifests = model_library::named(&library, &args.models, false)?;
    let blobs = library.cache.blobs().map_err(CommandError::failed)?;
    let mut output = context.output::<ModelRecord>()?;
    for manifest in &manifests {
        output.write(&context.ui, &record(manifest, &library.cache, &blobs))?;
    }
    output.finish(&context.ui)?;
    for manifest in manifests {
        let record = record(manifest, &library.cache, &blobs);
        if crate::ui::Ui::stdout_is_terminal() {
            context.ui.note(&record.in_full());
        }
    }
    Ok(Ending::AllDone)
}

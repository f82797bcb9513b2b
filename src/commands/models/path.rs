//! `models path`: prints the paths of a model's files.

use anyhow::anyhow;

use super::model_library;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::ModelPathRecord;

/// Print the paths of a model's verified files
#[derive(Debug, clap::Args)]
pub struct Args {
    /// NAME or NAME@VERSION
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let library = model_library::open(context)?;
    let mut output = context.output::<ModelPathRecord>()?;
    for manifest in model_library::named(&library, &args.models, false)? {
        for file in &manifest.files {
            if manifest.built_in_weights(file).is_some() {
                let cause =
                    anyhow!("{}: {} is part of the binary and lies in no folder", manifest.reference(), file.name);
                return Err(CommandError::usage(cause));
            }
            let wanted = manifest.wanted_file(file, &library.cache).map_err(CommandError::failed)?;
            let ready = match wanted.sha256 {
                Some(sha256) => library.cache.ready(&sha256).map_err(CommandError::failed)?,
                None => None,
            };
            let missing = || CommandError::failed(anyhow!("{}", manifest.what_is_missing(&library.cache)));
            let path = ready.ok_or_else(|| missing().hint(manifest.mend()))?;
            let (model, file, path) = (manifest.reference(), file.name.clone(), path.display().to_string());
            output.write(&context.ui, &ModelPathRecord { model, file, path })?;
        }
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

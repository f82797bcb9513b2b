//! `models verify`: verifies the hashes of model files.

use anyhow::anyhow;

use super::model_library;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::VerifiedRecord;
use hub::cache::Verdict;
use hub::digest::Digest;
use hub::model_library::ModelLibrary;

/// Verify the sha256 of model files; wrong ones are quarantined
#[derive(Debug, clap::Args)]
pub struct Args {
    /// NAME or NAME@VERSION
    #[arg(value_name = "MODEL")]
    models: Vec<String>,

    /// All files in the model folder
    #[arg(long)]
    all: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let library = model_library::open(context)?;
    let files = if args.all && args.models.is_empty() {
        every_file(&library)?
    } else {
        let mut files = Vec::new();
        for manifest in model_library::named(&library, &args.models, args.all)? {
            // What is part of the binary lies in no folder.
            let on_disk = manifest.files.iter().filter(|file| manifest.built_in_weights(file).is_none());
            for file in on_disk {
                let wanted = manifest.wanted_file(file, &library.cache).map_err(CommandError::failed)?;
                files.push((Some(manifest.reference()), wanted.name, wanted.sha256));
            }
        }
        files
    };
    let mut output = context.output::<VerifiedRecord>()?;
    let mut bad = 0;
    for (model, file, sha256) in files {
        if context.stopped() {
            output.finish_part(&context.ui)?;
            return Ok(Ending::Interrupted);
        }
        let verdict = match &sha256 {
            Some(sha256) => library.cache.verify(sha256).map_err(CommandError::failed)?,
            None => Verdict::Missing,
        };
        bad += usize::from(verdict != Verdict::Good);
        output.write(&context.ui, &record(model, file, sha256, &verdict))?;
    }
    output.finish(&context.ui)?;
    if bad > 0 {
        let refusal = CommandError::failed(anyhow!("{bad} model files are missing or wrong"));
        return Err(refusal.hint("`albumctl models pull NAME` fetches what is missing"));
    }
    Ok(Ending::AllDone)
}

fn record(model: Option<String>, file: String, sha256: Option<Digest>, verdict: &Verdict) -> VerifiedRecord {
    let (verdict, found, fate) = match verdict {
        Verdict::Good => ("good", None, None),
        Verdict::Missing => ("missing", None, None),
        Verdict::Bad { found, fate } => ("bad", Some(found.hex()), Some(fate.clone())),
    };
    VerifiedRecord { model, file, verdict, sha256: sha256.map(|sha256| sha256.hex()), found, fate }
}

type File = (Option<String>, String, Option<Digest>);

/// All files in the folder, with the names that manifests give them.
fn every_file(library: &ModelLibrary) -> Result<Vec<File>, CommandError> {
    let blobs = library.cache.blobs().map_err(CommandError::failed)?;
    let named = |digest: Digest| {
        let manifests = library.catalogue.manifests().iter();
        let mut files = manifests.flat_map(|manifest| manifest.files.iter().map(move |file| (manifest, file)));
        let found = files.find(|(manifest, file)| {
            manifest.wanted_file(file, &library.cache).is_ok_and(|wanted| wanted.sha256 == Some(digest))
        });
        found.map(|(manifest, file)| (manifest.reference(), file.name.clone()))
    };
    let file = |digest: Digest| match named(digest) {
        Some((model, name)) => (Some(model), name, Some(digest)),
        None => (None, format!("sha256-{digest}"), Some(digest)),
    };
    Ok(blobs.into_iter().map(|blob| file(blob.digest)).collect())
}

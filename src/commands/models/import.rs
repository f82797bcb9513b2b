//! `models import`: files that came another way, on machines without a network.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::holdings::Holdings;
use super::{Acceptance, admit, close, ending, pull};
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::hub::catalogue::{Entry, FileEntry};
use crate::hub::digest::Digest;
use crate::hub::fetch::{Pulled, Wanted};
use crate::reading::{self, Stream};
use crate::report::records::PulledRecord;

/// Take model files from disk; each is recognised by its sha256
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, whatever they are called
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The model a file belongs to, for one whose sha256 no manifest knows (with --trust-first)
    #[arg(long = "as", value_name = "MODEL")]
    model: Option<String>,

    #[command(flatten)]
    acceptance: Acceptance,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let holdings = Holdings::of(context)?;
    let mut output = context.output::<PulledRecord>()?;
    let (mut done, mut failed) = (0, 0);
    let mut kept = Vec::new();
    for path in &args.files {
        context.reads(path)?;
        match import(path, args, &holdings, context) {
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
    pull::make_room(&kept, &holdings, context)?;
    Ok(ending(done, failed))
}

/// One record for each model the file belongs to.
fn import(path: &Path, args: &Args, holdings: &Holdings, context: &Context) -> Result<Vec<PulledRecord>, CommandError> {
    let named = |error| anyhow::Error::new(error).context(path.display().to_string());
    let file = reading::open(path).map(|file| Stream::of(file, context.stop()));
    let (digest, bytes) = file.and_then(Digest::of_reader).with_context(|| path.display().to_string())?;
    let owners = match &args.model {
        Some(reference) => vec![owner_by_name(path, digest, bytes, holdings.find(reference)?, args, holdings)?],
        None => owners_by_hash(&digest, holdings)?,
    };
    if owners.is_empty() {
        let unknown = anyhow!("{}: no model has a file with sha256 {digest}", path.display());
        let refusal = CommandError::failed(unknown).hint("`albumctl models list` shows what there is");
        return Err(refusal.hint("`--as MODEL --trust-first` takes it as that model's file"));
    }
    for (entry, _) in &owners {
        admit(entry, context)?;
    }
    let already_there = holdings.cache.presence(&digest, Some(bytes)) == crate::hub::cache::Presence::Ready;
    holdings.cache.import(path, context.stop(), |found| *found == digest).map_err(named)?;
    let got = Pulled { path: holdings.cache.blob_path(&digest), digest, bytes, transferred: 0, already_there };
    let mut records = Vec::new();
    for (entry, wanted) in owners {
        let trusted = pull::remember(entry, &wanted, &got, holdings, context)?;
        records.push(pull::record(entry, &wanted, &got, trusted));
    }
    Ok(records)
}

fn owners_by_hash<'a>(digest: &Digest, holdings: &'a Holdings) -> Result<Vec<(&'a Entry, Wanted)>, CommandError> {
    let mut owners = Vec::new();
    for entry in holdings.catalogue.entries() {
        for wanted in entry.wanted(&holdings.cache).map_err(CommandError::failed)? {
            if wanted.sha256 == Some(*digest) {
                owners.push((entry, wanted));
            }
        }
    }
    Ok(owners)
}

/// The file of the model that could be this one: of its size and name, as far as they are known.
fn owner_by_name<'a>(
    path: &Path,
    digest: Digest,
    bytes: u64,
    entry: &'a Entry,
    args: &Args,
    holdings: &Holdings,
) -> Result<(&'a Entry, Wanted), CommandError> {
    let wanted = |file: &FileEntry| entry.wanted_file(file, &holdings.cache).map_err(CommandError::failed);
    let same_name = |file: &&FileEntry| path.file_name().is_some_and(|name| name == file.name.as_str());
    let file = match entry.files.as_slice() {
        [only] => only,
        several => several.iter().find(same_name).ok_or_else(|| {
            let names: Vec<&str> = several.iter().map(|file| file.name.as_str()).collect();
            let unclear = anyhow!("{} has several files, and none is called {}", entry.reference(), path.display());
            CommandError::usage(unclear).hint(format!("call it one of {}", names.join(", ")))
        })?,
    };
    let wanted = wanted(file)?;
    if let Some(expected) = wanted.size.filter(|size| *size != bytes) {
        return Err(CommandError::failed(anyhow!(
            "{}: {bytes} bytes, {} of {} has {expected}",
            path.display(),
            file.name,
            entry.reference()
        )));
    }
    wanted.judge(&digest).map_err(|error| anyhow::Error::new(error).context(path.display().to_string()))?;
    if wanted.sha256.is_none() && !args.acceptance.trust_first {
        let unknown = anyhow!("no manifest knows the sha256 of {}; this file has {digest}", file.name);
        return Err(CommandError::failed(unknown).hint("--trust-first accepts it and holds the file to that hash"));
    }
    Ok((entry, wanted))
}

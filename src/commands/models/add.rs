//! `models add`: adds the user's own manifests.

use std::io;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::ending;
use super::model_library;
use crate::config::UserFolder;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::record;
use crate::report::records::ModelRecord;
use base::reading::{self, Stream};
use hub::catalogue::{CatalogueError, manifests_in};
use hub::fetch::{Client, NetworkSettings, Settings, read_text};

/// Add models by their manifests: a YAML file, an address, or a folder of YAML files
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(required = true, value_name = "FILE|URL|FOLDER")]
    manifests: Vec<String>,

    /// Replace a different manifest of the same name and version
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let library = model_library::open(context)?;
    let no_home = || CommandError::failed(anyhow!("{}", UserFolder::Config.missing()));
    let folder = library.own_folder.clone().ok_or_else(no_home)?;
    let mut output = context.output::<ModelRecord>()?;
    let mut added = 0;
    for (origin, yaml) in manifests(&args.manifests, context)? {
        let manifest = library.add(&folder, &origin, &yaml, args.force).map_err(|error| match error {
            CatalogueError::Taken { .. } => {
                CommandError::failed(error).hint("--force replaces it; another version stands beside it")
            }
            other => CommandError::failed(other),
        })?;
        if !manifest.runs && !manifest.architecture.is_empty() && !manifest.is_run_here() {
            let (model, architecture) = (manifest.reference(), &manifest.architecture);
            context.ui.note(&format!("{model} can be kept and verified, but nothing here runs `{architecture}`"));
        }
        output.write(&context.ui, &record(&manifest, &library.cache, &[]))?;
        added += 1;
    }
    output.finish(&context.ui)?;
    Ok(ending(added, usize::from(added == 0)))
}

/// Reads the manifests: the origin and text of each.
fn manifests(given: &[String], context: &Context) -> Result<Vec<(String, String)>, CommandError> {
    let mut found = Vec::new();
    for one in given {
        context.reads(Path::new(one))?;
        if one.starts_with("https://") || one.starts_with("http://") {
            let settings = Settings { offline: context.offline, ..Settings::default() };
            let client = Client::new(NetworkSettings::from_environment(std::env::vars_os()), settings);
            let text = read_text(&client.map_err(CommandError::failed)?, one, reading::TEXT);
            found.push((one.clone(), text.with_context(|| one.clone())?));
            continue;
        }
        let path = Path::new(one);
        if !path.is_dir() {
            let text = Stream::open(path, context.stop()).and_then(|file| file.text(reading::TEXT));
            found.push((one.clone(), text.map_err(|error| unreadable(path, error))?));
            continue;
        }
        let files = manifests_in(path).with_context(|| format!("cannot list {one}"))?;
        if files.is_empty() {
            return Err(CommandError::failed(anyhow!("{one}: there is no YAML file in it")));
        }
        for file in files {
            let text = reading::read_text(&file, reading::TEXT).map_err(|error| unreadable(&file, error))?;
            found.push((file.display().to_string(), text));
        }
    }
    Ok(found)
}

fn unreadable(file: &Path, error: io::Error) -> CommandError {
    let too_long = error.kind() == io::ErrorKind::FileTooLarge;
    let error = anyhow::Error::new(error).context(format!("{}: cannot be read as a manifest", file.display()));
    if too_long {
        let hint = "a manifest is a short YAML file; `albumctl models import` takes model files";
        return CommandError::usage(error).hint(hint);
    }
    CommandError::failed(error)
}

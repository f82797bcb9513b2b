//! `models add`: manifests of the user's own.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::ending;
use super::holdings::Holdings;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::hub::catalogue::{CatalogueError, manifests_in};
use crate::hub::fetch::{Client, Network, Settings, read_text};
use crate::report::records::ModelRecord;

/// A manifest is read by people; nothing of that kind is longer.
const LONGEST_MANIFEST: u64 = 1 << 20;

/// Add models by their manifests: a YAML file, an address, or a folder of YAML files
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(required = true, value_name = "FILE|URL|FOLDER")]
    manifests: Vec<String>,

    /// Replace a manifest of the same name and version that says something else
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let holdings = Holdings::of(context)?;
    let no_home = || CommandError::failed(anyhow!("neither XDG_CONFIG_HOME nor HOME is set"));
    let folder = holdings.own_folder.clone().ok_or_else(no_home)?;
    let mut output = context.output::<ModelRecord>()?;
    let mut added = 0;
    for (origin, yaml) in manifests(&args.manifests, context)? {
        let entry = holdings.add(&folder, &origin, &yaml, args.force).map_err(|error| match error {
            CatalogueError::Taken { .. } => {
                CommandError::failed(error).hint("--force replaces it; another version stands beside it")
            }
            other => CommandError::failed(other),
        })?;
        output.write(&context.ui, &holdings.record(&entry, &[]))?;
        added += 1;
    }
    output.finish(&context.ui)?;
    Ok(ending(added, usize::from(added == 0)))
}

/// Origin and text of each.
fn manifests(given: &[String], context: &Context) -> Result<Vec<(String, String)>, CommandError> {
    let mut found = Vec::new();
    for one in given {
        context.reads(Path::new(one))?;
        if one.starts_with("https://") || one.starts_with("http://") {
            let settings = Settings { offline: context.offline, ..Settings::default() };
            let client = Client::new(Network::from_environment(std::env::vars_os()), settings);
            let text = read_text(&client.map_err(CommandError::failed)?, one, LONGEST_MANIFEST);
            found.push((one.clone(), text.with_context(|| one.clone())?));
            continue;
        }
        let path = Path::new(one);
        let files = if path.is_dir() { manifests_in(path) } else { vec![path.to_owned()] };
        if files.is_empty() {
            return Err(CommandError::failed(anyhow!("{one}: there is no YAML file in it")));
        }
        for file in files {
            let bytes = fs::metadata(&file).with_context(|| file.display().to_string())?.len();
            if bytes > LONGEST_MANIFEST {
                let refusal = CommandError::usage(anyhow!("{}: {bytes} bytes is no manifest", file.display()));
                return Err(refusal.hint("a manifest is a short YAML file; `albumctl models import` takes model files"));
            }
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            found.push((file.display().to_string(), text));
        }
    }
    Ok(found)
}

//! Shared by the `models` commands: opening the library, finding models, formatting sizes.

use anyhow::anyhow;

use crate::config;
use crate::context::Context;
use crate::error::CommandError;
use hub::catalogue::CatalogueError;
use hub::manifest::{Manifest, WORDS};
use hub::model_library::ModelLibrary;

pub fn open(context: &Context) -> Result<ModelLibrary, CommandError> {
    let warn = |error: CatalogueError| context.ui.warn(&format!("passed over: {error}"));
    ModelLibrary::load(context.model_cache()?, config::own_manifests(), warn).map_err(CommandError::failed)
}

pub fn find<'a>(library: &'a ModelLibrary, reference: &str) -> Result<&'a Manifest, CommandError> {
    library.catalogue.find(reference).map_err(|error| unknown(library, reference, error))
}

fn unknown(library: &ModelLibrary, reference: &str, error: CatalogueError) -> CommandError {
    let names = library.catalogue.manifests().iter().map(|manifest| manifest.name.as_str());
    let words = WORDS.iter().map(|(word, _)| *word);
    let near = config::nearest(reference, names.chain(words)).map(|name| format!("did you mean `{name}`?"));
    near.into_iter().fold(CommandError::usage(error), CommandError::hint)
}

/// The named models, or all with `all`.
pub fn named<'a>(
    library: &'a ModelLibrary,
    references: &[String],
    all: bool,
) -> Result<Vec<&'a Manifest>, CommandError> {
    match (references, all) {
        ([], true) => Ok(library.catalogue.manifests().iter().collect()),
        ([], false) => Err(CommandError::usage(anyhow!("no model is named")).hint("name one, or say --all")),
        (_, true) => Err(CommandError::usage(anyhow!("--all and names do not go together"))),
        (named, false) => {
            let find = |word: &String| library.catalogue.find_all(word).map_err(|error| unknown(library, word, error));
            Ok(named.iter().map(find).collect::<Result<Vec<_>, _>>()?.concat())
        }
    }
}

/// `96.5 MB of at most 10 GB in /…/models; 62 GB free`.
pub fn usage(library: &ModelLibrary) -> anyhow::Result<String> {
    let usage = library.cache.usage()?;
    let limit = usage.max_bytes.map_or_else(String::new, |max| format!(" of at most {}", human(max)));
    let free = usage.free_bytes.map_or_else(String::new, |free| format!("; {} free", human(free)));
    let partial = match usage.partial_bytes {
        0 => String::new(),
        bytes => format!(", {} of pulls cut short", human(bytes)),
    };
    let folder = library.cache.root().display();
    Ok(format!("{} files, {}{limit}{partial} in {folder}{free}", usage.files, human(usage.bytes)))
}

/// A size for people, in powers of 1000.
pub fn human(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 999.5 && unit + 1 < units.len() {
        amount /= 1000.0;
        unit += 1;
    }
    if unit == 0 || amount >= 100.0 {
        format!("{amount:.0} {}", units[unit])
    } else {
        format!("{amount:.1} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_for_people() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (96_454_336, "96.5 MB"),
            (999_999, "1.0 MB"),
            (150_000, "150 kB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
    }
}

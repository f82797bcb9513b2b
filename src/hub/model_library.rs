//! What a model hub has: the models there are, and the folder of their files.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::cache::{Cache, CacheError, Collected, Collection};
use super::catalogue::{Catalogue, CatalogueError, Entry};
use super::digest::Digest;
use super::fetch::{Pulled, Wanted};
use super::manifest::{Architecture, ManifestError};
use base::atomic;
use base::reading;
use models::MANIFESTS;

#[derive(Debug)]
pub struct ModelLibrary {
    pub catalogue: Catalogue,
    pub cache: Cache,
    /// Where the user's own manifests lie.
    pub own_folder: Option<PathBuf>,
}

impl ModelLibrary {
    /// `tell` hears of manifests of the user's that are passed over.
    pub fn load(
        cache: Cache,
        own_folder: Option<PathBuf>,
        tell: impl FnMut(CatalogueError),
    ) -> Result<Self, CatalogueError> {
        let catalogue = Catalogue::load(MANIFESTS, own_folder.as_deref(), tell)?;
        Ok(Self { catalogue, cache, own_folder })
    }

    /// Keeps a manifest of the user's own. One of the same name and version that says something else is only replaced by
    /// `force`. One that says it runs must say all that its network is built by. The catalogue at hand stays as it is.
    pub fn add(&self, folder: &Path, origin: &str, yaml: &str, force: bool) -> Result<Entry, CatalogueError> {
        let mut entry = Entry::parse(origin, yaml)?;
        if entry.runs && Architecture::is_built(&entry.architecture) {
            entry
                .manifest()
                .map_err(|ManifestError::Invalid { origin, why }| CatalogueError::Invalid { origin, why })?;
        }
        let same = |there: &Entry| {
            there.own.as_ref().and_then(|path| reading::read_text(path, reading::TEXT).ok()).as_deref() == Some(yaml)
        };
        let taken = self.catalogue.entries().iter().find(|there| there.reference() == entry.reference());
        if let Some(taken) = taken.filter(|taken| !force && !same(taken)) {
            let origin = taken.own.as_ref().map_or("the binary".to_owned(), |path| path.display().to_string());
            return Err(CatalogueError::Taken { reference: entry.reference(), origin });
        }
        let path = folder.join(format!("{}.yaml", entry.reference()));
        write(&path, yaml).map_err(|source| CatalogueError::Io { path: path.clone(), source })?;
        entry.own = Some(path);
        Ok(entry)
    }

    /// A hash seen for the first time is what this file must have from now on. Whether that was so.
    pub fn remember(&self, entry: &Entry, wanted: &Wanted, got: &Pulled) -> Result<bool, CacheError> {
        if wanted.sha256.is_none() {
            self.cache.trust(&entry.reference(), &wanted.name, &got.digest)?;
        }
        Ok(wanted.sha256.is_none())
    }

    /// The files of models that go with them, by name: those that no other model shares.
    pub fn own_files(&self, entries: &[&Entry]) -> Result<HashMap<String, Vec<Digest>>, CacheError> {
        let going = |entry: &Entry| entries.iter().any(|gone| gone.reference() == entry.reference());
        let mut shared = HashSet::new();
        for entry in self.catalogue.entries().iter().filter(|entry| !going(entry)) {
            shared.extend(entry.wanted(&self.cache)?.iter().filter_map(|wanted| wanted.sha256));
        }
        let mut own = HashMap::new();
        for entry in entries {
            let files = entry.wanted(&self.cache)?.into_iter().filter_map(|wanted| wanted.sha256);
            own.insert(entry.reference(), files.filter(|sha256| !shared.contains(sha256)).collect());
        }
        Ok(own)
    }

    /// Keeps the folder below its limit; never at the cost of what was just fetched.
    pub fn make_room(&self, fetched: &[Digest]) -> Result<Vec<Collected>, CacheError> {
        self.cache.collect(&Collection { keep: fetched, ..Collection::default() })
    }
}

/// Whole or not at all.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(atomic::folder_of(path))?;
    atomic::write(path, text.as_bytes())
}

//! The library behind a hub: the catalogue and the model folder.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::cache::{Cache, CacheError, Collected, Collection};
use super::catalogue::{Catalogue, CatalogueError};
use super::digest::Digest;
use super::fetch::{ExpectedFile, Pulled};
use super::manifest::Manifest;
use base::atomic;
use base::reading;
use models::MANIFESTS;

#[derive(Debug)]
pub struct ModelLibrary {
    pub catalogue: Catalogue,
    pub cache: Cache,
    /// The folder of the user's manifests.
    pub own_folder: Option<PathBuf>,
}

impl ModelLibrary {
    /// Loads the catalogue; `tell` is called with skipped manifests.
    pub fn load(
        cache: Cache,
        own_folder: Option<PathBuf>,
        tell: impl FnMut(CatalogueError),
    ) -> Result<Self, CatalogueError> {
        let catalogue = Catalogue::load(MANIFESTS, own_folder.as_deref(), tell)?;
        Ok(Self { catalogue, cache, own_folder })
    }

    /// Stores a manifest of the user. A different one of the same name and version is only replaced with `force`. If it
    /// claims to run, the keys of its network must be complete. The loaded catalogue does not change.
    pub fn add(&self, folder: &Path, origin: &str, yaml: &str, force: bool) -> Result<Manifest, CatalogueError> {
        let mut manifest = Manifest::parse(origin, yaml)?;
        if manifest.runs && manifest.is_built_here() {
            manifest.network()?;
        }
        let same = |there: &Manifest| {
            there.own.as_ref().and_then(|path| reading::read_text(path, reading::TEXT).ok()).as_deref() == Some(yaml)
        };
        let taken = self.catalogue.manifests().iter().find(|there| there.reference() == manifest.reference());
        if let Some(taken) = taken.filter(|taken| !force && !same(taken)) {
            let origin = taken.own.as_ref().map_or("the binary".to_owned(), |path| path.display().to_string());
            return Err(CatalogueError::Taken { reference: manifest.reference(), origin });
        }
        let path = folder.join(format!("{}.yaml", manifest.reference()));
        write(&path, yaml).map_err(|source| CatalogueError::Io { path: path.clone(), source })?;
        manifest.own = Some(path);
        Ok(manifest)
    }

    /// Pins the hash of a file that is seen for the first time. Returns whether it was.
    pub fn remember(&self, manifest: &Manifest, wanted: &ExpectedFile, got: &Pulled) -> Result<bool, CacheError> {
        if wanted.sha256.is_none() {
            self.cache.trust(&manifest.reference(), &wanted.name, &got.digest)?;
        }
        Ok(wanted.sha256.is_none())
    }

    /// The files that belong to the given models only, by model.
    pub fn own_files(&self, manifests: &[&Manifest]) -> Result<HashMap<String, Vec<Digest>>, CacheError> {
        let going = |manifest: &Manifest| manifests.iter().any(|gone| gone.reference() == manifest.reference());
        let mut shared = HashSet::new();
        for manifest in self.catalogue.manifests().iter().filter(|manifest| !going(manifest)) {
            shared.extend(manifest.wanted(&self.cache)?.iter().filter_map(|wanted| wanted.sha256));
        }
        let mut own = HashMap::new();
        for manifest in manifests {
            let files = manifest.wanted(&self.cache)?.into_iter().filter_map(|wanted| wanted.sha256);
            own.insert(manifest.reference(), files.filter(|sha256| !shared.contains(sha256)).collect());
        }
        Ok(own)
    }

    /// Brings the folder below its limit, without removing what was just fetched.
    pub fn make_room(&self, fetched: &[Digest]) -> Result<Vec<Collected>, CacheError> {
        self.cache.collect(&Collection { keep: fetched, ..Collection::default() })
    }
}

/// Writes a file atomically.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(atomic::folder_of(path))?;
    atomic::write(path, text.as_bytes())
}

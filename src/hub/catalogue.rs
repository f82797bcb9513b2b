//! The catalogue of models: built-in manifests and the user's own, several versions side by side.

mod version;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::digest::Digest;
use super::manifest::{Manifest, ManifestError, ManifestFile, WORDS};

#[derive(Debug, Default)]
pub struct Catalogue {
    /// By name, newest version first.
    manifests: Vec<Manifest>,
}

#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("no model is called `{name}`; there are {known}")]
    Unknown { name: String, known: String },
    #[error("model `{name}` has no version {version}; there are {known}")]
    UnknownVersion { name: String, version: String, known: String },
    #[error("there is a model {reference} already, from {origin}, and it says otherwise")]
    Taken { reference: String, origin: String },
}

impl Catalogue {
    /// Manifests of the user replace built-in ones of the same name and version. One that cannot be read is reported and
    /// skipped, so that the others keep working.
    pub fn load(
        built_in: &[(&str, &str)],
        own_folder: Option<&Path>,
        mut tell: impl FnMut(CatalogueError),
    ) -> Result<Self, CatalogueError> {
        let mut catalogue = Self::default();
        for (origin, yaml) in built_in {
            catalogue.insert(Manifest::parse(origin, yaml)?);
        }
        let own = own_folder.map_or(Ok(Vec::new()), |folder| {
            manifests_in(folder).map_err(|source| CatalogueError::Io { path: folder.to_owned(), source })
        });
        let own = own.unwrap_or_else(|error| {
            tell(error);
            Vec::new()
        });
        for file in own {
            match Manifest::read(&file) {
                Ok(mut manifest) => {
                    manifest.own = Some(file);
                    catalogue.insert(manifest);
                }
                Err(error) => tell(error.into()),
            }
        }
        Ok(catalogue)
    }

    /// Adds a manifest, or replaces the one of the same name and version.
    fn insert(&mut self, manifest: Manifest) {
        self.manifests.retain(|there| (&there.name, &there.version) != (&manifest.name, &manifest.version));
        self.manifests.push(manifest);
        self.manifests.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| version::order(&b.version, &a.version)));
    }

    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// Finds `name` in its newest version, or `name@version`. Names are exact: `ssd` is not `ssd-mobilenet-v2`.
    pub fn find(&self, reference: &str) -> Result<&Manifest, CatalogueError> {
        let (name, version) = match reference.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (reference, None),
        };
        let mut versions: Vec<&Manifest> = self.manifests.iter().filter(|manifest| manifest.answers_to(name)).collect();
        // A model's own name takes precedence over another model's alias.
        if versions.iter().any(|manifest| manifest.name == name) {
            versions.retain(|manifest| manifest.name == name);
        }
        if versions.is_empty() {
            let known: Vec<&str> = self.manifests.iter().map(|manifest| manifest.name.as_str()).collect();
            let (name, known) = (name.to_owned(), without_repeats(known).join(", "));
            return Err(CatalogueError::Unknown { name, known });
        }
        let wanted = |manifest: &&&Manifest| version.is_none_or(|version| manifest.version == version);
        versions.iter().find(wanted).copied().ok_or_else(|| {
            let known: Vec<&str> = versions.iter().map(|manifest| manifest.version.as_str()).collect();
            let (name, version) = (name.to_owned(), version.unwrap_or_default().to_owned());
            CatalogueError::UnknownVersion { name, version, known: known.join(", ") }
        })
    }

    /// Finds the newest version that supports the task and runs here, unless a version is named.
    pub fn find_for(&self, reference: &str, task: &str) -> Result<&Manifest, CatalogueError> {
        let found = self.find(reference)?;
        let mut versions = self.manifests.iter().filter(|manifest| manifest.name == found.name);
        let does = |manifest: &&Manifest| manifest.does(task) && manifest.runs;
        let other = if reference.contains('@') { None } else { versions.find(does) };
        Ok(other.unwrap_or(found))
    }

    /// Finds a model, or all models behind a word for a task, each in its newest version.
    pub fn find_all(&self, word: &str) -> Result<Vec<&Manifest>, CatalogueError> {
        let found = self.find(word);
        match WORDS.iter().find(|(known, _)| *known == word) {
            Some((_, what)) if found.is_err() => {
                let mut manifests: Vec<&Manifest> =
                    self.manifests.iter().filter(|manifest| manifest.goes_with(what)).collect();
                manifests.dedup_by(|later, newest| later.name == newest.name);
                Ok(manifests)
            }
            _ => found.map(|manifest| vec![manifest]),
        }
    }

    /// All versions of the given models.
    pub fn versions_of(&self, named: &[&Manifest]) -> Vec<&Manifest> {
        self.manifests.iter().filter(|manifest| named.iter().any(|one| one.name == manifest.name)).collect()
    }

    /// The models with a file of this hash.
    pub fn with_digest(&self, digest: &Digest) -> Vec<(&Manifest, &ManifestFile)> {
        let files = self.manifests.iter().flat_map(|manifest| manifest.files.iter().map(move |file| (manifest, file)));
        files.filter(|(_, file)| file.sha256 == Some(*digest)).collect()
    }

    pub fn digests(&self) -> HashSet<Digest> {
        self.manifests.iter().flat_map(|manifest| &manifest.files).filter_map(|file| file.sha256).collect()
    }
}

fn without_repeats(mut names: Vec<&str>) -> Vec<&str> {
    names.dedup();
    names
}

/// The manifest files of a folder, sorted for a stable order; none if the folder does not exist.
pub fn manifests_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut files = listing.map(|found| Ok(found?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use models::MANIFESTS;

    use super::*;

    fn manifest(name: &str, version: &str) -> String {
        format!(
            "name: {name}\nversion: \"{version}\"\ntask: embedding\nlicense: MIT\n\
             file: {{name: w.bin, sha256: {}}}\nsources: [https://example.org/w.bin]\n",
            Digest::of(format!("{name}{version}").as_bytes())
        )
    }

    #[test]
    fn versions_stand_side_by_side_and_the_newest_answers() {
        let [old, new, other] = [manifest("net", "1.9"), manifest("net", "1.10"), manifest("net-mobile", "3")];
        let built_in = [("a.yaml", old.as_str()), ("b.yaml", new.as_str()), ("c.yaml", other.as_str())];
        let catalogue = Catalogue::load(&built_in, None, |_| {}).unwrap();
        assert_eq!(catalogue.find("net").unwrap().version, "1.10");
        assert_eq!(catalogue.find("net@1.9").unwrap().reference(), "net@1.9");
        assert!(matches!(catalogue.find("net@2"), Err(CatalogueError::UnknownVersion { .. })));
        assert!(matches!(catalogue.find("net-"), Err(CatalogueError::Unknown { .. })));
        assert_eq!(catalogue.with_digest(&Digest::of(b"net1.9"))[0].0.version, "1.9");
    }

    #[test]
    fn the_users_manifest_wins_and_a_broken_one_hinders_nobody() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine.yaml"), manifest("net", "1").replace("MIT", "Apache-2.0")).unwrap();
        fs::write(folder.path().join("broken.yaml"), "name: [").unwrap();
        fs::write(folder.path().join("notes.txt"), "not a manifest").unwrap();
        let yaml = manifest("net", "1");
        let mut told = Vec::new();
        let catalogue = Catalogue::load(&[("a.yaml", &yaml)], Some(folder.path()), |error| told.push(error)).unwrap();
        assert_eq!(catalogue.manifests().len(), 1);
        assert_eq!(catalogue.find("net").unwrap().license, "Apache-2.0");
        assert!(told.len() == 1 && told[0].to_string().contains("broken.yaml"), "{told:?}");
    }

    #[test]
    fn a_built_in_manifest_must_be_right() {
        assert!(Catalogue::load(&[("a.yaml", "name: x")], None, |_| {}).is_err());
    }

    #[test]
    fn every_manifest_of_the_repository_is_carried_and_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        let mut files: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|found| format!("models/{}", found.unwrap().file_name().to_str().unwrap()))
            .filter(|name| Path::new(name).extension() == Some("yaml".as_ref()))
            .collect();
        files.sort();
        let mut carried: Vec<&str> = MANIFESTS.iter().map(|(path, _)| *path).collect();
        carried.sort_unstable();
        assert_eq!(carried, files);
        let catalogue = Catalogue::load(MANIFESTS, None, |error| panic!("{error}")).unwrap();
        assert_eq!(catalogue.manifests().len(), files.len(), "no two are of the same name and version");
        for manifest in catalogue.manifests() {
            assert!(!manifest.title.is_empty() && !manifest.license.is_empty(), "{}", manifest.reference());
        }
    }
}

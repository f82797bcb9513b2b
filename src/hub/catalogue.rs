//! The models there are: manifests built into the binary and the user's own, several versions side by side.
//!
//! This room reads of a manifest what keeping and fetching need. How a network is built and fed is another matter, so
//! that a model may be listed, pulled and verified before it can run.

mod entry;
mod status;
mod version;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(super) use entry::text_or_number;
pub use entry::{Entry, FileEntry};
pub use status::Status;
pub use version::order as version_order;

use super::digest::Digest;

/// Words for all models of a task that run here and can be fetched, or for one of several models that do the same, where a
/// name of a model may stand.
pub const WORDS: [(&str, &str); 2] = [("faces", "face"), ("classes", models::CLASSIFIER)];

#[derive(Debug, Default)]
pub struct Catalogue {
    /// By name, newest version first.
    entries: Vec<Entry>,
}

#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error("{origin}: {why}")]
    Invalid { origin: String, why: String },
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
    /// Manifests of the user's stand before built-in ones of the same name and version. One that cannot be read is
    /// told and passed over: it must not keep the others from working.
    pub fn load(
        built_in: &[(&str, &str)],
        own_folder: Option<&Path>,
        mut tell: impl FnMut(CatalogueError),
    ) -> Result<Self, CatalogueError> {
        let mut catalogue = Self::default();
        for (origin, yaml) in built_in {
            catalogue.insert(Entry::parse(origin, yaml)?);
        }
        let own = own_folder.map_or(Ok(Vec::new()), |folder| {
            manifests_in(folder).map_err(|source| CatalogueError::Io { path: folder.to_owned(), source })
        });
        let own = own.unwrap_or_else(|error| {
            tell(error);
            Vec::new()
        });
        for file in own {
            match Entry::read(&file) {
                Ok(mut entry) => {
                    entry.own = Some(file);
                    catalogue.insert(entry);
                }
                Err(error) => tell(error),
            }
        }
        Ok(catalogue)
    }

    /// In place of one of the same name and version.
    fn insert(&mut self, entry: Entry) {
        self.entries.retain(|there| (&there.name, &there.version) != (&entry.name, &entry.version));
        self.entries.push(entry);
        self.entries.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| version_order(&b.version, &a.version)));
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// `name`, which is its newest version, or `name@version`. Names are exact: `ssd` is not `ssd-mobilenet-v2`.
    pub fn find(&self, reference: &str) -> Result<&Entry, CatalogueError> {
        let (name, version) = match reference.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (reference, None),
        };
        let mut versions: Vec<&Entry> = self.entries.iter().filter(|entry| entry.answers_to(name)).collect();
        // A name of its own comes before a name that another one answers to as well.
        if versions.iter().any(|entry| entry.name == name) {
            versions.retain(|entry| entry.name == name);
        }
        if versions.is_empty() {
            let known: Vec<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
            let (name, known) = (name.to_owned(), without_repeats(known).join(", "));
            return Err(CatalogueError::Unknown { name, known });
        }
        let wanted = |entry: &&&Entry| version.is_none_or(|version| entry.version == version);
        versions.iter().find(wanted).copied().ok_or_else(|| {
            let known: Vec<&str> = versions.iter().map(|entry| entry.version.as_str()).collect();
            let (name, version) = (name.to_owned(), version.unwrap_or_default().to_owned());
            CatalogueError::UnknownVersion { name, version, known: known.join(", ") }
        })
    }

    /// The same for one that does this and runs here, unless the version is named.
    pub fn find_for(&self, reference: &str, task: &str) -> Result<&Entry, CatalogueError> {
        let found = self.find(reference)?;
        let mut versions = self.entries.iter().filter(|entry| entry.name == found.name);
        let does = |entry: &&Entry| entry.does(task) && entry.runs;
        let other = if reference.contains('@') { None } else { versions.find(does) };
        Ok(other.unwrap_or(found))
    }

    /// The same, or a word for all that a task needs, each in its newest version.
    pub fn find_all(&self, word: &str) -> Result<Vec<&Entry>, CatalogueError> {
        let found = self.find(word);
        match WORDS.iter().find(|(known, _)| *known == word) {
            Some((_, what)) if found.is_err() => {
                let mut entries: Vec<&Entry> = self.entries.iter().filter(|entry| entry.goes_with(what)).collect();
                entries.dedup_by(|later, newest| later.name == newest.name);
                Ok(entries)
            }
            _ => found.map(|entry| vec![entry]),
        }
    }

    /// The same models in every version.
    pub fn versions_of(&self, named: &[&Entry]) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| named.iter().any(|one| one.name == entry.name)).collect()
    }

    /// Whose file has this hash.
    pub fn with_digest(&self, digest: &Digest) -> Vec<(&Entry, &FileEntry)> {
        let files = self.entries.iter().flat_map(|entry| entry.files.iter().map(move |file| (entry, file)));
        files.filter(|(_, file)| file.sha256 == Some(*digest)).collect()
    }

    pub fn digests(&self) -> HashSet<Digest> {
        self.entries.iter().flat_map(|entry| &entry.files).filter_map(|file| file.sha256).collect()
    }
}

fn without_repeats(mut names: Vec<&str>) -> Vec<&str> {
    names.dedup();
    names
}

/// Sorted, so that every run sees them in the same order; none where there is no such folder.
pub fn manifests_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
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
        assert_eq!(catalogue.entries().len(), 1);
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
            .map(|entry| format!("models/{}", entry.unwrap().file_name().to_str().unwrap()))
            .filter(|name| Path::new(name).extension() == Some("yaml".as_ref()))
            .collect();
        files.sort();
        let mut carried: Vec<&str> = MANIFESTS.iter().map(|(path, _)| *path).collect();
        carried.sort_unstable();
        assert_eq!(carried, files);
        let catalogue = Catalogue::load(MANIFESTS, None, |error| panic!("{error}")).unwrap();
        assert_eq!(catalogue.entries().len(), files.len(), "no two are of the same name and version");
        for entry in catalogue.entries() {
            assert!(!entry.title.is_empty() && !entry.license.is_empty(), "{}", entry.reference());
        }
    }
}

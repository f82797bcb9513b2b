//! One model of the catalogue: its files, where they come from, and what of them is here.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::CatalogueError;
use super::status::Status;
use crate::cache::{Cache, CacheError, Presence};
use crate::digest::Digest;
use crate::fetch::Wanted;
use crate::manifest::{Architecture, Manifest, ManifestError, QualityFigure};
use crate::sources::Source;
use base::reading;

/// A thousand times the largest models there are.
const LARGEST: u64 = 1 << 44;

#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub name: String,
    #[serde(deserialize_with = "text_or_number")]
    pub version: String,
    #[serde(default, alias = "description")]
    pub title: String,
    pub task: String,
    /// What else it does.
    #[serde(default)]
    pub also: Vec<String>,
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    pub license: String,
    /// Where it comes from, for people.
    #[serde(default)]
    pub origin: Option<String>,
    #[serde(default)]
    pub devices: Vec<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub quality: Vec<QualityFigure>,
    /// What other software a file of the kind asks for, as its publisher says; nothing here needs it.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// When its publisher changed it last.
    #[serde(default)]
    pub last_updated: Option<String>,
    /// False for one that can be kept, but not run: its manifest says so, or nothing here runs its architecture.
    #[serde(default = "yes")]
    pub runs: bool,
    #[serde(default)]
    pub files: Vec<FileEntry>,
    /// The short form of `files` for a single one.
    #[serde(default)]
    file: Option<FileEntry>,
    /// Of every file that names none itself.
    #[serde(default)]
    sources: Vec<Source>,
    /// The user's manifest it was read from; none for one that is built in.
    #[serde(skip)]
    pub own: Option<PathBuf>,
    /// Where the manifest was read, and what it says.
    #[serde(skip)]
    text: (String, String),
}

#[derive(Debug, Clone, Deserialize)]
pub struct FileEntry {
    pub name: String,
    #[serde(default)]
    pub size: Option<u64>,
    #[serde(default)]
    pub sha256: Option<Digest>,
    #[serde(default)]
    pub sources: Vec<Source>,
}

impl Entry {
    /// Reads one; `origin` says in errors where the text came from.
    pub fn parse(origin: &str, yaml: &str) -> Result<Self, CatalogueError> {
        let invalid = |why: String| CatalogueError::Invalid { origin: origin.to_owned(), why };
        let mut entry: Self = serde_yaml::from_str(yaml).map_err(|error| invalid(error.to_string()))?;
        entry.files.extend(entry.file.take());
        let sources = std::mem::take(&mut entry.sources);
        for file in entry.files.iter_mut().filter(|file| file.sources.is_empty()) {
            file.sources.clone_from(&sources);
        }
        entry.check().map_err(invalid)?;
        entry.runs &= Architecture::is_run(&entry.architecture);
        entry.text = (origin.to_owned(), yaml.to_owned());
        Ok(entry)
    }

    pub fn read(path: &Path) -> Result<Self, CatalogueError> {
        let text = reading::read_text(path, reading::TEXT);
        let text = text.map_err(|source| CatalogueError::Io { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Names become file names and words on a terminal, so they are plain.
    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        for (what, text) in [("name", &self.name), ("version", &self.version)] {
            if text.is_empty() || text.len() > 100 || !text.chars().all(plain) || text.starts_with(['.', '-']) {
                return Err(format!("{what}: `{text}` is not made of letters, digits, and -_.+ within"));
            }
        }
        if self.files.is_empty() {
            return Err("it names no file".into());
        }
        for (index, file) in self.files.iter().enumerate() {
            if file.name.is_empty() || file.name.contains(['/', '\\']) || file.name.chars().any(char::is_control) {
                return Err(format!("file: `{}` is not the name of a file", file.name));
            }
            if let Some(size) = file.size.filter(|size| *size > LARGEST) {
                return Err(format!("file: {} of {size} bytes is larger than any model", file.name));
            }
            if self.files[..index].iter().any(|other| other.name == file.name) {
                return Err(format!("file: `{}` is named twice", file.name));
            }
        }
        Ok(())
    }

    /// The same manifest as what a network is built by; the error says why it cannot be.
    pub fn manifest(&self) -> Result<Manifest, ManifestError> {
        Manifest::parse(&self.text.0, &self.text.1)
    }

    pub fn does(&self, task: &str) -> bool {
        self.task == task || self.also.iter().any(|also| also == task)
    }

    /// Whether it runs, can be fetched, and does this or is called so.
    pub(super) fn goes_with(&self, what: &str) -> bool {
        self.runs && (self.does(what) || self.name == what) && self.is_reachable()
    }

    /// Whether a source is known of all its files.
    pub fn is_reachable(&self) -> bool {
        self.files.iter().all(|file| !file.sources.is_empty())
    }

    /// What pulls it together with all that is needed beside it, else its name.
    pub fn pulled_by(&self) -> &str {
        super::WORDS.iter().find(|(_, what)| self.goes_with(what)).map_or(&self.name, |(word, _)| word)
    }

    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// `name@version`, as results quote it.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Of all files, where every size is known.
    pub fn bytes(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Its files as a pull wants them, with the hashes the user has accepted where the manifest knows none.
    pub fn wanted(&self, cache: &Cache) -> Result<Vec<Wanted>, CacheError> {
        self.files.iter().map(|file| self.wanted_file(file, cache)).collect()
    }

    pub fn wanted_file(&self, file: &FileEntry, cache: &Cache) -> Result<Wanted, CacheError> {
        let sha256 = match file.sha256 {
            Some(known) => Some(known),
            None => cache.trusted(&self.reference(), &file.name)?,
        };
        let FileEntry { name, size, sources, .. } = file.clone();
        let sha256_starts = file.digits_in_name();
        Ok(Wanted { name, size, sha256, sha256_starts, sources })
    }

    pub fn status(&self, cache: &Cache) -> Status {
        let mut statuses: Vec<Status> = self.files.iter().map(|file| self.file_status(file, cache)).collect();
        if let Some(at) = statuses.iter().position(|status| matches!(status, Status::Error(_))) {
            return statuses.swap_remove(at);
        }
        let here: u64 = self.files.iter().zip(&statuses).map(|(file, status)| status.bytes_here(file.size)).sum();
        let some_missing = statuses.iter().any(|status| matches!(status, Status::NotDownloaded | Status::Partial(_)));
        let some_here = statuses.iter().any(|status| *status != Status::NotDownloaded);
        if statuses.iter().any(|status| matches!(status, Status::Downloading(_))) {
            return Status::Downloading(here);
        }
        match (some_missing, some_here) {
            (true, true) => Status::Partial(here),
            (true, false) => Status::NotDownloaded,
            _ if statuses.contains(&Status::Validating) => Status::Validating,
            _ if statuses.contains(&Status::Unverified) => Status::Unverified,
            _ if statuses.contains(&Status::Loaded) => Status::Loaded,
            _ => Status::Ready,
        }
    }

    /// The content of a file that is part of the binary; a model of the user's own has none there.
    pub fn built_in_weights(&self, file: &FileEntry) -> Option<&'static [u8]> {
        let here = models::WEIGHTS.iter().find(|(name, _)| *name == file.name)?;
        self.own.is_none().then_some(here.1)
    }

    pub fn file_status(&self, file: &FileEntry, cache: &Cache) -> Status {
        if self.built_in_weights(file).is_some() {
            return Status::Ready;
        }
        let digest = match self.wanted_file(file, cache) {
            Ok(Wanted { sha256: Some(digest), .. }) => digest,
            // Without a hash nothing can be recognised as this file.
            Ok(_) => return Status::NotDownloaded,
            Err(error) => return Status::Error(error.to_string()),
        };
        match cache.presence(&digest, file.size) {
            Presence::Missing => Status::NotDownloaded,
            Presence::Partial(bytes) => Status::Partial(bytes),
            Presence::Arriving(bytes) => Status::Downloading(bytes),
            Presence::Checked => Status::Validating,
            Presence::Unverified => Status::Unverified,
            Presence::Ready if cache.is_in_use(&digest) => Status::Loaded,
            Presence::Ready => Status::Ready,
            Presence::Wrong(found) => {
                let path = cache.blob_path(&digest);
                let expected = file.size.unwrap_or_default();
                Status::Error(format!("{} has {found} bytes, {expected} are expected", path.display()))
            }
        }
    }

    /// `weights.pt (96454336 bytes, sha256 1f07…)`, as far as known.
    pub fn describe(&self, file: &FileEntry, cache: &Cache) -> String {
        let size = file.size.map_or("size unknown".to_owned(), |size| format!("{size} bytes"));
        let sha256 = self.wanted_file(file, cache).ok().and_then(|wanted| wanted.sha256);
        let hash = sha256.map_or("sha256 unknown".to_owned(), |sha256| format!("sha256 {sha256}"));
        format!("{} ({size}, {hash})", file.name)
    }

    /// What is missing, of which size and hash, where it can be had, and where it belongs.
    pub fn what_is_missing(&self, cache: &Cache) -> String {
        use std::fmt::Write;
        let mut text = format!("model {} is not here", self.reference());
        for file in &self.files {
            if self.file_status(file, cache).is_here() {
                continue;
            }
            let sha256 = self.wanted_file(file, cache).ok().and_then(|wanted| wanted.sha256);
            let _ = write!(text, "\n  {}", self.describe(file, cache));
            for source in &file.sources {
                let _ = write!(text, "\n    from {source}");
            }
            if let Some(sha256) = sha256 {
                let _ = write!(text, "\n    to   {}", cache.blob_path(&sha256).display());
            }
        }
        text
    }

    /// The command that brings a file of it by hand.
    pub fn import(&self) -> String {
        if self.is_hashed() {
            return "`albumctl models import FILE`".to_owned();
        }
        format!("`albumctl models import FILE --as {} --trust-first`", self.reference())
    }

    fn is_hashed(&self) -> bool {
        self.files.iter().all(|file| file.sha256.is_some())
    }

    /// The command that mends it.
    pub fn mend(&self) -> String {
        let trust = if self.is_hashed() { "" } else { " --trust-first" };
        let import = self.import();
        match (self.is_reachable(), &self.origin) {
            (true, _) => {
                format!("`albumctl models pull {}{trust}`, or {import} where there is no network", self.name)
            }
            (false, Some(origin)) => format!("get it from {origin}, then {import}"),
            (false, None) => format!("get the file, then {import}"),
        }
    }
}

impl FileEntry {
    /// `resnet50-11ad3fa6.pth`: its publisher puts the first eight digits of the sha256 there.
    fn digits_in_name(&self) -> Option<String> {
        let stem = self.name.strip_suffix(".pth")?;
        let digits = stem.rsplit_once('-')?.1;
        (digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digits.to_owned())
    }
}

fn yes() -> bool {
    true
}

/// `version: 1` is as good as `version: "1"`.
pub fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Whole(u64),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Text(text) => text,
        Either::Whole(number) => number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn two_files() -> Entry {
        let yaml = format!(
            "name: net\nversion: 2\ntask: face\nlicense: MIT\nsources: [https://example.org/all]\nfiles:\n\
             - {{name: a.bin, size: 3, sha256: {}}}\n- {{name: b-0123abcd.pth, sources: [https://example.org/b]}}\n",
            Digest::of(b"aaa")
        );
        Entry::parse("net.yaml", &yaml).unwrap()
    }

    #[test]
    fn files_inherit_sources_and_status_follows_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), None);
        let entry = two_files();
        let wanted = entry.wanted(&cache).unwrap();
        assert_eq!(wanted[0].sources[0].address(), Some("https://example.org/all"));
        assert_eq!(wanted[1].sources[0].address(), Some("https://example.org/b"));
        assert_eq!(wanted[1].sha256_starts.as_deref(), Some("0123abcd"));
        assert_eq!(entry.status(&cache), Status::NotDownloaded);
        let mut part = cache.new_part(&Digest::of(b"aaa").hex(), crate::cache::Origin::default()).unwrap();
        part.append(b"aa").unwrap();
        assert_eq!(entry.status(&cache), Status::Downloading(2));
        part.append(b"a").unwrap();
        cache.adopt(part, &Digest::of(b"aaa")).unwrap();
        assert_eq!(entry.status(&cache), Status::Partial(3));
        let missing = entry.what_is_missing(&cache);
        assert!(missing.contains("b-0123abcd.pth (size unknown, sha256 unknown)"), "{missing}");
        assert!(!missing.contains("a.bin"), "{missing}");
        cache.trust("net@2", "b-0123abcd.pth", &Digest::of(b"b")).unwrap();
        fs::write(cache.blob_path(&Digest::of(b"b")), "b").unwrap();
        assert_eq!(entry.status(&cache), Status::Unverified);
        cache.ready(&Digest::of(b"b")).unwrap();
        assert_eq!(entry.status(&cache), Status::Ready);
        let lease = cache.lease(&Digest::of(b"b"));
        assert_eq!(entry.status(&cache), Status::Loaded);
        drop(lease);
        assert_eq!(entry.status(&cache), Status::Ready);
        fs::remove_file(cache.blob_path(&Digest::of(b"aaa"))).unwrap();
        fs::write(cache.blob_path(&Digest::of(b"aaa")), "aaaa").unwrap();
        assert!(matches!(entry.status(&cache), Status::Error(cause) if cause.contains("has 4 bytes")));
    }

    #[test]
    fn a_file_that_is_read_through_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), None);
        let (entry, digest) = (two_files(), Digest::of(b"aaa"));
        fs::create_dir(folder.path().join("blobs")).unwrap();
        fs::write(cache.blob_path(&digest), "aaa").unwrap();
        assert_eq!(entry.file_status(&entry.files[0], &cache), Status::Unverified);
        let checked = cache.check(&digest);
        assert_eq!(entry.file_status(&entry.files[0], &cache), Status::Validating);
        drop(checked);
        assert_eq!(entry.file_status(&entry.files[0], &cache), Status::Unverified);
    }

    #[test]
    fn a_missing_model_says_what_is_needed() {
        let cache = Cache::new("/models", None);
        let text = two_files().what_is_missing(&cache);
        let expected = format!(
            "a.bin (3 bytes, sha256 {0})\n    from https://example.org/all\n    to   /models/blobs/sha256-{0}",
            Digest::of(b"aaa")
        );
        assert!(text.contains(&expected), "{text}");
        assert!(two_files().mend().contains("albumctl models pull net --trust-first"));
    }

    #[test]
    fn manifests_that_could_do_harm_are_refused() {
        let good = "name: net\nversion: 1\ntask: face\nlicense: MIT\nfile: {name: a.bin}\n";
        assert!(Entry::parse("x", good).is_ok());
        for (from, to) in [
            ("a.bin", "../a.bin"),
            ("name: net", "name: ../net"),
            ("version: 1", "version: 1/2"),
            ("file: {name: a.bin}", "files: []"),
            ("file: {name: a.bin}", "files: [{name: a}, {name: a}]"),
            ("{name: a.bin}", "{name: a.bin, sha256: 12}"),
            ("license: MIT", ""),
        ] {
            assert!(Entry::parse("x", &good.replace(from, to)).is_err(), "{to}");
        }
    }
}

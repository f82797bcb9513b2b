//! How much of a model is on disk, and what the user can do about the rest.

use super::cache::{Cache, CacheError, Presence};
use super::fetch::ExpectedFile;
use super::manifest::{Manifest, ManifestFile};

/// The state of a model on disk and, within a program, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    NotDownloaded,
    /// A running process is fetching it; this many bytes have arrived.
    Downloading(u64),
    /// This many bytes are there, and no process is fetching the rest.
    Partial(u64),
    /// Complete, but a file has not been verified since it arrived or changed.
    Unverified,
    /// Complete; a running process is verifying it.
    Validating,
    Ready,
    /// This process is building its network.
    Loading,
    /// Verified, and in use by a running process.
    Loaded,
    Error(String),
}

impl Status {
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotDownloaded => "not_downloaded",
            Self::Downloading(_) => "downloading",
            Self::Partial(_) => "partial",
            Self::Unverified => "unverified",
            Self::Validating => "validating",
            Self::Ready => "ready",
            Self::Loading => "loading",
            Self::Loaded => "loaded",
            Self::Error(_) => "error",
        }
    }

    /// Whether all files are here.
    pub fn is_here(&self) -> bool {
        matches!(self, Self::Ready | Self::Loading | Self::Loaded | Self::Unverified | Self::Validating)
    }

    /// The bytes that are here of a file of this size.
    pub fn bytes_here(&self, size: Option<u64>) -> u64 {
        match self {
            Self::Partial(bytes) | Self::Downloading(bytes) => *bytes,
            Self::NotDownloaded | Self::Error(_) => 0,
            _ => size.unwrap_or(0),
        }
    }
}

impl Manifest {
    /// Its files as a pull requests them. Where the manifest has no hash, the one the user has accepted counts.
    pub fn wanted(&self, cache: &Cache) -> Result<Vec<ExpectedFile>, CacheError> {
        self.files.iter().map(|file| self.wanted_file(file, cache)).collect()
    }

    pub fn wanted_file(&self, file: &ManifestFile, cache: &Cache) -> Result<ExpectedFile, CacheError> {
        let sha256 = match file.sha256 {
            Some(known) => Some(known),
            None => cache.trusted(&self.reference(), &file.name)?,
        };
        let ManifestFile { name, size, sources, .. } = file.clone();
        let sha256_starts = file.digits_in_name();
        Ok(ExpectedFile { name, size, sha256, sha256_starts, sources })
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

    /// The content of a built-in file; models of the user have none.
    pub fn built_in_weights(&self, file: &ManifestFile) -> Option<&'static [u8]> {
        let here = models::WEIGHTS.iter().find(|(name, _)| *name == file.name)?;
        self.own.is_none().then_some(here.1)
    }

    pub fn file_status(&self, file: &ManifestFile, cache: &Cache) -> Status {
        if self.built_in_weights(file).is_some() {
            return Status::Ready;
        }
        let digest = match self.wanted_file(file, cache) {
            Ok(ExpectedFile { sha256: Some(digest), .. }) => digest,
            // Without a hash no file can be recognised as this one.
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

    /// `weights.pt (96454336 bytes, sha256 1f07…)`, with what is known.
    pub fn describe(&self, file: &ManifestFile, cache: &Cache) -> String {
        let size = file.size.map_or("size unknown".to_owned(), |size| format!("{size} bytes"));
        let sha256 = self.wanted_file(file, cache).ok().and_then(|wanted| wanted.sha256);
        let hash = sha256.map_or("sha256 unknown".to_owned(), |sha256| format!("sha256 {sha256}"));
        format!("{} ({size}, {hash})", file.name)
    }

    /// Describes what is missing: size, hash, sources and destination.
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

    /// The command that imports a file of it by hand.
    pub fn import(&self) -> String {
        if self.is_hashed() {
            return "`albumctl models import FILE`".to_owned();
        }
        format!("`albumctl models import FILE --as {} --trust-first`", self.reference())
    }

    fn is_hashed(&self) -> bool {
        self.files.iter().all(|file| file.sha256.is_some())
    }

    /// The command that makes it available.
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

impl ManifestFile {
    /// The start of the sha256 that some publishers put into the file name, as in `resnet50-11ad3fa6.pth`.
    fn digits_in_name(&self) -> Option<String> {
        let stem = self.name.strip_suffix(".pth")?;
        let digits = stem.rsplit_once('-')?.1;
        (digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digits.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::digest::Digest;

    fn two_files() -> Manifest {
        let yaml = format!(
            "name: net\nversion: 2\ntask: face\nlicense: MIT\nsources: [https://example.org/all]\nfiles:\n\
             - {{name: a.bin, size: 3, sha256: {}}}\n- {{name: b-0123abcd.pth, sources: [https://example.org/b]}}\n",
            Digest::of(b"aaa")
        );
        Manifest::parse("net.yaml", &yaml).unwrap()
    }

    #[test]
    fn files_inherit_sources_and_status_follows_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), None);
        let manifest = two_files();
        let wanted = manifest.wanted(&cache).unwrap();
        assert_eq!(wanted[0].sources[0].address(), Some("https://example.org/all"));
        assert_eq!(wanted[1].sources[0].address(), Some("https://example.org/b"));
        assert_eq!(wanted[1].sha256_starts.as_deref(), Some("0123abcd"));
        assert_eq!(manifest.status(&cache), Status::NotDownloaded);
        let mut part = cache.new_part(&Digest::of(b"aaa").hex(), crate::cache::Origin::default()).unwrap();
        part.append(b"aa").unwrap();
        assert_eq!(manifest.status(&cache), Status::Downloading(2));
        part.append(b"a").unwrap();
        cache.adopt(part, &Digest::of(b"aaa")).unwrap();
        assert_eq!(manifest.status(&cache), Status::Partial(3));
        let missing = manifest.what_is_missing(&cache);
        assert!(missing.contains("b-0123abcd.pth (size unknown, sha256 unknown)"), "{missing}");
        assert!(!missing.contains("a.bin"), "{missing}");
        cache.trust("net@2", "b-0123abcd.pth", &Digest::of(b"b")).unwrap();
        fs::write(cache.blob_path(&Digest::of(b"b")), "b").unwrap();
        assert_eq!(manifest.status(&cache), Status::Unverified);
        cache.ready(&Digest::of(b"b")).unwrap();
        assert_eq!(manifest.status(&cache), Status::Ready);
        let lease = cache.lease(&Digest::of(b"b"));
        assert_eq!(manifest.status(&cache), Status::Loaded);
        drop(lease);
        assert_eq!(manifest.status(&cache), Status::Ready);
        fs::remove_file(cache.blob_path(&Digest::of(b"aaa"))).unwrap();
        fs::write(cache.blob_path(&Digest::of(b"aaa")), "aaaa").unwrap();
        assert!(matches!(manifest.status(&cache), Status::Error(cause) if cause.contains("has 4 bytes")));
    }

    #[test]
    fn a_file_that_is_read_through_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), None);
        let (manifest, digest) = (two_files(), Digest::of(b"aaa"));
        fs::create_dir(folder.path().join("blobs")).unwrap();
        fs::write(cache.blob_path(&digest), "aaa").unwrap();
        assert_eq!(manifest.file_status(&manifest.files[0], &cache), Status::Unverified);
        let checked = cache.check(&digest);
        assert_eq!(manifest.file_status(&manifest.files[0], &cache), Status::Validating);
        drop(checked);
        assert_eq!(manifest.file_status(&manifest.files[0], &cache), Status::Unverified);
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
}

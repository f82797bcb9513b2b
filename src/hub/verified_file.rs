//! Model files; of those that are small enough to be read whole, the hash is checked at every read.

use std::path::Path;

use super::cache::{CacheError, stamp_of};
use super::digest::Digest;
use super::manifest::Manifest;
use super::{Hub, HubError, LocalFile};
use base::reading;
use networks::weights::WeightsFile;

/// Maximum bytes of a file; published ones have a few megabytes.
const LARGEST: u64 = 256 << 20;

/// A local file and its expected hash.
#[derive(Clone, Debug)]
pub(super) struct VerifiedFile {
    local: LocalFile,
    sha256: Option<Digest>,
}

impl Hub {
    /// Finds all files of a model. The error names the missing ones.
    pub(super) fn files_of(&self, manifest: &Manifest) -> Result<Vec<VerifiedFile>, HubError> {
        let (mut files, mut models) = (Vec::new(), Vec::new());
        for file in &manifest.files {
            match self.local_file(manifest, file)? {
                Some(local) => {
                    let sha256 = manifest.wanted_file(file, self.cache())?.sha256;
                    files.push(VerifiedFile { local, sha256 });
                }
                None => models.push(self.missing(manifest, file)),
            }
        }
        if models.is_empty() { Ok(files) } else { Err(HubError::Missing { models }) }
    }
}

impl VerifiedFile {
    /// A stamp that changes whenever the file does.
    pub fn stamp(&self) -> String {
        format!("{} {}", self.local.path.display(), stamp_of(&self.local.path))
    }

    pub fn path(&self) -> &Path {
        &self.local.path
    }

    /// The expected hash; empty if unknown.
    pub fn hash(&self) -> String {
        self.sha256.map(|sha256| sha256.hex()).unwrap_or_default()
    }

    /// As a file of weights, of any size; a known hash was checked when it was found.
    pub fn open(&self) -> Result<WeightsFile, HubError> {
        self.local.open()
    }

    pub fn read(&self) -> Result<Vec<u8>, HubError> {
        let path = self.local.path.clone();
        let bytes = reading::read(&path, LARGEST)
            .map_err(|source| self.local.unless_gone(HubError::Open { path: path.clone(), source }))?;
        let found = Digest::of(&bytes);
        match self.sha256 {
            Some(expected) if expected != found => {
                let fate = "it was changed while it was in use".to_owned();
                Err(CacheError::Corrupt { path, expected, found, fate }.into())
            }
            _ => Ok(bytes),
        }
    }
}

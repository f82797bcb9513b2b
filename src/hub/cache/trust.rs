//! Hashes that the user accepted: a manifest without a hash is pinned by the first trusted pull.

use std::fs;
use std::path::PathBuf;

use super::{At, Cache, CacheError};
use crate::digest::Digest;
use base::atomic;
use base::reading;

impl Cache {
    /// The accepted hash for a file of a model. A pin that cannot be read is an error: treating it as absent would accept
    /// any bytes.
    pub fn trusted(&self, model: &str, file: &str) -> Result<Option<Digest>, CacheError> {
        let path = self.pin_path(model, file);
        let text = match reading::read_text(&path, reading::TEXT) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at(&path),
        };
        text.parse().map(Some).map_err(std::io::Error::other).at(&path)
    }

    pub fn trust(&self, model: &str, file: &str, digest: &Digest) -> Result<(), CacheError> {
        let path = self.pin_path(model, file);
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&folder).at(&folder)?;
        atomic::write(&path, format!("{digest}\n").as_bytes()).at(&path)
    }

    pub fn distrust(&self, model: &str, file: &str) -> Result<(), CacheError> {
        let path = self.pin_path(model, file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at(&path),
            _ => Ok(()),
        }
    }

    fn pin_path(&self, model: &str, file: &str) -> PathBuf {
        // Names come from untrusted manifests, so their separators must not become path separators.
        let plain = |name: &str| {
            let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '@' | '.');
            let text: String = name.chars().map(|c| if safe(c) { c } else { '_' }).collect();
            let text = text.trim_start_matches('.');
            if text == name && !text.is_empty() {
                return text.to_owned();
            }
            format!("{text}-{}", &blake3::hash(name.as_bytes()).to_hex()[..8])
        };
        self.folder("trusted").join(plain(model)).join(plain(file))
    }
}

//! A path in a record: always readable, and also exact where it is not UTF-8.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use base::escape::visible;
use base::platform::path_from_bytes;

/// The two leading fields of every line about a photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhotoPath {
    /// The path as given; bytes that are not UTF-8 are replaced.
    pub image_path: String,
    /// The exact bytes of the path in base64, when it is not UTF-8; else null.
    pub image_path_b64: Option<String>,
}

impl PhotoPath {
    pub fn of(path: &Path) -> Self {
        let exact = || STANDARD.encode(path.as_os_str().as_encoded_bytes());
        Self { image_path: path.to_string_lossy().into_owned(), image_path_b64: path.to_str().is_none().then(exact) }
    }

    /// Returns the path; the inverse of [`PhotoPath::of`].
    pub fn to_path(&self) -> std::path::PathBuf {
        let exact = self.image_path_b64.as_ref().and_then(|text| STANDARD.decode(text).ok());
        exact.map_or_else(|| self.image_path.clone().into(), path_from_bytes)
    }
}

/// A path for a message, on one line and without control characters.
pub fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy()).into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn odd_names_survive_the_round_trip() {
        for bytes in [&b"plain.jpg"[..], b"caf\xe9.jpg", b"\xff\xfe"] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(PhotoPath::of(path).to_path(), path);
        }
        assert_eq!(PhotoPath::of(Path::new("a.jpg")).image_path_b64, None);
    }
}

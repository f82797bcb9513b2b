//! Sources of files: an address, or an entry of a published wheel.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// One of several sources of a file; they are tried in turn.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// `https://…`
    Address(String),
    /// `url: https://…`
    Url(Url),
    /// `wheel: {package, version, file, entry, sha256?}`
    Wheel(Wheel),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Url {
    pub url: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    pub wheel: WheelEntry,
}

/// A file inside a Python wheel, which is a zip archive. The package index is the user's, read from pip's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WheelEntry {
    pub package: String,
    pub version: String,
    /// The file name of the wheel.
    pub file: String,
    /// Path inside the wheel.
    pub entry: String,
    /// The sha256 of the whole wheel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

impl Source {
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Address(url) | Self::Url(Url { url }) => Some(url),
            Self::Wheel(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(url) | Self::Url(Url { url }) => f.write_str(&without_secrets(url)),
            Self::Wheel(Wheel { wheel }) => {
                write!(f, "{} of {}=={} ({})", wheel.entry, wheel.package, wheel.version, wheel.file)
            }
        }
    }
}

/// An address without its password, for display.
pub fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{}", &rest[end..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_spellings_of_a_source() {
        let text = "- https://example.org/a.bin\n- url: https://example.org/b.bin\n- wheel: {package: p, version: 1.0.0, file: p.whl, entry: p/a.bin}\n";
        let sources: Vec<Source> = serde_yaml::from_str(text).unwrap();
        assert_eq!(sources[0].address(), Some("https://example.org/a.bin"));
        assert_eq!(sources[1].address(), Some("https://example.org/b.bin"));
        assert_eq!(sources[2].to_string(), "p/a.bin of p==1.0.0 (p.whl)");
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_secrets("https://me:secret@host/a?b=c@d"), "https://host/a?b=c@d");
        assert_eq!(without_secrets("https://host/a@b"), "https://host/a@b");
    }
}

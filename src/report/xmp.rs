//! XMP sidecars: a photo's rating and label where other programs look for them, and our numbers beside them.
//!
//! A sidecar belongs to everybody. What others wrote stays byte for byte; values of ours are changed in place; a rating
//! or label a person set is theirs for ever; and when nothing changes, nothing is written.

mod merge;

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use base::reading;
use photo::xmp;

pub use merge::{Merged, merge};

use base::atomic::{Draft, Folders};

#[derive(Debug, Error)]
pub enum XmpError {
    #[error("{}: {action}", path.display())]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error("{}: {source}; it is left as it is", path.display())]
    Merge { path: PathBuf, source: xmp::NotXmp },
    #[error("{}: another program keeps changing it; it is left as it is", path.display())]
    Busy { path: PathBuf },
}

/// What we have to say about a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// `xmp:Rating`: −1 rejected, 0 unrated, 1–5.
    pub rating: Option<i8>,
    /// `xmp:Label`: free text; programs match it by name ("Red", "Green").
    pub label: Option<String>,
    /// Ours: what a person decided, `keep` or `reject`.
    pub decision: Option<String>,
    /// Ours: on 0–1.
    pub score: Option<f64>,
    pub model: Option<String>,
    pub version: String,
}

/// The two schools of naming sidecars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// `IMG_1.xmp`: Lightroom, Capture One, Photo Mechanic, immich.
    #[default]
    Stem,
    /// `IMG_1.JPG.xmp`: darktable, digiKam, immich.
    FullName,
    Both,
}

/// The sidecars of each photo. Where two photos would share `IMG_1.xmp` (`IMG_1.jpg`, `IMG_1.png`), the first has it and
/// the other gets the full name, so that neither rates the other.
pub fn sidecars(photos: &[PathBuf], naming: Naming) -> Vec<Vec<PathBuf>> {
    let mut claimed = HashSet::new();
    photos
        .iter()
        .map(|photo| {
            let mut full = photo.clone().into_os_string();
            full.push(".xmp");
            let full = existing_spelling(PathBuf::from(full));
            let stem = existing_spelling(photo.with_extension("xmp"));
            let has_stem = naming != Naming::FullName && claimed.insert(stem.clone());
            match (naming, has_stem) {
                (Naming::Both, true) => vec![stem, full],
                (Naming::Stem, true) => vec![stem],
                _ => vec![full],
            }
        })
        .collect()
}

/// `IMG_1.XMP` where that is the one that lies there.
fn existing_spelling(path: PathBuf) -> PathBuf {
    let loud = path.with_extension("XMP");
    if !path.exists() && loud.exists() { loud } else { path }
}

/// Whether there is a sidecar that speaks of us.
pub fn is_marked(sidecar: &Path) -> Result<bool, XmpError> {
    let bytes = read(sidecar)?.unwrap_or_default();
    Ok(bytes.windows(xmp::OURS.len()).any(|window| window == xmp::OURS.as_bytes()))
}

/// What writing a sidecar came to, or would come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the file's content is other than before.
    pub changed: bool,
    /// Whether the rating in it is a person's and was left alone.
    pub rating_is_a_persons: bool,
}

/// Merges the mark into the sidecar, which is made if there is none. With `dry_run` nothing is written. `folders` are to
/// be forced to disk in the end.
pub fn write(sidecar: &Path, mark: &Mark, dry_run: bool, folders: &mut Folders) -> Result<Outcome, XmpError> {
    // A linked sidecar is changed where it lies; the link stays a link.
    let place = fs::canonicalize(sidecar).unwrap_or_else(|_| sidecar.to_owned());
    for _ in 0..3 {
        let before = read(&place)?;
        let Merged { bytes, rating_is_a_persons } =
            merge(before.as_deref(), mark).map_err(|source| XmpError::Merge { path: sidecar.to_owned(), source })?;
        let changed = before.as_deref() != Some(&bytes[..]);
        if !changed || dry_run || replace(&place, before.as_deref(), &bytes, folders)? {
            return Ok(Outcome { changed, rating_is_a_persons });
        }
    }
    Err(XmpError::Busy { path: sidecar.to_owned() })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, XmpError> {
    match reading::read(path, reading::SIDECAR) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(XmpError::Io { path: path.to_owned(), action: "read", source }),
    }
}

/// Whole or not at all; `false` when the file is no longer what was merged.
fn replace(path: &Path, before: Option<&[u8]>, bytes: &[u8], folders: &mut Folders) -> Result<bool, XmpError> {
    let failed = |action| {
        let path = path.to_owned();
        move |source| XmpError::Io { path, action, source }
    };
    let mut draft = Draft::beside(path).map_err(failed("write"))?;
    draft.write_all(bytes).map_err(failed("write"))?;
    let Some(expected) = before else { return draft.place_new(folders).map_err(failed("write")) };
    let permissions = fs::metadata(path).map_err(failed("look at"))?.permissions();
    let file = draft.file().map_err(failed("write"))?;
    file.set_permissions(permissions).map_err(failed("set the rights of"))?;
    // Forced to disk before the last look: between that and the rename nothing takes long.
    file.sync_all().map_err(failed("write"))?;
    if read(path)?.as_deref() != Some(expected) {
        return Ok(false);
    }
    draft.replace(folders).map_err(failed("replace"))?;
    Ok(true)
}

#[cfg(test)]
mod tests;

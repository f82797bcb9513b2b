//! XMP sidecars: a photo's rating and label for other programs, and albumctl's own values beside them.
//!
//! Other programs write into the same sidecars. Their content is kept byte for byte, albumctl's values are changed in
//! place, a rating or label set by a person is never changed, and an unchanged file is not written.

mod embed;
mod keywords;
mod merge;
mod regions;

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use base::reading;
use photo::xmp;

pub use embed::{NotEmbedded, embedded, is_marked_copy};
pub use merge::{Merged, merge};
pub use regions::{Faces, Region};

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

/// The values to write into a photo's sidecar.
#[derive(Debug, Clone, PartialEq)]
pub struct SidecarValues {
    /// `xmp:Rating`: −1 rejected, 0 unrated, 1–5.
    pub rating: Option<i8>,
    /// `xmp:Label`: free text; programs match it by name ("Red", "Green").
    pub label: Option<String>,
    /// albumctl's own: a person's decision, `keep` or `reject`.
    pub decision: Option<String>,
    /// albumctl's own: the composite score from 0 to 1.
    pub score: Option<f64>,
    pub model: Option<String>,
    pub version: String,
    /// `dc:subject`: words to have there; `None` leaves keywords as they are.
    pub keywords: Option<Vec<String>>,
    /// The faces of people with a name; `None` leaves regions as they are.
    pub faces: Option<Faces>,
}

/// The naming conventions for sidecars.
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

/// The sidecars of each photo. Where two photos would share `IMG_1.xmp` (`IMG_1.jpg`, `IMG_1.png`), the first gets it and
/// the other gets the full name, so that each has a rating of its own.
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

/// Returns `IMG_1.XMP` where only that spelling exists.
fn existing_spelling(path: PathBuf) -> PathBuf {
    let upper_case = path.with_extension("XMP");
    if !path.exists() && upper_case.exists() { upper_case } else { path }
}

/// Whether the sidecar exists and has values of albumctl.
pub fn is_marked(sidecar: &Path) -> Result<bool, XmpError> {
    let bytes = read(sidecar)?.unwrap_or_default();
    Ok(bytes.windows(xmp::OURS.len()).any(|window| window == xmp::OURS.as_bytes()))
}

/// The outcome of writing a sidecar, or of a dry run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the file's content changes.
    pub changed: bool,
    /// Whether the rating in it was set by a person and is kept.
    pub rating_is_a_persons: bool,
}

/// Merges the values into the sidecar, or makes one. With `dry_run` nothing is written. The caller must sync `folders` at the
/// end.
pub fn write(
    sidecar: &Path,
    values: &SidecarValues,
    dry_run: bool,
    folders: &mut Folders,
) -> Result<Outcome, XmpError> {
    // The target of a symbolic link is changed; the link stays.
    let place = fs::canonicalize(sidecar).unwrap_or_else(|_| sidecar.to_owned());
    for _ in 0..3 {
        let before = read(&place)?;
        let Merged { bytes, rating_is_a_persons } =
            merge(before.as_deref(), values).map_err(|source| XmpError::Merge { path: sidecar.to_owned(), source })?;
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

/// Replaces the file atomically; returns `false` if its content has changed since it was read.
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
    // Synced before the last comparison, so that little time passes between that and the rename.
    file.sync_all().map_err(failed("write"))?;
    if read(path)?.as_deref() != Some(expected) {
        return Ok(false);
    }
    draft.replace(folders).map_err(failed("replace"))?;
    Ok(true)
}

#[cfg(test)]
mod tests;

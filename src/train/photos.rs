//! Reads labelled photos: a CSV of labels and a folder of photos, decoded once before training starts.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::TrainError;
use base::pixels::Pixels;
use base::reading;
use photo::{self, Limits, Scale, resize};

/// A line of a label file.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    pub file: String,
    pub score: f32,
    /// The scene; photos of one scene have the same group.
    pub group: Option<String>,
}

/// Reads a CSV with the columns `file`, `score` (or `mos`) and optionally `group`.
pub fn labels(path: &Path) -> Result<Vec<Label>, TrainError> {
    let bad = |why: String| TrainError::Labels { file: path.to_owned(), why };
    let table = reading::read(path, reading::LIST).map_err(|error| bad(error.to_string()))?;
    let mut reader = csv::Reader::from_reader(&table[..]);
    let headers = reader.headers().map_err(|error| bad(error.to_string()))?.clone();
    let column = |names: &[&str]| headers.iter().position(|header| names.contains(&header.trim()));
    let file = column(&["file", "image", "image_path"]).ok_or_else(|| bad("no column `file`".into()))?;
    let score = column(&["score", "mos"]).ok_or_else(|| bad("no column `score` or `mos`".into()))?;
    let group = column(&["group", "series"]);
    let mut labels = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (at, row) in reader.records().enumerate() {
        let line = at + 2;
        let row = row.map_err(|error| bad(error.to_string()))?;
        let text = |column: usize| row.get(column).unwrap_or_default().trim();
        let value: f32 =
            text(score).parse().map_err(|_| bad(format!("line {line}: `{}` is no number", text(score))))?;
        if !value.is_finite() {
            return Err(bad(format!("line {line}: a score must be finite")));
        }
        if text(file).is_empty() {
            return Err(bad(format!("line {line}: no file is named")));
        }
        if !seen.insert(text(file).to_owned()) {
            return Err(bad(format!("line {line}: {} has a label already", text(file))));
        }
        let group = group.map(text).filter(|group| !group.is_empty()).map(str::to_owned);
        labels.push(Label { file: text(file).to_owned(), score: value, group });
    }
    if labels.is_empty() {
        return Err(bad("no labels in it".into()));
    }
    Ok(labels)
}

/// Decodes photos of a folder, in the order of `names`. If any cannot be read, the error names the first and counts the
/// others, before hours are spent on training.
pub fn decode(folder: &Path, names: &[&str], done: impl Fn(usize) + Sync) -> Result<Vec<Pixels>, TrainError> {
    let count = AtomicUsize::new(0);
    let read = |name: &&str| -> Result<Pixels, (PathBuf, String)> {
        let path = folder.join(name);
        let limits = Limits::default();
        let read = photo::identity::read(&path, limits.max_file_bytes).map_err(|error| error.to_string());
        let decoded =
            read.and_then(|file| photo::decode(&file.bytes, Scale::Full, &limits).map_err(|error| error.to_string()));
        done(count.fetch_add(1, Ordering::Relaxed) + 1);
        decoded.map(|decoded| decoded.pixels).map_err(|why| (path, why))
    };
    let all: Vec<Result<Pixels, (PathBuf, String)>> = names.par_iter().map(read).collect();
    let mut photos = Vec::with_capacity(all.len());
    let mut bad = Vec::new();
    for outcome in all {
        match outcome {
            Ok(photo) => photos.push(photo),
            Err(failure) => bad.push(failure),
        }
    }
    match bad.first() {
        None => Ok(photos),
        Some((path, why)) => {
            Err(TrainError::Photos { path: path.clone(), why: why.clone(), others: bad.len() - 1, of: names.len() })
        }
    }
}

/// The photo resized to a square of the network's input size.
pub fn squared(photo: &Pixels, side: u32) -> Pixels {
    resize::resize(photo, side, side, resize::Filter::Lanczos3)
}

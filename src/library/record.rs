//! The record of a model: its manifest and the state of its files on disk.

use crate::report::records::{ModelFile, ModelQuality, ModelRecord};
use hub::cache::{Blob, Cache};
use hub::catalogue::{Entry, FileEntry, Status};
use hub::manifest::QualityFigure;
use hub::policy::Terms;

pub fn record(entry: &Entry, cache: &Cache, blobs: &[Blob]) -> ModelRecord {
    let status = entry.status(cache);
    let files: Vec<ModelFile> = entry.files.iter().map(|file| file_record(entry, file, cache)).collect();
    let own = |blob: &&Blob| files.iter().any(|file| file.sha256 == Some(blob.digest.hex()));
    let own: Vec<&Blob> = blobs.iter().filter(own).collect();
    let taken: u64 = own.iter().map(|blob| blob.bytes).sum();
    ModelRecord {
        model: entry.reference(),
        name: entry.name.clone(),
        version: entry.version.clone(),
        title: entry.title.clone(),
        task: entry.task.clone(),
        architecture: entry.architecture.clone(),
        runs: entry.runs,
        status: status.word(),
        error: if let Status::Error(cause) = status { Some(cause) } else { None },
        bytes: entry.bytes(),
        bytes_here: files.iter().map(|file| file.bytes_here).sum(),
        license: entry.license.clone(),
        terms: Terms::of(&entry.license).to_string(),
        devices: entry.devices.clone(),
        tags: entry.tags.clone(),
        quality: entry.quality.iter().map(figure).collect(),
        aliases: entry.aliases.clone(),
        origin: entry.origin.clone(),
        manifest: entry.own.as_ref().map_or("built-in".to_owned(), |path| path.display().to_string()),
        dependencies: entry.dependencies.clone(),
        last_updated: entry.last_updated.clone(),
        last_used: own.iter().map(|blob| blob.note.last_used).max().and_then(timestamp),
        access_count: own.iter().map(|blob| blob.note.uses).max().unwrap_or(0),
        utilization: cache.max_bytes().filter(|max| *max > 0).map(|max| taken as f64 / max as f64),
        files,
    }
}

fn file_record(entry: &Entry, file: &FileEntry, cache: &Cache) -> ModelFile {
    let status = entry.file_status(file, cache);
    let sha256 = entry.wanted_file(file, cache).ok().and_then(|wanted| wanted.sha256);
    let built_in = entry.built_in_weights(file);
    // Weights that are part of the binary have no path.
    let path = sha256.filter(|_| built_in.is_none()).map(|sha256| cache.blob_path(&sha256));
    let here = status.is_here();
    let on_disk = || path.as_ref().and_then(|path| path.metadata().ok()).map_or(0, |metadata| metadata.len());
    let length = || built_in.map_or_else(on_disk, |content| content.len() as u64);
    ModelFile {
        name: file.name.clone(),
        size: file.size,
        sha256: sha256.map(|sha256| sha256.hex()),
        sha256_from: match (file.sha256, sha256) {
            (Some(_), _) => Some("manifest"),
            (None, Some(_)) => Some("first pull"),
            (None, None) => None,
        },
        status: status.word(),
        bytes_here: match status {
            Status::Partial(bytes) | Status::Downloading(bytes) => bytes,
            _ => length(),
        },
        path: path.filter(|_| here).map(|path| path.display().to_string()),
        sources: file.sources.iter().map(ToString::to_string).collect(),
    }
}

fn figure(figure: &QualityFigure) -> ModelQuality {
    let QualityFigure { metric, value, data, source } = figure.clone();
    ModelQuality { metric, value, data, source }
}

fn timestamp(time: std::time::SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

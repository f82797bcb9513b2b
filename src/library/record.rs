//! The record of a model: its manifest and the state of its files on disk.

use crate::report::records::{ModelFile, ModelQuality, ModelRecord};
use hub::availability::Status;
use hub::cache::{Blob, Cache};
use hub::manifest::QualityFigure;
use hub::manifest::{Manifest, ManifestFile};
use hub::policy::Terms;

pub fn record(manifest: &Manifest, cache: &Cache, blobs: &[Blob]) -> ModelRecord {
    let status = manifest.status(cache);
    let files: Vec<ModelFile> = manifest.files.iter().map(|file| file_record(manifest, file, cache)).collect();
    let own = |blob: &&Blob| files.iter().any(|file| file.sha256 == Some(blob.digest.hex()));
    let own: Vec<&Blob> = blobs.iter().filter(own).collect();
    let taken: u64 = own.iter().map(|blob| blob.bytes).sum();
    ModelRecord {
        model: manifest.reference(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        title: manifest.title.clone(),
        task: manifest.task.clone(),
        architecture: manifest.architecture.clone(),
        runs: manifest.runs,
        status: status.word(),
        error: if let Status::Error(cause) = status { Some(cause) } else { None },
        bytes: manifest.bytes(),
        bytes_here: files.iter().map(|file| file.bytes_here).sum(),
        license: manifest.license.clone(),
        terms: Terms::of(&manifest.license).to_string(),
        devices: manifest.devices.clone(),
        tags: manifest.tags.clone(),
        quality: manifest.quality.iter().map(figure).collect(),
        aliases: manifest.aliases.clone(),
        origin: manifest.origin.clone(),
        manifest: manifest.own.as_ref().map_or("built-in".to_owned(), |path| path.display().to_string()),
        dependencies: manifest.dependencies.clone(),
        last_updated: manifest.last_updated.clone(),
        last_used: own.iter().map(|blob| blob.note.last_used).max().and_then(timestamp),
        access_count: own.iter().map(|blob| blob.note.uses).max().unwrap_or(0),
        utilization: cache.max_bytes().filter(|max| *max > 0).map(|max| taken as f64 / max as f64),
        files,
    }
}

fn file_record(manifest: &Manifest, file: &ManifestFile, cache: &Cache) -> ModelFile {
    let status = manifest.file_status(file, cache);
    let sha256 = manifest.wanted_file(file, cache).ok().and_then(|wanted| wanted.sha256);
    let built_in = manifest.built_in_weights(file);
    // What is part of the binary lies in no folder.
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

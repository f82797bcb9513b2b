//! What every `models` command starts from: the catalogue, the model folder, and what to say about a model.

use std::path::PathBuf;

use anyhow::anyhow;

use crate::context::Context;
use crate::error::CommandError;
use crate::hub::built_in::MANIFESTS;
use crate::hub::cache::{Blob, Cache};
use crate::hub::catalogue::{Catalogue, CatalogueError, Entry, FileEntry, QualityFigure, Status};
use crate::hub::policy::Terms;
use crate::report::records::{ModelFile, ModelQuality, ModelRecord};

pub struct Holdings {
    pub catalogue: Catalogue,
    pub cache: Cache,
    /// Where the user's own manifests lie.
    pub own_folder: Option<PathBuf>,
}

impl Holdings {
    pub fn of(context: &Context) -> Result<Self, CommandError> {
        let cache = context.model_cache()?;
        let own_folder = context.own_manifests();
        let tell = |error: CatalogueError| context.ui.warn(&format!("passed over: {error}"));
        let catalogue = Catalogue::load(MANIFESTS, own_folder.as_deref(), tell).map_err(CommandError::failed)?;
        Ok(Self { catalogue, cache, own_folder })
    }

    pub fn find(&self, reference: &str) -> Result<&Entry, CommandError> {
        self.catalogue.find(reference).map_err(|error| {
            let names = self.catalogue.entries().iter().map(|entry| entry.name.as_str());
            let near = crate::config::nearest(reference, names).map(|name| format!("did you mean `{name}`?"));
            let refusal = CommandError::usage(error);
            near.into_iter().fold(refusal, CommandError::hint)
        })
    }

    /// Those named, or all when none is.
    pub fn named<'a>(&'a self, references: &[String], all: bool) -> Result<Vec<&'a Entry>, CommandError> {
        match (references, all) {
            ([], true) => Ok(self.catalogue.entries().iter().collect()),
            ([], false) => Err(CommandError::usage(anyhow!("no model is named")).hint("name one, or say --all")),
            (_, true) => Err(CommandError::usage(anyhow!("--all and names do not go together"))),
            (named, false) => named.iter().map(|reference| self.find(reference)).collect(),
        }
    }

    pub fn record(&self, entry: &Entry, blobs: &[Blob]) -> ModelRecord {
        let status = entry.status(&self.cache);
        let files: Vec<ModelFile> = entry.files.iter().map(|file| self.file_record(entry, file)).collect();
        let used = blobs.iter().filter(|blob| files.iter().any(|file| file.sha256 == Some(blob.digest.hex())));
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
            last_used: used.map(|blob| blob.note.last_used).max().and_then(timestamp),
            files,
        }
    }

    fn file_record(&self, entry: &Entry, file: &FileEntry) -> ModelFile {
        let status = entry.file_status(file, &self.cache);
        let sha256 = entry.wanted_file(file, &self.cache).ok().and_then(|wanted| wanted.sha256);
        let path = sha256.map(|sha256| self.cache.blob_path(&sha256));
        let here = matches!(status, Status::Ready | Status::Unverified);
        let length = || path.as_ref().and_then(|path| path.metadata().ok()).map_or(0, |metadata| metadata.len());
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
            bytes_here: if let Status::Partial(bytes) = status { bytes } else { length() },
            path: path.filter(|_| here).map(|path| path.display().to_string()),
            sources: file.sources.iter().map(ToString::to_string).collect(),
        }
    }

    /// `96.5 MB of at most 10 GB in /…/models; 62 GB free`.
    pub fn usage(&self) -> anyhow::Result<String> {
        let usage = self.cache.usage()?;
        let limit = usage.max_bytes.map_or_else(String::new, |max| format!(" of at most {}", human(max)));
        let free = usage.free_bytes.map_or_else(String::new, |free| format!("; {} free", human(free)));
        let partial = match usage.partial_bytes {
            0 => String::new(),
            bytes => format!(", {} of pulls cut short", human(bytes)),
        };
        let folder = self.cache.root().display();
        Ok(format!("{} files, {}{limit}{partial} in {folder}{free}", usage.files, human(usage.bytes)))
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

/// In powers of a thousand, as disks are sold.
pub fn human(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 999.5 && unit + 1 < units.len() {
        amount /= 1000.0;
        unit += 1;
    }
    if unit == 0 || amount >= 100.0 {
        format!("{amount:.0} {}", units[unit])
    } else {
        format!("{amount:.1} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_for_people() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (96_454_336, "96.5 MB"),
            (999_999, "1.0 MB"),
            (150_000, "150 kB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
    }
}

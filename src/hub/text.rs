//! The text networks as models of the hub: one finds lines, the other reads them.

use std::sync::Arc;
use std::time::Instant;

use networks::text::{TextLine, TextReader};

use super::loaded_networks::{Key, Weight};
use super::model::LoadedGuard;
use super::verified_file::VerifiedFile;
use super::{Hub, HubError, Shared};
use base::pixels::Pixels;

/// Part of the key of stored results; changes when the results for the same pixels change.
const REVISION: &str = "text/1";

/// Finds and reads lines of text; can be used from several threads.
#[derive(Clone, Debug)]
pub struct TextModel {
    shared: Arc<Shared>,
    /// Finds lines, and reads them.
    files: [VerifiedFile; 2],
    /// Whether the second is Tesseract's.
    reads_by_tesseract: bool,
    key: Key,
}

impl Weight for TextReader {
    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
}

impl Hub {
    /// Opens a text model by `name` or `name@version`, if its files are here.
    pub fn text(&self, name: &str) -> Result<TextModel, HubError> {
        let manifest = self.runnable(name, models::TEXT_TASK)?;
        let (reference, reads_by_tesseract) = (manifest.reference(), manifest.architecture == "tesseract");
        let files = self.files_of(manifest)?.try_into();
        let files: [VerifiedFile; 2] = files.map_err(|_| HubError::DoesNotRun { reference: reference.clone() })?;
        let shared = self.shared.clone();
        let cpu = shared.engine.cpu.name().to_owned();
        let built_from = files.iter().map(VerifiedFile::stamp).chain([cpu]).collect();
        Ok(TextModel { shared, files, reads_by_tesseract, key: Key { reference, built_from } })
    }
}

impl TextModel {
    /// `name@version`.
    pub fn reference(&self) -> &str {
        &self.key.reference
    }

    /// Part of the key of stored results, so its texts must not change by accident. Covers everything that affects the
    /// result.
    pub fn identity(&self) -> Vec<String> {
        let hashes = self.files.iter().map(VerifiedFile::hash);
        [REVISION.to_owned(), self.reference().to_owned()].into_iter().chain(hashes).collect()
    }

    /// The lines of an upright photo in reading order.
    pub fn read(&self, photo: &Pixels) -> Result<Vec<TextLine>, HubError> {
        let reader = self.reader()?;
        reader.read(photo).map_err(|source| HubError::Graph { model: self.reference().to_owned(), source })
    }

    /// Loads the networks now. They stay in memory while the guard lives.
    pub fn load(&self) -> Result<LoadedGuard, HubError> {
        Ok(LoadedGuard::of(self.reader()?))
    }

    fn reader(&self) -> Result<Arc<TextReader>, HubError> {
        let leases = || -> Arc<dyn std::fmt::Debug + Send + Sync> { Arc::new(self.files.clone()) };
        self.shared.loaded.text.get(&self.key, self.shared.memory, leases, || self.build())
    }

    fn build(&self) -> Result<TextReader, HubError> {
        let started = Instant::now();
        let [finder, reader] = self.files.each_ref().map(VerifiedFile::read);
        let (finder, reader) = (finder?, reader?);
        let load = if self.reads_by_tesseract { TextReader::tesseract } else { TextReader::pp_ocr };
        let reader = load(&finder, &reader, self.shared.engine.cpu)
            .map_err(|source| HubError::Graph { model: self.reference().to_owned(), source })?;
        let (megabytes, milliseconds) = (reader.bytes() as f64 / 1e6, started.elapsed().as_millis());
        (self.shared.note)(&format!("Loaded {} ({megabytes:.0} MB, {milliseconds} ms)", self.reference()));
        Ok(reader)
    }
}

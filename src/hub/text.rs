//! The text networks as models of the hub: one finds lines, the other reads them.

use std::sync::Arc;

use networks::languages::{self, Language};
use networks::text::{TextLine, TextReader};

use super::graph_model::GraphModel;
use super::loaded_networks::Weight;
use super::model::LoadedGuard;
use super::{Hub, HubError};
use base::pixels::Pixels;

/// Part of the key of stored results; changes when the results for the same pixels change.
const REVISION: &str = "text/1";

/// Finds and reads lines of text; can be used from several threads.
#[derive(Clone, Debug)]
pub struct TextModel {
    model: GraphModel,
    /// Whether lines are read by Tesseract's network.
    by_tesseract: bool,
    /// Only their letters are read; empty for all that the model knows.
    languages: Vec<&'static Language>,
}

impl Weight for TextReader {
    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
}

impl Hub {
    /// Opens a text model by `name` or `name@version`, if its files are here: one finds lines, the other reads them.
    pub fn text(&self, name: &str) -> Result<TextModel, HubError> {
        let manifest = self.runnable(name, models::TEXT_TASK)?;
        let by_tesseract = manifest.architecture == "tesseract";
        Ok(TextModel { model: self.graph_model(manifest, 2)?, by_tesseract, languages: Vec::new() })
    }
}

impl TextModel {
    /// `name@version`.
    pub fn reference(&self) -> &str {
        self.model.reference()
    }

    /// Part of the key of stored results, so its texts must not change by accident.
    pub fn identity(&self) -> Vec<String> {
        let mut identity = self.model.identity(REVISION);
        identity.extend(self.languages.iter().map(|language| language.code.to_owned()));
        identity
    }

    /// The same model reading only the letters of these languages. They are codes such as `deu` or `de`, and the model has to
    /// know all their letters.
    pub fn reading(mut self, codes: &[&str]) -> Result<Self, HubError> {
        let reader = self.reader()?;
        let known = languages::written_in(reader.characters());
        for &code in codes {
            let language = languages::language(code).filter(|language| known.contains(language));
            self.languages.push(language.ok_or_else(|| HubError::Language {
                model: self.reference().to_owned(),
                code: code.to_owned(),
                known: known.iter().map(|language| language.code).collect(),
            })?);
        }
        self.languages.sort_unstable_by_key(|language| language.code);
        self.languages.dedup();
        Ok(self)
    }

    /// The lines of an upright photo in reading order.
    pub fn read(&self, photo: &Pixels) -> Result<Vec<TextLine>, HubError> {
        self.reader()?.read(photo, &self.languages).map_err(|source| self.model.failed(source))
    }

    pub fn runs_on_card(&self) -> bool {
        self.model.runs_on_card()
    }

    /// Loads the networks now. They stay in memory while the guard lives.
    pub fn load(&self) -> Result<LoadedGuard, HubError> {
        Ok(LoadedGuard::of(self.reader()?))
    }

    fn reader(&self) -> Result<Arc<TextReader>, HubError> {
        let load = if self.by_tesseract { TextReader::tesseract } else { TextReader::pp_ocr };
        let load =
            |files: Vec<Vec<u8>>, place| load(&files[0], &files[1], place).map_err(|source| self.model.failed(source));
        self.model.network(|loaded| &loaded.text, load)
    }
}

//! The face networks as models of the hub: three files that work together, loaded when the first photo needs them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::digest::Digest;
use super::faces::{FaceAnalyzer, FaceFiles, FacesError, Landmarks};
use super::loaded_networks::{Key, Weight};
use super::model::Loaded;
use super::{Held, Hub, HubError, Shared};
use crate::cache::{CacheError, stamp_of};
use base::pixels::Pixels;
use base::reading;
use judge::portrait::{Portrait, Thresholds};

const FULL_RANGE: &str = "mediapipe-face-full-range";
const SHORT_RANGE: &str = "mediapipe-face-short-range";

impl Landmarks {
    /// The models that take part.
    pub fn models(self) -> [&'static str; 3] {
        let mesh = match self {
            Self::Attention => "mediapipe-face-mesh-attention",
            Self::Fast => "mediapipe-face-mesh",
        };
        [FULL_RANGE, SHORT_RANGE, mesh]
    }

    /// What records name as their source.
    fn name(self) -> &'static str {
        match self {
            Self::Attention => "mediapipe-faces",
            Self::Fast => "mediapipe-faces-fast",
        }
    }
}

/// Finds and judges faces, from any number of threads.
#[derive(Clone, Debug)]
pub struct Faces {
    shared: Arc<Shared>,
    folder: PathBuf,
    files: [(Held, Option<Digest>); 3],
    mode: Landmarks,
    thresholds: Thresholds,
    /// `mediapipe-faces@0.10.21`.
    reference: String,
    key: Key,
}

impl Weight for FaceAnalyzer {
    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
}

impl Hub {
    /// The face networks, if all three are here.
    pub fn faces(&self, mode: Landmarks, thresholds: Thresholds) -> Result<Faces, HubError> {
        let (mut files, mut missing, mut newest) = (Vec::new(), Vec::new(), String::new());
        for name in mode.models() {
            let entry = self.catalogue().find(name)?;
            let file = &entry.files[0];
            match self.held(entry, file)? {
                Some(held) => files.push((held, entry.wanted_file(file, self.cache())?.sha256)),
                None => missing.push(self.missing(entry, file)),
            }
            newest.clone_from(&entry.version);
        }
        let Ok(files) = <[_; 3]>::try_from(files) else { return Err(HubError::Missing { models: missing }) };
        let shared = self.shared.clone();
        let lie = files.each_ref().map(|(held, _)| format!("{} {}", held.path.display(), stamp_of(&held.path)));
        let built = format!("{lie:?} {mode:?} {thresholds:?} {:?}", shared.engine.cpu);
        let key = Key { reference: self.catalogue().find(mode.models()[2])?.reference(), built };
        let (folder, reference) = (self.cache().root().to_owned(), format!("{}@{newest}", mode.name()));
        Ok(Faces { shared, folder, files, mode, thresholds, reference, key })
    }
}

impl Faces {
    /// `name@version` of the networks together.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// For cache keys: changes whenever a result could.
    pub fn identity(&self) -> Vec<String> {
        let sums = self.files.iter().map(|(_, sha256)| sha256.map(|sha256| sha256.hex()).unwrap_or_default());
        [self.reference.clone(), self.thresholds.key()].into_iter().chain(sums).collect()
    }

    /// What there is to say about the faces of an upright photo.
    pub fn analyse(&self, pixels: &Pixels) -> Result<Portrait, HubError> {
        Ok(self.analyzer()?.analyse(pixels))
    }

    /// Loads the networks now, if they are not in memory yet. They stay there as long as what is returned lives.
    pub fn load(&self) -> Result<Loaded, HubError> {
        Ok(Loaded::of(self.analyzer()?))
    }

    fn analyzer(&self) -> Result<Arc<FaceAnalyzer>, HubError> {
        let leases = || -> Arc<dyn std::fmt::Debug + Send + Sync> { Arc::new(self.files.clone()) };
        self.shared.loaded.faces.get(&self.key, self.shared.memory, leases, || self.build())
    }

    fn build(&self) -> Result<FaceAnalyzer, HubError> {
        let started = Instant::now();
        let [full_range, short_range, mesh] = self.files.each_ref().map(read);
        let (full_range, short_range, mesh) = (full_range?, short_range?, mesh?);
        let files = FaceFiles { full_range: &full_range, short_range: &short_range, mesh: &mesh };
        let named = |source: FacesError| HubError::Faces { folder: self.folder.clone(), source };
        let cpu = self.shared.engine.cpu;
        let analyzer =
            FaceAnalyzer::load(files, self.mode, self.thresholds, self.reference.as_str(), cpu).map_err(named)?;
        let (megabytes, milliseconds) = (analyzer.bytes() as f64 / 1e6, started.elapsed().as_millis());
        (self.shared.note)(&format!(
            "Loaded portrait analyzer {} ({megabytes:.0} MB, {milliseconds} ms)",
            self.mode.name()
        ));
        Ok(analyzer)
    }
}

/// Published ones have some megabytes.
const LARGEST_FACE_FILE: u64 = 256 << 20;

/// These files are small: they are held to their hash as they are read.
fn read((held, sha256): &(Held, Option<Digest>)) -> Result<Vec<u8>, HubError> {
    let path = held.path.clone();
    let bytes = reading::read(&path, LARGEST_FACE_FILE)
        .map_err(|source| held.unless_gone(HubError::Open { path: path.clone(), source }))?;
    let found = Digest::of(&bytes);
    match *sha256 {
        Some(expected) if expected != found => {
            let fate = "it was changed while it was in use".to_owned();
            Err(CacheError::Corrupt { path, expected, found, fate }.into())
        }
        _ => Ok(bytes),
    }
}

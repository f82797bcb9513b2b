//! The face networks as models of the hub: files that work together, loaded when the first photo needs them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::digest::Digest;
use super::faces::{FaceAnalyzer, FaceFiles, FacesError, Landmarks};
use super::loaded_networks::{Key, Weight};
use super::model::Loaded;
use super::{Held, Hub, HubError, Missing, Shared};
use crate::cache::{CacheError, stamp_of};
use crate::manifest::Manifest;
use base::pixels::Pixels;
use base::reading;
use judge::portrait::{EyesBy, Portrait, Thresholds};

const FULL_RANGE: &str = "mediapipe-face-full-range";
const SHORT_RANGE: &str = "mediapipe-face-short-range";
/// Faces are found without it; what they express is then told from their landmarks alone.
const EXPRESSIONS: &str = "mediapipe-face-landmarker";

impl Landmarks {
    /// The models that take part.
    pub fn models(self) -> [&'static str; 3] {
        let mesh = match self {
            Self::Attention => "mediapipe-face-mesh-attention",
            Self::Fast => "mediapipe-face-mesh",
        };
        [FULL_RANGE, SHORT_RANGE, mesh]
    }

    /// Whether a model is one of them, or may join them.
    pub fn takes_part(self, model: &str) -> bool {
        self.models().contains(&model) || model == EXPRESSIONS
    }

    /// What records name as their source.
    fn name(self) -> &'static str {
        match self {
            Self::Attention => "mediapipe-faces",
            Self::Fast => "mediapipe-faces-fast",
        }
    }
}

/// A file that is here, and the hash it is held to.
type File = (Held, Option<Digest>);

/// Finds and judges faces, from any number of threads.
#[derive(Clone, Debug)]
pub struct Faces {
    shared: Arc<Shared>,
    folder: PathBuf,
    files: [File; 3],
    expressions: Option<File>,
    /// The expression network, where it was asked for and is not here.
    lacks: Option<Missing>,
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
    /// The face networks, if the three that find faces are here; the expression network takes part where it is here, too.
    pub fn faces(&self, mode: Landmarks, mut thresholds: Thresholds) -> Result<Faces, HubError> {
        let (mut files, mut missing, mut newest) = (Vec::new(), Vec::new(), String::new());
        for name in mode.models() {
            let manifest = self.catalogue().find(name)?;
            match self.file_of(manifest)? {
                Some(file) => files.push(file),
                None => missing.push(self.missing(manifest, &manifest.files[0])),
            }
            newest.clone_from(&manifest.version);
        }
        let Ok(files) = <[_; 3]>::try_from(files) else { return Err(HubError::Missing { models: missing }) };
        let shared = self.shared.clone();
        let (mut expressions, mut lacks) = (None, None);
        if thresholds.eyes == EyesBy::States {
            let manifest = self.catalogue().find(EXPRESSIONS)?;
            expressions = self.file_of(manifest)?;
            if expressions.is_none() {
                thresholds.eyes = EyesBy::Ear;
                lacks = Some(self.missing(manifest, &manifest.files[0]));
            }
        }
        let all = files.iter().chain(&expressions);
        let lie: Vec<_> = all.map(|(held, _)| format!("{} {}", held.path.display(), stamp_of(&held.path))).collect();
        let built = format!("{lie:?} {mode:?} {thresholds:?} {:?}", shared.engine.cpu);
        let key = Key { reference: self.catalogue().find(mode.models()[2])?.reference(), built };
        let (folder, reference) = (self.cache().root().to_owned(), format!("{}@{newest}", mode.name()));
        Ok(Faces { shared, folder, files, expressions, lacks, mode, thresholds, reference, key })
    }
}

impl Hub {
    /// The one file of a model, if it is here.
    fn file_of(&self, manifest: &Manifest) -> Result<Option<File>, HubError> {
        let (file, cache) = (&manifest.files[0], self.cache());
        let of_held = |held| Ok((held, manifest.wanted_file(file, cache)?.sha256));
        self.held(manifest, file)?.map(of_held).transpose()
    }
}

impl Faces {
    fn all_files(&self) -> impl Iterator<Item = &File> {
        self.files.iter().chain(&self.expressions)
    }

    /// The model without which states of eyes and smiles are told from landmarks alone, where it is not here.
    pub fn lacks(&self) -> Option<&Missing> {
        self.lacks.as_ref()
    }

    /// `name@version` of the networks together.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// For cache keys: changes whenever a result could.
    pub fn identity(&self) -> Vec<String> {
        let sums = self.all_files().map(|(_, sha256)| sha256.map(|sha256| sha256.hex()).unwrap_or_default());
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
        let leases =
            || -> Arc<dyn std::fmt::Debug + Send + Sync> { Arc::new(self.all_files().cloned().collect::<Vec<_>>()) };
        self.shared.loaded.faces.get(&self.key, self.shared.memory, leases, || self.build())
    }

    fn build(&self) -> Result<FaceAnalyzer, HubError> {
        let started = Instant::now();
        let [full_range, short_range, mesh] = self.files.each_ref().map(read);
        let (full_range, short_range, mesh) = (full_range?, short_range?, mesh?);
        let bundle = self.expressions.as_ref().map(read).transpose()?;
        let bundle = bundle.as_deref();
        let files = FaceFiles { full_range: &full_range, short_range: &short_range, mesh: &mesh, bundle };
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
fn read((held, sha256): &File) -> Result<Vec<u8>, HubError> {
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

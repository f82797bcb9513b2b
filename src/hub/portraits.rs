//! The face networks as models of the hub: several files that work together, loaded on first use.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::faces::{FaceAnalyzer, FaceFiles, FacesError, Landmarks};
use super::loaded_networks::{Key, Weight};
use super::model::LoadedGuard;
use super::verified_file::VerifiedFile;
use super::{Hub, HubError, Missing, Shared};
use base::pixels::Pixels;
use judge::portrait::{EyesBy, FaceQuality, Portrait, Thresholds};

const FULL_RANGE: &str = "mediapipe-face-full-range";
const SHORT_RANGE: &str = "mediapipe-face-short-range";
/// Optional: without it, expressions are estimated from landmarks alone.
const EXPRESSIONS: &str = "mediapipe-face-landmarker";

impl Landmarks {
    /// The required models.
    pub fn models(self) -> [&'static str; 3] {
        let mesh = match self {
            Self::Attention => "mediapipe-face-mesh-attention",
            Self::Fast => "mediapipe-face-mesh",
        };
        [FULL_RANGE, SHORT_RANGE, mesh]
    }

    /// Whether a model is one of them, or the optional one.
    pub fn takes_part(self, model: &str) -> bool {
        self.models().contains(&model) || model == EXPRESSIONS
    }

    /// The source named in records.
    fn name(self) -> &'static str {
        match self {
            Self::Attention => "mediapipe-faces",
            Self::Fast => "mediapipe-faces-fast",
        }
    }
}

/// Finds and judges faces; can be used from several threads.
#[derive(Clone, Debug)]
pub struct Faces {
    shared: Arc<Shared>,
    folder: PathBuf,
    files: [VerifiedFile; 3],
    expressions: Option<VerifiedFile>,
    /// The expression network, if it was requested and is missing.
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
    /// Opens the face networks if the three required ones are here; uses the expression network if it is here, too.
    pub fn faces(&self, mode: Landmarks, mut thresholds: Thresholds) -> Result<Faces, HubError> {
        let (mut files, mut missing, mut version) = (Vec::new(), Vec::new(), String::new());
        for name in mode.models() {
            let manifest = self.catalogue().find(name)?;
            match self.files_of(manifest) {
                Ok(of_model) => files.extend(of_model),
                Err(HubError::Missing { models }) => missing.extend(models),
                Err(error) => return Err(error),
            }
            // Records name the version of the mesh, the last of them.
            version.clone_from(&manifest.version);
        }
        let Ok(files) = <[_; 3]>::try_from(files) else { return Err(HubError::Missing { models: missing }) };
        let shared = self.shared.clone();
        let (mut expressions, mut lacks) = (None, None);
        if thresholds.eyes == EyesBy::States {
            let manifest = self.catalogue().find(EXPRESSIONS)?;
            match self.files_of(manifest) {
                Ok(files) => expressions = files.into_iter().next(),
                Err(HubError::Missing { models }) => {
                    thresholds.eyes = EyesBy::Ear;
                    lacks = models.into_iter().next();
                }
                Err(error) => return Err(error),
            }
        }
        let all = files.iter().chain(&expressions);
        let lie = all.map(VerifiedFile::stamp);
        let settings = [mode.name().to_owned(), thresholds.key(), shared.engine.cpu.name().to_owned()];
        let built_from = lie.chain(settings).collect();
        let key = Key { reference: self.catalogue().find(mode.models()[2])?.reference(), built_from };
        let (folder, reference) = (self.cache().root().to_owned(), format!("{}@{version}", mode.name()));
        Ok(Faces { shared, folder, files, expressions, lacks, mode, thresholds, reference, key })
    }
}

impl Faces {
    fn all_files(&self) -> impl Iterator<Item = &VerifiedFile> {
        self.files.iter().chain(&self.expressions)
    }

    /// The expression network, if it is missing; eyes and smiles are then judged from landmarks alone.
    pub fn lacks(&self) -> Option<&Missing> {
        self.lacks.as_ref()
    }

    /// `name@version` of the networks as a whole.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Part of the key of stored results, so its texts must not change by accident. Covers everything that affects a
    /// portrait.
    pub fn identity(&self) -> Vec<String> {
        let hashes = self.all_files().map(VerifiedFile::hash);
        [self.reference.clone(), self.thresholds.key()].into_iter().chain(hashes).collect()
    }

    /// Analyses the faces of an upright photo.
    pub fn analyse(&self, pixels: &Pixels) -> Result<Portrait, HubError> {
        Ok(self.analyzer()?.analyse(pixels))
    }

    /// Measures the prominent faces of a portrait in their boxes at full size, in the order of the faces. A box that could
    /// not be decoded is `None`.
    pub fn look_closer(&self, portrait: &mut Portrait, boxes: &[Option<Pixels>]) {
        let measured: Vec<_> = boxes.iter().map(|face| face.as_ref().and_then(FaceQuality::measure)).collect();
        portrait.add_quality(&measured, &self.thresholds);
    }

    /// Loads the networks now. They stay in memory while the guard lives.
    pub fn load(&self) -> Result<LoadedGuard, HubError> {
        Ok(LoadedGuard::of(self.analyzer()?))
    }

    fn analyzer(&self) -> Result<Arc<FaceAnalyzer>, HubError> {
        let leases =
            || -> Arc<dyn std::fmt::Debug + Send + Sync> { Arc::new(self.all_files().cloned().collect::<Vec<_>>()) };
        self.shared.loaded.faces.get(&self.key, self.shared.memory, leases, || self.build())
    }

    fn build(&self) -> Result<FaceAnalyzer, HubError> {
        let started = Instant::now();
        let [full_range, short_range, mesh] = self.files.each_ref().map(VerifiedFile::read);
        let (full_range, short_range, mesh) = (full_range?, short_range?, mesh?);
        let bundle = self.expressions.as_ref().map(VerifiedFile::read).transpose()?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cache;
    use crate::digest::Digest;
    use crate::{Aesthetic, HubConfig, MINI, TaskNetwork as _};

    /// Stored results are found by these texts; changing one recomputes all of them.
    #[test]
    fn keys_of_stored_results_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let thresholds = Thresholds { eyes: EyesBy::States, ..Thresholds::default() };
        let numbers = "0.6 0.5 0.5 0.0005 0.3 0.2 0.15 0.005 32 0.8 0 float states single";
        let mut known = vec!["mediapipe-faces@0.10.21".to_owned(), numbers.to_owned()];
        for name in Landmarks::Attention.models().into_iter().chain([EXPRESSIONS]) {
            let (sha256, version) = (Digest::of(name.as_bytes()), if name == EXPRESSIONS { "1" } else { "0.10.21" });
            std::fs::write(folder.path().join(name), name).unwrap();
            let yaml = format!(
                "{{name: {name}, version: {version}, task: face, architecture: tflite, license: MIT, \
                 file: {{name: {name}, sha256: {sha256}}}}}"
            );
            std::fs::write(folder.path().join(format!("{name}.yaml")), yaml).unwrap();
            known.push(sha256.hex());
        }
        let config = HubConfig {
            own_manifests: Some(folder.path().to_owned()),
            ..HubConfig::new(Cache::new(folder.path(), None))
        };
        let hub = Hub::new(config, |_| {}).unwrap();
        assert_eq!(hub.faces(Landmarks::Attention, thresholds).unwrap().identity(), known);
        let mini: Aesthetic = hub.aesthetic(MINI).unwrap();
        let known = concat!(
            "album-mini@5 sha256:6a54eaa0b33a6c722101cb4255556a0a158a93e6a38681877010d8af5b9775d2 ",
            r#"[{"resize":{"square":224},"filter":"lanczos","mean":[0.49803921580314636,0.49803921580314636,0.49803921580314636],"#,
            r#""std":[0.501960813999176,0.501960813999176,0.501960813999176]},"second"] Fullviews/4"#
        );
        assert_eq!(mini.identity().unwrap(), known);
    }
}

//! One model as the commands see it: a manifest, a file, and a network that is loaded when the first photo needs it.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::manifest::{Manifest, Task};
use super::prepare;
use super::registry::{self, BuildError, Built};
use super::shelf::Key;
use super::weights::WeightsFile;
use super::{HubError, Shared};
use crate::nn::checkpoint::WeightsError;
use crate::nn::preference;
use crate::pixels::Pixels;

/// What a face holds on to.
#[derive(Clone, Debug)]
pub(super) struct Model {
    shared: Arc<Shared>,
    manifest: Arc<Manifest>,
    path: PathBuf,
    /// Whether the file is the manifest's own, so that its hash must be the pinned one.
    pinned: bool,
    identity: Arc<OnceLock<String>>,
}

impl Model {
    pub fn new(shared: Arc<Shared>, manifest: Manifest, path: PathBuf, pinned: bool) -> Self {
        Self { shared, manifest: Arc::new(manifest), path, pinned, identity: Arc::default() }
    }

    /// Everything that shapes the numbers: name, version, weights, preprocessing, precision.
    ///
    /// A pinned file goes by its pinned hash (loading verifies it); any other is hashed.
    pub fn identity(&self) -> Result<String, HubError> {
        if let Some(identity) = self.identity.get() {
            return Ok(identity.clone());
        }
        let weights = match &self.manifest.file.sha256 {
            Some(sha256) if self.pinned => format!("sha256:{sha256}"),
            _ => format!("blake3:{}", WeightsFile::open(&self.path)?.blake3()?),
        };
        let manifest = &self.manifest;
        let preprocess = serde_json::json!([manifest.preprocess, manifest.class_1_prefers]);
        let identity = format!("{} {weights} {preprocess} {:?}", manifest.reference(), self.shared.engine.precision);
        Ok(self.identity.get_or_init(|| identity).clone())
    }

    fn built(&self) -> Result<Arc<Built>, HubError> {
        let shared = &self.shared;
        let built_for = format!("{} {:?} {:?}", self.manifest.reference(), shared.engine, shared.device.location());
        let key = Key { file: self.path.clone(), built_for };
        shared.shelf.get(&key, || self.load())
    }

    fn load(&self) -> Result<Built, HubError> {
        let started = Instant::now();
        let file = WeightsFile::open(&self.path)?;
        if let (true, Some(sha256)) = (self.pinned, &self.manifest.file.sha256) {
            file.verify(sha256)?;
        }
        let built = registry::build(&self.manifest, &file, self.shared.engine, &self.shared.device)?;
        let (megabytes, milliseconds) = (file.bytes() as f64 / 1e6, started.elapsed().as_millis());
        (self.shared.note)(&format!("loaded {} ({megabytes:.0} MB, {milliseconds} ms)", self.manifest.name));
        Ok(built)
    }

    fn features(&self, photos: &[Pixels]) -> Result<(Arc<Built>, Vec<Vec<f32>>), HubError> {
        let built = self.built()?;
        let batch = prepare::batch(&built.preprocess, photos);
        let features =
            built.features(&batch).map_err(|source| HubError::Run { model: self.manifest.name.clone(), source })?;
        Ok((built, features))
    }
}

/// Rates photos.
#[derive(Clone, Debug)]
pub struct Aesthetic(pub(super) Model);

impl Aesthetic {
    pub(super) const TASK: Task = Task::Aesthetics;

    /// A rating on 1–10 for each photo.
    pub fn score(&self, photos: &[Pixels]) -> Result<Vec<f32>, HubError> {
        let (built, features) = self.0.features(photos)?;
        let head = built.head.as_ref().ok_or_else(|| HubError::no_head(&self.0.manifest))?;
        Ok(features.iter().map(|features| built.output.rating(&head.apply(features))).collect())
    }

    /// Whether the ratings are those that AVA's photographers gave.
    pub fn trained_on_ava(&self) -> bool {
        self.0.manifest.trained_on.as_deref() == Some("ava")
    }
}

/// Describes photos by vectors.
#[derive(Clone, Debug)]
pub struct Embedder(pub(super) Model);

impl Embedder {
    pub(super) const TASK: Task = Task::Embedding;

    /// A vector of length 1 for each photo.
    pub fn embed(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let (_, mut features) = self.0.features(photos)?;
        for vector in &mut features {
            let length = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
            vector.iter_mut().for_each(|v| *v = (f64::from(*v) / (length + 1e-12)) as f32);
        }
        Ok(features)
    }

    /// Numbers in a vector.
    pub fn dim(&self) -> Result<usize, HubError> {
        Ok(self.0.built()?.dim)
    }
}

/// Says which of two photos is better.
#[derive(Clone, Debug)]
pub struct Comparator(pub(super) Model);

impl Comparator {
    pub(super) const TASK: Task = Task::Comparison;

    /// What pairs are compared by: the costly part, once a photo.
    pub fn features(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        Ok(self.0.features(photos)?.1)
    }

    /// The probability that the first photo is the better one; swapping the photos mirrors it, a photo against itself
    /// gives one half.
    pub fn prefer(&self, first: &[f32], second: &[f32]) -> Result<f32, HubError> {
        let built = self.0.built()?;
        let head = built.head.as_ref().ok_or_else(|| HubError::no_head(&self.0.manifest))?;
        if first.len() != built.dim || second.len() != built.dim {
            let (model, expected) = (self.0.manifest.name.clone(), built.dim);
            return Err(HubError::Features { model, expected, found: first.len().min(second.len()) });
        }
        Ok(preference::first_is_better(head, self.0.manifest.class_1_prefers, first, second))
    }
}

macro_rules! face {
    ($($face:ident),*) => {$(
        impl $face {
            /// `name@version`.
            pub fn reference(&self) -> String {
                self.0.manifest.reference()
            }

            pub fn manifest(&self) -> &Manifest {
                &self.0.manifest
            }

            /// For cache keys: changes whenever a result could.
            pub fn identity(&self) -> Result<String, HubError> {
                self.0.identity()
            }
        }
    )*};
}
face!(Aesthetic, Embedder, Comparator);

impl From<BuildError> for HubError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Weights(error) => Self::Weights(error),
            BuildError::Device { file, source } => Self::Run { model: file, source },
        }
    }
}

impl From<WeightsError> for HubError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(error)
    }
}

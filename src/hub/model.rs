//! A model: a weight file, and its network, which is loaded on first use.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use candle_core::{Device, DeviceLocation};

use super::cache::stamp_of;
use super::device;
use super::digest::Digest;
use super::loaded_networks::{Key, Weight};
use super::manifest::{Architecture, NetworkSpec};
use super::prepare;
use super::registry::{self, BuildError, LoadedNetwork, MiniHeads};
use super::{HubError, LocalFile, Shared};
use base::pixels::Pixels;
use networks::checkpoint::WeightsError;
use networks::mini::views::{self, Answers, Views};
use networks::weights::WeightsFile;

/// The common part of all kinds of networks.
#[derive(Debug)]
pub(super) struct Model {
    shared: Arc<Shared>,
    pub name: String,
    /// `name@version`.
    pub reference: String,
    pub spec: NetworkSpec,
    file: LocalFile,
    /// The sha256, if the file was verified by it.
    sha256: Option<Digest>,
    pub device: Device,
    key: Key,
    identity: OnceLock<String>,
    dim: OnceLock<usize>,
}

/// Keeps a network in memory while it lives.
#[derive(Clone, Debug)]
pub struct LoadedGuard(
    #[expect(dead_code, reason = "keeps what it points to alive")] Arc<dyn std::fmt::Debug + Send + Sync>,
);

impl LoadedGuard {
    pub(super) fn of(network: Arc<dyn std::fmt::Debug + Send + Sync>) -> Self {
        Self(network)
    }
}

impl Weight for LoadedNetwork {
    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
}

impl Model {
    pub fn new(
        shared: Arc<Shared>,
        (name, version): (String, &str),
        spec: NetworkSpec,
        file: LocalFile,
        sha256: Option<Digest>,
        device: Device,
    ) -> Self {
        let reference = format!("{name}@{version}");
        let built_from = [
            file.path.display().to_string(),
            stamp_of(&file.path),
            preprocessing(&spec).to_string(),
            format!("{} {}", shared.engine.cpu.name(), shared.engine.precision.name()),
            device_key(&device),
            by_candle(&shared, &device).to_owned(),
        ];
        let key = Key { reference: reference.clone(), built_from: built_from.to_vec() };
        let (identity, dim) = (OnceLock::new(), OnceLock::new());
        Self { shared, name, reference, spec, file, sha256, device, key, identity, dim }
    }

    /// Part of the key of stored results, so its text must not change by accident. It covers everything that affects the
    /// results: name, version, weights, preprocessing and precision.
    ///
    /// Verified files are identified by their sha256; others are hashed here.
    pub fn identity(&self) -> Result<String, HubError> {
        if let Some(identity) = self.identity.get() {
            return Ok(identity.clone());
        }
        let weights = match &self.sha256 {
            Some(sha256) => format!("sha256:{sha256}"),
            None => format!("blake3:{}", self.file.open()?.blake3()?),
        };
        let preprocess = preprocessing(&self.spec);
        let precision = self.shared.engine.precision.name();
        let views = if self.is_mini() { views::REVISION } else { "" };
        let by = by_candle(&self.shared, &self.device);
        let identity = format!("{} {weights} {preprocess} {precision}{views}{by}", self.reference);
        Ok(self.identity.get_or_init(|| identity).clone())
    }

    /// Opens its weight file.
    pub fn weights(&self) -> Result<WeightsFile, HubError> {
        self.file.open()
    }

    /// The number of features per photo. Does not load the network.
    pub fn dim(&self) -> Result<usize, HubError> {
        if let Some(dim) = self.dim.get() {
            return Ok(*dim);
        }
        let dim = registry::dim(&self.spec, &self.file.open()?)?;
        Ok(*self.dim.get_or_init(|| dim))
    }

    /// Whether it is the built-in network, which supports every task.
    pub fn is_mini(&self) -> bool {
        self.spec.architecture == Architecture::AlbumMini
    }

    /// The network, loaded if needed.
    pub fn network(&self) -> Result<Arc<LoadedNetwork>, HubError> {
        let Shared { loaded, memory, .. } = &*self.shared;
        let network = loaded.photos.get(&self.key, *memory, || Arc::new(self.file.clone()), || self.load())?;
        let _ = self.dim.set(network.features.dim);
        Ok(network)
    }

    fn load(&self) -> Result<LoadedNetwork, HubError> {
        let started = Instant::now();
        let file = self.file.open()?;
        let network = registry::build(&self.spec, &file, self.shared.engine, &self.device, self.shared.by_candle)?;
        let (megabytes, milliseconds) = (file.bytes() as f64 / 1e6, started.elapsed().as_millis());
        let on_card = || format!(" on {}", device::kind(&self.device));
        let place = if self.device.is_cpu() { by_candle(&self.shared, &self.device).to_owned() } else { on_card() };
        let role = role(&self.spec);
        (self.shared.note)(&format!("Loaded {role} {}{place} ({megabytes:.0} MB, {milliseconds} ms)", self.name));
        Ok(network)
    }

    /// The features of each photo, before the head.
    pub fn features(&self, network: &LoadedNetwork, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let batch = prepare::batch(&network.features.preprocess, photos);
        network.features.run(&batch).map_err(|source| self.failed(source))
    }

    /// The outputs of the built-in network for each photo.
    pub fn answers(
        &self,
        network: &LoadedNetwork,
        mini: &MiniHeads,
        photos: &[Pixels],
    ) -> Result<Vec<Answers>, HubError> {
        let views: Vec<Views> = photos.iter().map(views::of).collect();
        let whole: Vec<&Pixels> = views.iter().map(|views| &views.whole).collect();
        let batch = prepare::as_they_are(&network.features.preprocess, &whole);
        let pooled = network.features.run(&batch).map_err(|source| self.failed(source))?;
        Ok(pooled.iter().zip(&views).map(|(row, views)| Answers::of(&mini.heads, row, &views.measured())).collect())
    }

    fn failed(&self, source: candle_core::Error) -> HubError {
        HubError::Run { model: self.name.clone(), source }
    }

    /// The error for a file without classifier layer, or with other classes.
    pub fn no_classes(&self) -> HubError {
        let (file, classes) = (self.file.path.clone(), self.spec.classes.len());
        HubError::Weights(WeightsError::Config { file, why: format!("no layer that tells {classes} classes") })
    }

    pub fn no_head(&self) -> HubError {
        HubError::NoHead { model: self.name.clone() }
    }
}

/// The purpose of a network, in the words of the original's log where it has one.
fn role(spec: &NetworkSpec) -> &'static str {
    match spec.architecture {
        Architecture::RatedResnet if spec.trained_on.as_deref() == Some("ava") => "AVA model",
        Architecture::RatedResnet => "aesthetic model",
        Architecture::Siamese => "Siamese comparison model",
        Architecture::Classifier => "classifier",
        Architecture::MultiHead | Architecture::SingleHead => "quality model",
        Architecture::AlbumMini => "built-in model",
        Architecture::Resnet | Architecture::Dinov2 | Architecture::EfficientnetLite | Architecture::MobilenetV2 => {
            "feature extractor"
        }
    }
}

/// The device of a network, as part of its key.
pub(super) fn device_key(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda {gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal {gpu_id}"),
    }
}

/// A suffix for networks that run on candle, whose last digits differ from our kernels'.
pub(super) fn by_candle(shared: &Shared, device: &Device) -> &'static str {
    if shared.by_candle && device.is_cpu() { " by candle" } else { "" }
}

fn preprocessing(spec: &NetworkSpec) -> serde_json::Value {
    serde_json::json!([spec.preprocess, spec.class_1_prefers])
}

impl From<BuildError> for HubError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Weights(error) => Self::Weights(error),
            BuildError::Device { file, source } => Self::Run { model: file, source },
        }
    }
}

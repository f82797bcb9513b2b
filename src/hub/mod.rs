//! The model hub: what a model is, where its files lie, and how it becomes something that answers.

pub mod device;
pub mod face_files;
pub mod faces;
pub mod manifest;
mod model;
pub mod prepare;
pub mod recipe;
pub mod registry;
mod shelf;
pub mod tflite;
pub mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;

pub use self::device::{DeviceChoice, DeviceError};
use self::manifest::{Architecture, File, Manifest, ManifestError, Task};
use self::model::Model;
pub use self::model::{Aesthetic, Comparator, Embedder};
use self::shelf::Shelf;
use self::weights::WeightsFile;
use crate::kernels::Engine;
use crate::nn::checkpoint::{Checkpoint, WeightsError};

#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("no model is called `{name}`; there are {known}")]
    Unknown { name: String, known: String },
    #[error("model `{name}` does not do this: it is for {}", task.name())]
    WrongTask { name: String, task: Task },
    #[error("model `{name}` is not here: {} {} is missing; {mend}", folder.display(), describe(file))]
    Missing { name: String, folder: PathBuf, file: File, mend: String },
    #[error("{}: {source}", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{}: a file of no known network for {}", path.display(), task.name())]
    Unrecognised { path: PathBuf, task: Task },
    #[error(transparent)]
    Weights(WeightsError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("model `{model}`: {source}")]
    Run { model: String, source: candle_core::Error },
    #[error("model `{model}` compares features of {expected} numbers, not {found}")]
    Features { model: String, expected: usize, found: usize },
}

impl HubError {
    fn no_head(manifest: &Manifest) -> Self {
        Self::WrongTask { name: manifest.name.clone(), task: manifest.task }
    }
}

impl Task {
    pub fn name(self) -> &'static str {
        match self {
            Self::Aesthetics => "aesthetics",
            Self::Comparison => "comparison",
            Self::Embedding => "embedding",
        }
    }
}

/// `ava_resnet50.pt (96454336 bytes, sha256 1f07…)`, as far as known.
fn describe(file: &File) -> String {
    let size = file.size.map(|size| format!("{size} bytes"));
    let sha256 = file.sha256.as_ref().map(|sha256| format!("sha256 {sha256}"));
    match size.into_iter().chain(sha256).collect::<Vec<_>>().join(", ") {
        known if known.is_empty() => file.name.clone(),
        known => format!("{} ({known})", file.name),
    }
}

type Note = dyn Fn(&str) + Send + Sync;

/// What all models of a hub share.
struct Shared {
    engine: Engine,
    device: Device,
    shelf: Shelf,
    note: Box<Note>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("engine", &self.engine).field("shelf", &self.shelf).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub struct Hub {
    manifests: Vec<Manifest>,
    models_dir: PathBuf,
    shared: Arc<Shared>,
}

/// How a hub is set up.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Where weight files lie.
    pub models_dir: PathBuf,
    pub engine: Engine,
    pub device: Device,
    /// Bytes that weights in memory may take together.
    pub memory: usize,
}

impl Hub {
    /// `note` hears what `-v` shows: `loaded ava-resnet50 (96 MB, 41 ms)`.
    pub fn new(config: HubConfig, note: impl Fn(&str) + Send + Sync + 'static) -> Result<Self, HubError> {
        let HubConfig { models_dir, engine, device, memory } = config;
        let shared = Shared { engine, device, shelf: Shelf::new(memory), note: Box::new(note) };
        Ok(Self { manifests: Manifest::built_in()?, models_dir, shared: Arc::new(shared) })
    }

    /// Adds a manifest of the user's own, in place of one of the same name.
    pub fn add(&mut self, manifest: Manifest) {
        self.manifests.retain(|there| there.name != manifest.name);
        self.manifests.push(manifest);
    }

    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    pub fn aesthetic(&self, name: &str) -> Result<Aesthetic, HubError> {
        self.named(name, Aesthetic::TASK).map(Aesthetic)
    }

    pub fn embedder(&self, name: &str) -> Result<Embedder, HubError> {
        self.named(name, Embedder::TASK).map(Embedder)
    }

    pub fn comparator(&self, name: &str) -> Result<Comparator, HubError> {
        self.named(name, Comparator::TASK).map(Comparator)
    }

    /// A rater from a file of the user's own.
    pub fn aesthetic_file(&self, path: &Path) -> Result<Aesthetic, HubError> {
        self.file(path, Aesthetic::TASK).map(Aesthetic)
    }

    pub fn embedder_file(&self, path: &Path) -> Result<Embedder, HubError> {
        self.file(path, Embedder::TASK).map(Embedder)
    }

    pub fn comparator_file(&self, path: &Path) -> Result<Comparator, HubError> {
        self.file(path, Comparator::TASK).map(Comparator)
    }

    /// Where a model's file lies, if it is there.
    pub fn path_of(&self, manifest: &Manifest) -> Option<PathBuf> {
        let path = self.models_dir.join(&manifest.file.name);
        path.is_file().then_some(path)
    }

    fn named(&self, name: &str, task: Task) -> Result<Model, HubError> {
        let Some(manifest) = self.manifests.iter().find(|manifest| manifest.answers_to(name)) else {
            let fitting = self.manifests.iter().filter(|manifest| manifest.task == task);
            let known: Vec<_> = fitting.map(|manifest| manifest.name.as_str()).collect();
            return Err(HubError::Unknown { name: name.to_owned(), known: known.join(", ") });
        };
        if manifest.task != task {
            return Err(HubError::WrongTask { name: manifest.name.clone(), task: manifest.task });
        }
        let path = self.path_of(manifest).ok_or_else(|| self.missing(manifest))?;
        Ok(Model::new(self.shared.clone(), manifest.clone(), path, true))
    }

    fn missing(&self, manifest: &Manifest) -> HubError {
        let name = &manifest.name;
        let mend = if manifest.sources.is_empty() {
            let origin = manifest.origin.as_deref().map(|origin| format!(" (it comes from {origin})"));
            format!("put it there, or run `albumctl models import {name} FILE`{}", origin.unwrap_or_default())
        } else {
            format!("put it there, or run `albumctl models pull {name}`")
        };
        let (folder, file) = (self.models_dir.clone(), manifest.file.clone());
        HubError::Missing { name: name.clone(), folder, file, mend }
    }

    /// A file named by path borrows the manifest of the network that its tensors spell; its name is the file's.
    fn file(&self, path: &Path, task: Task) -> Result<Model, HubError> {
        if let Err(source) = std::fs::File::open(path) {
            return Err(HubError::Open { path: path.to_owned(), source });
        }
        let file = WeightsFile::open(path)?;
        let architecture =
            architecture_of(&file).ok_or_else(|| HubError::Unrecognised { path: path.to_owned(), task })?;
        let fitting = |manifest: &&Manifest| manifest.task == task && manifest.architecture == architecture;
        let Some(manifest) = self.manifests.iter().find(fitting) else {
            return Err(HubError::Unrecognised { path: path.to_owned(), task });
        };
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let manifest = Manifest { name: stem, version: "file".into(), aliases: Vec::new(), ..manifest.clone() };
        Ok(Model::new(self.shared.clone(), manifest, path.to_owned(), false))
    }
}

fn architecture_of(file: &WeightsFile) -> Option<Architecture> {
    let has = |name: &str| file.shape(name).is_some();
    if has("head.0.weight") {
        Some(Architecture::RatedResnet)
    } else if has("mlp.0.weight") {
        Some(Architecture::Siamese)
    } else if has("pos_embed") || has("embeddings.position_embeddings") {
        Some(Architecture::Dinov2)
    } else if ["conv1.weight", "backbone.conv1.weight", "0.weight", "backbone.0.weight"].into_iter().any(has) {
        Some(Architecture::Resnet)
    } else {
        None
    }
}

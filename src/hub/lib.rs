//! The model hub: what a model is, where its files come from, where they lie, that they are the right bytes, and how
//! they become something that answers.
//!
//! Programs use it through `albumctl::ModelHub`. It must never know the photos of a run, the store or the terminal.

pub mod availability;
mod bundle;
pub mod cache;
pub mod catalogue;
pub mod device;
pub mod digest;
mod error;
pub mod expressions;
mod face_network;
pub mod faces;
pub mod fetch;
mod gather;
pub mod hashing;
mod idle;
mod loaded_models;
mod loaded_networks;
pub mod manifest;
mod model;
pub mod model_library;
pub mod policy;
mod portraits;
pub mod prepare;
pub mod recipe;
pub mod registry;
pub mod sources;
mod tasks;
mod text;
mod verified_file;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candle_core::Device;

use self::availability::Status;
use self::cache::{Cache, Lease};
use self::catalogue::{Catalogue, CatalogueError};
pub use self::device::{DeviceChoice, DeviceError};
pub use self::error::{HubError, Missing};
use self::loaded_models::LoadedModels;
use self::loaded_networks::ByFolder;
pub use models::{CLASSIFIER, MINI, TEXT_READER};

use self::manifest::{Architecture, Manifest, ManifestFile, Task};
pub use self::model::LoadedGuard;
use self::model::Model;
use self::model_library::ModelLibrary;
pub use self::portraits::Faces;
use self::recipe::Recipe;
pub use self::tasks::{
    Aesthetic, Classifier, Comparator, Degradations, DegradationsKind, Embedder, Judgement, Network,
};
pub use self::text::TextModel;
use base::reading;
use kernels::{Cpu, Engine, Precision};
use networks::checkpoint::Checkpoint;
use networks::weights::WeightsFile;

type Note = dyn Fn(&str) + Send + Sync;

/// What all models of a hub share.
struct Shared {
    engine: Engine,
    choice: DeviceChoice,
    device: Device,
    memory: usize,
    by_candle: bool,
    loaded: Arc<LoadedModels>,
    note: Arc<Note>,
    /// What the user should be told and was not yet.
    fallbacks: Mutex<Vec<String>>,
}

/// Networks in memory, by model folder.
static LOADED: ByFolder<LoadedModels> = ByFolder::new();

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("engine", &self.engine).field("choice", &self.choice).finish_non_exhaustive()
    }
}

/// The models there are, and those of them that are here, ready to answer.
#[derive(Debug)]
pub struct Hub {
    library: Arc<ModelLibrary>,
    shared: Arc<Shared>,
}

/// How a hub is set up.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Where model files lie, and how many bytes they may take.
    pub cache: Cache,
    /// Where the user's own manifests lie.
    pub own_manifests: Option<PathBuf>,
    pub engine: Engine,
    pub device: DeviceChoice,
    /// Bytes that weights in memory may take together, beside those in use.
    pub memory: usize,
    /// Whether networks run on candle's operations also on the processor, where our own kernels are faster.
    pub by_candle: bool,
    /// Networks that were not used for this long leave memory; without it they stay while there is room.
    pub unload_after: Option<Duration>,
}

impl HubConfig {
    /// Models in a folder, on the best this processor offers.
    pub fn new(cache: Cache) -> Self {
        let engine = Engine { cpu: Cpu::best(), precision: Precision::Full };
        Self {
            cache,
            own_manifests: None,
            engine,
            device: DeviceChoice::Cpu,
            memory: 2 << 30,
            by_candle: false,
            unload_after: None,
        }
    }
}

/// A model by name, `name` or `name@version`, or a weights file of the user's own.
#[derive(Debug, Clone, Copy)]
pub enum ModelChoice<'a> {
    Name(&'a str),
    Path(&'a Path),
}

impl<'a> ModelChoice<'a> {
    /// As a user names a model. A path begins with `/`, `./`, `../` or `~`, or a file lies there; the rest are names,
    /// which may hold dots: `mine@1.0.0`.
    pub fn typed(text: &'a str) -> Self {
        let path = Path::new(text);
        let begins = ["/", "./", "../", "~"].iter().any(|start| text.starts_with(start));
        if begins || std::fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
            return Self::Path(path);
        }
        Self::Name(text)
    }
}

/// A file of a model that is here and was verified; nothing clears it away while this lives.
#[derive(Clone, Debug)]
pub struct LocalFile {
    pub path: PathBuf,
    /// Of a file in the cache; one that was put into the folder by hand is the user's to keep.
    #[expect(dead_code, reason = "keeps the file while it lives")]
    lease: Option<Arc<Lease>>,
    /// Of a file that is part of the binary.
    content: Option<&'static [u8]>,
    /// What to say when the file of a model is gone after all.
    missing: Option<Arc<Missing>>,
}

impl LocalFile {
    fn new(path: PathBuf) -> Self {
        Self { path, lease: None, content: None, missing: None }
    }

    fn open(&self) -> Result<WeightsFile, HubError> {
        let opened = match self.content {
            Some(content) => WeightsFile::built_in(&self.path, content),
            None => WeightsFile::open(&self.path),
        };
        opened.map_err(|error| self.unless_gone(error.into()))
    }

    /// Somebody may remove the model after we saw its file and before our lease exists: then the model is missing, like
    /// any other that was removed.
    fn unless_gone(&self, error: HubError) -> HubError {
        let is_gone = self.path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        match &self.missing {
            Some(missing) if is_gone => HubError::Missing { models: vec![Missing::clone(missing)] },
            _ => error,
        }
    }
}

impl Hub {
    /// `note` hears what `-v` shows: `Loaded AVA model ava-resnet50 (96 MB, 41 ms)`.
    pub fn new(config: HubConfig, note: impl Fn(&str) + Send + Sync + 'static) -> Result<Self, HubError> {
        let HubConfig { cache, own_manifests, engine, device: choice, memory, by_candle, unload_after } = config;
        let (device, fallback) = choice.settle()?;
        // `models list` tells of manifests that cannot be read.
        let library = Arc::new(ModelLibrary::load(cache, own_manifests, drop)?);
        let loaded = LOADED.of(library.cache.root());
        let fallbacks = Mutex::new(fallback.into_iter().collect());
        let shared = Shared { engine, choice, device, memory, by_candle, loaded, note: Arc::new(note), fallbacks };
        if let Some(after) = unload_after {
            idle::watch(&shared.loaded, after);
        }
        Ok(Self { library, shared: Arc::new(shared) })
    }

    /// The same models, networks in memory included, on another device.
    pub fn on(&self, choice: DeviceChoice) -> Result<Self, HubError> {
        let (device, fallback) = choice.settle()?;
        let fallbacks = Mutex::new(fallback.into_iter().collect());
        let Shared { engine, memory, by_candle, ref loaded, ref note, .. } = *self.shared;
        let (loaded, note) = (loaded.clone(), note.clone());
        let shared = Shared { engine, choice, device, memory, by_candle, loaded, note, fallbacks };
        Ok(Self { library: self.library.clone(), shared: Arc::new(shared) })
    }

    pub fn library(&self) -> &ModelLibrary {
        &self.library
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.library.catalogue
    }

    pub fn cache(&self) -> &Cache {
        &self.library.cache
    }

    /// Where networks run on the processor though a card was asked for, and why; each is returned once.
    pub fn take_fallbacks(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.fallbacks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The model, if it is of that kind and its files are here. Its network is loaded when the first photo needs it.
    pub fn open<N: Network>(&self, which: ModelChoice<'_>) -> Result<N, HubError> {
        match which {
            ModelChoice::Name(name) => self.named(name, N::TASK).map(N::from),
            ModelChoice::Path(path) => self.file(path, N::TASK).map(N::from),
        }
    }

    /// The file of a model's weights, as it is: what training begins with.
    pub fn weights(&self, which: ModelChoice<'_>) -> Result<WeightsFile, HubError> {
        match which {
            ModelChoice::Name(name) => self.named(name, Task::Embedding)?.weights(),
            ModelChoice::Path(path) => Ok(WeightsFile::open(path)?),
        }
    }

    pub fn aesthetic(&self, name: &str) -> Result<Aesthetic, HubError> {
        self.open(ModelChoice::Name(name))
    }

    pub fn embedder(&self, name: &str) -> Result<Embedder, HubError> {
        self.open(ModelChoice::Name(name))
    }

    pub fn comparator(&self, name: &str) -> Result<Comparator, HubError> {
        self.open(ModelChoice::Name(name))
    }

    /// Whether the network of this model is in memory, or on its way there.
    pub fn memory_status(&self, manifest: &Manifest) -> Option<Status> {
        let (loaded, reference) = (&self.shared.loaded, manifest.reference());
        if loaded.builds(&reference) {
            return Some(Status::Loading);
        }
        loaded.holds(&reference).then_some(Status::Loaded)
    }

    /// Gives back the memory of a model's network; who uses it at the moment keeps it until done. Whether there was one.
    pub fn unload(&self, manifest: &Manifest) -> bool {
        self.shared.loaded.forget(&manifest.reference())
    }

    /// A model's file, if it is here: kept by its hash, or put into the folder by hand under its own name. Where a hash is
    /// known, no file is used before it was read through once.
    pub fn local_file(&self, manifest: &Manifest, file: &ManifestFile) -> Result<Option<LocalFile>, HubError> {
        if let Some(content) = manifest.built_in_weights(file) {
            return Ok(Some(LocalFile { content: Some(content), ..LocalFile::new(PathBuf::from(&file.name)) }));
        }
        let Some(digest) = manifest.wanted_file(file, self.cache())?.sha256 else {
            let path = self.cache().root().join(&file.name);
            return Ok(path.is_file().then(|| LocalFile::new(path)));
        };
        // Taken first, so that nobody clears the file away between the look and the use.
        let lease = self.cache().blob_path(&digest).is_file().then(|| self.cache().lease(&digest));
        if let Some(path) = self.cache().ready(&digest)? {
            // Where somebody put it there only now, there is no lease yet.
            let lease = lease.unwrap_or_else(|| self.cache().lease(&digest));
            let missing = Some(Arc::new(self.missing(manifest, file)));
            return Ok(Some(LocalFile { lease: Some(Arc::new(lease)), missing, ..LocalFile::new(path) }));
        }
        Ok(self.cache().ready_by_name(&file.name, &digest)?.map(LocalFile::new))
    }

    fn missing(&self, manifest: &Manifest, file: &ManifestFile) -> Missing {
        Missing {
            name: manifest.name.clone(),
            reference: manifest.reference(),
            file: manifest.describe(file, self.cache()),
            folder: self.cache().root().to_owned(),
            mend: manifest.mend(),
            reachable: !file.sources.is_empty(),
            pulled_by: manifest.pulled_by().to_owned(),
        }
    }

    /// The model of a name, if it does this and runs here.
    fn runnable(&self, name: &str, task: &str) -> Result<&Manifest, HubError> {
        let manifest = self.catalogue().find_for(name, task).map_err(|error| match error {
            CatalogueError::Unknown { name, .. } => {
                let fitting =
                    self.catalogue().manifests().iter().filter(|manifest| manifest.does(task) && manifest.runs);
                let known: Vec<_> = fitting.map(|manifest| manifest.name.as_str()).collect();
                HubError::Unknown { name, known: known.join(", ") }
            }
            other => other.into(),
        })?;
        if !manifest.does(task) {
            return Err(HubError::WrongTask { name: manifest.name.clone(), task: manifest.task.clone() });
        }
        if !manifest.runs {
            return Err(HubError::DoesNotRun { reference: manifest.reference() });
        }
        Ok(manifest)
    }

    fn named(&self, name: &str, task: Task) -> Result<Model, HubError> {
        let manifest = self.runnable(name, task.name())?;
        let (network, file) = (manifest.network()?, &manifest.files[0]);
        let device = self.shared.device_for(manifest)?;
        let weights = self.local_file(manifest, file)?;
        let weights = weights.ok_or_else(|| HubError::Missing { models: vec![self.missing(manifest, file)] })?;
        let sha256 = manifest.wanted_file(file, self.cache())?.sha256;
        let name = (manifest.name.clone(), manifest.version.as_str());
        Ok(Model::new(self.shared.clone(), name, network.clone(), weights, sha256, device))
    }

    /// A file named by path is built as the known model is whose tensors have the same names; it is called as the file is.
    fn file(&self, path: &Path, task: Task) -> Result<Model, HubError> {
        if let Err(source) = reading::open(path) {
            return Err(HubError::Open { path: path.to_owned(), source });
        }
        let file = WeightsFile::open(path)?;
        let unrecognised = || HubError::Unrecognised { path: path.to_owned(), task };
        let architecture = architecture_of(&file).ok_or_else(unrecognised)?;
        let trained = Manifest::of_trained()?;
        let runnable = self.catalogue().manifests().iter().filter(|manifest| manifest.runs);
        let mut fitting = runnable.chain(&trained).filter(|manifest| manifest.does(task.name()));
        let fits =
            |manifest: &Manifest| manifest.network().ok().filter(|spec| spec.architecture == architecture).cloned();
        let mut network = fitting.find_map(fits).ok_or_else(unrecognised)?;
        network.trained_on = trained_on(&file, network.trained_on);
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let (weights, device) = (LocalFile::new(path.to_owned()), self.shared.device.clone());
        Ok(Model::new(self.shared.clone(), (name, "file"), network, weights, None, device))
    }
}

/// The data a network was trained on. A file of our own training names it, if anything does; one of others has the form of
/// a known model and is taken for it.
fn trained_on(file: &WeightsFile, of_known: Option<String>) -> Option<String> {
    match file.config().filter(|config| config["made_by"] == "albumctl") {
        Some(config) => config["trained_on"].as_str().map(str::to_owned),
        None => of_known,
    }
}

impl Shared {
    /// Where a model runs: the manifest may allow less than the machine offers.
    fn device_for(&self, manifest: &Manifest) -> Result<Device, HubError> {
        let model = manifest.reference();
        match device::allowed(&manifest.devices, device::kind(&self.device), self.choice) {
            device::Allowed::Here => Ok(self.device.clone()),
            device::Allowed::CpuInstead => {
                let said = format!("{model} runs on the CPU: its manifest does not name cuda");
                self.fallbacks.lock().unwrap_or_else(PoisonError::into_inner).push(said);
                Ok(Device::Cpu)
            }
            device::Allowed::Nowhere => {
                let (here, devices) = (device::kind(&self.device), manifest.devices.clone());
                Err(HubError::NotOnDevice { model, here, devices })
            }
        }
    }
}

fn architecture_of(file: &WeightsFile) -> Option<Architecture> {
    let has = |name: &str| file.shape(name).is_some();
    if has("trunk._conv_stem.weight") {
        Some(Architecture::AlbumMini)
    } else if has("channel_attention.0.weight") {
        Some(Architecture::MultiHead)
    } else if has("conv3.weight") && has("fc.weight") {
        Some(Architecture::SingleHead)
    } else if has("head.0.weight") && Recipe::of(file).tells_classes() {
        Some(Architecture::Classifier)
    } else if has("head.0.weight") {
        Some(Architecture::RatedResnet)
    } else if has("mlp.0.weight") {
        Some(Architecture::Siamese)
    } else if has("pos_embed") || has("embeddings.position_embeddings") {
        Some(Architecture::Dinov2)
    } else if has("_conv_stem.weight") {
        Some(Architecture::EfficientnetLite)
    } else if has("features.0.0.weight") {
        Some(Architecture::MobilenetV2)
    } else if ["conv1.weight", "backbone.conv1.weight", "0.weight", "backbone.0.weight"].into_iter().any(has) {
        Some(Architecture::Resnet)
    } else {
        None
    }
}

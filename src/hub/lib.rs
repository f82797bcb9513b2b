//! The model hub: manifests, sources and verified files of models, and the networks built from them.
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
mod graph_model;
pub mod hashing;
mod idle;
mod loaded_models;
mod loaded_networks;
pub mod manifest;
mod model;
pub mod model_library;
mod objects;
mod people;
pub mod policy;
mod portraits;
pub mod prepare;
pub mod recipe;
pub mod registry;
mod siglip;
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
pub use models::{CLASSIFIER, COCO, DESCRIBER, IMAGENET, IMAGENET_CONCEPTS, MINI, OBJECT_FINDER, TEXT_READER};

use self::manifest::{Architecture, Manifest, ManifestFile, Task};
pub use self::model::LoadedGuard;
use self::model::Model;
use self::model_library::ModelLibrary;
pub use self::objects::ObjectModel;
pub use self::people::{DescribedFace, People};
pub use self::portraits::Faces;
use self::recipe::Recipe;
pub use self::siglip::{DescribedTexts, Describer};
pub use self::tasks::{
    Aesthetic, Classifier, Comparator, Degradations, DegradationsKind, Embedder, Judgement, OnePass, Pairs, TaskNetwork,
};
pub use self::text::TextModel;
use base::reading;
use kernels::{Cpu, Engine, Precision};
use networks::checkpoint::Checkpoint;
use networks::weights::WeightsFile;

type Note = dyn Fn(&str) + Send + Sync;

/// State shared by all models of a hub.
struct Shared {
    engine: Engine,
    choice: DeviceChoice,
    device: Device,
    memory: usize,
    by_candle: bool,
    loaded: Arc<LoadedModels>,
    note: Arc<Note>,
    /// Fallbacks to the CPU that were not reported yet.
    fallbacks: Mutex<Vec<String>>,
}

/// Networks in memory, by model folder.
static LOADED: ByFolder<LoadedModels> = ByFolder::new();

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("engine", &self.engine).field("choice", &self.choice).finish_non_exhaustive()
    }
}

/// The model hub: the catalogue, and the models whose files are here.
#[derive(Debug)]
pub struct Hub {
    library: Arc<ModelLibrary>,
    shared: Arc<Shared>,
}

/// The configuration of a hub.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// The model folder and its size limit.
    pub cache: Cache,
    /// The folder of the user's manifests.
    pub own_manifests: Option<PathBuf>,
    pub engine: Engine,
    pub device: DeviceChoice,
    /// The memory budget for weights that are not in use.
    pub memory: usize,
    /// Whether networks use candle on the CPU, too, where our kernels are faster.
    pub by_candle: bool,
    /// Networks that were unused for this long are unloaded; without it they stay while memory suffices.
    pub unload_after: Option<Duration>,
}

impl HubConfig {
    /// The default configuration for a model folder.
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

/// A model by name (`name` or `name@version`), or a weight file of the user.
#[derive(Debug, Clone, Copy)]
pub enum ModelChoice<'a> {
    Name(&'a str),
    Path(&'a Path),
}

impl<'a> ModelChoice<'a> {
    /// Interprets what a user typed. It is a path if it begins with `/`, `./`, `../` or `~`, or such a file exists;
    /// everything else is a name, which may contain dots: `mine@1.0.0`.
    pub fn typed(text: &'a str) -> Self {
        let path = Path::new(text);
        let begins = ["/", "./", "../", "~"].iter().any(|start| text.starts_with(start));
        if begins || std::fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
            return Self::Path(path);
        }
        Self::Name(text)
    }
}

/// A verified local file of a model; it is not removed while this value lives.
#[derive(Clone, Debug)]
pub struct LocalFile {
    pub path: PathBuf,
    /// For files of the cache; files that the user put into the folder are never removed.
    #[expect(dead_code, reason = "keeps the file while it lives")]
    lease: Option<Arc<Lease>>,
    /// For built-in files.
    content: Option<&'static [u8]>,
    /// The error if the file disappears after all.
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

    /// The model may be removed between our check and our lease; then it is reported as missing.
    fn unless_gone(&self, error: HubError) -> HubError {
        let is_gone = self.path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        match &self.missing {
            Some(missing) if is_gone => HubError::Missing { models: vec![Missing::clone(missing)] },
            _ => error,
        }
    }
}

impl Hub {
    /// Opens a hub. `note` is called with the messages of `-v`, such as `Loaded AVA model ava-resnet50 (96 MB, 41 ms)`.
    pub fn new(config: HubConfig, note: impl Fn(&str) + Send + Sync + 'static) -> Result<Self, HubError> {
        let HubConfig { cache, own_manifests, engine, device: choice, memory, by_candle, unload_after } = config;
        let (device, fallback) = choice.settle()?;
        // Unreadable manifests are reported by `models list`.
        let library = Arc::new(ModelLibrary::load(cache, own_manifests, drop)?);
        let loaded = LOADED.of(library.cache.root());
        let fallbacks = Mutex::new(fallback.into_iter().collect());
        let shared = Shared { engine, choice, device, memory, by_candle, loaded, note: Arc::new(note), fallbacks };
        if let Some(after) = unload_after {
            idle::watch(&shared.loaded, after);
        }
        Ok(Self { library, shared: Arc::new(shared) })
    }

    /// The same hub on another device; it shares the networks in memory.
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

    /// Returns each fallback from a requested card to the CPU once, with its reason.
    pub fn take_fallbacks(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.fallbacks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens a model of the given kind whose files are here. Its network is loaded on first use.
    pub fn open<N: TaskNetwork>(&self, which: ModelChoice<'_>) -> Result<N, HubError> {
        match which {
            ModelChoice::Name(name) => self.named(name, N::TASK).map(N::from),
            ModelChoice::Path(path) => self.file(path, N::TASK).map(N::from),
        }
    }

    /// Opens the weight file of a model, as a start for training.
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

    /// Whether the network of this model is loaded or loading.
    pub fn memory_status(&self, manifest: &Manifest) -> Option<Status> {
        let (loaded, reference) = (&self.shared.loaded, manifest.reference());
        if loaded.builds(&reference) {
            return Some(Status::Loading);
        }
        loaded.holds(&reference).then_some(Status::Loaded)
    }

    /// Unloads a model's network, once no thread uses it. Returns whether it was loaded.
    pub fn unload(&self, manifest: &Manifest) -> bool {
        self.shared.loaded.forget(&manifest.reference())
    }

    /// The local file of a model: in the cache under its hash, or put into the folder under its own name. If the hash is
    /// known, the file is verified before its first use.
    pub fn local_file(&self, manifest: &Manifest, file: &ManifestFile) -> Result<Option<LocalFile>, HubError> {
        if let Some(content) = manifest.built_in_weights(file) {
            return Ok(Some(LocalFile { content: Some(content), ..LocalFile::new(PathBuf::from(&file.name)) }));
        }
        let Some(digest) = manifest.wanted_file(file, self.cache())?.sha256 else {
            let path = self.cache().root().join(&file.name);
            return Ok(path.is_file().then(|| LocalFile::new(path)));
        };
        // Taken first, so that the file is not removed between check and use.
        let lease = self.cache().blob_path(&digest).is_file().then(|| self.cache().lease(&digest));
        if let Some(path) = self.cache().ready(&digest)? {
            // If the file has only just appeared, there is no lease yet.
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

    /// Opens a file by its path. It is built like the known model with the same tensor names, and named after the file.
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

/// The dataset that a network was trained on: from the metadata of files that we trained, else that of the known model of
/// the same form.
fn trained_on(file: &WeightsFile, of_known: Option<String>) -> Option<String> {
    match file.config().filter(|config| config["made_by"] == "albumctl") {
        Some(config) => config["trained_on"].as_str().map(str::to_owned),
        None => of_known,
    }
}

impl Shared {
    /// The device for a model; the manifest may allow fewer than the machine has.
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

    /// The device for a model of graphs: a card that was asked for, if the manifest names it. `auto` does not choose one: pictures
    /// run one at a time, and the small network that was measured so was faster on the cores.
    fn device_for_graphs(&self, manifest: &Manifest) -> Device {
        let allowed = device::allowed(&manifest.devices, device::kind(&self.device), self.choice);
        match self.choice {
            DeviceChoice::Cuda(_) if allowed == device::Allowed::Here => self.device.clone(),
            _ => Device::Cpu,
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

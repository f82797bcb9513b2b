//! The model hub: what a model is, where its files come from, where they lie, that they are the right bytes, and how
//! they become something that answers.
//!
//! Programs use it through `albumctl::ModelHub`. It must never know the photos of a run, the store or the terminal.

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

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candle_core::Device;

use self::cache::{Cache, Lease};
use self::catalogue::{Catalogue, CatalogueError, Entry, FileEntry, Status};
pub use self::device::{DeviceChoice, DeviceError};
pub use self::error::{HubError, Missing};
use self::faces::FaceAnalyzer;
use self::loaded_networks::{ByFolder, LoadedModels};
pub use models::{CLASSIFIER, MINI};

use self::manifest::{Architecture, Manifest, Task};
use self::model::Model;
pub use self::model::{
    Aesthetic, Classifier, Comparator, Degradations, DegradationsKind, Embedder, Judgement, Loaded, Network,
};
use self::model_library::ModelLibrary;
pub use self::portraits::Faces;
use self::recipe::Recipe;
use self::registry::Built;
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
    loaded: Arc<LoadedModels<Built, FaceAnalyzer>>,
    note: Arc<Note>,
    /// What the user should hear of, and has not yet.
    fallbacks: Mutex<Vec<String>>,
}

/// Networks in memory, by model folder.
static LOADED: ByFolder<LoadedModels<Built, FaceAnalyzer>> = ByFolder::new();

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
    /// Whether networks run on candle's own operations on the processor, too.
    pub by_candle: bool,
    /// Networks that nobody has asked for since so long leave memory; without it they stay while there is room.
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
pub enum Which<'a> {
    Named(&'a str),
    File(&'a Path),
}

impl<'a> Which<'a> {
    /// As a user names a model. A path begins with `/`, `./`, `../` or `~`, or a file lies there; the rest are names,
    /// which may hold dots: `mine@1.0.0`.
    pub fn typed(text: &'a str) -> Self {
        let path = Path::new(text);
        let begins = ["/", "./", "../", "~"].iter().any(|start| text.starts_with(start));
        if begins || std::fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
            return Self::File(path);
        }
        Self::Named(text)
    }
}

/// A file of a model that is here and was verified; nobody clears it away as long as this lives.
#[derive(Clone, Debug)]
pub struct Held {
    pub path: PathBuf,
    /// Of a file in the cache; one that was put into the folder by hand is the user's to keep.
    #[expect(dead_code, reason = "held")]
    lease: Option<Arc<Lease>>,
    /// Of a file that is part of the binary.
    content: Option<&'static [u8]>,
    /// What to say when the file of a model is gone after all.
    missing: Option<Arc<Missing>>,
}

impl Held {
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

    /// Who removed the model just before our lease was there took the file away after we saw it: then the model is not
    /// here, like any other that was removed.
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
        // What cannot be read is the matter of `models list`.
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

    /// Where it runs less well than asked for, and why; each is said once.
    pub fn take_fallbacks(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.fallbacks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The model, if it is of that kind and its files are here. Its network is loaded when the first photo needs it.
    pub fn open<N: Network>(&self, which: Which<'_>) -> Result<N, HubError> {
        match which {
            Which::Named(name) => self.named(name, N::TASK).map(N::from),
            Which::File(path) => self.file(path, N::TASK).map(N::from),
        }
    }

    /// The file of a model's weights, as it is: what training begins with.
    pub fn weights(&self, which: Which<'_>) -> Result<WeightsFile, HubError> {
        match which {
            Which::Named(name) => self.named(name, Task::Embedding)?.weights(),
            Which::File(path) => Ok(WeightsFile::open(path)?),
        }
    }

    pub fn aesthetic(&self, name: &str) -> Result<Aesthetic, HubError> {
        self.open(Which::Named(name))
    }

    pub fn embedder(&self, name: &str) -> Result<Embedder, HubError> {
        self.open(Which::Named(name))
    }

    pub fn comparator(&self, name: &str) -> Result<Comparator, HubError> {
        self.open(Which::Named(name))
    }

    /// Whether the network of this model is in memory, or on its way there.
    pub fn memory_status(&self, entry: &Entry) -> Option<Status> {
        let (loaded, reference) = (&self.shared.loaded, entry.reference());
        if loaded.photos.builds(&reference) || loaded.faces.builds(&reference) {
            return Some(Status::Loading);
        }
        (loaded.photos.holds(&reference) || loaded.faces.holds(&reference)).then_some(Status::Loaded)
    }

    /// Gives back the memory of a model's network; who uses it at the moment keeps it until done. Whether there was one.
    pub fn unload(&self, entry: &Entry) -> bool {
        let loaded = &self.shared.loaded;
        let photos = loaded.photos.forget(&entry.reference());
        loaded.faces.forget(&entry.reference()) || photos
    }

    /// A model's file, if it is here: kept by its hash, or put into the folder by hand under its own name. Where a hash is
    /// known, no file is used before it was read through once.
    pub fn held(&self, entry: &Entry, file: &FileEntry) -> Result<Option<Held>, HubError> {
        if let Some(content) = entry.built_in_weights(file) {
            return Ok(Some(Held { content: Some(content), ..Held::new(PathBuf::from(&file.name)) }));
        }
        let Some(digest) = entry.wanted_file(file, self.cache())?.sha256 else {
            let path = self.cache().root().join(&file.name);
            return Ok(path.is_file().then(|| Held::new(path)));
        };
        // Taken first, so that nobody clears the file away between the look and the use.
        let lease = self.cache().blob_path(&digest).is_file().then(|| self.cache().lease(&digest));
        if let Some(path) = self.cache().ready(&digest)? {
            // Where somebody put it there only now, there is no lease yet.
            let lease = lease.unwrap_or_else(|| self.cache().lease(&digest));
            let missing = Some(Arc::new(self.missing(entry, file)));
            return Ok(Some(Held { lease: Some(Arc::new(lease)), missing, ..Held::new(path) }));
        }
        Ok(self.cache().ready_by_name(&file.name, &digest)?.map(Held::new))
    }

    fn missing(&self, entry: &Entry, file: &FileEntry) -> Missing {
        Missing {
            name: entry.name.clone(),
            reference: entry.reference(),
            file: entry.describe(file, self.cache()),
            folder: self.cache().root().to_owned(),
            mend: entry.mend(),
            reachable: !file.sources.is_empty(),
            pulled_by: entry.pulled_by().to_owned(),
        }
    }

    fn named(&self, name: &str, task: Task) -> Result<Model, HubError> {
        let entry = self.catalogue().find_for(name, task.name()).map_err(|error| match error {
            CatalogueError::Unknown { name, .. } => {
                let fitting = self.catalogue().entries().iter().filter(|entry| entry.does(task.name()) && entry.runs);
                let known: Vec<_> = fitting.map(|entry| entry.name.as_str()).collect();
                HubError::Unknown { name, known: known.join(", ") }
            }
            other => other.into(),
        })?;
        if !entry.does(task.name()) {
            return Err(HubError::WrongTask { name: entry.name.clone(), task: entry.task.clone() });
        }
        if !entry.runs {
            return Err(HubError::DoesNotRun { reference: entry.reference() });
        }
        let manifest = entry.manifest()?;
        let file = &entry.files[0];
        let device = self.shared.device_for(&manifest)?;
        let held = self.held(entry, file)?;
        let held = held.ok_or_else(|| HubError::Missing { models: vec![self.missing(entry, file)] })?;
        let sha256 = entry.wanted_file(file, self.cache())?.sha256;
        Ok(Model::new(self.shared.clone(), manifest, held, sha256, device))
    }

    /// A file named by path borrows the manifest of the network that its tensors spell; its name is the file's.
    fn file(&self, path: &Path, task: Task) -> Result<Model, HubError> {
        if let Err(source) = reading::open(path) {
            return Err(HubError::Open { path: path.to_owned(), source });
        }
        let file = WeightsFile::open(path)?;
        let unrecognised = || HubError::Unrecognised { path: path.to_owned(), task };
        let architecture = architecture_of(&file).ok_or_else(unrecognised)?;
        let fitting = |manifest: &Manifest| manifest.does(task) && manifest.architecture == architecture;
        let runnable = self.catalogue().entries().iter().filter(|entry| entry.runs);
        let mut known = runnable.filter_map(|entry| entry.manifest().ok()).chain(Manifest::of_trained()?);
        let manifest = known.find(fitting).ok_or_else(unrecognised)?;
        let trained_on = trained_on(&file, &manifest);
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let manifest = Manifest {
            name: stem,
            version: "file".into(),
            trained_on,
            aliases: Vec::new(),
            devices: Vec::new(),
            ..manifest
        };
        let held = Held::new(path.to_owned());
        Ok(Model::new(self.shared.clone(), manifest, held, None, self.shared.device.clone()))
    }
}

/// What a file learned from. One of our own training says so itself, if anything; those of others have the form of a known
/// model and are taken for it.
fn trained_on(file: &WeightsFile, form: &Manifest) -> Option<String> {
    match file.config().filter(|config| config["made_by"] == "albumctl") {
        Some(config) => config["trained_on"].as_str().map(str::to_owned),
        None => form.trained_on.clone(),
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

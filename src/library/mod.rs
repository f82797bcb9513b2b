//! The engine of every command, and of Rust programs: one [`ModelHub`] that has the models and asks them about photos.
//!
//! Programs reach it as `albumctl::ModelHub`. What it has to say goes to the `log` facade.

pub mod asking;
mod bytes;
pub mod choice;
pub mod groups;
mod memory;
mod models;
mod photos;
mod record;
mod source;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub use bytes::Predicted;
pub use choice::Preference;
pub use groups::Groups;
pub use memory::LoadedModel;
pub use models::{CacheInfo, CleanedUp, DeviceInfo, PullProgress};
pub use photos::{Batch, Extras, PhotoInput, Progress};
pub use record::record;

use crate::config::{self, ConfigError, Settings, Sources};
use crate::failure::Failure;
use crate::pipeline::Isolation;
use crate::store::Store;
use crate::telemetry::Telemetry;
use hub::cache::{Cache, CacheError};
use hub::catalogue::CatalogueError;
use hub::fetch::{PullError, SourceError};
use hub::policy::{LicencePolicy, PolicyError};
use hub::{DeviceError, Hub, HubConfig, HubError};
use judge::cluster::ClusterError;
use judge::select::SelectError;
use kernels::{Cpu, CpuError, Engine, Precision};

/// All models, and all that is asked of photos, behind one door.
///
/// Models are found, fetched, verified, kept and loaded; photos are measured, rated, compared, described and grouped. Every
/// method may be called from any number of threads. A network is loaded when it is first needed, once a process, shared by
/// all threads and by all hubs over the same folder, and leaves when memory is short and nobody uses it. Nothing is ever
/// fetched but by [`pull`](Self::pull) and [`ensure_ready`](Self::ensure_ready).
///
/// ```
/// use albumctl::ModelHub;
/// use albumctl::library::Options;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
/// let quality = hub.score("fixtures/album/DSC_0102.jpg")?;
/// assert!(quality.sharpness > 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ModelHub {
    /// Replaced as a whole when a manifest is added.
    hub: RwLock<Arc<Hub>>,
    options: Options,
    policy: LicencePolicy,
    surroundings: Surroundings,
    /// In the place of a folder for models, where nothing says where those lie: what is built in runs.
    nowhere: Option<tempfile::TempDir>,
}

/// What a hub shares with the run it is part of.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where results are remembered.
    pub store: Arc<Store>,
    pub telemetry: Arc<Telemetry>,
    /// Raised when somebody asks to stop.
    pub stop: Arc<AtomicBool>,
    /// Whether photos are decoded in processes of their own, which takes the binary.
    pub isolation: Isolation,
}

/// How a [`ModelHub`] is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Device, threads, limits, thresholds, weights, methods and the licence policy.
    pub settings: Settings,
    /// Where model files lie, instead of where the settings or the XDG folders say.
    pub models_dir: Option<PathBuf>,
    /// Where manifests of the user's own lie.
    pub own_manifests: Option<PathBuf>,
    /// Where results are remembered; none: nowhere.
    pub results: Option<PathBuf>,
    /// Never open a connection.
    pub offline: bool,
    /// Accept files whose hash no manifest knows, and hold them to the hash they have then.
    pub trust_first: bool,
    /// Bytes that weights nobody uses may take in memory together.
    pub memory: usize,
    /// How exact sums are where the processor offers a choice.
    pub precision: Precision,
    /// Networks that nobody has asked for since so long leave memory; none: they stay while there is room.
    pub unload_after: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
pub enum ModelHubError {
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Licence(#[from] PolicyError),
    #[error("model `{model}`: {source}")]
    Pull { model: String, source: PullError },
    #[error("{address}: {source}")]
    Address { address: String, source: SourceError },
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Word(#[from] groups::UnknownWord),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Cpu(#[from] CpuError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("no folder for {what}: neither {variable} nor HOME is set")]
    Nowhere { what: &'static str, variable: &'static str },
    /// One photo, not the hub.
    #[error("{0}")]
    Photo(Failure),
    #[error("a network gave no answer")]
    Unanswered,
    #[error("interrupted")]
    Interrupted,
    #[error("{}: its embedding is of another length than the others", path.display())]
    Lengths { path: PathBuf },
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Select(#[from] SelectError),
}

impl Options {
    /// What every binary carries, whatever this machine's user has configured.
    pub fn built_in() -> Result<Self, ConfigError> {
        Ok(Self::of(Settings::built_in()?))
    }

    /// What this machine's user has configured: file and environment, as the commands read them.
    pub fn of_this_user() -> Result<Self, ConfigError> {
        let user_file = config::home("XDG_CONFIG_HOME", ".config").map(|folder| config::user_file(&folder));
        let environment = std::env::vars_os().collect();
        let settings = config::resolve(&Sources { user_file, environment, ..Sources::default() })?.settings;
        let results = settings.results_folder();
        Ok(Self { own_manifests: config::own_manifests(), results, ..Self::of(settings) })
    }

    fn name_a_models_folder(&self) -> bool {
        self.models_dir.is_some() || self.settings.models_folder().is_some()
    }

    /// With these settings, and nothing remembered.
    pub fn of(settings: Settings) -> Self {
        Self {
            settings,
            models_dir: None,
            own_manifests: None,
            results: None,
            offline: false,
            trust_first: false,
            memory: 2 << 30,
            precision: Precision::Full,
            unload_after: None,
        }
    }
}

impl ModelHub {
    /// As this machine's user has configured it.
    ///
    /// ```no_run
    /// use albumctl::ModelHub;
    ///
    /// let hub = ModelHub::new()?;
    /// for model in hub.list(Some("aesthetics")) {
    ///     println!("{}: {} ({})", model.model, model.title, model.status);
    /// }
    /// # Ok::<(), albumctl::library::ModelHubError>(())
    /// ```
    pub fn new() -> Result<Self, ModelHubError> {
        Self::open(Options::of_this_user()?)
    }

    pub fn open(options: Options) -> Result<Self, ModelHubError> {
        let own = options.settings.cache_dir.is_none() && options.results == options.settings.results_folder();
        let open = if own { Store::open_own } else { Store::open };
        let store = options.results.as_deref().map_or_else(Store::none, open);
        let surroundings = Surroundings {
            store: Arc::new(store),
            telemetry: Arc::default(),
            stop: Arc::default(),
            isolation: Isolation::Off,
        };
        if !options.name_a_models_folder() {
            return Err(ModelHubError::Nowhere { what: "models", variable: "XDG_DATA_HOME" });
        }
        Self::within(options, surroundings)
    }

    /// As a part of a run, which goes on with what is built in where nothing says where models lie.
    pub fn within(mut options: Options, surroundings: Surroundings) -> Result<Self, ModelHubError> {
        let policy = options.settings.license_policy.parse()?;
        let io = |source| ModelHubError::Io { path: std::env::temp_dir(), source };
        let nowhere = (!options.name_a_models_folder()).then(tempfile::tempdir).transpose().map_err(io)?;
        if let Some(folder) = &nowhere {
            options.models_dir = Some(folder.path().to_owned());
        }
        let hub = RwLock::new(Arc::new(make(&options)?));
        let hub = Self { hub, options, policy, surroundings, nowhere };
        hub.tell_fallbacks();
        Ok(hub)
    }

    /// Whether nothing says where models lie.
    pub fn has_no_folder(&self) -> bool {
        self.nowhere.is_some()
    }

    /// Says where networks run on another device than was asked for.
    fn tell_fallbacks(&self) {
        self.hub().take_fallbacks().iter().for_each(|fallback| log::warn!("{fallback}"));
    }

    pub fn telemetry(&self) -> &Telemetry {
        &self.surroundings.telemetry
    }

    fn stop(&self) -> &AtomicBool {
        &self.surroundings.stop
    }

    pub fn settings(&self) -> &Settings {
        &self.options.settings
    }

    fn hub(&self) -> Arc<Hub> {
        self.hub.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the manifests again. Networks in memory stay there.
    fn look_again(&self) -> Result<(), ModelHubError> {
        let hub = Arc::new(make(&self.options)?);
        *self.hub.write().unwrap_or_else(PoisonError::into_inner) = hub;
        Ok(())
    }
}

fn make(options: &Options) -> Result<Hub, ModelHubError> {
    let Options { settings, models_dir, own_manifests, memory, unload_after, .. } = options;
    let nowhere = ModelHubError::Nowhere { what: "models", variable: "XDG_DATA_HOME" };
    let folder = models_dir.clone().or_else(|| settings.models_folder()).ok_or(nowhere)?;
    let engine = Engine { cpu: Cpu::chosen()?, precision: options.precision };
    let config = HubConfig {
        own_manifests: own_manifests.clone(),
        engine,
        device: settings.device.parse()?,
        memory: *memory,
        by_candle: Cpu::candle_is_asked(),
        unload_after: *unload_after,
        ..HubConfig::new(Cache::new(folder, settings.models_limit()))
    };
    Ok(Hub::new(config, |note: &str| log::info!("{note}"))?)
}

//! The engine of every command and of Rust programs: [`ModelHub`] manages the models and runs them on photos.
//!
//! Programs use it as `albumctl::ModelHub`. Its messages go to the `log` facade.

mod bytes;
pub mod choice;
pub mod groups;
mod memory;
pub mod model_selection;
mod models;
mod photos;
mod record;
pub mod relevance;
pub mod sequences;
mod source;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub use bytes::QualityPrediction;
pub use choice::Preference;
pub use groups::Groups;
pub use memory::LoadedModel;
pub use models::{CacheInfo, CleanedUp, DeviceInfo, PullProgress};
pub use photos::{Batch, Extras, PhotoInput, Progress};
pub use record::record;

use crate::config::{self, ConfigError, Settings, Sources, UserFolder};
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
use judge::query::ConceptError;
use judge::select::SelectError;
use kernels::{Cpu, CpuError, Engine, Precision};

/// Access to all models and to every analysis of photos.
///
/// It finds, fetches, verifies, stores and loads models, and measures, rates, compares and groups photos. Every method may
/// be called from any number of threads. A network is loaded at its first use, once per process, and shared by all threads
/// and all hubs over the same folder; it is unloaded when memory is short and it is not in use. Only
/// [`pull`](Self::pull) and [`ensure_ready`](Self::ensure_ready) fetch anything.
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
    /// Replaced when a manifest is added.
    hub: RwLock<Arc<Hub>>,
    options: Options,
    policy: LicencePolicy,
    run: RunContext,
    /// An empty models folder, used where none is configured; only built-in models run then.
    no_models_folder: Option<tempfile::TempDir>,
}

/// The state that a hub shares with its run.
#[derive(Debug, Clone)]
pub struct RunContext {
    /// The results store.
    pub store: Arc<Store>,
    pub telemetry: Arc<Telemetry>,
    /// Set when the run is to stop.
    pub stop: Arc<AtomicBool>,
    /// Whether photos are decoded in worker processes, which only the binary can start.
    pub isolation: Isolation,
}

/// The options of a [`ModelHub`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Device, threads, limits, thresholds, weights, methods and the licence policy.
    pub settings: Settings,
    /// The folder of model files, overriding the settings and the XDG folders.
    pub models_dir: Option<PathBuf>,
    /// The folder of the user's own manifests.
    pub own_manifests: Option<PathBuf>,
    /// The folder of the results store; `None` stores no results.
    pub results: Option<PathBuf>,
    /// Never open a network connection.
    pub offline: bool,
    /// Accept files without a hash in their manifest, and require the hash of the first download from then on.
    pub trust_first: bool,
    /// The memory that unused weights may take in total, in bytes.
    pub memory: usize,
    /// The precision of sums, where the processor offers a choice.
    pub precision: Precision,
    /// The time after which an unused network is unloaded; `None` keeps it while there is memory.
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
    UnknownWord(#[from] groups::UnknownWord),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Cpu(#[from] CpuError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("no folder for {what}: {}", folder.missing())]
    NoFolder { what: &'static str, folder: UserFolder },
    /// One photo failed, not the hub.
    #[error("{0}")]
    Photo(Failure),
    #[error("a network gave no result")]
    Unanswered,
    #[error("interrupted")]
    Interrupted,
    #[error("{}: its embedding differs in length from the others", path.display())]
    EmbeddingLength { path: PathBuf },
    #[error(transparent)]
    Concepts(#[from] ConceptError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Select(#[from] SelectError),
}

impl Options {
    /// The built-in settings, without this machine's configuration.
    pub fn built_in() -> Result<Self, ConfigError> {
        Ok(Self::of(Settings::built_in()?))
    }

    /// The settings of this machine's user, from file and environment, as the commands read them.
    pub fn of_this_user() -> Result<Self, ConfigError> {
        let user_file = config::user_file();
        let environment = std::env::vars_os().collect();
        let settings = config::resolve(&Sources { user_file, environment, ..Sources::default() })?.settings;
        let results = settings.results_folder();
        Ok(Self { own_manifests: config::own_manifests(), results, ..Self::of(settings) })
    }

    fn has_models_folder(&self) -> bool {
        self.models_dir.is_some() || self.settings.models_folder().is_some()
    }

    /// These settings, without a results store.
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
    /// Opens a hub with the settings of this machine's user.
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
        let store = store.trimmed_to(options.settings.results_limit());
        let run = RunContext {
            store: Arc::new(store),
            telemetry: Arc::default(),
            stop: Arc::default(),
            isolation: Isolation::Off,
        };
        if !options.has_models_folder() {
            return Err(ModelHubError::NoFolder { what: "models", folder: UserFolder::Data });
        }
        Self::within(options, run)
    }

    /// Opens a hub as part of a run. Without a configured models folder, it has only the built-in models.
    pub fn within(mut options: Options, run: RunContext) -> Result<Self, ModelHubError> {
        let policy = options.settings.license_policy.parse()?;
        let io = |source| ModelHubError::Io { path: std::env::temp_dir(), source };
        let no_models_folder = (!options.has_models_folder()).then(tempfile::tempdir).transpose().map_err(io)?;
        if let Some(folder) = &no_models_folder {
            options.models_dir = Some(folder.path().to_owned());
        }
        let hub = RwLock::new(Arc::new(make(&options)?));
        let hub = Self { hub, options, policy, run, no_models_folder };
        hub.warn_of_fallbacks();
        Ok(hub)
    }

    /// Whether no models folder is configured.
    pub fn has_no_folder(&self) -> bool {
        self.no_models_folder.is_some()
    }

    /// Logs a warning for each network that runs on another device than requested.
    fn warn_of_fallbacks(&self) {
        self.hub().take_fallbacks().iter().for_each(|fallback| log::warn!("{fallback}"));
    }

    pub fn telemetry(&self) -> &Telemetry {
        &self.run.telemetry
    }

    fn stop(&self) -> &AtomicBool {
        &self.run.stop
    }

    pub fn settings(&self) -> &Settings {
        &self.options.settings
    }

    fn hub(&self) -> Arc<Hub> {
        self.hub.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the manifests again; networks stay in memory.
    fn reload_manifests(&self) -> Result<(), ModelHubError> {
        let hub = Arc::new(make(&self.options)?);
        *self.hub.write().unwrap_or_else(PoisonError::into_inner) = hub;
        Ok(())
    }
}

fn make(options: &Options) -> Result<Hub, ModelHubError> {
    let Options { settings, models_dir, own_manifests, memory, unload_after, .. } = options;
    let no_folder = ModelHubError::NoFolder { what: "models", folder: UserFolder::Data };
    let folder = models_dir.clone().or_else(|| settings.models_folder()).ok_or(no_folder)?;
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

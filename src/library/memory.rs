//! Loading networks into memory and unloading them.

use super::models::PullProgress;
use super::{ModelHub, ModelHubError};
use crate::config::Settings;
use hub::faces::Landmarks;
use hub::manifest::Task;
use hub::{
    Aesthetic, Comparator, Degradations, Embedder, Faces, Hub, HubError, LoadedGuard, ModelChoice, TaskNetwork as _,
};
use judge::portrait::Thresholds;

/// A model in memory. It stays there at least as long as this value lives, and afterwards while memory allows.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a program holds a handful of them")]
pub enum LoadedModel {
    Aesthetic(Aesthetic, LoadedGuard),
    Embedder(Embedder, LoadedGuard),
    Comparator(Comparator, LoadedGuard),
    Degradations(Degradations, LoadedGuard),
    /// The three face networks that work together.
    Faces(Faces, LoadedGuard),
}

impl ModelHub {
    /// Loads a model's network. A network loaded twice is in memory once. Nothing is fetched: the error for a missing model
    /// says how to get it.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let error = hub.load("dinov2-s").unwrap_err().to_string();
    /// assert!(error.contains("albumctl models pull dinov2-s"));
    /// assert!(!hub.unload("dinov2-s")?, "it was not in memory");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(&self, model: &str) -> Result<LoadedModel, ModelHubError> {
        load(&self.hub(), self.settings(), model)
    }

    /// Loads a model's network on a given device instead of the configured one: `auto`, `cpu`, `cuda` or `cuda:N`. A
    /// missing GPU is an error; `auto` uses the CPU then.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let loaded = hub.load_on("album-mini", "cpu")?;
    /// assert_eq!(loaded.reference(), "album-mini@5");
    /// assert!(hub.load_on("album-mini", "banana").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load_on(&self, model: &str, device: &str) -> Result<LoadedModel, ModelHubError> {
        load(&self.hub().on(device.parse()?)?, self.settings(), model)
    }

    /// Fetches what is missing and loads the network; for a face network also the others it works with.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// use hub::availability::Status;
    ///
    /// let ready = hub.ensure_ready("album-mini", |progress| println!("{} bytes", progress.have))?;
    /// assert_eq!(ready.reference(), "album-mini@5");
    /// assert_eq!(hub.status("album-mini")?, Status::Loaded);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ensure_ready(
        &self,
        model: &str,
        progress: impl Fn(PullProgress) + Sync,
    ) -> Result<LoadedModel, ModelHubError> {
        match self.load(model) {
            Err(ModelHubError::Hub(HubError::Missing { models })) => {
                for missing in models {
                    self.pull(&missing.reference, &progress)?;
                }
                self.load(model)
            }
            answer => answer,
        }
    }

    /// Unloads a model's network; code that is using it keeps it until done. Returns whether it was in memory.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let loaded = hub.load("album-mini")?;
    /// drop(loaded);
    /// assert!(hub.unload("album-mini")?);
    /// assert!(!hub.unload("album-mini")?, "it was not in memory any more");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unload(&self, model: &str) -> Result<bool, ModelHubError> {
        let hub = self.hub();
        Ok(hub.unload(hub.catalogue().find(model)?))
    }
}

fn load(hub: &Hub, settings: &Settings, model: &str) -> Result<LoadedModel, ModelHubError> {
    let manifest = hub.catalogue().find(model)?;
    let which = ModelChoice::Name(model);
    let is_for = |task: Task| manifest.task == task.name();
    Ok(if is_for(Task::Aesthetics) {
        let network: Aesthetic = hub.open(which)?;
        LoadedModel::Aesthetic(network.clone(), network.load()?)
    } else if is_for(Task::Embedding) {
        let network: Embedder = hub.open(which)?;
        LoadedModel::Embedder(network.clone(), network.load()?)
    } else if is_for(Task::Comparison) {
        let network: Comparator = hub.open(which)?;
        LoadedModel::Comparator(network.clone(), network.load()?)
    } else if is_for(Task::Degradations) {
        let network: Degradations = hub.open(which)?;
        LoadedModel::Degradations(network.clone(), network.load()?)
    } else if let Some(mode) = modes().find(|mode| manifest.runs && mode.takes_part(&manifest.name)) {
        let faces = hub.faces(mode, Thresholds::from(settings))?;
        LoadedModel::Faces(faces.clone(), faces.load()?)
    } else {
        return Err(HubError::DoesNotRun { reference: manifest.reference() }.into());
    })
}

fn modes() -> impl Iterator<Item = Landmarks> {
    [Landmarks::Attention, Landmarks::Fast].into_iter()
}

impl LoadedModel {
    /// `name@version`.
    pub fn reference(&self) -> String {
        match self {
            Self::Aesthetic(network, _) => network.reference(),
            Self::Embedder(network, _) => network.reference(),
            Self::Comparator(network, _) => network.reference(),
            Self::Degradations(network, _) => network.reference(),
            Self::Faces(faces, _) => faces.reference().to_owned(),
        }
    }
}

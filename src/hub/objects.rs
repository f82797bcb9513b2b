//! The networks for objects as models of the hub.

use std::sync::{Arc, LazyLock};

use networks::objects::{Labels, Object, ObjectFinder, Ssd};

use super::graph_model::GraphModel;
use super::loaded_networks::Weight;
use super::model::LoadedGuard;
use super::{Hub, HubError};
use base::pixels::Pixels;

/// Part of the key of stored results; changes when the results for the same pixels change.
const REVISION: &str = "objects/1";

/// The names of COCO's classes by their numbers, of which the first stands for none.
static COCO: LazyLock<Labels> =
    LazyLock::new(|| std::iter::once("").chain(models::COCO.lines()).map(str::to_owned).collect());

/// Finds objects; can be used from several threads.
#[derive(Clone, Debug)]
pub struct ObjectModel(GraphModel);

impl Weight for ObjectFinder {
    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
}

impl Hub {
    /// Opens a model for objects by `name` or `name@version`, if its file is here.
    pub fn objects(&self, name: &str) -> Result<ObjectModel, HubError> {
        self.graph_model(self.runnable(name, models::OBJECT_TASK)?, 1).map(ObjectModel)
    }
}

impl ObjectModel {
    /// `name@version`.
    pub fn reference(&self) -> &str {
        self.0.reference()
    }

    /// Part of the key of stored results, so its texts must not change by accident.
    pub fn identity(&self) -> Vec<String> {
        self.0.identity(REVISION)
    }

    /// The objects of an upright photo, the surest first.
    pub fn find(&self, photo: &Pixels) -> Result<Vec<Object>, HubError> {
        self.finder()?.find(photo).map_err(|source| self.0.failed(source))
    }

    /// Loads the network now. It stays in memory while the guard lives.
    pub fn load(&self) -> Result<LoadedGuard, HubError> {
        Ok(LoadedGuard::of(self.finder()?))
    }

    fn finder(&self) -> Result<Arc<ObjectFinder>, HubError> {
        let load = |files: &[Vec<u8>], cpu| Ssd::load(&files[0], COCO.clone(), cpu).map(ObjectFinder::Ssd);
        self.0.network(|loaded| &loaded.objects, load)
    }
}

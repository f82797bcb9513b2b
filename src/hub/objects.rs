//! The networks for objects as models of the hub.

use std::sync::{Arc, LazyLock};

use networks::objects::{Class, Object, ObjectFinder, Ssd, Yolo, YoloError};
use networks::weights::WeightsFile;

use super::graph_model::GraphModel;
use super::loaded_networks::Weight;
use super::model::LoadedGuard;
use super::{Hub, HubError};
use base::pixels::Pixels;

/// Part of the key of stored results; changes when the results for the same pixels change.
const REVISION: &str = "objects/1";

/// COCO's classes.
static COCO: LazyLock<Arc<[Class]>> = LazyLock::new(|| {
    let all = (1..).zip(models::COCO.lines()).filter(|(_, label)| !label.is_empty());
    all.map(|(number, label)| (number, label.to_owned())).collect()
});

/// Finds objects; can be used from several threads.
#[derive(Clone, Debug)]
pub struct ObjectModel {
    model: GraphModel,
    architecture: String,
}

impl Weight for ObjectFinder {
    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
}

impl Hub {
    /// Opens a model for objects by `name` or `name@version`, if its file is here.
    pub fn objects(&self, name: &str) -> Result<ObjectModel, HubError> {
        let manifest = self.runnable(name, models::OBJECT_TASK)?;
        Ok(ObjectModel { model: self.graph_model(manifest, 1)?, architecture: manifest.architecture.clone() })
    }
}

impl ObjectModel {
    /// `name@version`.
    pub fn reference(&self) -> &str {
        self.model.reference()
    }

    /// Part of the key of stored results, so its texts must not change by accident.
    pub fn identity(&self) -> Vec<String> {
        self.model.identity(REVISION)
    }

    /// The objects of an upright photo, the surest first.
    pub fn find(&self, photo: &Pixels) -> Result<Vec<Object>, HubError> {
        self.finder()?.find(photo).map_err(|source| self.model.failed(source))
    }

    pub fn runs_on_card(&self) -> bool {
        self.model.runs_on_card()
    }

    /// Loads the network now. It stays in memory while the guard lives.
    pub fn load(&self) -> Result<LoadedGuard, HubError> {
        Ok(LoadedGuard::of(self.finder()?))
    }

    fn finder(&self) -> Result<Arc<ObjectFinder>, HubError> {
        let load = |mut files: Vec<Vec<u8>>, place| {
            let file = files.swap_remove(0);
            if self.architecture == "ssd" {
                let ssd = Ssd::load(&file, COCO.clone(), place).map_err(|source| self.model.failed(source))?;
                return Ok(ObjectFinder::Ssd(ssd));
            }
            let file = WeightsFile::from_bytes(&self.model.path(), file)?;
            Yolo::load(&file, &COCO, place).map(ObjectFinder::Yolo).map_err(|error| match error {
                YoloError::Weights(error) => error.into(),
                YoloError::Graph(source) => self.model.failed(source),
            })
        };
        self.model.network(|loaded| &loaded.objects, load)
    }
}

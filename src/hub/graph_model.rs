//! Models whose files are graphs or weights of networks that work together, loaded without the registry.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use networks::graph::{GraphError, Place};

use super::loaded_models::LoadedModels;
use super::loaded_networks::{Key, LoadedNetworks, Weight};
use super::manifest::Manifest;
use super::model::{by_candle, device_key};
use super::verified_file::VerifiedFile;
use super::{Hub, HubError, Shared};

/// The files of such a model, with what identifies its network in memory.
#[derive(Clone, Debug)]
pub(super) struct GraphModel {
    shared: Arc<Shared>,
    files: Vec<VerifiedFile>,
    place: Place,
    key: Key,
}

impl Hub {
    /// Finds the files of a model of so many.
    pub(super) fn graph_model(&self, manifest: &Manifest, files: usize) -> Result<GraphModel, HubError> {
        let reference = manifest.reference();
        let found = self.files_of(manifest)?;
        if found.len() != files {
            return Err(HubError::DoesNotRun { reference });
        }
        let shared = self.shared.clone();
        let (cpu, device) = (shared.engine.cpu, shared.device_for_graphs(manifest));
        let candle = (shared.by_candle || !device.is_cpu()).then_some(device);
        let runs =
            candle.as_ref().map_or_else(|| cpu.name().to_owned(), |device| format!("candle on {}", device_key(device)));
        let built_from = found.iter().map(VerifiedFile::stamp).chain([runs]).collect();
        Ok(GraphModel { shared, files: found, place: Place { cpu, candle }, key: Key { reference, built_from } })
    }
}

impl GraphModel {
    pub fn reference(&self) -> &str {
        &self.key.reference
    }

    /// Part of the key of stored results: everything that affects them. `revision` changes with the code around the network.
    pub fn identity(&self, revision: &str) -> Vec<String> {
        let hashes = self.files.iter().map(VerifiedFile::hash);
        let by_candle = self.place.candle.as_ref().map(|device| by_candle(&self.shared, device).to_owned());
        let by_candle = by_candle.filter(|suffix| !suffix.is_empty());
        [revision.to_owned(), self.reference().to_owned()].into_iter().chain(hashes).chain(by_candle).collect()
    }

    /// The network in memory, loaded from the contents of the files if need be.
    pub fn network<T: Weight>(
        &self,
        loaded: impl FnOnce(&LoadedModels) -> &LoadedNetworks<T>,
        load: impl FnOnce(Vec<Vec<u8>>, Place) -> Result<T, HubError>,
    ) -> Result<Arc<T>, HubError> {
        let leases = || -> Arc<dyn std::fmt::Debug + Send + Sync> { Arc::new(self.files.clone()) };
        let build = || {
            let started = Instant::now();
            let files = self.files.iter().map(VerifiedFile::read).collect::<Result<Vec<_>, _>>()?;
            let network = load(files, self.place.clone())?;
            let (megabytes, milliseconds) = (network.bytes() as f64 / 1e6, started.elapsed().as_millis());
            let on = if self.runs_on_card() { " on cuda" } else { "" };
            (self.shared.note)(&format!("Loaded {}{on} ({megabytes:.0} MB, {milliseconds} ms)", self.reference()));
            Ok(network)
        };
        loaded(&self.shared.loaded).get(&self.key, self.shared.memory, leases, build)
    }

    pub fn runs_on_card(&self) -> bool {
        self.place.candle.as_ref().is_some_and(|device| !device.is_cpu())
    }

    /// The path of the first file, for errors.
    pub fn path(&self) -> PathBuf {
        self.files.first().map(|file| file.path().to_owned()).unwrap_or_default()
    }

    /// The error of a graph.
    pub fn failed(&self, source: GraphError) -> HubError {
        HubError::Graph { model: self.reference().to_owned(), source }
    }
}

//! The networks that are in memory: each is built once, when first needed, and leaves when room is needed.

use std::sync::{Arc, Mutex, PoisonError};

use super::registry::Built;

/// What tells loaded networks apart: the file, and what it was built for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub file: std::path::PathBuf,
    pub built_for: String,
}

#[derive(Debug)]
pub(super) struct Shelf {
    /// Bytes that weights may take together; a network in use is never dropped, whatever it takes.
    budget: usize,
    /// Least recently used first.
    entries: Mutex<Vec<(Key, Arc<Built>)>>,
}

impl Shelf {
    pub fn new(budget: usize) -> Self {
        Self { budget, entries: Mutex::default() }
    }

    /// The network, built by `build` if it is not here. Others wait meanwhile, so nothing is built twice.
    pub fn get<E>(&self, key: &Key, build: impl FnOnce() -> Result<Built, E>) -> Result<Arc<Built>, E> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = entries.iter().position(|(there, _)| there == key) {
            let entry = entries.remove(at);
            let network = entry.1.clone();
            entries.push(entry);
            return Ok(network);
        }
        let network = Arc::new(build()?);
        entries.push((key.clone(), network.clone()));
        let mut total: usize = entries.iter().map(|(_, network)| network.bytes).sum();
        entries.retain(|(_, network)| {
            let idle = Arc::strong_count(network) == 1;
            let goes = total > self.budget && idle;
            total -= if goes { network.bytes } else { 0 };
            !goes
        });
        Ok(network)
    }
}

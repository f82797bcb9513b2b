//! The record of an epoch.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An epoch of a run, as its metrics file and its checkpoint store it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Epoch {
    pub epoch: u64,
    /// Steps since the run began.
    pub steps: u64,
    pub learning_rate: f64,
    pub train_loss: f64,
    /// Mean norm of the gradient.
    pub gradient: f64,
    pub seconds: f64,
    /// Whether it is the best so far on the validation set.
    pub best: bool,
    /// Metrics on the validation set.
    pub metrics: BTreeMap<String, f64>,
}

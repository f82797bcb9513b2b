//! What is told of an epoch.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An epoch of a run, as its metrics file and its checkpoint keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Epoch {
    pub epoch: u64,
    /// Steps since the run began.
    pub steps: u64,
    pub learning_rate: f64,
    pub train_loss: f64,
    /// Mean length of the gradient.
    pub gradient: f64,
    pub seconds: f64,
    /// Whether it is the best so far on what is held out.
    pub best: bool,
    /// What was measured on the photos held out.
    pub metrics: BTreeMap<String, f64>,
}

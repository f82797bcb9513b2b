//! A line of `train`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::{Cell, Record};

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

/// An epoch, and of which model.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrainRecord {
    pub model: String,
    #[serde(flatten)]
    pub epoch: Epoch,
}

impl Record for TrainRecord {
    const HEADINGS: &'static [&'static str] = &["model", ">epoch", ">loss", ">seconds", "best", "held out"];

    fn cells(&self) -> Vec<Cell> {
        let Epoch { epoch, train_loss, seconds, best, metrics, .. } = &self.epoch;
        let metrics: Vec<String> = metrics.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
        vec![
            Cell::plain(&self.model),
            Cell::plain(epoch),
            Cell::plain(&format!("{train_loss:.4}")),
            Cell::plain(&format!("{seconds:.0}")),
            Cell::plain(if *best { "yes" } else { "" }),
            Cell::plain(&metrics.join(", ")),
        ]
    }
}

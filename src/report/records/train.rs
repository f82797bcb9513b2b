//! A line of `train`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::{Cell, Record};

/// An epoch.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrainRecord {
    pub model: String,
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

impl Record for TrainRecord {
    const HEADINGS: &'static [&'static str] = &["model", ">epoch", ">loss", ">seconds", "best", "held out"];

    fn cells(&self) -> Vec<Cell> {
        let metrics: Vec<String> = self.metrics.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
        vec![
            Cell::plain(&self.model),
            Cell::plain(&self.epoch),
            Cell::plain(&format!("{:.4}", self.train_loss)),
            Cell::plain(&format!("{:.0}", self.seconds)),
            Cell::plain(if self.best { "yes" } else { "" }),
            Cell::plain(&metrics.join(", ")),
        ]
    }
}

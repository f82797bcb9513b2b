//! A line of `train`.

use schemars::JsonSchema;
use serde::Serialize;
use train::epoch::Epoch;

use crate::report::{Cell, Record};

/// An epoch of a model's training.
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

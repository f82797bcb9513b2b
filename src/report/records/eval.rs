//! A line of `eval`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::{Cell, Record};

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EvalRecord {
    /// `scores`, `bursts`, `groups`, `degradations`, `selection` or `taste`.
    pub task: String,
    /// The model or baseline that is judged.
    pub subject: String,
    /// The part of the data; `all` for the whole.
    pub part: String,
    pub metric: String,
    pub value: f64,
    /// The 95 % bootstrap interval; null where none is computed.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// The number of photos, pairs or groups.
    pub count: usize,
}

impl Record for EvalRecord {
    const HEADINGS: &'static [&'static str] = &["task", "subject", "part", "metric", ">value", ">95 %", ">of"];

    fn cells(&self) -> Vec<Cell> {
        let range = match (self.low, self.high) {
            (Some(low), Some(high)) => Cell::plain(&format!("{low:.3} to {high:.3}")),
            _ => Cell::faint("-"),
        };
        vec![
            Cell::plain(&self.task),
            Cell::plain(&self.subject),
            Cell::plain(&self.part),
            Cell::plain(&self.metric),
            Cell::plain(&format!("{:.4}", self.value)),
            range,
            Cell::plain(&self.count),
        ]
    }
}

//! A line of `device`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::{Cell, Record, Tone};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeviceRecord {
    /// `cpu` or `cuda`.
    pub device: String,
    pub available: bool,
    /// Whether a run would use it.
    pub chosen: bool,
    /// Why it is, or is not, available and chosen.
    pub why: String,
    /// Threads of work; null for a device that has none of ours.
    pub threads: Option<usize>,
    /// What the device offers to our kernels.
    pub features: Vec<String>,
    /// Cards that the driver tells of, whether this build can use them or not; null for the processor.
    pub gpu_count: Option<usize>,
    /// One each; empty for the processor.
    pub gpus: Vec<Gpu>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Gpu {
    pub name: String,
    pub memory_bytes: u64,
}

impl DeviceRecord {
    fn offers(&self) -> String {
        let gpu = |gpu: &Gpu| format!("{} ({:.0} GB)", gpu.name, gpu.memory_bytes as f64 / 1e9);
        if self.gpus.is_empty() {
            self.features.join(" ")
        } else {
            self.gpus.iter().map(gpu).collect::<Vec<_>>().join(", ")
        }
    }
}

impl Record for DeviceRecord {
    const HEADINGS: &'static [&'static str] = &["device", "chosen", ">threads", "features", "why"];

    fn cells(&self) -> Vec<Cell> {
        let chosen = if self.chosen {
            Cell { text: "yes".into(), tone: Tone::Good }
        } else {
            Cell::faint(if self.available { "no" } else { "not available" })
        };
        vec![
            Cell::plain(&self.device),
            chosen,
            self.threads.map_or_else(|| Cell::faint("-"), |threads| Cell::plain(&threads)),
            Cell::plain(&self.offers()),
            Cell::faint(&self.why),
        ]
    }
}

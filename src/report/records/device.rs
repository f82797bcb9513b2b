//! A line of `device`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::{Cell, Record, Tone};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeviceRecord {
    /// `cpu` or `cuda`.
    pub device: String,
    pub available: bool,
    /// Whether a run would use this device.
    pub chosen: bool,
    /// Why it is, or is not, available and chosen.
    pub why: String,
    /// The number of worker threads; null for a GPU.
    pub threads: Option<usize>,
    /// The instruction sets or features that the kernels can use.
    pub features: Vec<String>,
    /// The number of GPUs that the driver lists, whether or not this build can use them; null for the CPU.
    pub gpu_count: Option<usize>,
    /// The GPUs; empty for the CPU.
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

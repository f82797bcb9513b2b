//! `albumctl device`: shows the devices, which one would be used, and why.

use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::{DeviceRecord, Gpu};
use hub::DeviceChoice;
use hub::device::{self, Candidate, Card};

/// Show the devices, and which one would be used
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, context: &Context) -> Result<Ending, CommandError> {
    let choice: DeviceChoice = context.settings().device.parse().map_err(CommandError::usage)?;
    let mut output = context.output::<DeviceRecord>()?;
    for Candidate { kind, available, chosen, why } in device::survey(choice) {
        let on_cpu = kind == "cpu";
        let threads = on_cpu.then(|| context.threads());
        let features = if on_cpu { cpu_features().into_iter().map(str::to_owned).collect() } else { Vec::new() };
        let device = kind.to_owned();
        let cards = if on_cpu { Vec::new() } else { device::cards() };
        let gpus: Vec<Gpu> = cards.into_iter().map(|Card { name, memory_bytes }| Gpu { name, memory_bytes }).collect();
        let gpu_count = (!on_cpu).then_some(gpus.len());
        let record = DeviceRecord { device, available, chosen, why, threads, features, gpu_count, gpus };
        output.write(&context.ui, &record)?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let has = [
        ("sse4.1", is_x86_feature_detected!("sse4.1")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    has.into_iter().filter_map(|(name, present)| present.then_some(name)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

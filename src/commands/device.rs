//! `albumctl device`: what a run would run on, and why.

use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::DeviceRecord;

/// What it would run on, and why
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, context: &Context) -> Result<Ending, CommandError> {
    let wanted = context.settings().device.as_str();
    if !matches!(wanted, "auto" | "cpu") && !wanted.starts_with("cuda") {
        let unknown = anyhow::anyhow!("unknown device `{wanted}`");
        return Err(CommandError::usage(unknown).hint("auto, cpu, cuda or cuda:N"));
    }
    let mut output = context.output::<DeviceRecord>()?;
    output.write(&context.ui, &cpu(wanted, context.threads()))?;
    output.write(&context.ui, &cuda(wanted))?;
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

fn cpu(wanted: &str, threads: usize) -> DeviceRecord {
    let (chosen, why) = match wanted {
        "cpu" => (true, "asked for".to_owned()),
        "auto" => (true, "no CUDA in this build".to_owned()),
        _ => (false, format!("`{wanted}` was asked for")),
    };
    DeviceRecord {
        device: "cpu".into(),
        available: true,
        chosen,
        why,
        threads: Some(threads),
        features: cpu_features().into_iter().map(str::to_owned).collect(),
    }
}

fn cuda(_wanted: &str) -> DeviceRecord {
    DeviceRecord {
        device: "cuda".into(),
        available: false,
        chosen: false,
        why: "this build has no CUDA; build with `--features cuda`".into(),
        threads: None,
        features: Vec::new(),
    }
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

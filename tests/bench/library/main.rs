//! `select` over a library, from a thousand photos to many: `cargo bench --bench library -- [COUNT…]`.
//!
//! The photos are windows of those in ALBUMCTL_BENCH_PHOTOS, else of those in fixtures/album, which are few and so more
//! alike than a library's. They are written into the folder in ALBUMCTL_LIBRARY, where they stay for the next run, else into
//! a temporary one; 100,000 take 500 MB. For each count, three runs: with an empty store, unchanged, and with 50 new
//! photos. ALBUMCTL_BINARY names another albumctl to measure.

#![allow(clippy::print_stdout, reason = "a bench reports on stdout")]

#[path = "../../../fixtures/generator/exif.rs"]
mod exif;
mod made;
#[path = "../sources.rs"]
mod sources;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

const NEW: usize = 50;

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|arg| arg.replace(',', "").parse().ok()).collect();
    let counts = if asked.is_empty() { vec![1_000, 5_000, 20_000, 50_000, 100_000] } else { asked };
    let sources = sources::sources();
    let room = tempfile::tempdir().expect("a temporary folder");
    let library = std::env::var_os("ALBUMCTL_LIBRARY").map_or_else(|| room.path().join("library"), PathBuf::from);
    println!("| photos | run | wall | processor | in groups | peak memory |\n|---|---|---|---|---|---|");
    for count in counts {
        let shots = made::shots(count + NEW);
        let folder = library.join(count.to_string());
        made::write(&folder, &shots[..count], &sources);
        let store = tempfile::tempdir().expect("a temporary folder");
        for run in ["cold", "unchanged", "50 new"] {
            if run == "50 new" {
                made::write(&folder, &shots, &sources);
            }
            let Measured { wall, processor, groups, peak_mb } = select(&folder, store.path(), room.path());
            println!("| {count} | {run} | {wall:.2} s | {processor:.2} s | {groups:.2} s | {peak_mb:.0} MB |");
        }
        made::remove(&folder, &shots[count..]);
    }
}

struct Measured {
    wall: f64,
    /// User and system time of the process and of those it started.
    processor: f64,
    groups: f64,
    peak_mb: f64,
}

fn select(library: &Path, store: &Path, room: &Path) -> Measured {
    let report = room.join("telemetry.json");
    let binary = std::env::var_os("ALBUMCTL_BINARY").unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_albumctl")));
    let (before, begun) = (processor_of_children(), Instant::now());
    let output = Command::new(binary)
        // To albumctl these would be unknown keys of its configuration.
        .env_remove("ALBUMCTL_BENCH_PHOTOS")
        .env_remove("ALBUMCTL_LIBRARY")
        .env_remove("ALBUMCTL_BINARY")
        .arg("select")
        .arg(library)
        .args(["--top", "10", "-q", "--cache-dir"])
        .arg(store)
        .arg("--telemetry")
        .arg(&report)
        .output()
        .expect("the binary runs");
    let (wall, processor) = (begun.elapsed().as_secs_f64(), processor_of_children() - before);
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let json = fs::read(&report).expect("a report of the run");
    let report: Value = serde_json::from_slice(&json).expect("a report in JSON");
    let timings = report["timings"].as_array().into_iter().flatten();
    let groups = timings.filter(|timing| timing["name"] == "cluster_images").find_map(|it| it["duration_sec"].as_f64());
    let peak_mb = report["metadata"]["peak_memory_kb"].as_f64().unwrap_or(f64::NAN) / 1024.0;
    Measured { wall, processor, groups: groups.unwrap_or(f64::NAN), peak_mb }
}

/// User and system time, in seconds, of all child processes that ended; NaN where the system does not tell.
fn processor_of_children() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // The state, a letter, is not among the numbers: fields 16 and 17 of the manual stand at 12 and 13.
    fields.get(12..14).map_or(f64::NAN, |ticks| ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

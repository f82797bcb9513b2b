//! Whole processes: what a user waits for, and how much memory it takes. `cargo bench --bench whole`.
//!
//! Photos come from the folder in ALBUMCTL_BENCH_PHOTOS, else from fixtures/album.

#![allow(clippy::print_stdout, reason = "a bench reports on stdout")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use albumctl::photo::{Limits, Scale, decode, resize};
use albumctl::quality::{Weights, measure};
use serde_json::Value;

const ROUNDS: usize = 5;

fn main() {
    let room = tempfile::tempdir().expect("a temporary folder");
    let sources = sources();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("{} source photos, {threads} threads, medians of {ROUNDS}", sources.len());

    let photos = linked(&room.path().join("some"), &sources, 60);
    compare_with_the_parts(&photos, threads);
    second_run(&room.path().join("thousand"), &sources);
    start_up();
    memory(room.path(), &sources);
}

fn sources() -> Vec<PathBuf> {
    let folder = std::env::var_os("ALBUMCTL_BENCH_PHOTOS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/album"), PathBuf::from);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let is_photo = |path: &PathBuf| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("jpg"));
    let mut photos: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_photo).collect();
    photos.sort();
    assert!(!photos.is_empty(), "no photos in {}", folder.display());
    photos
}

/// A folder of `count` copies, each with a byte of its own at the end, so that no two have the same content.
fn linked(folder: &Path, sources: &[PathBuf], count: usize) -> PathBuf {
    fs::create_dir_all(folder).expect("a folder for the photos");
    for n in 0..count {
        let mut bytes = fs::read(&sources[n % sources.len()]).expect("a source photo");
        bytes.extend_from_slice(&(n as u64).to_le_bytes());
        fs::write(folder.join(format!("{n:05}.jpg")), bytes).expect("a copy");
    }
    folder.to_owned()
}

fn albumctl(args: &[&str]) -> (Duration, Value) {
    let room = tempfile::tempdir().expect("a temporary folder");
    let report = room.path().join("telemetry.json");
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_albumctl"))
        .args(args)
        .arg("--telemetry")
        .arg(&report)
        .output()
        .expect("the binary runs");
    let took = started.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = fs::read(&report).ok().and_then(|json| serde_json::from_slice(&json).ok());
    (took, report.unwrap_or(Value::Null))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// `score` beside a bare loop over decode, resize and measure on all cores.
fn compare_with_the_parts(photos: &Path, threads: usize) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(photos).expect("the photos").filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let bare = || {
        let next = AtomicUsize::new(0);
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let bytes = fs::read(path).expect("a photo");
                        let decoded =
                            decode(&bytes, Scale::AtLeast(1024), &Limits::default()).expect("a readable photo");
                        let reduced = resize::within(&decoded.pixels, 1024);
                        std::hint::black_box(measure(&reduced, &Weights::default()));
                    }
                });
            }
        });
        started.elapsed()
    };
    let folder = photos.to_str().expect("a plain path");
    let (mut alone, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(bare());
        let store = tempfile::tempdir().expect("a temporary folder");
        whole.push(albumctl(&["score", folder, "--cache-dir", store.path().to_str().expect("a plain path")]).0);
    }
    let (alone, whole) = (median(alone), median(whole));
    let share = alone.as_secs_f64() / whole.as_secs_f64();
    println!(
        "score of {} photos, store included: {whole:.2?}; the parts alone {alone:.2?}; {:.1} % of what they allow",
        paths.len(),
        share * 100.0
    );
}

fn second_run(folder: &Path, sources: &[PathBuf]) {
    let photos = linked(folder, sources, 1000);
    let store = tempfile::tempdir().expect("a temporary folder");
    let args =
        ["score", photos.to_str().expect("a plain path"), "--cache-dir", store.path().to_str().expect("a plain path")];
    let (cold, _) = albumctl(&args);
    let warm = median((0..ROUNDS).map(|_| albumctl(&args).0).collect());
    println!("score of 1,000 photos: first run {cold:.2?}, unchanged second run {warm:.2?}");
}

fn start_up() {
    let once = || {
        let started = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_albumctl")).arg("--version").output();
        assert!(output.is_ok_and(|output| output.status.success()));
        started.elapsed()
    };
    println!("--version: {:.2?}", median((0..20).map(|_| once()).collect()));
}

fn memory(room: &Path, sources: &[PathBuf]) {
    for count in [100, 10_000] {
        let folder = room.join(format!("memory-{count}"));
        let photos = linked(&folder, &small(sources), count);
        let (_, report) = albumctl(&["score", photos.to_str().expect("a plain path"), "--no-cache", "-o", "/dev/null"]);
        let peak = report["metadata"]["peak_memory_kb"].as_f64().unwrap_or(f64::NAN) / 1024.0;
        println!("peak memory over {count} photos: {peak:.0} MB");
        fs::remove_dir_all(&folder).expect("the copies go");
    }
}

/// The smallest source, so that ten thousand of it are looked at in a minute.
fn small(sources: &[PathBuf]) -> Vec<PathBuf> {
    let size = |path: &&PathBuf| fs::metadata(path).map_or(u64::MAX, |m| m.len());
    sources.iter().min_by_key(size).into_iter().cloned().collect()
}

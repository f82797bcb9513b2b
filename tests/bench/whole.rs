//! Whole processes: what a user waits for, and how much memory it takes. `cargo bench --bench whole -- [score|select]`.
//!
//! Photos come from the folder in ALBUMCTL_BENCH_PHOTOS, else from fixtures/album.

#![allow(clippy::print_stdout, reason = "a bench reports on stdout")]

#[path = "sources.rs"]
mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use judge::quality::{Weights, measure};
use photo::{Limits, Scale, decode, resize};
use serde_json::Value;

const ROUNDS: usize = 5;

fn main() {
    let room = tempfile::tempdir().expect("a temporary folder");
    let sources = sources::sources();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("{} source photos, {threads} threads, medians of {ROUNDS}", sources.len());
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wants = |what: &str| asked.is_empty() || asked.iter().any(|arg| arg == what);
    if wants("score") {
        let photos = linked(&room.path().join("some"), &sources, 60);
        compare_with_the_parts(&photos, threads);
        second_run(&room.path().join("thousand"), &sources);
        start_up();
        memory(room.path(), &sources);
    }
    if wants("select") {
        select_large(room.path(), &sources);
        select_again(room.path(), &sources);
    }
}

/// `select` over 200 photos of 12 megapixels, as a phone takes them, first and again, with where the time went. Models
/// are those of the machine: ALBUMCTL_MODELS_DIR says where they lie.
fn select_large(room: &Path, sources: &[PathBuf]) {
    let large = enlarged(&room.join("large"), sources);
    let photos = linked(&room.join("two-hundred"), &large, 200);
    let bytes: u64 =
        fs::read_dir(&photos).expect("the photos").flatten().map(|e| e.metadata().map_or(0, |m| m.len())).sum();
    let store = tempfile::tempdir().expect("a temporary folder");
    let args = select_args(&photos, store.path());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (cold, report) = albumctl(&args);
    println!("select of 200 photos of 12 MP ({:.1} MB each): first run {cold:.2?}", bytes as f64 / 200e6);
    tell_split(&report);
    let peak = report["metadata"]["peak_memory_kb"].as_f64().unwrap_or(f64::NAN) / 1024.0;
    println!("  peak memory {peak:.0} MB");
    let again: Vec<(Duration, Value)> = (0..ROUNDS).map(|_| albumctl(&args)).collect();
    println!("  unchanged second run {:.2?}", median(again.iter().map(|(took, _)| *took).collect()));
    tell_split(&again[0].1);
    for folder in [large[0].parent().expect("a folder"), &photos] {
        fs::remove_dir_all(folder).expect("the copies go");
    }
}

fn select_again(room: &Path, sources: &[PathBuf]) {
    let photos = linked(&room.join("select-thousand"), sources, 1000);
    let store = tempfile::tempdir().expect("a temporary folder");
    let args = select_args(&photos, store.path());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (cold, _) = albumctl(&args);
    let again: Vec<(Duration, Value)> = (0..ROUNDS).map(|_| albumctl(&args)).collect();
    let warm = median(again.iter().map(|(took, _)| *took).collect());
    println!("select of 1,000 photos: first run {cold:.2?}, unchanged second run {warm:.2?}");
    tell_split(&again[0].1);
}

fn select_args(photos: &Path, store: &Path) -> Vec<String> {
    let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
    ["select", &text(photos), "--top", "20", "-q", "--cache-dir", &text(store)].map(str::to_owned).to_vec()
}

/// Summed over threads: two threads at work for a second are two seconds.
fn tell_split(report: &Value) {
    for timing in report["timings"].as_array().into_iter().flatten() {
        let number = |key: &str| timing[key].as_f64().unwrap_or(f64::NAN);
        let (name, spent, each) = (&timing["name"], number("duration_sec"), number("avg_per_item") * 1e3);
        println!(
            "    {:<18} {spent:8.3} s  {} times, {each:.2} ms each",
            name.as_str().unwrap_or("?"),
            timing["count"]
        );
    }
}

/// The sources at 4000 x 3000 or upright, as JPEG.
fn enlarged(folder: &Path, sources: &[PathBuf]) -> Vec<PathBuf> {
    fs::create_dir_all(folder).expect("a folder for the large photos");
    let enlarge = |source: &PathBuf| {
        let photo = image::open(source).expect("a source photo");
        let (width, height) = if photo.width() >= photo.height() { (4000, 3000) } else { (3000, 4000) };
        let large = photo.resize_exact(width, height, image::imageops::FilterType::CatmullRom).into_rgb8();
        let path = folder.join(source.file_name().expect("a name"));
        let encoder = jpeg_encoder::Encoder::new_file(&path, 90).expect("a large photo");
        let (width, height) = (width as u16, height as u16);
        encoder.encode(large.as_raw(), width, height, jpeg_encoder::ColorType::Rgb).expect("a large photo");
        path
    };
    sources.iter().take(32).map(enlarge).collect()
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
        // It names the photos of this benchmark, and is no key of the configuration.
        .env_remove("ALBUMCTL_BENCH_PHOTOS")
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

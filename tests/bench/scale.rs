//! k-means over 1,000,000 × 384 in Parquet beside scikit-learn and faiss, and de-duplication of 200,000 rows.
//!
//! cargo bench --bench scale
//!
//! `ALBUMCTL_PEERS_PYTHON` names a Python that has what `peers/requirements.txt` lists; without it only our own figures
//! are printed. `ALBUMCTL_BENCH_FOLDER` is where the data (2 GB) is made and kept. Clusters of processes are measured
//! with `--features distributed`, or with a binary of that build that `ALBUMCTL_DISTRIBUTED` names; `-- cluster`
//! measures nothing else.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to whoever runs it")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

#[path = "nodes.rs"]
mod nodes;

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use scale::dedup::{self, Keep, Rules};
use scale::fit::{self, Event};
use scale::{Init, Source};

const DIM: usize = 384;
const ROWS: usize = 1_000_000;
const CLUSTERS: usize = 100;
const ITERATIONS: u64 = 6;
const DEDUP_ROWS: usize = 200_000;
const PLANTED: usize = 20_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let folder = std::env::var_os("ALBUMCTL_BENCH_FOLDER")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("scale"), PathBuf::from);
    // Each measurement is a process of its own: its peak memory is then its own too.
    match args.get(1).map(String::as_str) {
        Some("measure-fit") => measure_fit(&folder, &args[2], args[3].parse().unwrap()),
        Some("measure-dedup") => measure_dedup(&folder),
        Some("cluster") => compare_nodes(&folder),
        _ => compare(&folder),
    }
}

fn compare(folder: &Path) {
    make_features(&folder.join("features"), ROWS, 0);
    make_features(&folder.join("dedup"), DEDUP_ROWS, PLANTED);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("{ROWS} x {DIM} f32 in Parquet, k = {CLUSTERS}, {threads} threads");
    for init in ["random", "kmeans++"] {
        measured(&["measure-fit", init, &threads.to_string()]);
    }
    if let Some(python) = std::env::var_os("ALBUMCTL_PEERS_PYTHON") {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers/kmeans_peers.py");
        for peer in ["scikit-learn", "faiss"] {
            let mut command = Command::new(&python);
            command.arg(&script).arg(peer).arg(folder.join("features")).arg(folder.join("random/iter_0/centroids.npy"));
            assert!(command.arg(threads.to_string()).status().unwrap().success());
        }
    } else {
        println!("ALBUMCTL_PEERS_PYTHON is not set: no peers");
    }
    measured(&["measure-dedup"]);
    compare_nodes(folder);
}

fn compare_nodes(folder: &Path) {
    let data = folder.join("features");
    make_features(&data, ROWS, 0);
    match nodes::binary() {
        Some(binary) => nodes::compare(&binary, &data, folder, CLUSTERS),
        None => println!("no `--features distributed`, and ALBUMCTL_DISTRIBUTED is not set: no clusters"),
    }
}

fn measured(args: &[&str]) {
    assert!(Command::new(std::env::current_exe().unwrap()).args(args).status().unwrap().success());
}

fn parts(folder: &Path) -> Source {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    Source::open(&files).unwrap()
}

fn measure_fit(folder: &Path, init: &str, threads: usize) {
    let work = folder.join(init);
    let _ = fs::remove_dir_all(&work);
    let options = fit::Options {
        clusters: CLUSTERS,
        init: if init == "random" { Init::Random } else { Init::KMeansPlusPlus },
        given: None,
        max_iterations: ITERATIONS,
        tolerance: 0.0,
        seed: 1,
        normalize: false,
        mini_batch: None,
        work,
        threads,
        write_assignments: false,
        batch_rows: None,
    };
    let source = parts(&folder.join("features"));
    let started = Instant::now();
    let mut seeded = 0.0;
    let mut seconds = Vec::new();
    let model = fit::fit(&source, &options, &AtomicBool::new(false), &mut |event| {
        if let Event::Iterated(line) = event {
            if seconds.is_empty() {
                seeded = started.elapsed().as_secs_f64() - line.seconds;
            }
            seconds.push(line.seconds);
        }
    })
    .unwrap();
    let median = median(&mut seconds);
    println!(
        "albumctl, {init}: iteration {median:.3} s (median of {}; {:.3} to {:.3}), reading Parquet included; seeding {seeded:.2} s; \
         inertia {:.6e}; peak {} MB",
        seconds.len(),
        seconds[0],
        seconds[seconds.len() - 1],
        model.inertia,
        nodes::peak_megabytes(std::process::id())
    );
}

fn measure_dedup(folder: &Path) {
    let source = parts(&folder.join("dedup"));
    let started = Instant::now();
    let options = dedup::Options {
        clusters: None,
        rules: Rules { similarity: 0.95, keep: Keep::First, scores: Vec::new() },
        seed: 1,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        memory: 256 << 20,
        spill: folder.to_owned(),
        sample: 500,
    };
    let found = dedup::dedup(&source, &options, &AtomicBool::new(false)).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    // A planted row lies right behind the row it was made from: see `make_features`.
    let planted = |row: u64| is_planted(row as usize, DEDUP_ROWS, PLANTED);
    let right = found.removed.iter().filter(|r| planted(r.row) && r.duplicate_of + 1 == r.row).count();
    println!(
        "albumctl dedup: {DEDUP_ROWS} rows, {PLANTED} planted at cosine 0.97: precision {:.4}, recall {:.4}, estimated recall {:?}; \
         {} groups; {seconds:.1} s; peak {} MB",
        right as f64 / found.removed.len().max(1) as f64,
        right as f64 / PLANTED as f64,
        found.recall.and_then(dedup::Recall::share),
        found.clusters,
        nodes::peak_megabytes(std::process::id())
    );
}

fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Every so many rows, one repeats the row before it but for a little noise.
fn is_planted(row: usize, rows: usize, planted: usize) -> bool {
    planted > 0 && row % (rows / planted) == rows / planted - 1
}

/// Rows of length 1 around a hundred directions, cosine 0.61 with others of their direction; eight files.
fn make_features(folder: &Path, rows: usize, planted: usize) {
    let done = folder.join("done");
    if done.exists() {
        return;
    }
    fs::create_dir_all(folder).unwrap();
    let mut noise = Noise(88_172_645_463_325_252);
    let modes: Vec<Vec<f32>> = (0..CLUSTERS).map(|_| unit((0..DIM).map(|_| noise.next()).collect())).collect();
    let mut last = Vec::new();
    for file in 0..8 {
        let path = folder.join(format!("part-{file}.parquet"));
        let mut writer = None;
        for start in (file * rows / 8..(file + 1) * rows / 8).step_by(5000) {
            let end = (start + 5000).min((file + 1) * rows / 8);
            let (mut ids, mut features) = (StringBuilder::new(), ListBuilder::new(Float32Builder::new()));
            for row in start..end {
                let away = if is_planted(row, rows, planted) { 0.25 } else { 0.8 };
                let from: &[f32] = if away < 0.5 { &last } else { &modes[row * 7919 % CLUSTERS] };
                let step: Vec<f32> = unit((0..DIM).map(|_| noise.next()).collect());
                last = unit(from.iter().zip(&step).map(|(x, s)| x + away * s).collect());
                ids.append_value(format!("{row:09}"));
                features.values().append_slice(&last);
                features.append(true);
            }
            let columns: [(&str, ArrayRef); 2] =
                [("id", Arc::new(ids.finish())), ("feature", Arc::new(features.finish()))];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let writer = writer.get_or_insert_with(|| {
                let properties = WriterProperties::builder()
                    .set_dictionary_enabled(false)
                    .set_max_row_group_row_count(Some(25_000))
                    .build();
                ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap()
            });
            writer.write(&batch).unwrap();
        }
        writer.unwrap().close().unwrap();
    }
    fs::write(done, "").unwrap();
}

fn unit(mut row: Vec<f32>) -> Vec<f32> {
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter_mut().for_each(|x| *x /= length);
    row
}

/// Nearly normal: the sum of four even ones.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        (0..4)
            .map(|_| {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                (self.0 >> 40) as f32 / (1u32 << 24) as f32 - 0.5
            })
            .sum()
    }
}

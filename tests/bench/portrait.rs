//! How long the face networks take on one core. Needs the weights in `../shared` (or `ALBUMCTL_SHARED`).
//!
//! `cargo bench --bench portrait` prints each network, and the whole way for a photo. With `--serve` it analyses the
//! pictures named on standard input, one a line, and answers with milliseconds: `peers/mediapipe_faces.py` asks it in
//! turn with MediaPipe. With `--parts` it prints the processor time of each part of that way, which other work on the
//! machine stretches less than the clock.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use base::pixels::Pixels;
use criterion::Criterion;
use hub::expressions::ExpressionNetworks;
use hub::faces::{FaceAnalyzer, FaceFiles, Landmarks};
use judge::portrait::{Crop, Detector, EyesBy, FaceQuality, Outside, Thresholds};
use kernels::Cpu;
use networks::tflite::{Graph, Network};

fn shared() -> PathBuf {
    std::env::var_os("ALBUMCTL_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from)
}

fn weights(name: &str) -> Option<Vec<u8>> {
    std::fs::read(shared().join(format!("weights/mediapipe/{name}.tflite"))).ok()
}

fn bundle() -> Option<Vec<u8>> {
    std::fs::read(shared().join("weights/mediapipe/face_landmarker.task")).ok()
}

fn analyzer(cpu: Cpu) -> Option<FaceAnalyzer> {
    let files = FaceFiles {
        full_range: &weights("face_detection_full_range_sparse")?,
        short_range: &weights("face_detection_short_range")?,
        mesh: &weights("face_landmark_with_attention")?,
        bundle: Some(&bundle()?),
    };
    let thresholds = Thresholds { eyes: EyesBy::States, groups: true, ..Thresholds::default() };
    FaceAnalyzer::load(files, Landmarks::Attention, thresholds, "bench", cpu).ok()
}

fn picture(path: &Path) -> Option<Pixels> {
    let image = image::open(path).ok()?.to_rgb8();
    Pixels::new(image.width(), image.height(), image.into_raw())
}

fn networks(c: &mut Criterion, cpu: Cpu) {
    for (file, outputs) in [
        ("face_detection_full_range_sparse", &[0, 1][..]),
        ("face_detection_short_range", &[0, 1]),
        ("face_landmark_with_attention", &[0, 6, 1, 2, 3]),
        ("face_landmark", &[0, 1]),
    ] {
        let Some(bytes) = weights(file) else { return };
        let network = Network::new(&Graph::parse(&bytes).unwrap(), outputs, cpu).unwrap();
        let input = vec![0.25; network.input_shape().iter().product()];
        c.bench_function(&format!("{file} {cpu}"), |b| b.iter(|| black_box(network.run(&input))));
    }
}

/// The same picture twice, side by side.
fn doubled(pixels: &Pixels) -> Option<Pixels> {
    let rows = pixels.rows().flat_map(|row| row.iter().chain(row).copied());
    Pixels::new(2 * pixels.width(), pixels.height(), rows.collect())
}

/// Pictures, each with the number of its faces.
fn pictures() -> Vec<(usize, Pixels)> {
    let golden = |name: &str| picture(&shared().join(format!("data/faces_golden/png/{name}.png")));
    let empty = picture(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/album/DSC_0102.jpg")));
    let all = [
        (0, empty),
        (1, golden("portrait_02")),
        (1, golden("n04591157_Windsor_tie")),
        (2, golden("n03124170_cowboy_hat")),
        (4, golden("n03124170_cowboy_hat").as_ref().and_then(doubled)),
    ];
    all.into_iter().filter_map(|(faces, pixels)| Some((faces, pixels?))).collect()
}

fn whole_photos(c: &mut Criterion, cpu: Cpu) {
    let Some(analyzer) = analyzer(cpu) else { return };
    for (faces, pixels) in pictures() {
        assert_eq!(analyzer.analyse(&pixels).num_faces, faces);
        let name = format!("{faces} faces, {}x{}, {cpu}", pixels.width(), pixels.height());
        c.bench_function(&name, |b| b.iter(|| black_box(analyzer.analyse(&pixels))));
    }
}

/// For each picture named, the time of one analysis. Each is decoded once, before its first.
fn serve() {
    let analyzer = analyzer(Cpu::best()).expect("the weights are there");
    let mut decoded = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let path = line.unwrap();
        let pixels = decoded.entry(path).or_insert_with_key(|path| picture(Path::new(path)).expect("a picture"));
        let start = Instant::now();
        let portrait = black_box(analyzer.analyse(pixels));
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        println!("{milliseconds:.3} {}", portrait.num_faces);
        std::io::stdout().flush().unwrap();
    }
}

/// The processor time of a call in milliseconds: the mean over a round of calls, because the kernel counts in steps of
/// some milliseconds; of several rounds the least.
fn processor_time<T>(work: impl Fn() -> T) -> f64 {
    let nanoseconds = || -> f64 {
        let counted = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts the time of threads");
        counted.split(' ').next().and_then(|text| text.parse().ok()).expect("nanoseconds come first")
    };
    let round = || {
        let start = nanoseconds();
        (0..CALLS).for_each(|_| drop(black_box(work())));
        (nanoseconds() - start) / 1e6 / f64::from(CALLS)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

const CALLS: u32 = 50;
const ROUNDS: u32 = 8;

fn parts(cpu: Cpu) {
    let (Some(analyzer), Some(bundle)) = (analyzer(cpu), bundle()) else { return };
    let expressions = ExpressionNetworks::load(&bundle, cpu).expect("a sound bundle");
    let shown = |what: &str, milliseconds: f64| println!("{cpu}: {what}: {milliseconds:.2} ms");
    for (faces, pixels) in pictures() {
        let (width, height) = (pixels.width(), pixels.height());
        let of = |what: &str| format!("{what}, {faces} faces of {width}x{height}");
        shown(&of("everything"), processor_time(|| analyzer.analyse(&pixels)));
        if faces != 1 {
            continue;
        }
        shown(&of("full-range detector"), processor_time(|| analyzer.detect(&pixels, Detector::FullRange)));
        shown(&of("short-range detector"), processor_time(|| analyzer.detect(&pixels, Detector::ShortRange)));
        let found = analyzer.detect(&pixels, Detector::ShortRange);
        let crop = Crop::around(&found[0], width, height);
        shown(&of("mesh with attention"), processor_time(|| analyzer.mesh(&pixels, &crop)));
        shown(&of("expression networks"), processor_time(|| expressions.look(&pixels, &crop)));
        shown(&of("crop of 192"), processor_time(|| crop.sample(&pixels, 192, Outside::Nearest)));
        shown(&of("sharpness of the picture"), processor_time(|| FaceQuality::measure(&pixels)));
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--parts") {
        return parts(Cpu::best());
    }
    if std::env::args().any(|argument| argument == "--serve") {
        return serve();
    }
    if weights("face_landmark").is_none() {
        eprintln!("skipped: no ../shared/weights/mediapipe");
        return;
    }
    let mut criterion = Criterion::default().configure_from_args().without_plots();
    let mut paths = Cpu::available();
    paths.retain(|&cpu| cpu != Cpu::Amx);
    for cpu in paths.into_iter().rev() {
        networks(&mut criterion, cpu);
        whole_photos(&mut criterion, cpu);
    }
    criterion.final_summary();
}

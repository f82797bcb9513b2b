//! YOLOv8 of random weights against ultralytics, from the `.pt` that it saved.

use std::path::{Path, PathBuf};

use kernels::Cpu;
use networks::graph::Tensor;
use networks::objects::Yolo;
use networks::weights::WeightsFile;
use serde_json::Value;

use crate::world::{report, skipped};

/// The largest difference of any prediction, as a share of edges above one pixel. `tests/reference/yolo.py` records the
/// answers.
fn worst(name: &Path, cpu: Cpu) -> f32 {
    let record: Value = serde_json::from_slice(&std::fs::read(name.with_extension("json")).unwrap()).unwrap();
    let file = WeightsFile::open(&name.with_extension("pt")).unwrap();
    let network = Yolo::load(&file, &[], cpu).unwrap();
    let shape: Vec<usize> = record["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
    let wave = |i: usize| (i as f32 * 0.0137).sin() * 0.5 + 0.5;
    let input = Tensor::new(shape.clone(), (0..shape.iter().product()).map(wave).collect()).unwrap();
    let mut found = Vec::new();
    network.predict(input, 0.0, |cell| found.push(cell)).unwrap();
    assert_eq!(found.len() as u64, record["count"]);
    let every = found.iter().step_by(record["step"].as_u64().unwrap() as usize);
    let cells = record["cells"].as_array().unwrap();
    let mut worst: f32 = 0.0;
    for (ours, theirs) in every.zip(cells) {
        let theirs: Vec<f32> = theirs.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let [left, top, right, bottom] = ours.edges;
        let ours = [f32::midpoint(left, right), f32::midpoint(top, bottom), right - left, bottom - top, ours.score];
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            worst = worst.max((ours - theirs).abs() / theirs.abs().max(1.0));
        }
    }
    worst
}

#[test]
fn a_small_network_predicts_what_ultralytics_does() {
    for cpu in Cpu::available() {
        let worst = worst(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/yolov8_tiny"), cpu);
        assert!(worst < 1e-3, "{cpu}: {worst:e}");
    }
}

#[test]
fn networks_of_full_size_predict_what_ultralytics_does() {
    let Some(folder) = std::env::var_os("ALBUMCTL_WEIGHTS").map(PathBuf::from) else {
        return skipped("ALBUMCTL_WEIGHTS names no folder with the published weights");
    };
    for name in ["yolov8n_random", "yolov8s_random"] {
        let name = folder.join(name);
        if !name.with_extension("pt").exists() {
            skipped(&format!("no {}.pt", name.display()));
            continue;
        }
        let worst = worst(&name, Cpu::best());
        report(&format!("{}: off by at most {worst:e}", name.display()));
        assert!(worst < 1e-3, "{}: {worst:e}", name.display());
    }
}

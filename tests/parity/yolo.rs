//! YOLOv8 of random weights against ultralytics, from the `.pt` that it saved.

use std::path::{Path, PathBuf};

use kernels::Cpu;
use networks::checkpoint::Checkpoint as _;
use networks::graph::{Place, Tensor};
use networks::objects::Yolo;
use networks::weights::WeightsFile;
use serde_json::Value;

use crate::world::{report, skipped};

/// The largest difference of any prediction, as a share of edges above one pixel. `tests/reference/yolo.py` records the
/// answers.
fn worst(name: &Path, place: impl Into<Place>) -> f32 {
    let record: Value = serde_json::from_slice(&std::fs::read(name.with_extension("json")).unwrap()).unwrap();
    let file = WeightsFile::open(&name.with_extension("pt")).unwrap();
    let network = Yolo::load(&file, &[], place).unwrap();
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
    for place in Place::all_on_processor() {
        let worst = worst(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/yolov8_tiny"), place.clone());
        assert!(worst < 1e-3, "{place:?}: {worst:e}");
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

/// A pickled module: the objects are data, named as `state_dict` would name their tensors.
#[test]
fn modules_hold_the_tensors_of_the_modules_in_them() {
    let file = WeightsFile::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/yolov8_tiny.pt")).unwrap();
    let weight = file.shape("model.0.conv.weight").unwrap();
    assert_eq!((weight.len(), weight[1]), (4, 3));
    assert_eq!(file.read("model.22.cv3.2.2.bias").unwrap().len(), 3);
    assert_eq!(file.metadata()["model"]["names"]["1"], "dog");
    assert_eq!(file.metadata()["model"]["_modules"], Value::Null);
}

/// Modules that contain themselves or each other many times end, soon.
#[test]
fn modules_without_end_are_left() {
    let text = |text: &str| [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let class = b"cm\nModule\n)\x81q\x00".to_vec();
    // {"model": module}, whose `_modules` are itself, twice.
    let itself = [text("a"), b"h\x00".to_vec(), text("b"), b"h\x00".to_vec()].concat();
    let state = [b"}".to_vec(), text("_modules"), b"}(".to_vec(), itself, b"us".to_vec()].concat();
    let bytes = [b"\x80\x02}".to_vec(), text("model"), class, state, b"bs.".to_vec()].concat();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    let mut archive = Vec::new();
    stored_zip(&mut archive, "m/data.pkl", &bytes);
    std::fs::write(&path, archive).unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(WeightsFile::open(&path).unwrap().names(), Vec::<String>::new());
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
}

/// A zip of one stored member.
fn stored_zip(to: &mut Vec<u8>, name: &str, content: &[u8]) {
    let size = (content.len() as u32).to_le_bytes();
    let common = [&[0; 8][..], &[0; 4], &size, &size, &(name.len() as u16).to_le_bytes(), &[0; 2]].concat();
    to.extend([b"PK\x03\x04\x14\x00".as_slice(), &common, name.as_bytes(), content].concat());
    let start = (to.len() as u32).to_le_bytes();
    let entry = [b"PK\x01\x02\x14\x00\x14\x00".as_slice(), &common, &[0; 14], name.as_bytes()].concat();
    let length = (entry.len() as u32).to_le_bytes();
    to.extend([entry.as_slice(), b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length, &start, &[0; 2]].concat());
}

//! Recognising faces: against dlib 20.0.1 on chips, points and descriptors of 27 photos, and from photos to persons. The
//! published files are looked for in the folder that `ALBUMCTL_WEIGHTS` names.

use std::path::{Path, PathBuf};

use base::pixels::Pixels;
use kernels::{Cpu, Engine, Precision};
use networks::dlib::{Alignment, CHIP, FaceDescriptor, Rectangle, face_chip};
use networks::fused::Runner;
use photo::{Limits, Scale};
use serde_json::Value;

/// dlib's files.
fn weights() -> Option<(Vec<u8>, Vec<u8>)> {
    let folder = std::env::var_os("ALBUMCTL_WEIGHTS").map(PathBuf::from);
    let read = |name: &str| std::fs::read(folder.as_ref()?.join(name)).ok();
    let both = read("dlib_face_recognition_resnet_model_v1.dat").zip(read("shape_predictor_5_face_landmarks.dat"));
    if both.is_none() {
        eprintln!("skipped: ALBUMCTL_WEIGHTS names no folder with dlib's files");
    }
    both
}

fn data(below: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ALBUMCTL_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let found = folder.join("data/people").join(below);
    if !found.exists() {
        eprintln!("skipped: no ../shared/data/people/{below}");
    }
    found.exists().then_some(found)
}

fn pixels(path: &Path) -> Pixels {
    photo::decode(&std::fs::read(path).unwrap(), Scale::Full, &Limits::default()).unwrap().pixels
}

#[test]
fn chips_points_and_descriptors_are_dlibs() {
    let (Some((network, aligner)), Some(folder)) = (weights(), data("")) else { return };
    let engine = Engine { cpu: Cpu::best(), precision: Precision::Full };
    let runner = Runner::new(Box::new(FaceDescriptor::read(&network, engine).unwrap()));
    let alignment = Alignment::read(&aligner).unwrap();
    let told: Value = serde_json::from_slice(&std::fs::read(folder.join("dlib.json")).unwrap()).unwrap();
    let whole = |value: &Value| value.as_i64().unwrap();
    let (mut farthest_point, mut farthest_value, mut worst_mean, mut worst) = (0.0f64, 0, 0.0f64, 0.0f64);
    for case in told["cases"].as_array().unwrap() {
        let photo = pixels(&folder.join("photos").join(case["photo"].as_str().unwrap()));
        let [left, top, right, bottom] = [0, 1, 2, 3].map(|at| whole(&case["rect_ltrb"][at]));
        let points = alignment.points(&photo, Rectangle { left, top, right, bottom });
        let theirs: [[f64; 2]; 5] =
            std::array::from_fn(|at| [0, 1].map(|axis| whole(&case["points"][at][axis]) as f64));
        for (ours, theirs) in points.iter().zip(&theirs) {
            farthest_point = farthest_point.max((ours[0] - theirs[0]).hypot(ours[1] - theirs[1]));
        }
        let chip = pixels(&folder.join("chips").join(case["chip"].as_str().unwrap()));
        assert_eq!((chip.width(), chip.height()), (CHIP as u32, CHIP as u32));
        let ours = face_chip(&photo, &theirs);
        let apart: Vec<u32> = ours.iter().zip(chip.data()).map(|(a, b)| u32::from(a.abs_diff(*b))).collect();
        farthest_value = farthest_value.max(*apart.iter().max().unwrap());
        worst_mean = worst_mean.max(f64::from(apart.iter().sum::<u32>()) / apart.len() as f64);
        let described = runner.run(&FaceDescriptor::batch(chip.data())).unwrap();
        for (ours, theirs) in described.iter().zip(case["descriptor"].as_array().unwrap()) {
            worst = worst.max((f64::from(*ours) - theirs.as_f64().unwrap()).abs());
        }
    }
    println!(
        "points at most {farthest_point:.2} px apart; chips at most {farthest_value} levels, {worst_mean:.3} in the mean of \
         the worst; descriptors at most {worst:.2e}"
    );
    assert!(worst <= 1e-4, "descriptors: {worst}");
    assert!(farthest_point <= 1.5, "points: {farthest_point}");
    assert!(worst_mean <= 0.5, "chips: {worst_mean}");
}

//! Whole photos against what MediaPipe answered on the same pixels.

use base::pixels::Pixels;
use hub::faces::{FaceAnalyzer, FaceFiles, Landmarks};
use judge::portrait::{Crop, Detection, Detector, Expression, EyesBy, LandmarkRounding, Outside, Portrait, Thresholds};
use kernels::Cpu;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::shared;

pub fn analyzer(mode: Landmarks, thresholds: Thresholds) -> Option<FaceAnalyzer> {
    let mesh = match mode {
        Landmarks::Attention => "face_landmark_with_attention",
        Landmarks::Fast => "face_landmark",
    };
    let bundle = match thresholds.eyes {
        EyesBy::States => Some(shared::bundle()?),
        EyesBy::Ear => None,
    };
    let files = FaceFiles {
        full_range: &shared::weights("face_detection_full_range_sparse")?,
        short_range: &shared::weights("face_detection_short_range")?,
        mesh: &shared::weights(mesh)?,
        bundle: bundle.as_deref(),
    };
    Some(FaceAnalyzer::load(files, mode, thresholds, "mediapipe-faces@0.10.21", Cpu::best()).unwrap())
}

struct Case {
    name: String,
    pixels: Pixels,
    answers: Value,
}

fn cases() -> Option<Vec<Case>> {
    let golden: Value = serde_json::from_slice(&shared::golden("golden.json")?).unwrap();
    let cases = golden["cases"].as_array().unwrap().iter();
    cases
        .map(|case| {
            let png = shared::golden(case["png"].as_str().unwrap())?;
            let image = image::load_from_memory(&png).unwrap().to_rgb8();
            let pixels = Pixels::new(image.width(), image.height(), image.into_raw()).unwrap();
            Some(Case { name: case["name"].as_str().unwrap().to_owned(), pixels, answers: case["mediapipe"].clone() })
        })
        .collect()
}

pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is a number"))
}

/// The worst of each deviation, over everything compared so far.
#[derive(Debug, Default)]
struct Worst {
    score: f64,
    box_edge: f64,
    landmark_mean: f64,
    landmark: f64,
    ear: f64,
    mouth: f64,
    elevation: f64,
}

fn keep(worst: &mut f64, deviation: f64, limit: f64, of: &str) {
    assert!(deviation <= limit, "{of}: off by {deviation}, at most {limit} allowed");
    *worst = worst.max(deviation);
}

impl Worst {
    fn detections(&mut self, found: &[Detection], expected: &Value, case: &str) {
        let expected = expected.as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{case}: faces");
        for (found, expected) in found.iter().zip(expected) {
            keep(&mut self.score, (f64::from(found.score) - number(&expected["score"])).abs(), 0.005, case);
            let expected: Vec<f64> = expected["box_xywh"].as_array().unwrap().iter().map(number).collect();
            let found = [found.edges[0], found.edges[1], found.width(), found.height()];
            for i in 0..4 {
                // In shares of the side along the same axis.
                let deviation = (found[i] - expected[i]).abs() / expected[2 + i % 2];
                keep(&mut self.box_edge, deviation, 0.005, case);
            }
        }
    }

    fn landmarks(&mut self, found: &[[f64; 3]], expected: &Value, pixels: &Pixels, case: &str) {
        let (width, height) = (f64::from(pixels.width()), f64::from(pixels.height()));
        let expected: Vec<[f64; 2]> =
            expected.as_array().unwrap().iter().map(|p| [number(&p[0]), number(&p[1])]).collect();
        let distance = |a: [f64; 2], b: [f64; 2]| ((a[0] - b[0]) * width).hypot((a[1] - b[1]) * height);
        let eyes = distance(expected[33], expected[263]);
        let deviations: Vec<f64> =
            found.iter().zip(&expected).map(|(&[x, y, _], &e)| distance([x, y], e) / eyes).collect();
        assert_eq!(found.len(), 468, "{case}");
        keep(&mut self.landmark_mean, deviations.iter().sum::<f64>() / 468.0, 0.003, case);
        keep(&mut self.landmark, deviations.into_iter().fold(0.0, f64::max), 0.01, case);
    }

    fn expression(&mut self, found: &Expression, expected: &Value, case: &str) {
        keep(&mut self.ear, (found.left_ear - number(&expected["left_ear"])).abs(), 0.01, case);
        keep(&mut self.ear, (found.right_ear - number(&expected["right_ear"])).abs(), 0.01, case);
        keep(&mut self.mouth, (found.mouth_width_ratio - number(&expected["mouth_width_ratio"])).abs(), 0.005, case);
        let elevation = (found.corner_elevation - number(&expected["corner_elevation"])).abs();
        keep(&mut self.elevation, elevation, 0.0005, case);
        decisions_equal(found, expected, case);
    }
}

fn decisions_equal(found: &Expression, expected: &Value, case: &str) {
    let decisions = (found.eyes_open(&Thresholds::default()), found.is_smiling(&Thresholds::default()));
    let expected = (expected["eyes_open"].as_bool().unwrap(), expected["is_smiling"].as_bool().unwrap());
    assert_eq!(decisions, expected, "{case}: eyes open, smiling");
}

#[test]
fn detections_landmarks_and_decisions_equal_mediapipes() {
    let Some(cases) = cases() else { return };
    let modes = [(Landmarks::Attention, "mesh_478_attention_max5"), (Landmarks::Fast, "mesh_468_max5")];
    for (mode, answer) in modes {
        let Some(analyzer) = analyzer(mode, Thresholds::default()) else { return };
        let mut worst = Worst::default();
        for Case { name, pixels, answers } in &cases {
            worst.detections(&analyzer.detect(pixels, Detector::FullRange), &answers["detect_full_0.6"], name);
            let close = analyzer.detect(pixels, Detector::ShortRange);
            worst.detections(&close, &answers["detect_short_0.5"], name);
            let expected = answers[answer].as_array().unwrap();
            assert_eq!(close.len(), expected.len(), "{name}: each face has its landmarks");
            for (face, expected) in close.iter().zip(expected) {
                let (width, height) = (pixels.width(), pixels.height());
                let mesh = analyzer.mesh(pixels, &Crop::around(face, width, height));
                assert!(mesh.presence > 0.5, "{name}");
                worst.landmarks(&mesh.landmarks, &expected["landmarks"], pixels, name);
                let measure = |rounding| Expression::measure(&mesh.landmarks, width, height, rounding);
                worst.expression(&measure(LandmarkRounding::Float), &expected["metrics_float"], name);
                // A pixel more or less moves these too far to compare; what they decide is the same.
                decisions_equal(&measure(LandmarkRounding::Pixel), &expected["metrics_int"], name);
            }
        }
        println!("{mode:?}: {worst:#?}");
    }
}

/// The whole way, with the original's own truncation and without: what it decides is what the record says.
#[test]
fn records_of_portraits_decide_as_the_original() {
    let Some(cases) = cases() else { return };
    for (rounding, metrics) in [(LandmarkRounding::Float, "metrics_float"), (LandmarkRounding::Pixel, "metrics_int")] {
        let thresholds = Thresholds { landmark_rounding: rounding, ..Thresholds::default() };
        let Some(analyzer) = analyzer(Landmarks::Attention, thresholds) else { return };
        for Case { name, pixels, answers } in &cases {
            let portrait: Portrait = analyzer.analyse(pixels);
            assert_eq!(portrait.num_faces, answers["detect_full_0.6"].as_array().unwrap().len(), "{name}");
            if !portrait.is_portrait {
                continue;
            }
            let expected = &answers["mesh_478_attention_max1"][0][metrics];
            assert_eq!(portrait.eyes_open, expected["eyes_open"].as_bool(), "{name}: eyes open");
            assert_eq!(portrait.is_smiling, expected["is_smiling"].as_bool(), "{name}: smiling");
            let smile = portrait.smile_score.unwrap_or_else(|| panic!("{name}: a smile score"));
            assert!((smile - number(&expected["smile_score"])).abs() < 0.005, "{name}: {smile}");
        }
    }
}

#[test]
fn crops_are_those_opencv_makes() {
    let Some(cases) = cases() else { return };
    for name in ["portrait_02", "n04591157_Windsor_tie"] {
        let Some(file) = shared::golden(&format!("tensors/{name}.safetensors")) else { return };
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let pixels = &cases.iter().find(|case| case.name == name).unwrap().pixels;
        let roi = tensors.tensor("roi_cx_cy_side_rot").unwrap();
        let roi: Vec<f64> = roi.data().as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect();
        let face = Crop { centre: [roi[0], roi[1]], side: roi[2], angle: roi[3] };
        let whole = Crop::whole(pixels.width(), pixels.height());
        for (tensor, crop, side, outside) in [
            ("short.crop_u8", whole, 128, Outside::Black),
            ("full.crop_u8", whole, 192, Outside::Black),
            ("mesh.crop_u8", face, 192, Outside::Nearest),
        ] {
            let got = crop.sample(pixels, side, outside);
            let expected = tensors.tensor(tensor).unwrap();
            let differing = got.iter().zip(expected.data()).filter(|(a, b)| a != b).count();
            assert!(differing * 2000 <= got.len(), "{name} {tensor}: {differing} of {} differ", got.len());
        }
    }
}

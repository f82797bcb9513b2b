//! The four networks on recorded inputs: raw outputs against those of the reference, on every processor path.

use kernels::Cpu;
use networks::tflite::{Graph, Network};
use safetensors::SafeTensors;

use crate::shared;

const CASES: [&str; 2] = ["portrait_02", "n04591157_Windsor_tie"];

fn floats(tensors: &SafeTensors, name: &str) -> Vec<f32> {
    let view = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

/// In units of 2e-4; beyond ±32 (logits reach -110, where they mean "surely not") in the same number of digits.
fn largest_difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(a, b)| (a - b).abs() / (2e-4 * (b.abs() / 32.0).max(1.0))).fold(0.0, f32::max)
}

#[test]
fn raw_outputs_equal_the_references() {
    let networks = [
        ("face_detection_short_range", "short.input", vec!["short.regressors", "short.scores"]),
        ("face_detection_full_range_sparse", "full.input", vec!["full.regressors", "full.scores"]),
        ("face_landmark", "mesh.input", vec!["mesh468.landmarks", "mesh468.presence_logit"]),
        (
            "face_landmark_with_attention",
            "mesh.input",
            vec![
                "att.mesh",
                "att.lips",
                "att.left_eye",
                "att.right_eye",
                "att.left_iris",
                "att.right_iris",
                "att.presence_logit",
            ],
        ),
    ];
    for (file, input, outputs) in networks {
        let Some(bytes) = shared::weights(file) else { return };
        let graph = Graph::parse(&bytes).unwrap();
        let wanted: Vec<usize> = (0..outputs.len()).collect();
        for cpu in Cpu::available() {
            let network = Network::new(&graph, &wanted, cpu).unwrap();
            for case in CASES {
                let Some(file) = shared::golden(&format!("tensors/{case}.safetensors")) else { return };
                let tensors = SafeTensors::deserialize(&file).unwrap();
                let input = floats(&tensors, input);
                let got = network.run(&input);
                for (name, got) in outputs.iter().zip(&got) {
                    let difference = largest_difference(got, &floats(&tensors, name));
                    println!("{case} {name} {cpu}: {difference:.2}");
                    assert!(difference <= 1.0, "{case} {name} {cpu}: {difference} times what is allowed");
                }
                assert_eq!(got, network.run(&input), "memory is reused, numbers are not");
            }
        }
    }
}

//! ONNX graphs against ONNX Runtime: operators on small graphs, and the published networks for text.

use std::path::PathBuf;

use base64::Engine as _;
use candle_core::Device;
use kernels::Cpu;
use networks::graph::{Network, Place, Tensor};
use networks::onnx;
use serde_json::Value;

use super::networks::recorded;
use crate::world::{report, skipped};

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn sizes(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

/// The input that both sides compute.
fn wave(shape: &[usize]) -> Tensor {
    let data = (0..shape.iter().product::<usize>()).map(|i| (i as f32 * 0.37).sin()).collect();
    Tensor::new(shape.to_vec(), data).unwrap()
}

/// What runs on a card, on the processor.
fn by_candle() -> Place {
    Place { cpu: Cpu::best(), candle: Some(Device::Cpu) }
}

/// `tests/reference/onnx_operators.py` records the answers.
#[test]
fn operators_equal_onnx_runtimes() {
    let record = recorded("onnx_operators");
    for case in record["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let file = base64::engine::general_purpose::STANDARD.decode(case["model"].as_str().unwrap()).unwrap();
        let expected = numbers(&case["output"]);
        for place in Place::all_on_processor() {
            let network = Network::new(onnx::parse(&file).unwrap(), place.clone()).unwrap();
            let output = network.run(wave(&sizes(&case["shape"]))).unwrap().remove(0);
            assert_eq!(output.shape, sizes(&case["output_shape"]), "{name} on {place:?}");
            let most =
                output.data.iter().zip(&expected).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max);
            assert!(most < 1e-4, "{name} on {place:?}: {most:e}");
        }
    }
}

/// Whatever a few changed or missing bytes make of a file, it is refused or run.
#[test]
fn damaged_graphs_are_refused_or_run() {
    let record = recorded("onnx_operators");
    for case in record["cases"].as_array().unwrap() {
        let file = base64::engine::general_purpose::STANDARD.decode(case["model"].as_str().unwrap()).unwrap();
        let shape = sizes(&case["shape"]);
        for round in 0..400usize {
            let mut damaged = file.clone();
            let mut at = round.wrapping_mul(7919) % file.len();
            if round % 4 == 0 {
                damaged.truncate(at);
            } else {
                for change in 0..=round % 3 {
                    damaged[at] = damaged[at].wrapping_add((1 + round * 31 + change) as u8);
                    at = (at + 97) % file.len();
                }
            }
            // candle's operations take longer.
            let places = [Place::from(Cpu::best()), by_candle()].into_iter().take(1 + usize::from(round % 7 == 0));
            for place in places {
                if let Ok(network) = onnx::parse(&damaged).and_then(|graph| Network::new(graph, place)) {
                    let _ = network.run(wave(&shape));
                }
            }
        }
    }
}

/// `tests/reference/onnx_published.py` records the answers.
#[test]
fn published_networks_for_text_answer_as_in_onnx_runtime() {
    let Some(folder) = std::env::var_os("ALBUMCTL_WEIGHTS").map(PathBuf::from) else {
        return skipped("ALBUMCTL_WEIGHTS names no folder with the published weights");
    };
    for case in recorded("onnx_published")["cases"].as_array().unwrap() {
        let path = folder.join(case["file"].as_str().unwrap());
        let Ok(file) = std::fs::read(&path) else {
            skipped(&format!("no {}", path.display()));
            continue;
        };
        for place in [Place::from(Cpu::best()), by_candle()] {
            let network = Network::new(onnx::parse(&file).unwrap(), place.clone()).unwrap();
            let output = network.run(wave(&sizes(&case["shape"]))).unwrap().remove(0);
            assert_eq!(output.shape, sizes(&case["output_shape"]));
            let (expected, step) = (numbers(&case["every"]), case["step"].as_u64().unwrap() as usize);
            let most = output.data.iter().step_by(step).zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            report(&format!("{} on {place:?}: off by at most {most:e} of 1", path.display()));
            assert!(most < 1e-4, "{} on {place:?}: {most:e}", path.display());
        }
    }
}

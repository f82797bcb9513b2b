//! Networks on a card beside the processor: agreement, and photos a second. `tests/gpu/run` builds and calls it.
//!
//! `card measure` prints a JSON line for each network, precision and number of photos at once. `card weights FOLDER` writes
//! networks of the original's shapes, with numbers that follow from their names, for whole runs without a download.
#![allow(clippy::print_stdout, reason = "a bench reports on stdout")]

#[path = "../parity/formula.rs"]
mod formula;

use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device};
use candle_nn::ModuleT;
use formula::Formula;
use kernels::{Cpu, Engine, Precision};
use networks::checkpoint::{Ledger, var_builder};
use networks::dinov2::{self, Dinov2, FusedDinov2};
use networks::fused::{Batch, Runner};
use networks::graph::{Place, Tensor};
use networks::mobile::{Family, FusedMobile, Mobile};
use networks::objects::Yolo;
use networks::resnet::{Depth, FusedResNet, Naming, ResNet};
use networks::weights::WeightsFile;

const SIDE: usize = 224;
const COUNTS: [usize; 4] = [1, 16, 32, 128];
/// Photos that both sides are asked about.
const COMPARED: usize = 16;
const SECONDS: f64 = 3.0;

fn photos(count: usize) -> Batch {
    let data = (0..count * SIDE * SIDE * 3).map(|i| ((i * 7919 % 200_003) as f32 / 100_001.5) - 1.0).collect();
    Batch::new(count, SIDE, SIDE, data).expect("a batch")
}

fn on_the_processor(network: &str) -> Runner {
    let checkpoint = Formula::recorded(network);
    let ledger = Ledger::new(&checkpoint);
    let names = ledger.root();
    let cpu = Cpu::available().into_iter().rfind(|cpu| *cpu != Cpu::Amx).expect("a processor");
    let engine = Engine { cpu, precision: Precision::Full };
    Runner::new(match network {
        "resnet50" => Box::new(FusedResNet::new(Depth::Fifty, Naming::Torchvision, engine, &names).expect("built")),
        "dinov2_base" => Box::new(FusedDinov2::new(engine, &names).expect("built")),
        _ => Box::new(FusedMobile::new(Family::EfficientNetLite, engine, &names).expect("built")),
    })
}

type Forward = Box<dyn Fn(&candle_core::Tensor) -> candle_core::Result<candle_core::Tensor>>;

fn on_the_card(network: &str, dtype: DType, card: &Device) -> Forward {
    let checkpoint = Formula::recorded(network);
    let vb = var_builder(&checkpoint, dtype, card).expect("weights on the card");
    match network {
        "resnet50" => {
            let network = ResNet::new(Depth::Fifty, Naming::Torchvision, &vb).expect("built");
            Box::new(move |x| network.forward_t(x, false))
        }
        "dinov2_base" => {
            let ledger = Ledger::new(&checkpoint);
            let config = dinov2::Config::of(&ledger.root()).expect("a variant");
            let network = Dinov2::new(config, &vb).expect("built");
            Box::new(move |x| candle_nn::Module::forward(&network, x))
        }
        _ => {
            let ledger = Ledger::new(&checkpoint);
            let engine = Engine { cpu: Cpu::Plain, precision: Precision::Full };
            let network = Mobile::new(Family::EfficientNetLite, engine, &ledger.root(), card).expect("built");
            let features = network.plan().pooled().1;
            Box::new(move |x| network.pooled_by_candle(x, 0)?.narrow(1, features.start, features.len()))
        }
    }
}

/// From the floats of photos to rows, the way to the card and back included.
fn rows(forward: &Forward, dtype: DType, batch: &Batch, card: &Device) -> Vec<Vec<f32>> {
    let shape = (batch.photos, batch.height, batch.width, Batch::CHANNELS);
    let rows = || -> candle_core::Result<Vec<Vec<f32>>> {
        let x = candle_core::Tensor::from_slice(&batch.data, shape, card)?.permute((0, 3, 1, 2))?.contiguous()?;
        forward(&x.to_dtype(dtype)?)?.to_dtype(DType::F32)?.to_vec2()
    };
    rows().expect("rows from the card")
}

/// Runs a second for as long as [`SECONDS`], after three that do not count.
fn a_second(mut work: impl FnMut()) -> f64 {
    (0..3).for_each(|_| work());
    let (started, mut runs) = (Instant::now(), 0);
    while started.elapsed().as_secs_f64() < SECONDS {
        work();
        runs += 1;
    }
    f64::from(runs) / started.elapsed().as_secs_f64()
}

fn measure() {
    let card = Device::new_cuda(0).expect("a card");
    measure_graph(&card);
    for network in ["resnet50", "dinov2_base", "efficientnet_lite0"] {
        let runner = on_the_processor(network);
        let batch = photos(COMPARED);
        let exact = runner.run(&batch).expect("rows");
        let on_processor = COMPARED as f64 * a_second(|| drop(runner.run(&batch)));
        println!("{}", serde_json::json!({"network": network, "on": "processor", "photos_a_second": on_processor}));
        for (name, dtype) in [("f32", DType::F32), ("bf16", DType::BF16)] {
            // What holds the built-in model's variables has no bf16.
            if network == "efficientnet_lite0" && dtype == DType::BF16 {
                continue;
            }
            let forward = on_the_card(network, dtype, &card);
            let ours = rows(&forward, dtype, &batch, &card);
            let largest = exact.iter().fold(0f32, |most, number| most.max(number.abs()));
            let worst = ours.concat().iter().zip(&exact).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            let cosine = ours.iter().zip(exact.chunks_exact(ours[0].len())).map(|(a, b)| cosine(a, b));
            let cosine = cosine.fold(1f64, f64::min);
            // The same photo at another place, among other photos.
            let turned: Vec<f32> = batch.data.chunks_exact(batch.photo_len()).rev().flatten().copied().collect();
            let turned = rows(&forward, dtype, &Batch { data: turned, ..batch }, &card);
            let is_alone = turned.iter().rev().zip(&ours).all(|(a, b)| a == b);
            println!(
                "{}",
                serde_json::json!({
                    "network": network, "on": "card", "precision": name, "worst_of_largest": worst / largest,
                    "least_cosine": cosine, "same_bits_at_another_place": is_alone,
                })
            );
            for count in COUNTS {
                let batch = photos(count);
                let speed = count as f64 * a_second(|| drop(rows(&forward, dtype, &batch, &card)));
                println!(
                    "{}",
                    serde_json::json!({
                        "network": network, "on": "card", "precision": name, "at_once": count, "photos_a_second": speed,
                    })
                );
            }
        }
    }
}

/// A graph of operators, one picture at a time: the predictions of a small YOLOv8.
fn measure_graph(card: &Device) {
    let file = include_bytes!("../parity/yolov8_tiny.pt").to_vec();
    let file = WeightsFile::from_bytes(Path::new("yolov8_tiny.pt"), file).expect("a file of weights");
    let sides = 640;
    let input = || {
        let data = (0..3 * sides * sides).map(|i| (i as f32 * 0.0137).sin() * 0.5 + 0.5).collect();
        Tensor::new(vec![1, 3, sides, sides], data).expect("a picture")
    };
    let cpu = Cpu::best();
    let mut answers = Vec::new();
    for (on, candle) in [("processor", None), ("card", Some(card.clone()))] {
        let network = Yolo::load(&file, &[], Place { cpu, candle }).expect("built");
        let predicted = || {
            let mut found = Vec::new();
            network.predict(input(), 0.0, |cell| found.extend(cell.edges)).expect("predictions");
            found
        };
        let speed = a_second(|| drop(predicted()));
        println!("{}", serde_json::json!({"network": "yolov8_tiny", "on": on, "at_once": 1, "photos_a_second": speed}));
        answers.push(predicted());
    }
    let apart = answers[0].iter().zip(&answers[1]).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    println!("{}", serde_json::json!({"network": "yolov8_tiny", "worst_in_pixels": apart, "of_pixels": sides}));
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

fn weights(folder: &Path) {
    for network in ["rated", "siamese", "dinov2_base"] {
        let file = Formula::recorded(network).safetensors(None);
        std::fs::write(folder.join(format!("{network}.safetensors")), file).expect("the file is written");
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measure"] => measure(),
        ["weights", folder] => weights(Path::new(folder)),
        _ => println!("card measure | card weights FOLDER"),
    }
}

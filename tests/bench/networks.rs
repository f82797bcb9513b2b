//! Times the networks on every path of this machine, beside candle's own kernels and a tuned matrix product.
//!
//! `cargo bench --bench networks` prints a table. `… -- serve` answers requests on stdin, one line each, so that
//! `tests/bench/peers/networks.py` and `graphs.py` can interleave us with other runtimes in one run.
#![allow(clippy::print_stdout)]

#[path = "../parity/formula.rs"]
mod formula;

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use base::pixels::Pixels;
use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, ModuleT};
use formula::Formula;
use kernels::{Activation, Cpu, Engine, Linear, Precision, Scratch};
use networks::checkpoint::{Ledger, var_builder};
use networks::dinov2::{self, Dinov2, FusedDinov2};
use networks::fused::{Batch, Runner};
use networks::graph::{self, Network};
use networks::mobile::{Family, FusedMobile, Mobile};
use networks::objects::Ssd;
use networks::onnx;
use networks::resnet::{Depth, FusedResNet, Naming, ResNet};

const SIDE: usize = 224;
const NETWORKS: [&str; 5] = ["resnet50", "dinov2_small", "dinov2_base", "efficientnet_lite0", "mobilenet_v2"];

/// Multiplications and additions of one photo, counted as two.
fn operations(network: &str) -> f64 {
    let vit = |width: f64| {
        let (tokens, layers) = (257.0, 12.0);
        // The last block works on the class token alone, behind its keys and values.
        let layer = 2.0 * tokens * width * width * 12.0 + 4.0 * tokens * tokens * width;
        2.0 * 256.0 * 588.0 * width + (layers - 1.0) * layer + 2.0 * tokens * width * width * 3.0
    };
    match network {
        "resnet50" => 8.178e9,
        "dinov2_small" => vit(384.0),
        "efficientnet_lite0" => 0.794e9,
        "mobilenet_v2" => 0.599e9,
        _ => vit(768.0),
    }
}

fn photos(count: usize) -> Batch {
    let data = (0..count * SIDE * SIDE * 3).map(|i| ((i * 7919 % 2003) as f32 / 1001.5) - 1.0).collect();
    Batch::new(count, SIDE, SIDE, data).unwrap()
}

fn fused(network: &str, engine: Engine) -> Runner {
    let checkpoint = Formula::recorded(network);
    let ledger = Ledger::new(&checkpoint);
    let names = ledger.root();
    Runner::new(match network {
        "resnet50" => Box::new(FusedResNet::new(Depth::Fifty, Naming::Torchvision, engine, &names).unwrap()),
        "efficientnet_lite0" => Box::new(FusedMobile::new(Family::EfficientNetLite, engine, &names).unwrap()),
        "mobilenet_v2" => Box::new(FusedMobile::new(Family::MobileNetV2, engine, &names).unwrap()),
        _ => Box::new(FusedDinov2::new(engine, &names).unwrap()),
    })
}

type Run = Box<dyn Fn(&Batch)>;

/// The network as candle runs it.
fn candle(network: &str) -> Run {
    let checkpoint = Formula::recorded(network);
    let vb = var_builder(&checkpoint, DType::F32, &Device::Cpu).unwrap();
    let forward: Box<dyn Fn(&Tensor) -> candle_core::Result<Tensor>> = if network == "resnet50" {
        let network = ResNet::new(Depth::Fifty, Naming::Torchvision, &vb).unwrap();
        Box::new(move |x| network.forward_t(x, false))
    } else if network == "efficientnet_lite0" || network == "mobilenet_v2" {
        let family = if network == "mobilenet_v2" { Family::MobileNetV2 } else { Family::EfficientNetLite };
        let ledger = Ledger::new(&checkpoint);
        let engine = Engine { cpu: Cpu::Plain, precision: Precision::Full };
        let network = Mobile::new(family, engine, &ledger.root(), &Device::Cpu).unwrap();
        Box::new(move |x| network.pooled_by_candle(x, usize::MAX))
    } else {
        let ledger = Ledger::new(&checkpoint);
        let network = Dinov2::new(dinov2::Config::of(&ledger.root()).unwrap(), &vb).unwrap();
        Box::new(move |x| network.forward(x))
    };
    Box::new(move |batch| {
        let shape = (batch.photos, batch.height, batch.width, Batch::CHANNELS);
        let x = Tensor::from_slice(&batch.data, shape, &Device::Cpu).unwrap();
        forward(&x.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap()).unwrap();
    })
}

/// A network by the name of its path: `candle`, a [`Cpu`], or `amx-fast`.
fn contender(network: &str, path: &str) -> Run {
    if path == "candle" {
        return candle(network);
    }
    let (name, precision) = match path.strip_suffix("-fast") {
        Some(name) => (name, Precision::Fast),
        None => (path, Precision::Full),
    };
    let cpu = Cpu::available().into_iter().find(|cpu| cpu.name() == name).expect("a path of this machine");
    let runner = fused(network, Engine { cpu, precision });
    Box::new(move |batch| {
        runner.run(batch).unwrap();
    })
}

/// A graph of operators from a file, with a picture of this size: an ONNX file, or the frozen graph of SSD.
fn graph(file: &str, height: usize, width: usize) -> Box<dyn Fn()> {
    let (bytes, cpu) = (std::fs::read(file).unwrap(), Cpu::best());
    if Path::new(file).extension().is_some_and(|end| end == "pb") {
        let classes = (1..=90).map(|class| (class, class.to_string())).collect();
        let ssd = Ssd::load(&bytes, classes, cpu).unwrap();
        let data = (0..height * width * 3).map(|i| (i * 7919 % 256) as u8).collect();
        let picture = Pixels::new(width as u32, height as u32, data).unwrap();
        return Box::new(move || drop(ssd.find(&picture).unwrap()));
    }
    let network = Network::new(onnx::parse(&bytes).unwrap(), cpu).unwrap();
    let data: Vec<f32> = (0..height * width * 3).map(|i| ((i * 7919 % 2003) as f32 / 1001.5) - 1.0).collect();
    let picture = graph::Tensor::picture(height, width, 3, data).unwrap();
    Box::new(move || drop(network.run(picture.clone()).unwrap()))
}

fn milliseconds(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64() * 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Operations a second of a large matrix product on all cores: what a network can hope for.
fn peak(engine: Engine) -> f64 {
    let (rows, inputs, outputs) = (768, 2048, 1024);
    let layer = Linear::new(engine, &vec![0.01; inputs * outputs], &vec![0.0; outputs]);
    let x = vec![0.5; rows * inputs];
    let threads = rayon::current_num_threads();
    let once = || {
        milliseconds(|| {
            rayon::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|_| {
                        let mut y = vec![0.0; rows * outputs];
                        layer.apply(&x, &mut y, Activation::Identity, &mut Scratch::new(1));
                    });
                }
            });
        })
    };
    let best = (0..7).map(|_| once()).fold(f64::MAX, f64::min);
    2.0 * (rows * inputs * outputs * threads) as f64 / best / 1e-3
}

fn paths() -> Vec<String> {
    let mut paths: Vec<String> = Cpu::available().into_iter().map(|cpu| cpu.name().to_owned()).collect();
    if Cpu::Amx.supported() {
        paths.push("amx-fast".into());
    }
    paths
}

fn table() {
    let engine = |path: &str| {
        let cpu = Cpu::available().into_iter().find(|cpu| path.starts_with(cpu.name())).unwrap();
        let exact = Cpu::available().into_iter().find(|cpu| cpu.name() == path).unwrap_or(cpu);
        let precision = if path.ends_with("-fast") { Precision::Fast } else { Precision::Full };
        Engine { cpu: exact, precision }
    };
    println!("threads {}", rayon::current_num_threads());
    for path in paths() {
        println!("peak {path:9} {:7.1} GFLOP/s", peak(engine(&path)) / 1e9);
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| NETWORKS.contains(&arg.as_str())).collect();
    for network in NETWORKS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == network) {
            continue;
        }
        for path in paths().iter().map(String::as_str).chain(["candle"]) {
            let run = contender(network, path);
            let mut line = format!("{network:13} {path:9}");
            for count in [1, 2, 8] {
                let batch = photos(count);
                run(&batch);
                let rounds = if path == "plain" || path == "candle" { 3 } else { 9 };
                let time = median((0..rounds).map(|_| milliseconds(|| run(&batch)) / count as f64).collect());
                line +=
                    &format!("  batch {count}: {time:7.2} ms/photo {:6.1} GFLOP/s", operations(network) / time / 1e6);
            }
            println!("{line}");
        }
    }
}

/// `NETWORK PATH BATCH` or `graph FILE HEIGHT WIDTH` in, milliseconds out; `peak PATH` in, GFLOP/s out; `operations NETWORK` in, GFLOP a photo out.
fn serve() {
    let mut ready: BTreeMap<(String, String), Run> = BTreeMap::new();
    let mut batches: BTreeMap<String, Batch> = BTreeMap::new();
    let mut graphs: BTreeMap<String, Box<dyn Fn()>> = BTreeMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["paths"] => paths().join(" "),
            ["peak", path] => {
                let cpu = Cpu::available().into_iter().find(|cpu| cpu.name() == path).unwrap();
                format!("{:.1}", peak(Engine { cpu, precision: Precision::Full }) / 1e9)
            }
            ["operations", network] => format!("{:.3}", operations(network) / 1e9),
            ["graph", file, height, width] => {
                let load = || graph(file, height.parse().unwrap(), width.parse().unwrap());
                let run = graphs.entry(line.clone()).or_insert_with(load);
                format!("{:.4}", milliseconds(run))
            }
            [network, path, count] => {
                let key = (network.to_owned(), path.to_owned());
                let run = ready.entry(key).or_insert_with(|| contender(network, path));
                let batch = batches.entry(count.to_owned()).or_insert_with(|| photos(count.parse().unwrap()));
                format!("{:.4}", milliseconds(|| run(batch)))
            }
            _ => "?".to_owned(),
        };
        println!("{answer}");
        std::io::stdout().flush().unwrap();
    }
}

fn main() {
    if std::env::args().any(|arg| arg == "serve") {
        serve();
    } else {
        table();
    }
}

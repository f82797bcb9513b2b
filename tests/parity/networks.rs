//! Our networks against PyTorch's, from the pixels on, on weights that both sides compute.
//!
//! The numbers beside this file come from `tests/reference/networks.py`. By default each network meets a few pictures on
//! every path of this machine; `ALBUMCTL_PARITY=wide` (`make parity`) runs all twelve in batches of 1, 3 and 8, and
//! VGG16, and prints the largest differences.

use std::path::PathBuf;

use crate::formula::{self, Formula};
use crate::world::skipped;
use base64::Engine as _;
use hub::prepare;
use kernels::{Cpu, Engine, Precision};
use networks::checkpoint::{Checkpoint, InMemory, Ledger, Names, WeightsError};
use networks::dinov2::FusedDinov2;
use networks::fused::{Batch, Network, Runner};
use networks::head::{Bend, FusedHead, HeadConfig};
use networks::mobile::{Family, FusedMobile};
use networks::multihead::{DEGRADATIONS, FusedMultiHead};
use networks::preference::{Class1, first_is_better};
use networks::preprocess::{Preprocess, Resize};
use networks::rating::Output;
use networks::resnet::{Depth, FusedResNet, Naming};
use networks::vgg::FusedVgg16;
use networks::weights::WeightsFile;
use photo::resize::Filter;
use serde_json::Value;

const PICTURES: usize = 12;

fn wide() -> bool {
    std::env::var("ALBUMCTL_PARITY").is_ok_and(|value| value == "wide")
}

/// Every path of this machine.
fn engines() -> Vec<Engine> {
    Cpu::available().into_iter().map(|cpu| Engine { cpu, precision: Precision::Full }).collect()
}

/// For full-size networks a default run leaves out the plain path, which takes seconds a photo in a test build and meets
/// the same layers in the small networks.
fn engines_for_large() -> Vec<Engine> {
    let all = engines();
    let skipped = usize::from(!wide() && all.len() > 1);
    all[skipped..].to_vec()
}

/// For what lies behind a backbone that another test compares on every path.
fn engines_for_heads() -> Vec<Engine> {
    let all = engines_for_large();
    if wide() { all } else { all[all.len() - 1..].to_vec() }
}

pub fn recorded(name: &str) -> Value {
    let path = format!("{}/tests/parity/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

fn features(record: &Value) -> Vec<Vec<f32>> {
    rows(&record["features"])
}

pub fn rows(texts: &Value) -> Vec<Vec<f32>> {
    let row = |text: &Value| -> Vec<f32> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
        bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
    };
    texts.as_array().unwrap().iter().map(row).collect()
}

pub fn imagenet(resize: u32, filter: Filter, crop: u32) -> Preprocess {
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    Preprocess { resize: Resize::ShortSide(resize), filter, crop: Some(crop), mean, std }
}

fn pictures(preprocess: &Preprocess, count: usize) -> Batch {
    let photos: Vec<_> = (0..count as u64).map(formula::picture).collect();
    prepare::batch(preprocess, &photos)
}

fn some(batch: &Batch, from: usize, count: usize) -> Batch {
    let len = batch.photo_len();
    Batch { photos: count, data: batch.data[from * len..(from + count) * len].to_vec(), ..*batch }
}

/// Builds a network and checks that it took every tensor of the checkpoint, except those named by `unused`.
fn build<N: Network + 'static>(
    checkpoint: &dyn Checkpoint,
    unused: &[&str],
    make: impl Fn(&Names<'_>) -> Result<N, WeightsError>,
) -> Runner {
    let ledger = Ledger::new(checkpoint);
    let network = make(&ledger.root()).unwrap();
    ledger.close(|name| unused.iter().any(|unused| name.starts_with(unused))).unwrap();
    Runner::new(Box::new(network))
}

/// Rows of features of the first `count` pictures, the same in batches of 1, 3 and 8 (wide) or 1 and 3.
fn run(runner: &Runner, batch: &Batch, count: usize) -> Vec<Vec<f32>> {
    let width = runner.network().features();
    let whole = runner.run(&some(batch, 0, count)).unwrap();
    let sizes: &[usize] = if wide() { &[1, 3, 8] } else { &[1] };
    for &size in sizes {
        for from in (0..count).step_by(size) {
            let size = size.min(count - from);
            let rows = runner.run(&some(batch, from, size)).unwrap();
            assert!(rows == whole[from * width..(from + size) * width], "a batch of {size} changes a photo's numbers");
        }
    }
    whole.chunks_exact(width).map(<[f32]>::to_vec).collect()
}

/// Largest difference relative to the largest feature of the photo.
pub fn relative(got: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let scale = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    got.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs() / scale)).fold(0.0, f64::max)
}

fn cosine_distance(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn report(what: &str, engine: Engine, measure: &str, most: f64) {
    if wide() {
        crate::world::report(&format!("{what:18} {:7} {measure} {most:.2e}", engine.cpu.name()));
    }
}

/// Pictures that a default run compares.
fn count(default: usize) -> usize {
    if wide() { PICTURES } else { default }
}

fn check_resnet(name: &str, depth: Depth) {
    let record = recorded(name);
    let (checkpoint, expected) = (Formula::new(&record["tensors"]), features(&record));
    let count = count(1);
    let batch = pictures(&imagenet(256, Filter::Bilinear, 224), count);
    for engine in engines_for_large() {
        let runner = build(&checkpoint, &[], |names| FusedResNet::new(depth, Naming::Torchvision, engine, names));
        let got = run(&runner, &batch, count);
        let most = got.iter().zip(&expected).map(|(a, b)| relative(a, b)).fold(0.0, f64::max);
        report(name, engine, "features, relative", most);
        assert!(most < 1e-4, "{name} on {}: {most:e}", engine.cpu);
    }
}

#[test]
fn resnet18_equals_torchvisions() {
    check_resnet("resnet18", Depth::Eighteen);
}

#[test]
fn resnet50_equals_torchvisions() {
    check_resnet("resnet50", Depth::Fifty);
}

fn lite(resize: u32, crop: u32) -> Preprocess {
    let (mean, std) = ([127.0 / 255.0; 3], [128.0 / 255.0; 3]);
    Preprocess { mean, std, ..imagenet(resize, Filter::Bicubic, crop) }
}

fn check_mobile(name: &str, family: Family, preprocess: &Preprocess) {
    let record = recorded(name);
    let (checkpoint, expected) = (Formula::new(&record["tensors"]), features(&record));
    let count = if wide() { expected.len() } else { 2 };
    let batch = pictures(preprocess, count);
    for engine in engines_for_large() {
        let unused = [family.classifier()];
        let runner = build(&checkpoint, &unused, |names| FusedMobile::new(family, engine, names));
        let got = run(&runner, &batch, count);
        let most = got.iter().zip(&expected).map(|(a, b)| relative(a, b)).fold(0.0, f64::max);
        report(name, engine, "features, relative", most);
        assert!(most < 1e-4, "{name} on {}: {most:e}", engine.cpu);
        let ledger = Ledger::new(&checkpoint);
        let classes = rows(&record["classes"]).remove(0);
        let shape = [classes.len(), got[0].len()];
        let classifier = FusedHead::layer(engine, &ledger.root().under(family.classifier()), shape).unwrap();
        let most = relative(&classifier.apply(&got[0]), &classes);
        report(name, engine, "classes, relative", most);
        assert!(most < 1e-4, "{name} on {}: classes {most:e}", engine.cpu);
    }
}

#[test]
fn efficientnet_lite0_equals_timms() {
    check_mobile("efficientnet_lite0", Family::EfficientNetLite, &lite(256, 224));
}

#[test]
fn efficientnet_lite2_equals_timms() {
    if wide() {
        check_mobile("efficientnet_lite2", Family::EfficientNetLite, &lite(292, 260));
    }
}

#[test]
fn mobilenet_v2_equals_torchvisions() {
    check_mobile("mobilenet_v2", Family::MobileNetV2, &imagenet(256, Filter::Bilinear, 224));
}

/// The published files, read and run as they are.
#[test]
fn published_weights_say_what_timm_makes_of_them() {
    let Some(folder) = std::env::var_os("ALBUMCTL_WEIGHTS").map(PathBuf::from) else {
        return skipped("ALBUMCTL_WEIGHTS names no folder with the published weights");
    };
    for (name, resize) in [("efficientnet_lite0_published", 256), ("efficientnet_lite2_published", 292)] {
        let record = recorded(name);
        let path = folder.join(record["file"].as_str().unwrap());
        if !path.exists() {
            skipped(&format!("no {}", path.display()));
            continue;
        }
        let (file, expected) = (WeightsFile::open(&path).unwrap(), features(&record));
        let batch = pictures(&lite(resize, record["side"].as_u64().unwrap() as u32), expected.len());
        for engine in engines_for_large() {
            let family = Family::EfficientNetLite;
            let runner = build(&file, &[family.classifier()], |names| FusedMobile::new(family, engine, names));
            let got = run(&runner, &batch, expected.len());
            let most = got.iter().zip(&expected).map(|(a, b)| relative(a, b)).fold(0.0, f64::max);
            report(name, engine, "features, relative", most);
            assert!(most < 1e-4, "{name} on {}: {most:e}", engine.cpu);
            let ledger = Ledger::new(&file);
            let shape = [1000, got[0].len()];
            let classifier = FusedHead::layer(engine, &ledger.root().under(family.classifier()), shape).unwrap();
            for (got, expected) in got.iter().zip(rows(&record["classes"])) {
                let most = relative(&classifier.apply(got), &expected);
                report(name, engine, "classes, relative", most);
                assert!(most < 1e-4, "{name} on {}: classes {most:e}", engine.cpu);
            }
        }
    }
}

/// The numbering of blocks before torchvision 0.8: every layer of a block by its place.
#[test]
fn mobilenet_v2_reads_both_numberings() {
    let record = recorded("mobilenet_v2");
    let spelled = Formula::new(&record["tensors"]);
    let mut older = InMemory::default();
    for name in spelled.names() {
        let parts: Vec<&str> = name.split('.').collect();
        let renamed = match parts[..] {
            ["features", block, "conv", at, inner, last] => {
                let place = 3 * at.parse::<usize>().unwrap() + inner.parse::<usize>().unwrap();
                format!("features.{block}.conv.{place}.{last}")
            }
            ["features", block, "conv", at, last] => {
                // A convolution and its normalisation, behind one or two parts of three layers each.
                let wide = usize::from(block != "1");
                let place = at.parse::<usize>().unwrap() - 1 - wide + 3 * (1 + wide);
                format!("features.{block}.conv.{place}.{last}")
            }
            _ => name.clone(),
        };
        older.tensors.insert(renamed, (spelled.shapes[&name].clone(), spelled.values(&name)));
    }
    assert!(older.tensors.contains_key("features.17.conv.7.running_mean"));
    let engine = engines_for_heads()[0];
    let batch = pictures(&imagenet(256, Filter::Bilinear, 224), 1);
    let family = Family::MobileNetV2;
    let runner = build(&older, &[family.classifier()], |names| FusedMobile::new(family, engine, names));
    let most = relative(&run(&runner, &batch, 1)[0], &features(&record)[0]);
    assert!(most < 1e-4, "{most:e}");
}

/// The backbone of the original's checkpoints, and a head over it with its last layer scaled as recorded.
struct Original {
    checkpoint: Formula,
    last: String,
}

impl Original {
    fn new(record: &Value, last: &str) -> Self {
        let bias = record["bias"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let mut checkpoint = Formula::new(&record["tensors"]);
        let gain = record["gain"].as_f64().unwrap() as f32;
        let weight = checkpoint.values(&format!("{last}.weight")).iter().map(|w| w * gain).collect();
        checkpoint.changed.insert(format!("{last}.weight"), weight);
        checkpoint.changed.insert(format!("{last}.bias"), bias);
        Self { checkpoint, last: last.to_owned() }
    }

    fn backbone(&self, engine: Engine) -> Runner {
        let part = self.last.split('.').next().unwrap();
        build(&self.checkpoint, &[part], |names| {
            FusedResNet::new(Depth::Fifty, Naming::Positional, engine, &names.under("backbone"))
        })
    }

    fn head(&self, engine: Engine, config: &HeadConfig) -> FusedHead {
        let ledger = Ledger::new(&self.checkpoint);
        FusedHead::new(config, engine, &ledger.root().under(self.last.split('.').next().unwrap())).unwrap()
    }
}

fn check_ratings(name: &str, output: Output) {
    let record = recorded(name);
    let original = Original::new(&record, "head.3");
    let expected: Vec<f64> = record["scores"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let count = count(1);
    let batch = pictures(&imagenet(256, Filter::Bilinear, 224), count);
    let config =
        HeadConfig { inputs: 2048, hidden: vec![256], outputs: output.width(), bend: Bend::Relu, dropout: 0.2 };
    for engine in engines_for_heads() {
        let features = run(&original.backbone(engine), &batch, count);
        let head = original.head(engine, &config);
        let rating = |features: &Vec<f32>| f64::from(output.rating(&head.apply(features)));
        let most = features.iter().zip(&expected).map(|(f, e)| (rating(f) - e).abs()).fold(0.0, f64::max);
        report(name, engine, "scores, absolute", most);
        assert!(most < 1e-3, "{name} on {}: {most:e}", engine.cpu);
    }
    let spread = expected.iter().fold((f64::MAX, f64::MIN), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
    assert!(spread.1 - spread.0 > 0.5, "scores that hardly differ prove nothing: {spread:?}");
}

#[test]
fn ratings_by_regression_equal_the_originals() {
    check_ratings("ava_regression", Output::Regression);
}

#[test]
fn ratings_by_distribution_equal_the_originals() {
    check_ratings("ava_distribution", Output::Distribution);
}

fn check_preferences(name: &str, hidden: Vec<usize>, bend: Bend) {
    let record = recorded(name);
    let original = Original::new(&record, &format!("mlp.{}", 3 * hidden.len()));
    let count = count(2);
    // The original's FixScaleCrop: short side 224, square cut.
    let batch = pictures(&imagenet(224, Filter::Bilinear, 224), count);
    let config = HeadConfig { inputs: 2048, hidden, outputs: 2, bend, dropout: 0.0 };
    let numbers =
        |key: &str| -> Vec<f64> { record[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect() };
    let (there, back) = (numbers("class_1"), numbers("class_1_swapped"));
    let pair = |i: usize| [0, 1].map(|k| record["pairs"][i][k].as_u64().unwrap() as usize);
    for engine in engines_for_heads() {
        let features = run(&original.backbone(engine), &batch, count);
        let head = original.head(engine, &config);
        let (mut most, mut met) = (0.0f64, 0);
        for i in 0..PICTURES {
            let [a, b] = pair(i);
            if a.max(b) >= count {
                continue;
            }
            // Both ways round in one: half the difference of the log odds.
            let odds = |p: f64| (p / (1.0 - p)).ln();
            let expected = 1.0 / (1.0 + ((odds(there[i]) - odds(back[i])) / 2.0).exp());
            let got = f64::from(first_is_better(&head, Class1::Second, &features[a], &features[b]));
            most = most.max((got - expected).abs());
            met += 1;
        }
        report(name, engine, "probabilities", most);
        assert!(met > 0 && most < 1e-3, "{name} on {}: {most:e} over {met} pairs", engine.cpu);
    }
}

#[test]
fn preferences_of_a_linear_head_equal_the_originals() {
    check_preferences("siamese_linear", vec![], Bend::Relu);
}

#[test]
fn preferences_of_a_deep_head_equal_the_originals() {
    check_preferences("siamese_mlp", vec![128, 64], Bend::Tanh);
}

#[test]
fn flaws_equal_those_of_pytorch() {
    let record = recorded("multihead");
    let mut checkpoint = Formula::new(&record["tensors"]);
    for flaw in DEGRADATIONS {
        let last = format!("head_{flaw}.6");
        let gain = record["gains"][flaw].as_f64().unwrap() as f32;
        let weight = checkpoint.values(&format!("{last}.weight")).iter().map(|w| w * gain).collect();
        checkpoint.changed.insert(format!("{last}.weight"), weight);
        let bias = record["biases"][flaw][0].as_f64().unwrap() as f32;
        checkpoint.changed.insert(format!("{last}.bias"), vec![bias]);
    }
    let expected = features(&record);
    let count = count(2);
    let whole = Preprocess {
        resize: Resize::Square(224),
        crop: None,
        mean: [0.0; 3],
        std: [1.0; 3],
        ..imagenet(224, Filter::Lanczos3, 224)
    };
    let batch = pictures(&whole, count);
    for engine in engines_for_large() {
        let runner = build(&checkpoint, &[], |names| FusedMultiHead::new(engine, names));
        let got = run(&runner, &batch, count);
        let apart =
            |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        let most = got.iter().zip(&expected).map(apart).fold(0.0, f64::max);
        report("multihead", engine, "answers, absolute", most);
        assert!(most < 1e-3, "on {}: {most:e}", engine.cpu);
    }
    let (low, high) = expected.iter().map(|row| row[1]).fold((1.0f32, 0.0f32), |(l, h), v| (l.min(v), h.max(v)));
    assert!(high - low > 0.3, "answers that hardly differ prove nothing: {low} {high}");
}

fn check_dinov2(name: &str, default_count: usize, crop: Option<(usize, usize)>) {
    let record = recorded(name);
    let (checkpoint, expected) = (Formula::new(&record["tensors"]), features(&record));
    let count = count(default_count);
    let mut batch = pictures(&imagenet(256, Filter::Bicubic, 224), count);
    if let Some((height, width)) = crop {
        batch = top_left(&batch, height, width);
    }
    let engines = if checkpoint.shapes.len() > 100 { engines_for_large() } else { engines() };
    for engine in engines {
        let runner = build(&checkpoint, &[], |names| FusedDinov2::new(engine, names));
        let got = run(&runner, &batch, count);
        let distance = got.iter().zip(&expected).map(|(a, b)| cosine_distance(a, b)).fold(0.0, f64::max);
        let most = got.iter().zip(&expected).map(|(a, b)| relative(a, b)).fold(0.0, f64::max);
        report(name, engine, "class token, cosine distance", distance);
        report(name, engine, "class token, relative", most);
        assert!(distance < 1e-6 && most < 1e-4, "{name} on {}: {distance:e} {most:e}", engine.cpu);
    }
}

fn top_left(batch: &Batch, height: usize, width: usize) -> Batch {
    let row = batch.width * Batch::CHANNELS;
    let rows = batch.data.chunks_exact(row).enumerate().filter(|(y, _)| y % batch.height < height);
    let data = rows.flat_map(|(_, row)| &row[..width * Batch::CHANNELS]).copied().collect();
    Batch::new(batch.photos, height, width, data).unwrap()
}

#[test]
fn dinov2_small_equals_the_authors() {
    check_dinov2("dinov2_small", 1, None);
}

#[test]
fn dinov2_base_equals_the_authors() {
    if wide() {
        check_dinov2("dinov2_base", PICTURES, None);
    }
}

#[test]
fn dinov2_with_gated_layers_equals_the_authors() {
    check_dinov2("dinov2_gated", 3, None);
}

#[test]
fn dinov2_with_registers_equals_the_authors() {
    check_dinov2("dinov2_registers", 3, None);
}

#[test]
fn dinov2_takes_pictures_that_are_not_square() {
    check_dinov2("dinov2_oblong", 3, Some((196, 168)));
}

/// The names of the torch hub files, which keep queries, keys and values in one tensor.
#[test]
fn dinov2_reads_both_spellings_of_its_names() {
    let record = recorded("dinov2_gated");
    let spelled = Formula::new(&record["tensors"]);
    let mut hub = InMemory::default();
    for name in spelled.names() {
        let (shape, mut values) = (spelled.shapes[&name].clone(), spelled.values(&name));
        let mut short = name.clone();
        for (long, brief) in [
            ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
            ("embeddings.position_embeddings", "pos_embed"),
            ("embeddings.", ""),
            ("encoder.layer.", "blocks."),
            ("attention.attention.query", "attn.qkv"),
            ("attention.output.dense", "attn.proj"),
            ("layer_scale1.lambda1", "ls1.gamma"),
            ("layer_scale2.lambda1", "ls2.gamma"),
            ("mlp.weights_in", "mlp.w12"),
            ("mlp.weights_out", "mlp.w3"),
            ("layernorm", "norm"),
        ] {
            short = short.replace(long, brief);
        }
        if name.contains(".key.") || name.contains(".value.") {
            continue;
        }
        let mut shape = shape;
        if name.contains(".query.") {
            values.extend(spelled.values(&name.replace(".query.", ".key.")));
            values.extend(spelled.values(&name.replace(".query.", ".value.")));
            shape[0] *= 3;
        }
        hub.tensors.insert(short, (shape, values));
    }
    let engine = engines()[0];
    let batch = pictures(&imagenet(256, Filter::Bicubic, 224), 1);
    let [long, short] = [&spelled as &dyn Checkpoint, &hub]
        .map(|checkpoint| build(checkpoint, &[], |names| FusedDinov2::new(engine, names)).run(&batch).unwrap());
    assert_eq!(long, short);
}

#[test]
fn vgg16_equals_torchvisions() {
    if !wide() {
        return;
    }
    let record = recorded("vgg16");
    let (checkpoint, expected) = (Formula::new(&record["tensors"]), features(&record));
    let batch = pictures(&imagenet(224, Filter::Bilinear, 224), 2);
    for engine in engines() {
        let runner = build(&checkpoint, &[], |names| FusedVgg16::new(engine, &names.under("backbone")));
        let got = run(&runner, &batch, 2);
        let most = got.iter().zip(&expected).map(|(a, b)| relative(a, b)).fold(0.0, f64::max);
        report("vgg16", engine, "features, relative", most);
        assert!(most < 1e-4, "vgg16 on {}: {most:e}", engine.cpu);
    }
}

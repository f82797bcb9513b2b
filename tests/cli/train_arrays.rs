//! `train quality` from arrays, and what the commands around NumPy call its arguments.

use std::collections::HashMap;
use std::fs;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::world::World;

fn save(world: &World, name: &str, kind: &str, shape: &[usize], data: &[u8]) {
    fs::write(world.path(name), [base::npy::header(kind, shape), data.to_vec()].concat()).unwrap();
}

/// Ten pictures of 40x36, in both orders, one label and four for each.
fn arrays(world: &World) {
    let (count, height, width) = (10, 36, 40);
    let value = |n: usize, y: usize, x: usize, c: usize| ((x * (n + 1) + y * 3 + c * 40) % 256) as u8;
    let mut last = Vec::new();
    let mut first = Vec::new();
    for n in 0..count {
        for y in 0..height {
            for x in 0..width {
                last.extend((0..3).map(|c| value(n, y, x, c)));
            }
        }
        for c in 0..3 {
            for y in 0..height {
                first.extend((0..width).flat_map(|x| (f32::from(value(n, y, x, c)) / 255.0).to_le_bytes()));
            }
        }
    }
    save(world, "images.npy", "|u1", &[count, height, width, 3], &last);
    save(world, "images_chw.npy", "<f4", &[count, 3, height, width], &first);
    let labels = |each: usize| (0..count * each).flat_map(|n| (n as f32 / 64.0).to_le_bytes()).collect::<Vec<u8>>();
    save(world, "one.npy", "<f4", &[count], &labels(1));
    save(world, "four.npy", "<f4", &[count, 4], &labels(4));
}

fn recipe(world: &World, backbone: &str) {
    let text = format!(
        "name: small\nbackbone: {backbone}\nresize: 32\ncrop: 32\n\
         augment: {{ random_crop: false, flip: 0, brightness: 0, contrast: 0, saturation: 0 }}\n\
         learning_rate: 0.001\nhead_factor: 1\nweight_decay: 0\nbatch: 4\nepochs: 1\npatience: 9\nseed: 1\nheld_out: 0.3\n"
    );
    fs::write(world.path(format!("{backbone}.yaml")), text).unwrap();
}

fn tensors(world: &World, run: &str) -> HashMap<String, Vec<usize>> {
    let file = fs::read(world.path(format!("{run}/best.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    tensors.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect()
}

#[test]
fn one_label_a_photo_teaches_the_single_head_network_and_four_the_heads() {
    let world = World::new();
    arrays(&world);
    world.photo("a.png", 3);
    recipe(&world, "single-head");
    recipe(&world, "multi-head");
    let train = |images: &str, labels: &str, run: &str, backbone: &str| {
        let recipe = format!("{backbone}.yaml");
        let args = ["train", "quality", "--images", images, "--labels", labels, "--run", run, "--recipe", &recipe];
        world.run(args).expect(0).lines().remove(0)
    };
    let line = train("images.npy", "one.npy", "single", "single-head");
    assert!(line["metrics"]["mae"].as_f64().unwrap() < 1.0, "{line}");
    let written = tensors(&world, "single");
    let mut names: Vec<&str> = written.keys().map(String::as_str).collect();
    names.sort_unstable();
    let layers = ["conv1", "conv2", "conv3", "fc"];
    let expected: Vec<String> = layers.iter().flat_map(|l| [format!("{l}.bias"), format!("{l}.weight")]).collect();
    assert_eq!(names, expected);
    assert_eq!(written["conv3.weight"], [128, 64, 3, 3]);
    // The same pictures in the other order, as fractions, are the same pictures.
    train("images_chw.npy", "one.npy", "other", "single-head");
    assert!(
        fs::read(world.path("single/best.safetensors")).unwrap()
            == fs::read(world.path("other/best.safetensors")).unwrap()
    );
    let score = |run: &str| {
        let model = format!("{run}/best.safetensors");
        world.run(["score", "--degradations", "--model", &model, "photos"]).expect(0).lines().remove(0)
    };
    let scored = score("single");
    assert!((0.0..=1.0).contains(&scored["overall_quality"].as_f64().unwrap()), "{scored}");
    assert_eq!((&scored["degradation_model"], scored.get("degradations")), (&"best@file".into(), None));
    train("images.npy", "four.npy", "multi", "multi-head");
    assert!(score("multi")["degradations"]["watermark"].is_f64());
    // One number cannot teach four heads.
    let args = [
        "train",
        "quality",
        "--images",
        "images.npy",
        "--labels",
        "one.npy",
        "--run",
        "x",
        "--recipe",
        "multi-head.yaml",
    ];
    assert!(world.run(args).expect(2).stderr.contains("four labels per photo"));
    // Without a recipe the labels choose the network.
    let args =
        ["train", "quality", "--images", "images.npy", "--labels", "one.npy", "--run", "built-in", "--epochs", "1"];
    assert_eq!(world.run(args).expect(0).lines()[0]["model"], "single-head-quality");
}

#[test]
fn the_originals_single_head_checkpoint_judges() {
    let world = World::new();
    world.photo("a.png", 3);
    let layers = [
        ("conv1", vec![32, 3, 3, 3]),
        ("conv2", vec![64, 32, 3, 3]),
        ("conv3", vec![128, 64, 3, 3]),
        ("fc", vec![1, 128]),
    ];
    let mut all = Vec::new();
    for (at, (name, shape)) in layers.into_iter().enumerate() {
        let count: usize = shape.iter().product();
        let weights: Vec<u8> =
            (0..count).flat_map(|i| (((i * 37 + at) % 19) as f32 / 190.0 - 0.04).to_le_bytes()).collect();
        let bias: Vec<u8> = (0..shape[0]).flat_map(|_| 0.01f32.to_le_bytes()).collect();
        all.push((format!("{name}.weight"), shape.clone(), weights));
        all.push((format!("{name}.bias"), vec![shape[0]], bias));
    }
    let views =
        all.iter().map(|(name, shape, data)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(views, None, &world.path("quality_model.safetensors")).unwrap();
    let score = |more: &[(&str, &str)]| -> Value {
        let mut command =
            world.command(["score", "--no-cache", "--degradations", "--model", "quality_model.safetensors", "photos"]);
        let seen: crate::world::Seen = command.envs(more.iter().copied()).output().unwrap().into();
        seen.expect(0).lines()[0]["overall_quality"].clone()
    };
    let ours = score(&[]).as_f64().unwrap();
    let candles = score(&[("ALBUMCTL_CPU", "candle")]).as_f64().unwrap();
    assert!(ours > 0.0 && ours < 1.0 && (ours - candles).abs() < 1e-5, "{ours} {candles}");
}

#[test]
fn every_training_takes_batch_size_epochs_rate_and_device() {
    let world = World::new();
    arrays(&world);
    recipe(&world, "single-head");
    let fixed = [
        "train",
        "quality",
        "--train_images",
        "images.npy",
        "--train_labels",
        "one.npy",
        "--recipe",
        "single-head.yaml",
    ];
    let told = ["--run", "run", "--epochs", "2", "--batch_size", "2", "--lr", "0.01", "--device", "cpu"];
    let lines = world.run(fixed.iter().chain(&told)).expect(0).lines();
    // Seven photos to learn from: three steps of two.
    assert_eq!((lines.len(), &lines[1]["steps"]), (2, &6.into()));
    assert!((lines[0]["learning_rate"].as_f64().unwrap() - 0.01).abs() < 1e-6, "{}", lines[0]);
    for kind in ["mini", "aesthetics", "siamese", "quality", "classifier"] {
        let help = world.run(["train", kind, "--help"]).expect(0).text();
        for flag in ["--batch-size", "--epochs", "--lr", "--device"] {
            assert!(help.contains(flag), "{kind} {flag}");
        }
    }
    let refused = world.run(fixed.iter().chain(&["--run", "other", "--batch-size", "1"])).expect(2);
    assert!(refused.stderr.contains("`batch` is 2 or more"), "{}", refused.stderr);
}

#[test]
fn arrays_that_do_not_fit_say_why() {
    let world = World::new();
    arrays(&world);
    let told = |images: &str, labels: &str, code: i32| {
        world.run(["train", "quality", "--images", images, "--labels", labels, "--run", "run"]).expect(code).stderr
    };
    save(&world, "nine.npy", "<f4", &[9], &[0; 36]);
    assert!(told("images.npy", "nine.npy", 2).contains("nine.npy: labels: an array of shape [9]; 10, or 10 by 4"));
    save(&world, "far.npy", "<f4", &[10], &[2f32; 10].map(f32::to_le_bytes).concat());
    assert!(told("images.npy", "far.npy", 2).contains("row 0: 2 does not lie from 0 to 1"));
    assert!(told("one.npy", "one.npy", 1).contains("one.npy: an array of shape [10]; pictures are N×H×W×3 or N×3×H×W"));
}

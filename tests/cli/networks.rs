//! `albumctl embed`, `aesthetics`, `compare`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::formula::Formula;
use crate::world::{Seen, World, png};

/// Writes a small DINOv2 that is never trained and returns the flag that chooses it.
fn tiny_model(world: &World) -> String {
    recorded_model(world, "dinov2_gated", "tiny")
}

/// The same of a network whose tensors `tests/parity` records.
fn recorded_model(world: &World, record: &str, name: &str) -> String {
    let file = world.path(format!("{name}.safetensors"));
    fs::write(&file, Formula::recorded(record).safetensors(None)).unwrap();
    format!("--model={}", file.display())
}

fn vector(line: &Value) -> Vec<f64> {
    line["embedding"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn vectors_are_lines_with_model_and_dimension() {
    let world = World::new();
    world.many_photos(3);
    let model = tiny_model(&world);
    let lines = world.run(["embed", "photos", &model]).expect(0).lines();
    assert_eq!(lines.len(), 3);
    for line in &lines {
        let keys: Vec<_> = line.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["image_path", "image_path_b64", "model", "dim", "embedding"]);
        assert_eq!((&line["model"], &line["dim"]), (&"tiny@file".into(), &128.into()));
        let length: f64 = vector(line).iter().map(|v| v * v).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    assert_ne!(vector(&lines[0]), vector(&lines[1]));
}

#[test]
fn files_of_efficientnet_lite_and_mobilenet_embed() {
    let world = World::new();
    world.many_photos(2);
    for (record, name) in [("efficientnet_lite0", "lite"), ("mobilenet_v2", "mobile")] {
        let model = recorded_model(&world, record, name);
        let lines = world.run(["embed", "photos", &model]).expect(0).lines();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["model"], &lines[0]["dim"]), (&format!("{name}@file").into(), &1280.into()));
        assert_ne!(vector(&lines[0]), vector(&lines[1]));
    }
}

#[test]
fn vectors_are_the_same_bytes_for_any_threads_cold_or_warm() {
    let world = World::new();
    world.many_photos(5);
    let model = tiny_model(&world);
    let reference = world.run(["embed", "--no-cache", "--threads", "1", "photos", &model]).expect(0).stdout;
    for threads in ["1", "2", "5"] {
        assert!(
            world.run(["embed", "--no-cache", "--threads", threads, "photos", &model]).expect(0).stdout == reference
        );
        assert!(world.run(["embed", "--threads", threads, "photos", &model]).expect(0).stdout == reference);
    }
    let warm = world.run(["embed", "-v", "photos", &model]).expect(0);
    assert!(
        !warm.stderr.contains("Loaded feature extractor tiny"),
        "all is in the store, no network is needed: {}",
        warm.stderr
    );
    let cold = world.run(["embed", "-v", "--no-cache", "photos", &model]).expect(0);
    assert_eq!(cold.stderr.matches("Loaded feature extractor tiny (").count(), 1, "{}", cold.stderr);
}

#[test]
fn every_path_of_the_processor_gives_the_same_vectors() {
    let world = World::new();
    world.photo("a.png", 1);
    let model = tiny_model(&world);
    let run = |cpu: &str| {
        let output =
            world.command(["embed", "--no-cache", "photos", &model]).env("ALBUMCTL_CPU", cpu).output().unwrap();
        Seen::from(output)
    };
    let plain = vector(&run("plain").expect(0).lines()[0]);
    for cpu in kernels::Cpu::available() {
        let other = vector(&run(cpu.name()).expect(0).lines()[0]);
        let distance = 1.0 - plain.iter().zip(&other).map(|(a, b)| a * b).sum::<f64>();
        assert!(distance.abs() < 1e-6, "{cpu}: {distance}");
    }
    assert!(run("sse9").expect(2).stderr.contains("ALBUMCTL_CPU=sse9: no such path"));
}

#[test]
fn candles_own_operations_give_the_same_numbers_where_they_are_asked_for() {
    let world = World::new();
    world.many_photos(2);
    let run = |args: &[&str], cpu: &str| {
        let output = world.command(args).args(["-v", "photos"]).env("ALBUMCTL_CPU", cpu).output().unwrap();
        Seen::from(output).expect(0)
    };
    let models = ["dinov2_gated", "efficientnet_lite0", "mobilenet_v2"].map(|name| recorded_model(&world, name, name));
    for model in models.iter().map(String::as_str).chain(["--model=album-mini"]) {
        let ours = run(&["embed", model], "");
        // Asked without --no-cache: what the kernels found does not pass for candle's.
        let candles = run(&["embed", model], "candle");
        assert!(candles.stderr.contains(" by candle ("), "{model}: {}", candles.stderr);
        assert!(!ours.stderr.contains("by candle"), "{model}: {}", ours.stderr);
        for (ours, candles) in ours.lines().iter().zip(candles.lines()) {
            let distance = 1.0 - vector(ours).iter().zip(vector(&candles)).map(|(a, b)| a * b).sum::<f64>();
            assert!(distance.abs() < 1e-6, "{model}: {distance}");
        }
    }
    let rating = |cpu| run(&["aesthetics", "--model=album-mini"], cpu).lines()[0]["aesthetic_score"].as_f64().unwrap();
    assert!((rating("plain") - rating("candle")).abs() < 1e-3);
}

#[test]
fn a_file_of_numbers_replaces_lines() {
    let world = World::new();
    world.many_photos(2);
    let model = tiny_model(&world);
    assert!(world.run(["embed", "photos", &model, "-o", "out.npy"]).expect(0).stdout.is_empty());
    let npy = fs::read(world.path("out.npy")).unwrap();
    assert!(npy.starts_with(b"\x93NUMPY\x01\x00"));
    assert!(String::from_utf8_lossy(&npy[..128]).contains("'shape': (2, 128)"));
    let lines = world.run(["embed", "photos", &model]).expect(0).lines();
    let last = f32::from_le_bytes(npy[npy.len() - 4..].try_into().unwrap());
    assert!((f64::from(last) - vector(&lines[1])[127]).abs() < 1e-7);

    world.run(["embed", "photos", &model, "-o", "out.parquet"]).expect(0);
    let parquet = fs::read(world.path("out.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

#[test]
fn the_built_in_model_rates_where_that_of_ava_is_missing_and_says_how_to_get_it() {
    let world = World::new();
    world.photo("a.png", 1);
    let seen = world.run(["aesthetics", "photos"]).expect(0);
    // Nobody can pull it, so that only those who ask for details are told; the line says which model rated.
    assert!(!seen.stderr.contains("ava-resnet50"), "{}", seen.stderr);
    let seen = world.run(["aesthetics", "photos", "-v"]).expect(0);
    for part in ["ava-resnet50", "ava_resnet50.pt", "96454336 bytes", "albumctl models import FILE", "album-mini rates"]
    {
        assert!(seen.stderr.contains(part), "{}", seen.stderr);
    }
    let line = &seen.lines()[0];
    assert_eq!((&line["aesthetic_model"], &line["ava_score"]), (&"album-mini@5".into(), &Value::Null));
    assert!((1.0..=10.0).contains(&line["aesthetic_score"].as_f64().unwrap()), "{line}");
    world.run(["aesthetics", "--strict", "photos"]).expect(1);
    // Asked for by name it is no fallback, and nothing is said.
    let named = world.run(["aesthetics", "--strict", "--model", "album-mini", "photos"]).expect(0);
    assert_eq!((named.stdout, named.stderr.contains("ava")), (seen.stdout, false));
    let missing = world.run(["aesthetics", "--model", "ava-resnet50", "photos"]).expect(1);
    assert!(missing.stderr.contains("albumctl models import FILE"), "{}", missing.stderr);
    let seen = world.run(["embed", "--set", "album.clustering.feature_checkpoint=none.pth", "photos"]).expect(1);
    assert!(seen.stderr.contains("none.pth"), "{}", seen.stderr);
    assert!(world.run(["embed", "--model", "dinov9", "photos"]).expect(2).stderr.contains("dinov2-b"));
    let line = world.run(["embed", "photos"]).expect(0).lines().remove(0);
    assert_eq!((&line["model"], &line["dim"]), (&"album-mini@5".into(), &512.into()));
}

#[test]
fn the_built_in_model_compares_where_that_for_pairs_is_missing_and_says_so() {
    let world = World::new();
    fs::write(world.photos().join("flat.png"), png(64, 64, 0)).unwrap();
    world.photo("busy.png", 7);
    let run = |first: &str, second: &str| {
        world.run(["compare", "-v", &format!("photos/{first}"), &format!("photos/{second}")]).expect(0)
    };
    let (there, back) = (run("flat.png", "busy.png"), run("busy.png", "flat.png"));
    assert!(
        there.stderr.contains("siamese-resnet50") && there.stderr.contains("album-mini compares"),
        "{}",
        there.stderr
    );
    let (there, back) = (there.lines().remove(0), back.lines().remove(0));
    assert_eq!((&there["method"], &there["model"]), (&"album-mini".into(), &"album-mini@5".into()));
    let score = |at: usize| there["scores"][at].as_f64().unwrap();
    assert_eq!(score(0) > score(1), there["winner"] == 1, "{there}");
    assert_eq!(there["confidence"], back["confidence"]);
    assert_eq!(there["winner"].as_u64().unwrap() + back["winner"].as_u64().unwrap(), 3);
    let itself = run("busy.png", "busy.png").lines().remove(0);
    assert_eq!(itself["confidence"], 0.5);
    world.run(["compare", "photos/busy.png"]).expect(2);
    world.run(["compare", "--strict", "photos"]).expect(1);
}

#[test]
fn what_compares_can_be_chosen() {
    let world = World::new();
    world.many_photos(3);
    let run = |comparer: &str, photos: &[&str]| world.run(["compare", "--comparer", comparer].iter().chain(photos));
    let pair = ["photos/0000.png", "photos/0001.png"];
    let line = run("composite", &pair).expect(0).lines().remove(0);
    assert_eq!((&line["method"], &line["model"]), (&"composite".into(), &Value::Null));
    let album = world.run(["analyze", "photos"]).expect(0).lines();
    assert_eq!(line["scores"], serde_json::json!([album[0]["composite_score"], album[1]["composite_score"]]));
    let score = |at: usize| line["scores"][at].as_f64().unwrap();
    assert_eq!(score(0) >= score(1), line["winner"] == 1);
    let share = (score(0) - score(1)).abs() / score(0).max(score(1));
    assert!((line["confidence"].as_f64().unwrap() - 0.5 - share / 2.0).abs() < 1e-9, "{line}");
    let ranked = run("composite", &["photos"]).expect(0).lines();
    assert!(ranked.iter().all(|line| line["method"] == "composite"));
    // One alone is no choice to fall back from.
    assert!(run("siamese", &pair).expect(1).stderr.contains("albumctl models import"));
    let built_in = run("album-mini", &pair).expect(0);
    assert!(!built_in.stderr.contains("siamese"), "{}", built_in.stderr);
    assert_eq!(built_in.lines()[0]["method"], "album-mini");
}

#[test]
fn a_file_that_is_configured_is_opened_before_any_photo() {
    let world = World::new();
    world.many_photos(2);
    for key in ["siamese_checkpoint", "ava_checkpoint"] {
        for command in ["select", "analyze"] {
            let set = format!("quality_assessment.{key}=none.pt");
            let seen = world.run([command, "photos", "--per-cluster", "9", "--set", &set]).expect(1);
            assert_eq!(seen.stderr.matches("none.pt").count(), 1, "{}", seen.stderr);
            assert!(seen.stdout.is_empty());
        }
    }
}

#[test]
fn settings_of_another_machine_may_ask_for_a_card() {
    let world = World::new();
    world.photo("a.png", 1);
    fs::write(world.path("there.yaml"), "device: cuda\n").unwrap();
    let run = |more: &[&str]| world.run(["aesthetics", "photos"].iter().chain(more));
    let plain = run(&[]).expect(0).stdout;
    if run(&["--device", "cuda"]).code == Some(0) {
        return crate::world::skipped("there is a card");
    }
    run(&["--device", "cuda"]).expect(2);
    let seen = run(&["--config", "there.yaml"]).expect(0);
    assert_eq!(seen.stdout, plain);
    assert_eq!(seen.stderr.matches("run on the CPU instead").count(), 1, "{}", seen.stderr);
    run(&["--config", "there.yaml", "--strict", "--model", "album-mini"]).expect(2);
}

#[test]
fn the_built_in_models_answers_depend_on_nothing_but_the_photo() {
    let world = World::new();
    world.many_photos(5);
    for command in ["aesthetics", "embed", "compare"] {
        let one = world.run([command, "--no-cache", "--threads", "1", "photos"]).expect(0).stdout;
        for threads in ["2", "5"] {
            assert!(world.run([command, "--no-cache", "--threads", threads, "photos"]).expect(0).stdout == one);
        }
        assert!(world.run([command, "photos"]).expect(0).stdout == one);
        assert!(world.run([command, "photos"]).expect(0).stdout == one, "warm");
    }
}

#[test]
fn more_than_two_photos_are_ranked() {
    let world = World::new();
    world.many_photos(4);
    let lines = world.run(["compare", "photos"]).expect(0).lines();
    let ranks: Vec<_> = lines.iter().map(|line| line["rank"].as_u64().unwrap()).collect();
    assert_eq!(ranks, [1, 2, 3, 4]);
    let wins: Vec<_> = lines.iter().map(|line| line["wins"].as_u64().unwrap()).collect();
    assert!(wins.is_sorted_by(|a, b| a >= b), "{wins:?}");
    let total: f64 = lines.iter().map(|line| line["confidence"].as_f64().unwrap()).sum();
    assert!((total - 2.0).abs() < 1e-9, "every meeting shares out one: {total}");
}

#[test]
fn what_is_built_in_runs_where_no_folder_for_models_is_known() {
    let world = World::new();
    world.many_photos(4);
    let homeless = |args: &[&str]| {
        let mut command = world.command(args);
        // Without HOME the system is asked; a folder that is no place is none.
        Seen::from(command.env("HOME", "nowhere").output().unwrap())
    };
    let rated = homeless(&["aesthetics", "photos"]).expect(0);
    assert_eq!(rated.lines().len(), 4);
    assert!(rated.stderr.contains("--models-dir") && rated.stderr.contains("album-mini rates"), "{}", rated.stderr);
    let picked = homeless(&["select", "photos", "--top", "2"]).expect(0).lines();
    assert!(picked.iter().all(|line| line["aesthetic_score"].is_f64()), "{picked:?}");
    let named = homeless(&["aesthetics", "--model", "ava-resnet50", "photos"]).expect(2);
    assert!(named.stderr.contains("--models-dir"), "{}", named.stderr);
}

#[test]
fn the_built_in_model_tells_photographs_from_screens_papers_and_memes() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.join("text").is_dir() || !data.join("biq2021").is_dir() {
        return crate::world::skipped("no ../shared/data");
    }
    let world = World::new();
    let kinds = |folder: &Path| world.run(["classify", folder.to_str().unwrap()]).expect(0).lines();
    let shown = kinds(&data.join("text"));
    assert_eq!(shown.len(), 10);
    for line in &shown {
        assert_ne!(line["label"], "photograph", "{line}");
        let shares: f64 = line["classes"].as_object().unwrap().values().map(|share| share.as_f64().unwrap()).sum();
        assert!((shares - 1.0).abs() < 1e-5, "{line}");
    }
    let photos = world.path("real");
    fs::create_dir_all(&photos).unwrap();
    for n in 1..=200 {
        let name = format!("ss03_{n:04}.jpg");
        if data.join("biq2021/train").join(&name).is_file() {
            fs::copy(data.join("biq2021/train").join(&name), photos.join(name)).unwrap();
        }
    }
    let real = kinds(&photos);
    let strange = real.iter().filter(|line| line["label"] != "photograph").count();
    assert!(real.len() > 100 && strange * 100 <= 2 * real.len(), "{strange} of {}", real.len());
}

fn scores(labels: &Value) -> Vec<f64> {
    labels.as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).collect()
}

#[test]
fn published_networks_name_the_likeliest_of_imagenets_classes() {
    let world = World::new();
    world.many_photos(3);
    let model = recorded_model(&world, "efficientnet_lite0", "lite");
    let lines = world.run(["classify", &model, "photos"]).expect(0).lines();
    assert_eq!(lines.len(), 3);
    let known = include_str!("../../models/imagenet-1k.txt");
    for line in &lines {
        let (labels, scores) = (line["labels"].as_array().unwrap(), scores(&line["labels"]));
        assert!(scores.len() == 5 && scores.is_sorted_by(|a, b| a >= b), "{line}");
        assert!(labels.iter().all(|one| known.lines().any(|name| name == one["label"])), "{line}");
        assert_eq!((&line["label"], &line["confidence"]), (&labels[0]["label"], &labels[0]["score"]));
        assert!(
            line["classes"].as_object().unwrap().is_empty() && line["classification_model"] == "lite@file",
            "{line}"
        );
    }
    // The second time from the store, and as many as are asked for.
    let two = world.run(["classify", &model, "--top", "2", "photos"]).expect(0).lines();
    for (line, before) in two.iter().zip(&lines) {
        assert_eq!(line["labels"].as_array().unwrap()[..], before["labels"].as_array().unwrap()[..2]);
    }
    assert_eq!(scores(&world.run(["classify", "-n", "2000", &model, "photos"]).lines()[0]["labels"]).len(), 1000);
    world.run(["classify", "--top", "0", "photos"]).expect(2);
    let all_kinds = world.run(["classify", "photos"]).expect(0);
    assert!(all_kinds.lines()[0]["classes"].is_object() && all_kinds.lines()[0]["labels"].is_array());
    assert!(all_kinds.stderr.contains("models pull classes"), "{}", all_kinds.stderr);
    let analysed = world.run(["analyze", "photos"]).expect(0).lines();
    assert!(analysed.iter().all(|line| line["labels"].is_null()), "{analysed:?}");
}

#[test]
fn a_network_without_the_layer_of_classes_says_so() {
    let world = World::new();
    world.many_photos(1);
    let model = recorded_model(&world, "resnet18", "net");
    let seen = world.run(["classify", &model, "photos"]).expect(1);
    assert!(seen.stderr.contains("no layer that tells 1000 classes"), "{}", seen.stderr);
}

/// Photos whose names say what is on them.
#[test]
fn efficientnet_lite0_knows_what_is_on_photos() {
    let Some(album) = crate::world::shared_data("iqa_golden") else { return };
    let weights =
        std::env::var_os("ALBUMCTL_WEIGHTS").map(|folder| Path::new(&folder).join("efficientnet-lite0-57934424.pth"));
    let Some(weights) = weights.filter(|file| file.exists()) else {
        return crate::world::skipped("ALBUMCTL_WEIGHTS names no folder with the published weights");
    };
    let world = World::new();
    world.run(["models", "import", weights.to_str().unwrap()]).expect(0);
    let album = album.to_str().unwrap();
    let lines = world.run(["classify", album]).expect(0).lines();
    let (mut first, mut among) = (0, 0);
    for line in &lines {
        let name = Path::new(line["image_path"].as_str().unwrap()).file_stem().unwrap().to_str().unwrap();
        let named = name.split_once('_').unwrap().1.replace('_', " ");
        first += usize::from(line["label"] == named.as_str());
        among += usize::from(line["labels"].as_array().unwrap().iter().any(|label| label["label"] == named.as_str()));
    }
    crate::world::report(&format!("of {} photos {first} first, {among} among five", lines.len()));
    assert!(first * 4 >= lines.len() * 3 && among * 10 >= lines.len() * 9, "{first} and {among} of {}", lines.len());
    let analysed = world.run(["analyze", album]).expect(0).lines();
    assert!(analysed.iter().zip(&lines).all(|(all, line)| all["labels"] == line["labels"]));
}

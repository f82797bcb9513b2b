//! `albumctl train` and `albumctl eval`.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::World;

/// Photos that stand alone and a series, with labels, and a recipe that takes seconds.
fn school(world: &World) {
    let mut labels = String::from("file,mos,group\n");
    for n in 0..18 {
        let (name, group) = if n < 10 { (format!("photo_{n}.png"), "") } else { (format!("take_{n}.png"), "scene") };
        world.photo(&name, n);
        labels += &format!("{name},{:.2},{group}\n", 0.2 + 0.04 * f64::from(n));
    }
    fs::write(world.path("labels.csv"), labels).unwrap();
    let recipe = "name: tiny\nversion: '0'\n\
        data: { labels: labels.csv, photos: photos, bursts: { labels: takes.csv, photos: photos }, series: take_ }\n\
        folds: 3\nheld_out: 0\nseed: 1\nepochs: 2\ndecay_epochs: 0\npatience: 9\nlearning_rate: 0.001\nweight_decay: 0.01\n\
        warmup_steps: 2\nmean_keep: 0.9\nlongest_gradient: 4.0\ndropout: [0.1, 0.1]\ncrop: 64\nlooks: 2\ndrawn: 3\n\
        batch: { singles: 2, runs: 1, run: 2, variants: 2, drawn: 2 }\n\
        losses: { opinion: 1, correlation: 1, order: 1, preference: 1, degraded_order: 1, degradation: 1, kind: 1 }\n\
        checkpoint_steps: 1\n\
        referee: { steps: 3, learning_rate: 0.01, weight_decay: 0, dropout: [0, 0.1], singles: 2, copies: 4, framed: 2, \
        losses: { takes: 1, series: 1, degraded_takes: 1, degraded: 1, tilted: 1, off_centre: 1 } }\n";
    fs::write(world.path("recipe.yaml"), recipe).unwrap();
    let takes: Vec<String> =
        (10..18).map(|n| format!("take_{n}.png,{:.2},s{}", 0.2 + 0.04 * f64::from(n), n / 3)).collect();
    fs::write(world.path("takes.csv"), format!("file,mos,group\n{}\n", takes.join("\n"))).unwrap();
}

fn train(run: &str, more: &[&str]) -> Vec<String> {
    let fixed = ["train", "mini", "--data", ".", "--recipe", "recipe.yaml", "--run", run];
    fixed.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
}

#[test]
fn a_run_leaves_a_model_that_rates_and_its_course() {
    let world = World::new();
    school(&world);
    let lines = world.run(train("run", &[])).expect(0).lines();
    assert_eq!(lines.len(), 2);
    for (at, line) in lines.iter().enumerate() {
        assert_eq!((&line["model"], &line["epoch"]), (&"tiny".into(), &(at + 1).into()));
        let srcc = line["metrics"]["srcc"].as_f64().unwrap();
        assert!(line["train_loss"].as_f64().unwrap() > 0.0 && (-1.0..=1.0).contains(&srcc), "{line}");
    }
    let metrics = fs::read_to_string(world.path("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 2);
    assert!(fs::read_to_string(world.path("run/curve.svg")).unwrap().contains("<polyline"));
    let rated = world.run(["aesthetics", "--model", "run/best.safetensors", "photos"]).expect(0).lines();
    assert_eq!((rated.len(), &rated[0]["aesthetic_model"]), (18, &"best@file".into()));
    // A finished run has nothing left to do.
    assert!(world.run(train("run", &[])).expect(0).lines().is_empty());
}

#[test]
fn where_nothing_is_held_out_nothing_is_chosen() {
    let world = World::new();
    school(&world);
    let recipe = fs::read_to_string(world.path("recipe.yaml")).unwrap();
    fs::write(world.path("recipe.yaml"), recipe.replace("held_out: 0\n", "").replace("patience: 9\n", "")).unwrap();
    for epoch in world.run(train("run", &[])).expect(0).lines() {
        assert_eq!((&epoch["best"], epoch["metrics"].as_object().unwrap().len()), (&false.into(), 0), "{epoch}");
    }
    // The end of the course is what is kept: going on makes another model.
    let kept = fs::read(world.path("run/best.safetensors")).unwrap();
    assert_eq!(world.run(train("run", &["--epochs", "3"])).expect(0).lines().len(), 1);
    assert!(kept != fs::read(world.path("run/best.safetensors")).unwrap());
    let judged = world.run(train("fold", &["--held-out", "1"])).expect(0).lines();
    assert!(judged[1]["metrics"]["srcc"].is_f64());
    let refused = world.run(train("fold", &["--held-out", "3"])).expect(2);
    assert!(refused.stderr.contains("counted from 0"), "{}", refused.stderr);
    fs::write(world.path("recipe.yaml"), recipe.replace("held_out: 0\n", "")).unwrap();
    let refused = world.run(train("other", &[])).expect(2);
    assert!(refused.stderr.contains("`patience`"), "{}", refused.stderr);
}

#[test]
fn a_run_that_is_killed_ends_with_the_same_model() {
    let world = World::new();
    school(&world);
    let recipe = fs::read_to_string(world.path("recipe.yaml")).unwrap();
    let trunk = "trunk: { epochs: 2, learning_rate: 0.001, head_factor: 2, frozen_blocks: 12, stay: 0.1, \
        batch: { singles: 2, runs: 1, run: 2, variants: 1, drawn: 1 } }\n";
    fs::write(world.path("recipe.yaml"), format!("{recipe}{trunk}")).unwrap();
    // Files that no run made are not replaced.
    fs::create_dir_all(world.path("cut/start")).unwrap();
    for name in ["trunk.safetensors", "trained-looks.safetensors", "start/network.safetensors"] {
        let theirs = world.path(format!("cut/{name}"));
        fs::write(&theirs, "theirs").unwrap();
        let refused = world.run(train("cut", &[])).expect(2);
        assert!(refused.stderr.contains(name), "{}", refused.stderr);
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        fs::remove_file(theirs).unwrap();
    }
    assert_eq!(world.run(train("whole", &[])).expect(0).lines().len(), 2);
    let file = |name: &str| fs::read(world.path(name)).unwrap();
    assert!(file("whole/looks.safetensors") != file("whole/trained-looks.safetensors"), "the trunk has changed");
    // Killed while the trunk is trained and while the heads are, after some checkpoint, wherever that is.
    for checkpoint in ["cut/trunk.safetensors", "cut/checkpoint.safetensors"] {
        let mut command: Command = world.command(train("cut", &[]));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while !world.path(checkpoint).is_file() && started.elapsed() < Duration::from_secs(300) {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(world.path(checkpoint).is_file(), "{checkpoint}");
        assert!(!world.path("cut/best.safetensors").exists(), "it was killed before the end");
    }
    world.run(train("cut", &[])).expect(0);
    assert!(file("whole/best.safetensors") == file("cut/best.safetensors"));
    assert_eq!(world.run(["aesthetics", "--model", "whole/best.safetensors", "photos"]).expect(0).lines().len(), 18);
    // Another recipe would make a mixture of two.
    fs::write(world.path("recipe.yaml"), format!("{recipe}{trunk}").replace("seed: 1", "seed: 2")).unwrap();
    let refused = world.run(train("cut", &["--epochs", "3"])).expect(2);
    assert!(refused.stderr.contains("another recipe"), "{}", refused.stderr);
}

#[test]
fn what_is_wrong_with_the_data_is_said_before_anything_is_trained() {
    let world = World::new();
    school(&world);
    let labels = fs::read_to_string(world.path("labels.csv")).unwrap();
    for (from, to, said) in [
        ("photo_1.png,0.24", "photo_1.png,often", "line 3: `often` is no number"),
        ("photo_1.png,0.24", "photo_1.png,NaN", "line 3: a score must be finite"),
        ("photo_1.png,", "photo_0.png,", "line 3: photo_0.png has a label already"),
        ("file,mos", "file,opinion", "no column `score` or `mos`"),
    ] {
        fs::write(world.path("labels.csv"), labels.replace(from, to)).unwrap();
        let refused = world.run(train("run", &[])).expect(2);
        assert!(refused.stderr.contains("labels.csv") && refused.stderr.contains(said), "{}", refused.stderr);
    }
    fs::write(world.path("labels.csv"), &labels).unwrap();
    fs::remove_file(world.path("photos/photo_4.png")).unwrap();
    fs::write(world.path("photos/photo_7.png"), b"broken").unwrap();
    let refused = world.run(train("run", &[])).expect(1);
    assert!(refused.stderr.contains("photo_4.png") && refused.stderr.contains("1 more of 18"), "{}", refused.stderr);
    assert!(!world.path("run/best.safetensors").exists());
    fs::write(world.path("recipe.yaml"), "name: tiny\nepoch: 3\n").unwrap();
    let refused = world.run(train("run", &[])).expect(2);
    assert!(refused.stderr.contains("recipe.yaml"), "{}", refused.stderr);
}

#[test]
fn eval_sets_models_beside_baselines() {
    let world = World::new();
    school(&world);
    let figures = |task: &str, labels: &str| -> Vec<Value> {
        let run =
            ["eval", task, labels, "--photos", "photos", "--model", "album-mini", "--sample", "2", "--margin", "0.02"];
        world.run(run).expect(0).lines()
    };
    let of = |figures: &[Value], subject: &str, metric: &str| -> Vec<f64> {
        let fitting = figures.iter().filter(|line| line["subject"] == subject && line["metric"] == metric);
        fitting.map(|line| line["value"].as_f64().unwrap()).collect()
    };
    let scores = figures("scores", "labels.csv");
    for subject in ["album-mini@5", "sharpness", "rule-based"] {
        assert!(!of(&scores, subject, "srcc").is_empty(), "{subject}");
    }
    let bursts = figures("bursts", "takes.csv");
    assert_eq!(of(&bursts, "random", "pairwise"), [0.5]);
    for line in &bursts {
        let [value, low, high] = ["value", "low", "high"].map(|key| line[key].as_f64().unwrap());
        assert!((0.0..=1.0).contains(&value) && low <= high, "{line}");
    }
    assert_eq!(of(&figures("groups", "takes.csv"), "pixels", "f1").len(), 3);
    let degraded = figures("degradations", "labels.csv");
    for line in figures("groups", "takes.csv") {
        let [value, low, high] = ["value", "low", "high"].map(|key| line[key].as_f64().unwrap());
        assert!(low <= high && (-1.0..=1.0).contains(&value), "{line}");
    }
    assert_eq!(of(&degraded, "album-mini@5", "confidence"), [0.5], "a photo against itself");
    assert_eq!(of(&degraded, "album-mini@5", "first_preferred"), [0.5], "the order of a pair changes nothing");
    let refused = world.run(["eval", "bursts", "labels.csv", "--photos", "photos"]).expect(2);
    assert!(refused.stderr.contains("column `group`"), "{}", refused.stderr);
}

/// A recipe of a large network that takes seconds.
fn large(world: &World, more: &str) {
    let recipe = format!(
        "name: large\nbackbone: resnet18\nresize: 36\ncrop: 32\n\
         augment: {{ random_crop: true, flip: 0.5, brightness: 0.1, contrast: 0.1, saturation: 0.1 }}\n\
         learning_rate: 0.001\nhead_factor: 1\nweight_decay: 0\nbatch: 4\nepochs: 2\npatience: 9\nseed: 1\nheld_out: 0.3\n{more}"
    );
    fs::write(world.path("large.yaml"), recipe).unwrap();
}

#[test]
fn large_networks_learn_ratings_pairs_faults_and_classes_and_are_used_at_once() {
    let world = World::new();
    school(&world);
    large(&world, "mlp_hidden_dims: [8]\n");
    let train = |task: &str, labels: &str, run: &str| -> Vec<String> {
        let mut args = vec!["train", task, labels, "--recipe", "large.yaml", "--run", run];
        if matches!(task, "aesthetics" | "siamese") {
            args.extend(["--photos", "photos"]);
        }
        args.into_iter().map(str::to_owned).collect()
    };
    let one: Vec<String> =
        train("aesthetics", "labels.csv", "rated").into_iter().chain(["--epochs".into(), "1".into()]).collect();
    let first = world.run(one).expect(0).lines();
    assert_eq!((first.len(), &first[0]["epoch"]), (1, &1.into()));
    let second = world.run(train("aesthetics", "labels.csv", "rated")).expect(0).lines();
    assert_eq!((second.len(), &second[0]["epoch"]), (1, &2.into()), "it goes on where it was");
    assert!(second[0]["metrics"]["srcc"].is_f64(), "{}", second[0]);
    let rated = world.run(["aesthetics", "--model", "rated/best.safetensors", "photos"]).expect(0).lines();
    assert_eq!((rated.len(), &rated[0]["aesthetic_model"]), (18, &"best@file".into()));
    large(&world, "output_mode: distribution\n");
    let votes = "1 1 0 0 0 1 4 6 2 0 0 0 0 0 0\n2 2 0 0 0 0 0 1 4 2 0 0 0 0 0\n3 3 0 0 4 1 0 0 0 0 0 0 0 0 0\n\
                 4 4 0 0 0 0 0 0 0 0 3 0 0 0 0\n5 5 0 1 0 0 0 0 0 0 3 0 0 0 0\n6 6 0 1 0 0 0 0 0 0 3 0 0 0 0\n";
    fs::write(world.path("AVA.txt"), votes).unwrap();
    (1..=5).for_each(|n| drop(world.photo(format!("{n}.jpg"), n)));
    let seen = world.run(train("aesthetics", "AVA.txt", "ava")).expect(0);
    assert!(seen.stderr.contains("1 photos of AVA.txt are missing"), "{}", seen.stderr);
    let of = |run: &str| {
        let model = format!("{run}/best.safetensors");
        world.run(["aesthetics", "--model", &model, "photos/1.jpg"]).expect(0).lines().remove(0)
    };
    let (voted, rated) = (of("ava"), of("rated"));
    assert_eq!(voted["ava_score"], voted["aesthetic_score"], "{voted}");
    assert!(rated["ava_score"].is_null() && rated["aesthetic_score"].is_f64(), "other ratings are not AVA's: {rated}");
    large(&world, "margin: 0.02\n");
    let lines = world.run(train("siamese", "takes.csv", "pairs")).expect(0).lines();
    assert!(lines[1]["metrics"]["accuracy"].is_f64(), "{}", lines[1]);
    let pair = ["compare", "--model", "pairs/best.safetensors", "photos/take_10.png", "photos/take_17.png"];
    assert_eq!(world.run(pair).expect(0).lines()[0]["model"], "best@file");
    let refused = world.run(train("quality", "photos", "faults")).expect(2);
    assert!(refused.stderr.contains("`backbone: multi-head`"), "{}", refused.stderr);
    let recipe = fs::read_to_string(world.path("large.yaml")).unwrap();
    let whole = recipe.replace("resnet18", "multi-head").replace("resize: 36", "resize: 32");
    fs::write(world.path("large.yaml"), whole + "final_rate: 0.1\nlongest_gradient: 1.0\n").unwrap();
    let flawed = world.run(train("quality", "photos", "faults")).expect(0).lines();
    assert!(flawed[1]["learning_rate"].as_f64() < flawed[0]["learning_rate"].as_f64(), "{}", flawed[1]);
    for head in ["color_cast", "blurriness", "watermark", "noise", "overall"] {
        let error = flawed[1]["metrics"][format!("mae_{head}")].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&error), "{head}: {}", flawed[1]);
    }
    let found = ["score", "--degradations", "--model", "faults/best.safetensors", "photos"];
    for line in world.run(found).expect(0).lines() {
        let flaws = line["degradations"].as_object().unwrap();
        let names: Vec<&String> = flaws.keys().collect();
        assert_eq!(names, ["color_cast", "blurriness", "watermark", "noise"]);
        let weighed: Vec<f64> =
            flaws.values().zip([0.2, 0.3, 0.25, 0.25]).map(|(v, w)| v.as_f64().unwrap() * w).collect();
        let quality = line["overall_quality"].as_f64().unwrap();
        assert!((quality - (1.0 - weighed.iter().sum::<f64>())).abs() < 1e-5, "{line}");
        assert_eq!(line["degradation_model"], "best@file");
    }
    let table = world.run(found.into_iter().chain(["--format", "table"])).expect(0).text();
    assert!(table.contains("watermark"), "{table}");
    let judged = ["eval", "degradations", "labels.csv", "--photos", "photos", "--sample", "1"];
    let by = |model: &'static str| judged.into_iter().chain(["--model", model]);
    let figures = world.run(by("faults/best.safetensors")).expect(0).lines();
    let itself = figures.iter().find(|line| line["metric"] == "confidence").unwrap();
    assert_eq!((&itself["subject"], &itself["value"]), (&"best@file".into(), &0.5.into()), "a photo against itself");
    let absent = world.run(by("multihead-quality")).expect(1);
    assert!(absent.stderr.contains("multihead_quality_model.pth"), "{}", absent.stderr);
    large(&world, "");
    for class in ["cats", "dogs"] {
        fs::create_dir_all(world.path("classes").join(class)).unwrap();
        for n in 0..4 {
            fs::copy(world.path(format!("photos/photo_{n}.png")), world.path(format!("classes/{class}/{n}.png")))
                .unwrap();
        }
    }
    assert_eq!(world.run(train("classifier", "classes", "classes-run")).expect(0).lines().len(), 2);
    let told = world.run(["classify", "--model", "classes-run/best.safetensors", "photos"]).expect(0).lines();
    assert_eq!(told.len(), 23);
    for line in told {
        let likely = |class: &str| line["classes"][class].as_f64().unwrap();
        let (label, other) = if line["label"] == "cats" { ("cats", "dogs") } else { ("dogs", "cats") };
        assert!(likely(label) >= likely(other) && (likely(label) + likely(other) - 1.0).abs() < 1e-5, "{line}");
        assert_eq!((&line["confidence"], &line["label"]), (&line["classes"][label], &label.into()));
    }
    let refused = world.run(["aesthetics", "--model", "classes-run/best.safetensors", "photos"]).expect(1);
    assert!(refused.stderr.contains("best.safetensors"), "{}", refused.stderr);
    let refused = world.run(["classify", "--model", "rated/best.safetensors", "photos"]).expect(1);
    assert!(refused.stderr.contains("best.safetensors"), "{}", refused.stderr);
    fs::remove_file(world.path("photos/photo_3.png")).unwrap();
    let refused = world.run(train("aesthetics", "labels.csv", "other")).expect(1);
    assert!(refused.stderr.contains("photo_3.png"), "{}", refused.stderr);
}

#[test]
fn a_loss_that_explodes_ends_the_run_and_loses_nothing() {
    let world = World::new();
    school(&world);
    large(&world, "mlp_hidden_dims: [8]\n");
    let train = |epochs: &str| {
        let fixed = ["train", "aesthetics", "labels.csv", "--photos", "photos", "--recipe", "large.yaml"];
        fixed.into_iter().chain(["--run", "run", "--epochs", epochs]).map(str::to_owned).collect::<Vec<_>>()
    };
    world.run(train("1")).expect(0);
    let kept =
        || ["checkpoint.safetensors", "best.safetensors"].map(|name| fs::read(world.path("run").join(name)).unwrap());
    let before = kept();
    let recipe = fs::read_to_string(world.path("large.yaml")).unwrap();
    let absurd = recipe.replace("learning_rate: 0.001", "learning_rate: 1.0e+30");
    assert_ne!(absurd, recipe);
    fs::write(world.path("large.yaml"), absurd).unwrap();
    let ended = world.run(train("2")).expect(1);
    for said in ["epoch 2", "no number", "learning_rate"] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    assert!(kept() == before, "the checkpoint and the model are as they were");
    fs::write(world.path("large.yaml"), recipe).unwrap();
    let lines = world.run(train("2")).expect(0).lines();
    assert_eq!((lines.len(), &lines[0]["epoch"]), (1, &2.into()), "it goes on from there");
    // The small network's run says the same.
    let labels = fs::read_to_string(world.path("labels.csv")).unwrap();
    fs::write(world.path("labels.csv"), labels.replace("photo_1.png,0.24", "photo_1.png,3e38")).unwrap();
    let ended = world.run(["train", "mini", "--data", ".", "--recipe", "recipe.yaml", "--run", "mini"]).expect(1);
    assert!(ended.stderr.contains("no number"), "{}", ended.stderr);
}

#[test]
fn the_whole_selection_is_judged_and_figures_are_drawn() {
    let world = World::new();
    school(&world);
    let run = ["eval", "selection", "takes.csv", "--photos", "photos", "--margin", "0.02", "--plots", "drawn"];
    let figures = world.run(run).expect(0).lines();
    let of = |subject: &str, metric: &str| {
        let fitting = figures.iter().find(|line| line["subject"] == subject && line["metric"] == metric);
        fitting.unwrap_or_else(|| panic!("{subject} {metric}"))["value"].as_f64().unwrap()
    };
    for metric in ["f1", "ari", "best_picked", "falls_short", "picks_per_group", "pairwise", "top1", "mrr"] {
        assert!((-1.0..=3.0).contains(&of("select", metric)), "{metric}");
    }
    assert_eq!(
        (of("random", "pairwise"), of("each photo alone", "recall"), of("all together", "recall")),
        (0.5, 0.0, 1.0)
    );
    for drawn in ["selection-f1.svg", "selection-pairwise.svg", "selection-ranks.svg"] {
        let picture = fs::read_to_string(world.path("drawn").join(drawn)).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("select"), "{drawn}");
    }
    world.run(["eval", "scores", "labels.csv", "--photos", "photos", "--plots", "drawn"]).expect(0);
    let points = fs::read_to_string(world.path("drawn/scores-scatter.svg")).unwrap();
    assert_eq!(points.matches("<circle").count(), 18);
}

//! `albumctl search`, and `select --about … --not …`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use train::drawn::draw;
use train::rng::Rng;

use base64::Engine as _;

use crate::formula::{self, Formula};
use crate::world::{World, report, shared_data, skipped, text_model};

/// A file of `analyze` about four photos, with what a classifier may say of them.
fn analysed(world: &World) -> Vec<Value> {
    let labels = [
        json!([{"label": "golden retriever", "score": 0.7}, {"label": "Labrador retriever", "score": 0.2}]),
        json!([{"label": "seashore", "score": 0.5}, {"label": "golden retriever", "score": 0.32}]),
        json!([{"label": "hotdog", "score": 0.9}, {"label": "cheeseburger", "score": 0.05}]),
        json!([{"label": "convertible", "score": 0.6}, {"label": "golden retriever", "score": 0.1}]),
    ];
    (0..4).for_each(|n| drop(world.photo(format!("{n}.png"), 3 * n)));
    let mut lines = world.run(["analyze", "photos"]).expect(0).lines();
    lines.iter_mut().zip(labels).for_each(|(line, labels)| line["labels"] = labels);
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(world.path("a.jsonl"), text.join("\n")).unwrap();
    lines
}

fn search(world: &World, options: &[&str]) -> Vec<(String, f64)> {
    let seen = world.run(["search", "--from", "a.jsonl"].iter().chain(options)).expect(0);
    let relevance = |line: &Value| (line["relevance"].as_f64().unwrap() * 100.0).round() / 100.0;
    let names = seen.names();
    let lines = seen.lines();
    for (place, line) in lines.iter().enumerate().filter(|_| !options.contains(&"--all")) {
        assert_eq!(line["rank"], place + 1);
    }
    names.into_iter().zip(lines.iter().map(relevance)).collect()
}

fn found(names: &[(&str, f64)]) -> Vec<(String, f64)> {
    names.iter().map(|(name, relevance)| ((*name).to_owned(), *relevance)).collect()
}

#[test]
fn photos_are_ranked_by_what_they_show() {
    let world = World::new();
    analysed(&world);
    assert_eq!(search(&world, &["dogs"]), found(&[("0.png", 0.9), ("1.png", 0.32)]));
    assert_eq!(search(&world, &["a dog on the beach"]), found(&[("1.png", 0.4)]));
    assert_eq!(search(&world, &["hot dog, car"]), found(&[("2.png", 0.9), ("3.png", 0.6)]));
    assert_eq!(search(&world, &["animals", "--not", "beach"]), found(&[("0.png", 0.9)]));
    assert_eq!(search(&world, &["animals", "--top", "1"]), found(&[("0.png", 0.9)]));
    assert_eq!(search(&world, &["dog", "--set", "album.selection.min_relevance=0.05"]).len(), 3);
    let all = world.run(["search", "--from", "a.jsonl", "dog", "--not", "beach", "--all"]).expect(0).lines();
    assert_eq!(all.len(), 4);
    assert_eq!(all[0]["reason"], "It shows “dog” (golden retriever 0.70).");
    let told: Vec<&Value> = all[1..].iter().map(|line| &line["reason"]).collect();
    let expected = [
        "It shows “beach” (seashore 0.50), which is to be left out.",
        "It shows “dog” (golden retriever 0.10).",
        "Nothing on it speaks for these words.",
    ];
    assert_eq!(told, expected);
    assert!(all[1..].iter().all(|line| line["rank"].is_null()));
    let table = world.run(["search", "--from", "a.jsonl", "dog", "--format", "table"]).expect(0).text();
    assert!(table.contains("relevance") && table.contains("golden retriever 0.70"), "{table}");
    let csv = world.run(["search", "--from", "a.jsonl", "dog", "--format", "csv"]).expect(0).text();
    assert!(csv.starts_with("rank,image_path,image_path_b64,relevance,reason\n1,photos/0.png,"), "{csv}");
}

#[test]
fn objects_are_searched_too() {
    let world = World::new();
    let mut lines = analysed(&world);
    let dog = json!({"label": "dog", "class_id": 18, "score": 0.8, "bbox": [0.1, 0.1, 0.5, 0.5]});
    lines[2]["objects"] = json!([dog]);
    lines[3]["objects"] = json!([]);
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(world.path("a.jsonl"), text.join("\n")).unwrap();
    assert_eq!(search(&world, &["puppies"]), found(&[("0.png", 0.9), ("2.png", 0.8), ("1.png", 0.32)]));
    let seen = world.run(["search", "--from", "a.jsonl", "giraffe"]).expect(0);
    assert!(seen.stdout.is_empty() && !seen.stderr.contains("giraffe"), "{}", seen.stderr);
}

#[test]
fn an_album_about_something_has_nothing_else() {
    let world = World::new();
    analysed(&world);
    let select = |options: &[&str]| {
        world.run(["select", "--from", "a.jsonl", "--min-cluster-size", "1"].iter().chain(options)).expect(0)
    };
    let all = select(&["--about", "dog", "--not", "beach", "--all"]).lines();
    let of = |name: &str| all.iter().find(|line| line["image_path"] == format!("photos/{name}.png")).unwrap();
    let reason = |name: &str| of(name)["reason"].as_str().unwrap();
    let picked: Vec<&Value> = all.iter().filter(|line| line["selected"] == true).collect();
    assert_eq!(picked, [of("0")]);
    assert!(reason("0").ends_with("; shows “dog” (golden retriever 0.70)."), "{}", reason("0"));
    assert_eq!(reason("1"), "It shows “beach” (seashore 0.50), which is to be left out.");
    assert_eq!(reason("2"), "Its relevance 0.00 is below the required 0.20.");
    assert_eq!(reason("3"), "Its relevance 0.10 is below the required 0.20; it shows “dog” (golden retriever 0.10).");
    // Relevance is a part of the score, with a weight of its own.
    let part = &of("0")["parts"]["relevance"];
    let relevance = of("0")["relevance"].as_f64().unwrap();
    assert!((relevance - 0.9).abs() < 1e-9 && part["value"] == of("0")["relevance"], "{part}");
    let parts = ["aesthetic", "iqa", "relevance"].map(|name| of("0")["parts"][name].clone());
    let sum: f64 = parts.iter().map(|part| part["value"].as_f64().unwrap() * part["weight"].as_f64().unwrap()).sum();
    assert!((sum - of("0")["composite_score"].as_f64().unwrap()).abs() < 1e-9, "{parts:?}");
    let without = select(&["--all"]).lines();
    assert!(without.iter().all(|line| line["relevance"].is_null() && line["parts"]["relevance"].is_null()));
    let weightless = select(&["--about", "dog", "--set", "album.selection.relevance_weight=0", "--all"]).lines();
    let score = |lines: &[Value]| {
        let line = lines.iter().find(|line| line["image_path"] == "photos/0.png").unwrap();
        line["composite_score"].as_f64().unwrap()
    };
    assert!((score(&weightless) - score(&without)).abs() < 1e-9 && score(&all) > score(&without));
    // A person's word comes first.
    world.run(["decide", "keep", "photos/2.png"]).expect(0);
    assert_eq!(select(&["--about", "dog", "--top", "1"]).names(), ["2.png"]);
}

#[test]
fn a_word_that_nothing_knows_is_told_once() {
    let world = World::new();
    let lines = analysed(&world);
    let told = "“sunset”: known by no model that is here, and in no text or name";
    let seen = world.run(["search", "--from", "a.jsonl", "-q", "dog at sunset, sunset"]).expect(0);
    assert_eq!(seen.names(), ["0.png", "1.png"]);
    assert!(seen.stderr.starts_with(&format!("note: {told}; it is not looked for; ")), "{}", seen.stderr);
    assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
    let seen = world.run(["search", "--from", "a.jsonl", "dog", "--not", "dog at sunset"]).expect(0);
    assert_eq!(seen.names(), ["0.png", "1.png"]);
    assert!(seen.stderr.contains(&format!("{told}; nothing is left out for it")), "{}", seen.stderr);
    let seen = world.run(["search", "--from", "a.jsonl", "--strict", "sunset"]).expect(1);
    assert!(seen.stderr.contains(told) && seen.stdout.is_empty(), "{}", seen.stderr);
    // Without a classifier the line says how to get one, where that helps.
    let seen = world.run(["search", "dog", "photos"]).expect(0);
    assert!(seen.lines().is_empty() && seen.stderr.contains("`albumctl models pull classes`"), "{}", seen.stderr);
    let seen = world.run(["search", "sunset", "photos"]).expect(0);
    assert!(seen.stderr.contains("`albumctl models pull siglip2-base --trust-first`"), "{}", seen.stderr);
    assert_eq!(lines.len(), 4);
}

#[test]
fn queries_that_ask_for_nothing_are_refused_before_photos_are_read() {
    let world = World::new();
    world.photo("a.png", 1);
    for words in ["the", "", "dog \"golden gate"] {
        for command in [&["search", words, "photos"][..], &["select", "photos", "--about", words]] {
            let seen = world.run(command).expect(2);
            assert!(seen.stderr.contains("hint: words such as"), "{}", seen.stderr);
        }
    }
    world.run(["select", "photos", "--about", "dog", "--set", "album.selection.min_relevance=2"]).expect(2);
    world.run(["search", "dog", "photos", "--from", "a.jsonl"]).expect(2);
}

#[test]
fn names_kinds_and_text_are_searched_and_no_photo_is_read_twice() {
    let world = World::new();
    world.photo("Lisbon2024/a.png", 1);
    world.photo("home/b.png", 2);
    let picture = draw(3, &[], &mut Rng::at(90_210, [3, 0]));
    let receipt = image::RgbImage::from_raw(picture.width(), picture.height(), picture.data().to_vec()).unwrap();
    receipt.save(world.photos().join("c.png")).unwrap();
    let names = |words: &str| world.run(["search", words, "photos"]).expect(0).names();
    assert_eq!(names("lisbon"), ["a.png"]);
    assert_eq!(names("receipts"), ["c.png"]);
    let mut photographs = names("photos");
    photographs.sort();
    assert_eq!(photographs, ["a.png", "b.png"]);
    // Without a model that reads, nothing has this text.
    assert_eq!(names("\"I\""), [""; 0]);
    text_model::install(&world, &text_model::finder(), &text_model::reader());
    let bar = image::RgbImage::from_fn(400, 100, |x, y| {
        image::Rgb([if (20..380).contains(&x) && (40..60).contains(&y) { 0 } else { 255 }; 3])
    });
    bar.save(world.photos().join("d.png")).unwrap();
    let seen = world.run(["search", "\"I\"", "photos", "-v"]).expect(0);
    assert!(seen.names().contains(&"d.png".to_owned()) && seen.text().contains("has the text “I”"), "{}", seen.text());
    for words in ["\"I\"", "receipt"] {
        let again = world.run(["search", words, "photos", "-v"]).expect(0);
        assert!(again.stderr.contains("0 computed, 4 from the store"), "{}", again.stderr);
    }
    let selected = world.run(["select", "photos", "--about", "lisbon"]).expect(0).lines();
    assert_eq!((selected.len(), &selected[0]["relevance"]), (1, &json!(1.0)));
    let reason = selected[0]["reason"].as_str().unwrap();
    assert!(reason.ends_with("has “lisbon” in its name (Lisbon2024)."), "{reason}");
}

/// A small SigLIP, recorded by `tests/parity`, in the place of the published one.
fn small_siglip(world: &World) -> Value {
    let record: Value = serde_json::from_str(include_str!("../parity/siglip.json")).unwrap();
    let manifest = "name: siglip2-base\nversion: \"1\"\ntask: describing\narchitecture: siglip\nlicense: MIT\n\
                    files: [{name: small.safetensors}, {name: small.json}]\n";
    fs::write(world.path("small.yaml"), manifest).unwrap();
    world.run(["models", "add", "--force", "small.yaml"]).expect(0);
    let folder = world.path("home/.local/share/albumctl/models");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("small.safetensors"), Formula::new(&record["tensors"]).safetensors(None)).unwrap();
    fs::write(folder.join("small.json"), record["tokenizer"].to_string()).unwrap();
    record
}

#[test]
fn a_model_compares_photos_with_whole_texts() {
    let world = World::new();
    let record = small_siglip(&world);
    for place in 0..4 {
        let picture = formula::picture(place);
        let image = image::RgbImage::from_raw(picture.width(), picture.height(), picture.data().to_vec()).unwrap();
        image.save(world.photos().join(format!("{place}.png"))).unwrap();
    }
    let search =
        |words: &str| world.run(["search", "--model", "siglip2-base", words, "photos", "--all", "-v"]).expect(0);
    for (at, words) in record["words"].as_array().unwrap().iter().enumerate() {
        // A comma would make alternatives.
        let words = words.as_str().unwrap();
        if words.contains(',') {
            continue;
        }
        let seen = search(words);
        for line in seen.lines() {
            let photo: usize =
                Path::new(line["image_path"].as_str().unwrap()).file_stem().unwrap().to_str().unwrap().parse().unwrap();
            let bytes =
                base64::engine::general_purpose::STANDARD.decode(record["logits"][photo].as_str().unwrap()).unwrap();
            let logit = f64::from(f32::from_le_bytes(bytes[4 * at..][..4].try_into().unwrap()));
            // An album has one photo of fifty about something; the network was trained to find one text of 32768.
            let expected = 1.0 / (1.0 + (-logit - (32_768.0_f64 / 50.0).ln()).exp());
            let relevance = line["relevance"].as_f64().unwrap();
            assert!((relevance - expected).abs() < 1e-4, "{words}: {relevance} for {expected}");
            assert_eq!(line["reason"], format!("It fits “{words}” ({relevance:.2})."));
        }
    }
    let again = search("two cats");
    assert!(again.stderr.contains("0 computed, 4 from the store"), "{}", again.stderr);
    // The configuration names it for `select`.
    let configured = ["--set", "album.selection.relevance_model=siglip2-base"];
    let select = ["select", "photos", "--about", "two cats", "--min-cluster-size", "1"];
    let lines = world.run(select.iter().chain(&configured)).expect(0).lines();
    assert!(lines.iter().all(|line| line["reason"].as_str().unwrap().contains("fits “two cats” (")), "{lines:?}");
    let file = world.run(["analyze", "photos"]).expect(0).stdout;
    fs::write(world.path("a.jsonl"), file).unwrap();
    let seen = world.run(["search", "--from", "a.jsonl", "cats"].iter().chain(&configured)).expect(0);
    assert!(seen.stderr.contains("photos of a file are not compared by siglip2-base"), "{}", seen.stderr);
    // Other words for the same thing: a model that is not here, and one that does something else.
    fs::remove_file(world.path("home/.local/share/albumctl/models/small.json")).unwrap();
    let seen = world.run(["search", "--model", "siglip2-base", "cats", "photos"]).expect(1);
    assert!(seen.stderr.contains("`siglip2-base` is not here: small.json"), "{}", seen.stderr);
    let seen = world.run(["search", "--model", "dinov2-s", "cats", "photos"]).expect(2);
    assert!(seen.stderr.contains("`dinov2-s` does not do this"), "{}", seen.stderr);
}

/// Photos whose names say what is on them, under names that do not.
#[test]
fn words_find_the_photos_of_their_classes() {
    let Some(album) = shared_data("iqa_golden") else { return };
    let weights =
        std::env::var_os("ALBUMCTL_WEIGHTS").map(|folder| Path::new(&folder).join("efficientnet-lite0-57934424.pth"));
    let Some(weights) = weights.filter(|file| file.exists()) else {
        return skipped("ALBUMCTL_WEIGHTS names no folder with the published weights");
    };
    let world = World::new();
    world.run(["models", "import", weights.to_str().unwrap()]).expect(0);
    let mut classes = Vec::new();
    for (place, file) in fs::read_dir(album).unwrap().map(|entry| entry.unwrap().path()).enumerate() {
        let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if let Some((_, class)) = stem.split_once('_') {
            fs::copy(&file, world.photos().join(format!("{place}.jpg"))).unwrap();
            classes.push((format!("{place}.jpg"), class.replace('_', " ")));
        }
    }
    let (mut found, mut others) = (0, 0);
    for (name, class) in &classes {
        let names = world.run(["search", &format!("\"{class}\""), "photos"]).expect(0).names();
        found += usize::from(names.contains(name));
        others += names.iter().filter(|other| *other != name).count();
    }
    report(&format!("of {} photos {found} are found by their class, and {others} others", classes.len()));
    assert!(found * 10 >= classes.len() * 9 && others <= 3, "{found} of {}, {others} others", classes.len());
}

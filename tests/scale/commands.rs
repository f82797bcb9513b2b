//! `kmeans` and `dedup` as a user types them.

use std::fs;

use serde_json::json;

use super::features::{formula, rows, write};
use super::world::World;

fn fitted(world: &World) {
    write(&world.path("a.parquet"), &rows(700, 6), 0, 200);
    write(&world.path("b.parquet"), &rows(700, 6), 700, 200);
    let seen =
        world.run(["kmeans", "fit", "--data", "?.parquet", "--clusters", "7", "--model", "m.safetensors"]).expect(0);
    let line = &seen.lines()[0];
    assert_eq!((&line["clusters"], &line["dim"], &line["rows"]), (&json!(7), &json!(6), &json!(1400)));
    assert_eq!(line["converged"], json!(true));
}

#[test]
fn fit_then_info_then_assign() {
    let world = World::new();
    fitted(&world);
    let info = world.run(["kmeans", "info", "m.safetensors"]).expect(0);
    let sizes = info.lines()[0]["sizes"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>();
    assert_eq!(sizes, 1400);
    let assign =
        ["kmeans", "assign", "--model", "m.safetensors", "--data", "a.parquet", "b.parquet", "-o", "labels.parquet"];
    assert!(world.run(assign).expect(0).stdout.is_empty());
    assert!(fs::metadata(world.path("labels.parquet")).unwrap().len() > 1000);
    let wanting = world.run(["kmeans", "assign", "--model", "m.safetensors", "--data", "a.parquet"]).expect(2);
    assert!(wanting.stderr.contains("hint: -o labels.parquet"), "{}", wanting.stderr);
}

#[test]
fn a_vector_on_standard_input_gives_its_cluster() {
    let world = World::new();
    fitted(&world);
    let text = |row: usize, by: &str| formula(row, 6).iter().map(f32::to_string).collect::<Vec<_>>().join(by);
    let stdin = format!("[{}]\n{}\n\n{}\n", text(0, ", "), text(0, " "), text(1, ","));
    let lines = world.run_with_stdin(["kmeans", "assign", "-m", "m.safetensors"], stdin.as_bytes()).expect(0).lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], lines[1]);
    assert_ne!(lines[0]["cluster"], lines[2]["cluster"]);
    assert!(lines[0]["distance"].as_f64().unwrap() > 0.0);
    for (wrong, told) in [
        ("1 2 3\n", "line 1: 3 numbers where the model has 6"),
        ("1 2 3 4 5 x\n", "`x` is no number"),
        ("1 2 3 4 5 inf\n", "line 1: inf at position 5"),
    ] {
        let seen = world.run_with_stdin(["kmeans", "assign", "-m", "m.safetensors"], wrong.as_bytes()).expect(1);
        assert!(seen.stderr.contains(told), "{}", seen.stderr);
    }
}

#[cfg(not(feature = "object-stores"))]
const OFFLINE: &str = "-q";
#[cfg(feature = "object-stores")]
const OFFLINE: &str = "--offline";
#[cfg(not(feature = "object-stores"))]
const BUCKET: &str = "lacks the feature `object-stores`";
#[cfg(feature = "object-stores")]
const BUCKET: &str = "--offline forbids it";

#[test]
fn wrong_usage_is_told_and_leaves_nothing() {
    let world = World::new();
    write(&world.path("a.parquet"), &rows(50, 6), 0, 20);
    let cases: [(&[&str], &str); 9] = [
        (&["kmeans", "fit"], "no data was named"),
        (&["kmeans", "fit", "--data", "z*.parquet"], "`z*.parquet` names no file"),
        (&["kmeans", "fit", "--data", "s3://bucket/*.parquet", OFFLINE], BUCKET),
        (&["embed", "s3://bucket/album", OFFLINE], BUCKET),
        (&["kmeans", "info", "s3://bucket/m.safetensors", OFFLINE], BUCKET),
        (&["score", "s3://bucket/album"], "must lie on this machine"),
        (&["kmeans", "fit", "--data", "a.parquet", "-k", "51"], "51 clusters were asked for, but the data has only 50"),
        (&["dedup", "--data", "a.parquet", "--keep", "best"], "--keep best needs scores"),
        (&["dedup", "--data", "a.parquet", "--similarity", "1.5"], "a cosine above 0 and up to 1"),
    ];
    for (args, told) in cases {
        let seen = world.run(args).expect(2);
        assert!(seen.stderr.contains(told), "{args:?}: {}", seen.stderr);
    }
    assert!(!world.path("kmeans.safetensors").exists() && !world.path("kmeans.safetensors.work").exists());
}

#[test]
fn dedup_keeps_the_best_and_says_what_the_others_duplicate() {
    let world = World::new();
    // Three of one direction, one of another.
    let all = vec![vec![1.0, 0.0, 0.02], vec![1.0, 0.0, 0.0], vec![1.0, 0.03, 0.0], vec![0.0, 1.0, 0.0]];
    write(&world.path("f.parquet"), &all, 0, 2);
    let score = |id: &str, score: f64| json!({ "image_path": id, "composite_score": score }).to_string();
    let scores = [score("r0", 0.2), score("r1", 0.9), score("r2", 0.5)].join("\n");
    fs::write(world.path("scores.jsonl"), scores).unwrap();
    let seen = world.run(["dedup", "--data", "f.parquet", "--scores", "scores.jsonl", "--sample", "4"]).expect(0);
    let told: Vec<_> =
        seen.lines().iter().map(|l| (l["id"].clone(), l["kept"].clone(), l["duplicate_of"].clone())).collect();
    assert_eq!(
        told,
        [
            (json!("r0"), json!(false), json!("r1")),
            (json!("r1"), json!(true), json!(null)),
            (json!("r2"), json!(false), json!("r1")),
            (json!("r3"), json!(true), json!(null)),
        ]
    );
    assert!(seen.lines()[0]["cosine"].as_f64().unwrap() > 0.999);
    assert!(
        seen.stderr.contains("1 of 4 have no score") && seen.stderr.contains("recall about 1.000"),
        "{}",
        seen.stderr
    );
    let first = world.run(["dedup", "--data", "f.parquet", "--show", "kept"]).expect(0).lines();
    assert_eq!(first.iter().map(|l| l["id"].as_str().unwrap()).collect::<Vec<_>>(), ["r0", "r3"]);
}

#[test]
fn photos_that_stay_are_linked_into_a_folder_and_missing_ones_are_told() {
    let world = World::new();
    world.many_photos(3);
    world.run(["embed", "photos", "-o", "f.parquet"]).expect(0);
    let linked = ["dedup", "--data", "f.parquet", "--similarity", "1", "--link-to", "kept"];
    let lines = world.run(linked).expect(0).lines();
    let written: Vec<_> = lines.iter().flat_map(|line| line["written"].as_array().unwrap()).collect();
    let kept = lines.iter().filter(|line| line["kept"] == json!(true)).count();
    assert_eq!((written.len(), fs::read_dir(world.path("kept")).unwrap().count()), (kept, kept));
    assert!(fs::read_link(world.path("kept/0000.png")).unwrap().ends_with("photos/0000.png"));
    fs::remove_file(world.photos().join("0000.png")).unwrap();
    let copied = ["dedup", "--data", "f.parquet", "--similarity", "1", "--copy-to", "copies"];
    let seen = world.run(copied).expect(3);
    assert!(seen.stderr.contains("photos/0000.png: write"), "{}", seen.stderr);
}

#[test]
#[cfg(not(feature = "distributed"))]
fn a_build_without_the_engine_says_which_feature_it_lacks() {
    let world = World::new();
    write(&world.path("a.parquet"), &rows(50, 6), 0, 20);
    world.photo("a.png", 1);
    let engine = ["--engine", "ballista://127.0.0.1:50050"];
    let commands: [&[&str]; 5] = [
        &["kmeans", "fit", "--data", "a.parquet", "-k", "2"],
        &["embed", "photos", "-o", "parts"],
        &["dedup", "--data", "a.parquet"],
        &["node", "scheduler"],
        &["node", "executor"],
    ];
    for (number, command) in commands.into_iter().enumerate() {
        let more: &[&str] = if number < 3 { &engine } else { &[] };
        let seen = world.run([command, more].concat()).expect(2);
        assert!(seen.stderr.contains("lacks the feature `distributed`"), "{}", seen.stderr);
        assert!(seen.stderr.contains("--features distributed"), "{}", seen.stderr);
    }
    assert!(!world.path("kmeans.safetensors.work").exists() && !world.path("parts").exists());
}

#[test]
fn photos_that_look_the_same_are_told_by_their_hashes() {
    let world = World::new();
    let original = world.photo("a.png", 5);
    let (width, height) = (96, 72);
    let picture = image::open(&original).unwrap();
    let larger = picture.resize_exact(width, height, image::imageops::FilterType::Triangle);
    larger.save(world.photos().join("b.png")).unwrap();
    fs::copy(&original, world.photos().join("c.png")).unwrap();
    world.photo("d.png", 9);
    let seen = world.run(["dedup", "--method", "phash", "photos"]).expect(0).lines();
    let told: Vec<_> = seen.iter().map(|l| (l["id"].as_str().unwrap(), l["kept"].as_bool().unwrap())).collect();
    assert_eq!(
        told,
        [("photos/a.png", true), ("photos/b.png", false), ("photos/c.png", false), ("photos/d.png", true)]
    );
    assert_eq!((&seen[2]["duplicate_of"], &seen[2]["differing_bits"]), (&json!("photos/a.png"), &json!(0)));
    let plan = ["dedup", "--method", "phash", "photos", "--copy-to", "kept", "--dry-run"];
    let planned = world.run(plan).expect(0).lines();
    assert_eq!(planned[0]["written"][0]["applied"], json!(false));
    assert!(!world.path("kept").exists());
    let copied = world.run(&plan[..6]).expect(0).lines();
    let mut lying: Vec<_> = fs::read_dir(world.path("kept")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    lying.sort();
    assert_eq!(lying, ["a.png", "d.png"]);
    assert_eq!((&copied[0]["written"][0]["action"], &copied[1]["written"]), (&json!("copy"), &json!([])));
    let exact =
        world.run(["dedup", "--method", "phash", "--bits", "0", "photos", "--show", "removed"]).expect(0).lines();
    assert!(exact.iter().any(|l| l["id"] == "photos/c.png"));
    // The same words as of the other commands.
    assert_eq!(seen[0]["image_path"], "photos/a.png");
    let args = ["dedup", "--method", "phash", "-0", "-", "--format", "table"];
    let table = world.run_with_stdin(args, b"photos/a.png\0photos/c.png\0").expect(0).text();
    assert!(table.contains("0 of 64 bits differ"), "{table}");
    let some = world.run(["dedup", "--method", "phash", "photos", "--exclude", "[ac].png"]).expect(0);
    assert_eq!(some.names(), ["b.png", "d.png"]);
    // A copy sorts before its original, and goes all the same.
    fs::copy(&original, world.photos().join("IMG_1 (1).png")).unwrap();
    fs::copy(&original, world.photos().join("IMG_1.png")).unwrap();
    let kept = |more: &[&str]| {
        let args = ["dedup", "--method", "phash", "photos", "--exclude", "?.png", "--show", "kept"];
        world.run(args.iter().chain(more)).expect(0).names()
    };
    assert_eq!((kept(&[]), kept(&["--keep", "first"])), (vec!["IMG_1.png".into()], vec!["IMG_1 (1).png".into()]));
    world.run(["dedup", "--method", "phash"]).expect(2);
    world.run(["dedup", "photos"]).expect(2);
}

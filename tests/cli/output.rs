//! Formats, streams, files.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use serde_json::Value;

use crate::world::{World, fixture_album};

#[test]
fn every_line_fits_its_schema() {
    let world = World::new();
    world.photo("a.png", 1);
    for (command, args) in
        [("score", &["score", "photos"][..]), ("device", &["device"]), ("config show", &["config", "show"])]
    {
        let schema: Value = serde_json::from_str(&world.run(["schema", command]).expect(0).text()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let lines = world.run(args).expect(0).lines();
        assert!(!lines.is_empty());
        for line in lines {
            let errors: Vec<_> = validator.iter_errors(&line).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{command}: {errors:?}");
            let mut poorer = line.clone();
            let first = poorer.as_object().unwrap().keys().next().unwrap().clone();
            poorer.as_object_mut().unwrap().remove(&first);
            assert!(!validator.is_valid(&poorer), "{command}: the schema must miss a missing key");
        }
    }
    let all: Value = serde_json::from_str(&world.run(["schema"]).expect(0).text()).unwrap();
    assert!(all["score"]["properties"]["iqa_score"].is_object());
    assert!(world.run(["schema", "nonsense"]).expect(2).stderr.contains("these do: "));
}

#[test]
fn csv_has_a_heading_and_a_row_a_photo() {
    let world = World::new();
    world.photo("a, quoted.png", 1);
    let text = world.run(["score", "--format", "csv", "photos"]).expect(0).text();
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[0].starts_with("image_path,image_path_b64,iqa_score,sharpness,"), "{text}");
    assert!(rows[1].starts_with("\"photos/a, quoted.png\",,0."), "{text}");
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_table_is_aligned_and_plain_in_a_pipe() {
    let world = World::new();
    world.photo("a.png", 1);
    world.photo("longer-name.png", 2);
    let text = world.run(["score", "--format", "table", "photos"]).expect(0).text();
    let lengths: Vec<usize> = text.lines().map(str::len).collect();
    assert_eq!(lengths.len(), 3);
    assert!(lengths.iter().all(|&length| length == lengths[0]), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let world = World::new();
    world.photo("a.png", 1);
    world.run(["score", "photos", "-o", "out.jsonl"]).expect(0);
    let first = fs::read_to_string(world.path("out.jsonl")).unwrap();
    assert_eq!(first.lines().count(), 1);
    fs::write(world.photos().join("broken.jpg"), "x").unwrap();
    world.run(["score", "--strict", "photos", "-o", "out.jsonl"]).expect(1);
    assert_eq!(fs::read_to_string(world.path("out.jsonl")).unwrap(), first, "a failed run leaves the older file");
    let left = fs::read_dir(world.path(""))
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".albumctl"));
    assert_eq!(left.count(), 0, "nothing is left lying about");
    assert_eq!(world.run(["score", "photos/a.png", "-o", "/dev/stdout"]).expect(0).lines().len(), 1);
    assert!(world.run(["score", "photos", "-o", "no/such/folder/x"]).expect(1).stderr.contains("no/such/folder/x"));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let world = World::new();
    world.many_photos(300);
    let mut command = world.command(["score", "photos"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut start = [0; 20];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    let seen = child.wait_with_output().unwrap();
    assert_eq!((seen.status.code(), String::from_utf8_lossy(&seen.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn quiet_says_nothing_but_warnings() {
    let world = World::new();
    world.photo("a.png", 1);
    assert_eq!(world.run(["score", "-q", "-v", "photos"]).expect(0).stderr, "");
    fs::write(world.photos().join("broken.jpg"), "x").unwrap();
    assert_eq!(world.run(["score", "-q", "photos"]).expect(3).stderr.lines().count(), 1);
}

#[test]
fn telemetry_says_where_the_time_went() {
    let world = World::new();
    world.many_photos(3);
    let seen = world.run(["score", "-v", "--telemetry", "t.json", "photos"]).expect(0);
    let report: Value = serde_json::from_slice(&fs::read(world.path("t.json")).unwrap()).unwrap();
    let timing = |name: &str| report["timings"].as_array().unwrap().iter().find(|t| t["name"] == name).unwrap().clone();
    for name in ["read", "decode", "score_quality"] {
        assert_eq!(timing(name)["count"], 3, "{name}");
        assert!(timing(name)["avg_per_item"].as_f64().unwrap() >= 0.0);
    }
    assert_eq!(report["metadata"]["total_images"], 3);
    assert!(seen.stderr.contains("decode") && seen.stderr.contains("ms each"), "{}", seen.stderr);
}

#[test]
fn select_tells_its_steps_in_the_words_of_the_original_cold_and_warm() {
    let world = World::new();
    let album = fixture_album();
    let run = |telemetry: &str| {
        let args = ["select", album.to_str().unwrap(), "--all", "-v", "--telemetry", telemetry];
        let seen = world.run(args).expect(0);
        let report: Value = serde_json::from_slice(&fs::read(world.path(telemetry)).unwrap()).unwrap();
        (seen, report["timings"].as_array().unwrap().clone())
    };
    let (cold, timings) = run("cold.json");
    let lines = cold.lines();
    let clusters = |some: &dyn Fn(&&Value) -> bool| {
        let ids = lines.iter().filter(some).map(|line| line["cluster_id"].to_string());
        ids.collect::<std::collections::BTreeSet<_>>().len()
    };
    let picks = lines.iter().filter(|line| line["selected"] == true).count();
    let told = format!("Selected {picks} images from {} clusters", clusters(&|_| true));
    for part in ["Loaded built-in model album-mini", &format!("Analyzing batch of {} images", lines.len()), &told] {
        assert!(cold.stderr.contains(part), "{part}: {}", cold.stderr);
    }
    let close = clusters(&|line| !line["tiebreak"].is_null());
    let told = format!("Applied Siamese tiebreaker: {close} close calls");
    assert_eq!(cold.stderr.contains(&told), close > 0, "{told}: {}", cold.stderr);
    let of = |timings: &[Value], name: &str| timings.iter().find(|timing| timing["name"] == name).unwrap().clone();
    let whole = of(&timings, "analyze_images");
    let parts = timings.iter().filter(|timing| timing["part_of"] == "analyze_images");
    let sum: f64 = parts.map(|part| part["duration_sec"].as_f64().unwrap()).sum();
    assert!((whole["duration_sec"].as_f64().unwrap() - sum).abs() < 1e-6, "{whole}");
    assert_eq!(whole["count"], lines.len());
    assert_eq!(of(&timings, "score_quality")["label"], "IQA Quality");
    assert_eq!(of(&timings, "score_aesthetics")["label"], "AVA Aesthetics");
    // What is in the store takes no time, and has its row all the same.
    let (warm, warm_timings) = run("warm.json");
    assert_eq!(warm.stdout, cold.stdout);
    for row in
        ["discover_images", "analyze_images", "score_quality", "score_aesthetics", "cluster_images", "select_best"]
    {
        assert!(of(&warm_timings, row)["duration_sec"].is_f64());
    }
    assert_eq!(of(&warm_timings, "analyze_images")["count"], lines.len());
    assert_eq!(of(&warm_timings, "score_quality")["count"], 0);
    assert!(warm.stderr.contains("  AVA Aesthetics "), "{}", warm.stderr);
}

#[test]
fn progress_is_shown_when_asked_and_never_in_a_pipe() {
    let world = World::new();
    world.many_photos(3);
    assert_eq!(world.run(["score", "photos"]).expect(0).stderr, "");
    world.run(["score", "--progress", "always", "photos"]).expect(0);
}

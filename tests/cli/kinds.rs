//! Which pictures `select` takes for photographs, and what becomes of the others; orientations and days.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use train::drawn::draw;
use train::rng::Rng;

use crate::world::{World, fixture_album, shared_data, skipped};

/// Puts the best takes of four scenes among the photos.
fn photographs(world: &World) {
    for name in ["DSC_0102.jpg", "DSC_0107.jpg", "DSC_0113.jpg", "DSC_0123.jpg"] {
        fs::copy(fixture_album().join(name), world.photos().join(name)).unwrap();
    }
}

/// Draws screenshots and receipts that the built-in model has not learned from.
fn screens_and_receipts(world: &World) {
    for (kind, name) in [(1, "screen"), (3, "receipt")] {
        for seed in 0..2 {
            let picture = draw(kind, &[], &mut Rng::at(90_210 + seed, [kind as u64, seed]));
            let (width, height) = (picture.width(), picture.height());
            let image = image::RgbImage::from_raw(width, height, picture.data().to_vec()).unwrap();
            image.save(world.photos().join(format!("{name}_{seed}.png"))).unwrap();
        }
    }
}

fn name(line: &Value) -> String {
    Path::new(line["image_path"].as_str().unwrap()).file_name().unwrap().to_string_lossy().into_owned()
}

fn is_photograph(line: &Value) -> bool {
    name(line).starts_with("DSC")
}

fn select(world: &World, options: &[&str]) -> Vec<Value> {
    world.run(["select", "photos"].iter().chain(options)).expect(0).lines()
}

#[test]
fn screens_and_receipts_are_picked_only_when_photographs_leave_places() {
    let world = World::new();
    photographs(&world);
    screens_and_receipts(&world);
    let four = select(&world, &["--top", "4"]);
    assert!(four.len() == 4 && four.iter().all(is_photograph), "{four:?}");
    let all = select(&world, &["--top", "8", "--all"]);
    let told = |line: &Value| (line["kind"].as_str().unwrap().to_owned(), line["kind_confidence"].as_f64().unwrap());
    for line in &all {
        let (kind, sure) = told(line);
        assert_eq!(kind == "photo", is_photograph(line), "{line}");
        assert!((0.0..=1.0).contains(&sure) && sure > 1.0 / 7.0, "{line}");
    }
    let picked: Vec<&Value> = all.iter().filter(|line| line["selected"] == true).collect();
    assert!(picked.len() > 4 && picked[..4].iter().all(|line| is_photograph(line)), "{picked:?}");
    for line in &picked[4..] {
        let reason = line["reason"].as_str().unwrap();
        assert!(reason.ends_with(&format!("a {}, ranked behind all photographs.", told(line).0)), "{reason}");
    }
    // Whom the places did not suffice for says why.
    let others = select(&world, &["--top", "4", "--all"]);
    let passed = others.iter().find(|line| name(line) == "receipt_0.png").unwrap();
    assert!(passed["reason"].as_str().unwrap().contains("picked only when photographs leave places"), "{passed}");
    // The same from the store, and from a file of `analyze`.
    assert_eq!(select(&world, &["--top", "8", "--all"]), all);
    let analysed = world.run(["analyze", "photos"]).expect(0);
    fs::write(world.path("album.jsonl"), analysed.stdout).unwrap();
    let from = world.run(["select", "--from", "album.jsonl", "--top", "4"]).expect(0).lines();
    assert_eq!(from.iter().map(name).collect::<Vec<_>>(), four.iter().map(name).collect::<Vec<_>>());
    assert!(analysed_kinds(&world).iter().any(|kind| kind == "screenshot"));
}

fn analysed_kinds(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.path("album.jsonl")).unwrap();
    let kind = |line: &str| serde_json::from_str::<Value>(line).unwrap()["kind"].as_str().unwrap().to_owned();
    text.lines().map(kind).collect()
}

#[test]
fn junk_is_dropped_or_kept_as_said_and_a_persons_word_wins() {
    let world = World::new();
    photographs(&world);
    screens_and_receipts(&world);
    let dropped = select(&world, &["--junk", "drop", "--all"]);
    for line in &dropped {
        assert_eq!(line["selected"] == true, is_photograph(line), "{line}");
        let left_out = line["reason"].as_str().unwrap().contains("such pictures are left out");
        assert_eq!(left_out, !is_photograph(line), "{line}");
    }
    let kept = select(&world, &["--junk", "keep", "--all"]);
    assert!(kept.iter().all(|line| !line["reason"].as_str().unwrap().contains("photographs")), "{kept:?}");
    let configured = world.run(["select", "photos", "--all", "--set", "album.selection.junk=keep"]).expect(0).lines();
    assert_eq!(configured, kept);
    world.run(["decide", "keep", "photos/screen_0.png"]).expect(0);
    for how in ["last", "drop"] {
        let picks = select(&world, &["--junk", how, "--top", "2"]);
        assert_eq!(name(&picks[0]), "screen_0.png");
        assert!(picks[0]["reason"] == "You kept it." && is_photograph(&picks[1]), "{picks:?}");
    }
    world.run(["select", "photos", "--junk", "sometimes"]).expect(2);
    world.run(["select", "photos", "--set", "album.selection.junk=sometimes"]).expect(2);
}

#[test]
fn no_photograph_of_the_fixture_album_is_junk() {
    let world = World::new();
    let album = fixture_album();
    let lines = world.run(["select", album.to_str().unwrap(), "--all"]).expect(0).lines();
    assert!(lines.len() > 30 && lines.iter().all(|line| line["kind"] == "photo"), "{lines:?}");
}

#[test]
fn pictures_of_text_stay_out_of_an_album_of_photographs() {
    let (Some(text), Some(photos)) = (shared_data("text"), shared_data("iqa_golden")) else {
        return skipped("no ../shared/data");
    };
    let world = World::new();
    let paths = ["select", text.to_str().unwrap(), photos.to_str().unwrap(), "--top", "20"];
    let lines = world.run(paths).expect(0).lines();
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| line["kind"] == "photo"), "{lines:?}");
}

#[test]
fn orientation_leaves_out_photos_that_are_longer_the_other_way() {
    let world = World::new();
    photographs(&world);
    let square = image::open(world.photos().join("DSC_0107.jpg")).unwrap().crop_imm(0, 0, 800, 780);
    square.save(world.photos().join("DSC_square.jpg")).unwrap();
    // Upright.
    let scored = world.run(["score", "photos"]).expect(0).lines();
    let side = |line: &Value, side: &str| line[side].as_u64().unwrap();
    let size =
        |line: &Value| (line["image_path"].as_str().unwrap().to_owned(), (side(line, "width"), side(line, "height")));
    let sizes: BTreeMap<String, (u64, u64)> = scored.iter().map(size).collect();
    for way in ["landscape", "portrait", "square"] {
        let lines = select(&world, &["--orientation", way, "--all"]);
        assert!(lines.iter().any(|line| line["selected"] == true), "{way}");
        for line in &lines {
            let (width, height) = sizes[line["image_path"].as_str().unwrap()];
            let is = match () {
                () if width.abs_diff(height) * 20 <= width.min(height) => "square",
                () if width > height => "landscape",
                () => "portrait",
            };
            assert_eq!(line["selected"] == true, is == way, "{line}");
            let reason = format!("Its orientation is {is}, and {way} is required.");
            assert_eq!(line["reason"] == reason.as_str(), is != way, "{line}");
        }
    }
    world.run(["select", "photos", "--orientation", "diagonal"]).expect(2);
}

#[test]
fn a_day_gives_no_more_photos_than_wanted() {
    let world = World::new();
    // All of one day.
    photographs(&world);
    let lines = select(&world, &["--each-day", "2", "--all"]);
    let (picked, passed): (Vec<&Value>, Vec<&Value>) = lines.iter().partition(|line| line["selected"] == true);
    assert_eq!((picked.len(), passed.len()), (2, 2), "{lines:?}");
    for line in &passed {
        assert_eq!(line["reason"], "2 others of 2025-06-14 were picked, and at most 2 of a day are wanted.");
    }
    assert_eq!(select(&world, &["--each-day", "4"]).len(), 4);
    // What a person keeps fills the day.
    let word = format!("photos/{}", name(passed[0]));
    world.run(["decide", "keep", word.as_str()]).expect(0);
    let kept = select(&world, &["--each-day", "1"]);
    assert_eq!(kept.iter().map(name).collect::<Vec<_>>(), [name(passed[0])]);
}

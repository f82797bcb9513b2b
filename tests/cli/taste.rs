//! What `select` learns from decisions, and `taste` itself.

use std::fs;

use serde_json::Value;

use crate::world::{Random, World};

/// Photos of 64 x 48, an hour between each and the next: grey ones, whose names end in `g`, and colourful ones.
fn draw(world: &World, count: usize) {
    let mut random = Random::new(11);
    for photo in 0..count {
        let is_grey = photo.is_multiple_of(2);
        let mut picture = image::RgbImage::new(64, 48);
        for _ in 0..12 {
            let tone = [(); 3].map(|()| random.below(256) as u8);
            let tone = if is_grey { [tone[0]; 3] } else { [tone[0], 255 - tone[0], tone[2]] };
            let (left, top) = (random.below(56), random.below(40));
            let (wide, high) = (8 + random.below(40), 8 + random.below(30));
            for (x, y, pixel) in picture.enumerate_pixels_mut() {
                let (x, y) = (x as usize, y as usize);
                if (left..left + wide).contains(&x) && (top..top + high).contains(&y) {
                    *pixel = image::Rgb(tone);
                }
            }
        }
        picture.save(world.path(path(photo))).unwrap();
    }
}

fn path(photo: usize) -> String {
    let (day, hour, kind) = (1 + photo / 20, photo % 20, if photo.is_multiple_of(2) { 'g' } else { 'c' });
    format!("photos/IMG_202605{day:02}_{hour:02}0000_{kind}.png")
}

fn name(line: &Value) -> &str {
    line["image_path"].as_str().unwrap().rsplit('/').next().unwrap()
}

fn names(kind: char, photos: std::ops::Range<usize>) -> Vec<String> {
    let odd = usize::from(kind == 'c');
    photos.filter(|photo| photo % 2 == odd).map(path).collect()
}

fn decide(world: &World, word: &str, photos: &[String]) {
    let words = ["decide", word].map(str::to_owned);
    world.run(words.iter().chain(photos)).expect(0);
}

/// Each photo is a scene of its own.
const GROUPS: [&str; 4] = ["photos", "--all", "--method", "burst"];

fn selected(world: &World, more: &[&str]) -> crate::world::Seen {
    world.run([&["select"], &GROUPS[..], more].concat()).expect(0)
}

/// Undecided photos of a kind among the first half of all undecided ones.
fn ahead(lines: &[Value], kind: char) -> usize {
    let undecided: Vec<&Value> = lines.iter().filter(|line| line["decision"].is_null()).collect();
    undecided[..undecided.len() / 2].iter().filter(|line| name(line).ends_with(&format!("_{kind}.png"))).count()
}

#[test]
fn a_taste_counts_once_it_is_shown_to_help_and_says_so() {
    let world = World::new();
    draw(&world, 80);
    // Nothing is decided: whatever is asked for, the same bytes, and no journal.
    let plain = selected(&world, &[]).stdout;
    for choice in ["auto", "on", "off"] {
        assert!(selected(&world, &["--taste", choice]).stdout == plain, "{choice}");
    }
    assert!(!world.path("home/.local/share/albumctl").exists());

    // She likes grey photos. A few decisions change nothing yet.
    decide(&world, "keep", &names('g', 0..4));
    decide(&world, "reject", &names('c', 0..4));
    let few = selected(&world, &[]);
    assert!(few.stdout == selected(&world, &["--taste", "off"]).stdout, "{}", few.text());
    assert!(!few.stderr.contains("taste"), "{}", few.stderr);
    assert!(selected(&world, &["-v"]).stderr.contains("your taste does not count yet"));

    decide(&world, "keep", &names('g', 0..48));
    decide(&world, "reject", &names('c', 0..48));
    let with = selected(&world, &[]);
    assert!(with.stderr.contains("your taste counts: of photos of other scenes it puts the better first in"));
    assert!(with.stderr.contains("(48 decisions, "), "{}", with.stderr);
    assert!(with.stdout == selected(&world, &[]).stdout, "what was kept of the first run changes nothing in the next");
    let (with, without) = (with.lines(), selected(&world, &["--taste", "off"]).lines());
    assert!(without.iter().all(|line| line["taste"].is_null()));
    assert!(ahead(&with, 'g') >= ahead(&without, 'g') + 2 && ahead(&with, 'g') >= 14, "{}", ahead(&with, 'g'));
    for line in &with {
        let adds = line["taste"].as_f64().unwrap();
        let default = without.iter().find(|other| name(other) == name(line)).unwrap();
        let sum = (default["composite_score"].as_f64().unwrap() + adds).clamp(0.0, 1.0);
        assert!((line["composite_score"].as_f64().unwrap() - sum).abs() < 1e-9);
        if line["reason"] != default["reason"] {
            assert!(line["reason"].as_str().unwrap().contains("your taste"), "{line}");
        }
    }

    // `analyze` ranks as `select` does, with the taste and without.
    for taste in ["auto", "off"] {
        let analysed = world.run(["analyze", "photos", "--method", "burst", "--taste", taste]).expect(0);
        assert_eq!(analysed.stderr.contains("your taste counts"), taste == "auto", "{}", analysed.stderr);
        let (report, lines) = (analysed.lines(), selected(&world, &["--taste", taste]).lines());
        for line in &lines {
            let other = report.iter().find(|other| name(other) == name(line)).unwrap();
            for field in ["rank", "composite_score", "taste", "reason"] {
                assert_eq!(other[field], line[field], "{field} of {}", name(line));
            }
        }
    }
}

#[test]
fn decisions_by_chance_teach_nothing() {
    let world = World::new();
    draw(&world, 60);
    let mut random = Random::new(3);
    let photos: Vec<String> = names('g', 0..40).into_iter().chain(names('c', 0..40)).collect();
    let (kept, rejected): (Vec<String>, Vec<String>) = photos.into_iter().partition(|_| random.below(2) == 0);
    decide(&world, "keep", &kept);
    decide(&world, "reject", &rejected);
    let auto = selected(&world, &["-v"]);
    assert!(auto.stderr.contains("your taste does not count, because it is not shown to help"), "{}", auto.stderr);
    assert!(auto.stdout == selected(&world, &["--taste", "off"]).stdout);
    let forced = selected(&world, &["--taste", "on"]);
    assert!(forced.stderr.contains("your taste counts as you asked, though it is not shown to help"));
    assert!(forced.lines().iter().all(|line| line["taste"].is_number()));
}

#[test]
fn a_taste_is_shown_moved_to_another_machine_and_forgotten() {
    let world = World::new();
    draw(&world, 64);
    let nothing = world.run(["taste", "show"]).expect(0);
    assert!(nothing.stdout.is_empty() && nothing.stderr.contains("nothing is learned yet"), "{}", nothing.stderr);
    decide(&world, "keep", &names('g', 0..40));
    decide(&world, "reject", &names('c', 0..40));
    // A dry run keeps nothing of it.
    selected(&world, &["--copy-to", "album", "--dry-run"]);
    assert!(world.run(["taste", "show"]).expect(0).lines().is_empty());
    selected(&world, &[]);
    let shown = world.run(["taste", "show"]).expect(0).lines();
    assert_eq!((&shown[0]["counts"], &shown[0]["decisions"]), (&true.into(), &40.into()));
    assert!(shown[0]["concordance"].as_f64().unwrap() > shown[0]["default_concordance"].as_f64().unwrap());
    assert!(shown[0]["leanings"].as_array().unwrap().iter().any(|leaning| leaning["name"] == "colourfulness"));

    // On another machine, where these photos were never decided about, it counts for others.
    let exported = world.run(["taste", "export"]).expect(0);
    assert_eq!(exported.lines().len(), 40);
    let other = World::new();
    fs::write(other.path("taste.jsonl"), &exported.stdout).unwrap();
    for photo in names('g', 40..64).iter().chain(&names('c', 40..64)) {
        fs::copy(world.path(photo), other.path(photo)).unwrap();
    }
    other.run(["taste", "import", "taste.jsonl"]).expect(0);
    other.run(["taste", "import", "taste.jsonl"]).expect(0);
    assert_eq!(other.run(["taste", "export"]).expect(0).lines().len(), 40, "twice is as once");
    let with = selected(&other, &[]);
    assert!(with.stderr.contains("your taste counts"), "{}", with.stderr);
    let without = selected(&other, &["--taste", "off"]);
    assert!(ahead(&with.lines(), 'g') > ahead(&without.lines(), 'g'));

    // Forgotten there; decisions that were made before teach nothing any more, but stay.
    decide(&other, "keep", &names('g', 40..44));
    other.run(["taste", "reset"]).expect(0);
    assert!(other.run(["taste", "show"]).expect(0).stdout.is_empty());
    assert!(selected(&other, &["--taste", "on"]).lines().iter().all(|line| line["taste"].is_null()));
    assert_eq!(other.run(["decide", "list"]).expect(0).lines().len(), 2);
    let broken = other.run_with_stdin(["taste", "import", "-"], b"{\"content\": \"x\"}\n");
    assert_eq!(broken.code, Some(2));
    assert!(broken.stderr.contains("line 1: not a line of `taste export`"), "{}", broken.stderr);
}

#[test]
fn simulated_people_tell_how_soon_a_taste_helps() {
    let world = World::new();
    draw(&world, 80);
    let judged =
        world.run(["eval", "taste", "photos", "--draws", "3", "--set", "album.clustering.method=burst"]).expect(0);
    assert!(judged.stderr.contains("nobody who likes faces"), "{}", judged.stderr);
    let lines = judged.lines();
    let figure = |person: &str, metric: &str, decisions: usize| {
        let part = format!("{decisions} decisions");
        let is_it = |line: &&Value| line["subject"] == person && line["metric"] == metric && line["part"] == part;
        lines.iter().find(is_it).and_then(|line| line["value"].as_f64())
    };
    // Half of the photos are grey: whoever likes colour is understood soon, and a coin never.
    assert!(figure("colour", "gain_on", 10).unwrap() > 0.0, "{}", judged.text());
    assert_eq!(figure("random", "counts", 10), Some(0.0));
    assert_eq!(figure("random", "gain_on", 10), None);
    let refused = world.run(["eval", "taste", "photos", "--mistakes", "0.7"]);
    assert_eq!(refused.code, Some(2));
}

//! What is remembered between runs, and what is not.

use std::fs;

use serde_json::Value;

use crate::world::{Random, World, png};

fn remembered(world: &World, args: &[&str]) -> String {
    let seen = world.run(["score", "-v", "photos"].iter().chain(args)).expect(0);
    let summary = seen.stderr.lines().find(|line| line.starts_with("score: ")).unwrap().to_owned();
    let part = |what: &str| summary.split(", ").find(|part| part.ends_with(what)).unwrap().to_owned();
    format!("{}, {}", part("computed"), part("from the store"))
}

#[test]
fn unchanged_photos_are_not_computed_again() {
    let world = World::new();
    world.many_photos(5);
    assert_eq!(remembered(&world, &[]), "5 computed, 0 from the store");
    assert_eq!(remembered(&world, &[]), "0 computed, 5 from the store");
    assert_eq!(remembered(&world, &["--no-cache"]), "5 computed, 0 from the store");
    assert_eq!(remembered(&world, &["--cache-dir", "other"]), "5 computed, 0 from the store");
}

#[test]
fn a_renamed_photo_keeps_its_result_and_an_edited_one_does_not() {
    let world = World::new();
    world.many_photos(4);
    remembered(&world, &[]);
    fs::rename(world.photos().join("0000.png"), world.photos().join("renamed.png")).unwrap();
    fs::write(world.photos().join("0001.png"), png(48, 36, 99)).unwrap();
    assert_eq!(remembered(&world, &[]), "1 computed, 3 from the store");
}

#[test]
fn a_copy_of_a_known_photo_is_known() {
    let world = World::new();
    world.many_photos(1);
    remembered(&world, &[]);
    fs::copy(world.photos().join("0000.png"), world.photos().join("copy.png")).unwrap();
    assert_eq!(remembered(&world, &[]), "0 computed, 2 from the store");
}

#[test]
fn only_what_shapes_the_result_makes_it_computed_again() {
    let world = World::new();
    world.many_photos(2);
    remembered(&world, &[]);
    assert_eq!(remembered(&world, &["--set", "album.selection.ava_weight=0.9"]), "0 computed, 2 from the store");
    assert_eq!(
        remembered(&world, &["--set", "quality_assessment.weights.contrast=0.9"]),
        "2 computed, 0 from the store"
    );
    assert_eq!(remembered(&world, &["--full-resolution"]), "2 computed, 0 from the store");
    assert_eq!(remembered(&world, &[]), "0 computed, 2 from the store");
}

/// `count` photos in scenes of four takes, each scene a dozen fields of its own colours.
fn takes_of_scenes(world: &World, count: u32) {
    for number in 0..count {
        let mut chance = Random::new((number / 4).into());
        let fields: Vec<[u8; 3]> = (0..12).map(|_| [(); 3].map(|()| chance.below(200) as u8)).collect();
        let mut chance = Random::new(number.into());
        let picture = image::RgbImage::from_fn(48, 36, |x, y| {
            image::Rgb(fields[(y / 12 * 4 + x / 12) as usize].map(|value| value + chance.below(40) as u8))
        });
        picture.save(world.photos().join(format!("{number:04}.png"))).unwrap();
    }
}

#[test]
fn an_unchanged_library_is_chosen_from_the_same_without_its_embeddings() {
    let world = World::new();
    // As many as have their groups in the store.
    takes_of_scenes(&world, 300);
    let select = |more: &[&str]| world.run([&["select", "photos", "--all", "--top", "280"], more].concat()).expect(0);
    let cold = select(&[]).text();
    // There are fewer scenes than places, so that distances decide within them.
    assert!(cold.contains("Too similar to "));
    assert!(select(&[]).text() == cold, "distances of some photos");
    // A page names the model of the embeddings, which are read for it.
    assert!(select(&["--report", "page.html"]).text() == cold, "all embeddings");
    let others = select(&["--method", "kmeans"]).text();
    assert!(others != cold, "groups that nothing knew yet");
    assert!(select(&["--method", "kmeans"]).text() == others, "groups from the store");
}

#[test]
fn an_embedding_that_a_choice_computed_is_not_computed_again() {
    let world = World::new();
    world.many_photos(3);
    world.run(["select", "photos"]).expect(0);
    for command in ["cluster", "embed"] {
        let timings = world.path("timings.json");
        world.run([command, "photos", "--telemetry", "timings.json"]).expect(0);
        let timings: Value = serde_json::from_slice(&fs::read(timings).unwrap()).unwrap();
        let computed = timings["timings"].as_array().unwrap().iter().find(|row| row["name"] == "extract_features");
        assert_eq!(computed.unwrap()["count"], 0, "{command}");
    }
}

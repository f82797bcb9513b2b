//! What is remembered between runs, and what is not.

use std::fs;

use crate::world::{World, png};

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

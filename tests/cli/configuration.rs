//! Layers of configuration as a user lays them.

use std::fs;

use crate::world::World;

#[test]
fn each_layer_wins_over_the_one_below_and_says_so() {
    let world = World::new();
    fs::create_dir_all(world.path("home/.config/albumctl")).unwrap();
    let user_file = world.path("home/.config/albumctl/config.yaml");
    fs::write(&user_file, "num_workers: 1\nlimits: {max_seconds: 11}\nalbum: {selection: {ava_weight: 0.1}}\n")
        .unwrap();
    fs::write(world.path("mine.yaml"), "num_workers: 2\nlimits: {max_file_mb: 12}\n").unwrap();
    let seen = world
        .command([
            "config",
            "show",
            "--config",
            "mine.yaml",
            "--set",
            "album.selection.iqa_weight=0.3",
            "--threads",
            "4",
        ])
        .env("ALBUMCTL_NUM_WORKERS", "3")
        .env("ALBUMCTL_ALBUM__SELECTION__PORTRAIT_WEIGHT", "0.7")
        .output()
        .unwrap();
    let lines = crate::world::Seen::from(seen).expect(0).lines();
    let of = |key: &str| {
        let line = lines.iter().find(|line| line["key"] == key).unwrap();
        (line["value"].to_string(), line["origin"].as_str().unwrap().to_owned())
    };
    let owned = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(of("num_workers"), owned("4", "--threads"));
    assert_eq!(of("limits.max_seconds"), owned("11", user_file.to_str().unwrap()));
    assert_eq!(of("limits.max_file_mb"), owned("12", "mine.yaml"));
    assert_eq!(
        of("album.selection.portrait_weight"),
        owned("0.7", "environment ALBUMCTL_ALBUM__SELECTION__PORTRAIT_WEIGHT")
    );
    assert_eq!(of("album.selection.iqa_weight"), owned("0.3", "--set"));
    assert_eq!(of("device"), owned("\"auto\"", "built-in"));
}

#[test]
fn mistakes_name_the_key_the_place_and_what_was_meant() {
    let world = World::new();
    fs::write(world.path("bad.yaml"), "album:\n  selection:\n    ava_wieght: 1\n").unwrap();
    let error = world.run(["score", "--config", "bad.yaml", "photos"]).expect(2).stderr;
    assert_eq!(
        error,
        "error: usage: unknown key `album.selection.ava_wieght` in bad.yaml; did you mean `album.selection.ava_weight`?\n"
    );
    fs::write(world.path("worse.yaml"), "album: [\n").unwrap();
    assert!(
        world
            .run(["score", "--config", "worse.yaml", "photos"])
            .expect(2)
            .stderr
            .contains("worse.yaml is not valid YAML")
    );
    assert!(
        world
            .run(["score", "--config", "none.yaml", "photos"])
            .expect(2)
            .stderr
            .contains("cannot read the configuration none.yaml")
    );
    assert!(
        world.run(["score", "--set", "num_workers=many", "photos"]).expect(2).stderr.contains("`num_workers` in --set")
    );
    let seen = world.run(["score", "--device", "banana", "photos"]).expect(2);
    assert!(seen.stderr.contains("`device` in --device: must be auto, cpu, cuda or cuda:N"), "{}", seen.stderr);
    assert!(world.run(["score", "--set", "nonsense", "photos"]).expect(2).stderr.contains("KEY=VALUE"));
}

#[test]
fn keys_that_change_nothing_are_named_once() {
    let world = World::new();
    world.photo("a.png", 1);
    fs::write(world.path("original.yaml"), "thumbnail_sizes: {tiny: 128, small: 512, medium: 1024, large: 2048}\n")
        .unwrap();
    let seen = world.run(["score", "--config", "original.yaml", "photos"]).expect(0);
    for dead in ["tiny", "small", "large"] {
        let note = format!("`thumbnail_sizes.{dead}` in original.yaml is a key of the original system");
        assert_eq!(seen.stderr.matches(&note).count(), 1, "{}", seen.stderr);
    }
    assert!(!seen.stderr.contains("medium"), "{}", seen.stderr);
}

#[test]
fn the_originals_values_can_be_had() {
    let world = World::new();
    let original = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/original.yaml");
    let lines = world.run(["config", "show", "--config", original]).expect(0).lines();
    let of = |key: &str| lines.iter().find(|line| line["key"] == key).unwrap()["value"].clone();
    assert_eq!(of("album.quality.min_ava_score"), 4.0);
    assert_eq!(of("album.portrait.require_eyes_open"), true);
    assert_eq!(of("album.clustering.min_cluster_size"), 3);
}

//! Files that should not be there, or not be delivered.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::world::World;

fn names_in(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn same_picture_twice() {
    let world = World::new();
    let first = world.photo("a.png", 1);
    world.photo("b.png", 2);
    let alone = world.run(["select", "photos", "--per-cluster", "9"]).expect(0).stdout;
    fs::create_dir(world.photos().join("old")).unwrap();
    fs::copy(&first, world.photos().join("a (1).png")).unwrap();
    fs::copy(&first, world.photos().join("old/a.png")).unwrap();
    for decision in ["none", "keep"] {
        if decision == "keep" {
            world.run(["decide", "keep", "photos/a.png"]).expect(0);
        }
        let seen = world.run(["select", "photos", "--all", "--per-cluster", "9", "--copy-to", "out"]).expect(0);
        let of = |name: &str| seen.lines().into_iter().find(|line| line["image_path"] == name).unwrap();
        assert_eq!(of("photos/a.png")["selected"], true);
        for (copy, told) in [("photos/a (1).png", "a.png"), ("photos/old/a.png", "photos/a.png")] {
            assert_eq!(of(copy)["selected"], false);
            assert_eq!(of(copy)["reason"], format!("The same picture as {told}, byte for byte."));
        }
        assert_eq!(names_in(&world.path("out")), ["a.png", "b.png"].map(str::to_owned).into());
    }
    assert_eq!(world.run(["score", "photos"]).expect(0).lines().len(), 4, "others tell of every file");
    assert_eq!(world.run(["cluster", "photos"]).expect(0).lines().len(), 4);
    assert!(!alone.is_empty());
}

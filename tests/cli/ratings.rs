//! What people said in other programs, in photos and beside them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::world::{World, skipped};

fn packet(properties: &str) -> String {
    format!(
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
         <rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/' \
         xmlns:xmpDM='http://ns.adobe.com/xmp/1.0/DynamicMedia/' {properties}/></rdf:RDF></x:xmpmeta>"
    )
}

/// A photo of its own for each name, so that none is the other's copy, with a segment of XMP.
fn write(world: &World, name: &str, properties: &str) {
    let number = world.path("photos").read_dir().unwrap().count();
    let own = ["420", "422", "444", "grey", "coarse", "fitted", "restarts", "440"][number];
    let photo = fs::read(format!("fixtures/jpeg/{own}.jpg")).unwrap();
    let said = [&b"http://ns.adobe.com/xap/1.0/\0"[..], packet(properties).as_bytes()].concat();
    let length = (said.len() as u16 + 2).to_be_bytes();
    let segment = if properties.is_empty() { Vec::new() } else { [&[0xff, 0xe1], &length[..], &said].concat() };
    fs::write(world.path("photos").join(name), [&photo[..2], &segment, &photo[2..]].concat()).unwrap();
}

/// Decision and where it was found, of each photo by name.
fn words(world: &World, more: &[&str]) -> Vec<(String, Value, Value)> {
    let select = ["select", "photos", "--all", "--per-cluster", "9"];
    let lines = world.run(select.iter().chain(more)).expect(0).lines();
    let name = |line: &Value| {
        let path = line["image_path"].as_str().unwrap();
        Path::new(path).file_name().unwrap().to_str().unwrap().to_owned()
    };
    let mut words: Vec<_> =
        lines.iter().map(|line| (name(line), line["decision"].clone(), line["decision_source"].clone())).collect();
    words.sort_by(|a, b| a.0.cmp(&b.0));
    words
}

fn word(name: &str, decision: Value, source: Value) -> (String, Value, Value) {
    (name.to_owned(), decision, source)
}

#[test]
fn rejects_picks_and_five_stars_of_other_programs_are_decisions_and_fewer_stars_are_none() {
    let world = World::new();
    write(&world, "a.jpg", "xmp:Rating='-1'");
    write(&world, "b.jpg", "xmp:Rating='5'");
    write(&world, "c.jpg", "xmp:Rating='4'");
    write(&world, "d.jpg", "xmpDM:pick='1'");
    write(&world, "e.jpg", "");
    write(&world, "f.jpg", "xmp:Rating='5'");
    fs::write(world.path("photos/e.xmp"), packet("xmp:Rating='-1'")).unwrap();
    fs::write(world.path("photos/f.jpg.XMP"), packet("xmpDM:pick='-1' xmp:Rating='3'")).unwrap();
    let expected = [
        word("a.jpg", json!("reject"), json!("file")),
        word("b.jpg", json!("keep"), json!("file")),
        word("c.jpg", Value::Null, Value::Null),
        word("d.jpg", json!("keep"), json!("file")),
        word("e.jpg", json!("reject"), json!("sidecar")),
        word("f.jpg", json!("reject"), json!("sidecar")),
    ];
    assert_eq!(words(&world, &[]), expected);
    assert_eq!(words(&world, &[]), expected, "the same from the store");
    assert!(words(&world, &["--ratings", "ignore"]).iter().all(|(_, decision, _)| decision.is_null()));
    // The same from what `analyze` wrote.
    let analysis = world.run(["analyze", "photos"]).expect(0).stdout;
    fs::write(world.path("analysis.jsonl"), analysis).unwrap();
    let from = world.run(["select", "--from", "analysis.jsonl", "--all", "--per-cluster", "9"]).expect(0).lines();
    assert_eq!(from.iter().filter(|line| line["decision"] == "reject").count(), 3);
    assert_eq!(from.iter().filter(|line| line["decision"] == "keep").count(), 2);
    // What was said here goes before.
    world.run(["decide", "keep", "photos/a.jpg", "photos/e.jpg"]).expect(0);
    let after = words(&world, &[]);
    assert_eq!(after[0], word("a.jpg", json!("keep"), json!("journal")));
    assert_eq!(after[4], word("e.jpg", json!("keep"), json!("journal")));
}

#[test]
fn a_rating_inside_a_photo_is_not_contradicted_beside_it() {
    let world = World::new();
    write(&world, "rated.jpg", "xmp:Rating='2'");
    write(&world, "unrated.jpg", "xmp:Rating='0'");
    let seen = world.run(["select", "photos", "--per-cluster", "9", "--xmp"]).expect(0);
    assert_eq!(seen.names().len(), 2);
    assert!(!world.path("photos/rated.xmp").exists() && world.path("photos/unrated.xmp").exists());
    assert!(seen.stderr.contains("no sidecar for 1 picked photo with a rating of a person inside"), "{}", seen.stderr);
}

#[test]
fn stars_that_we_wrote_ourselves_are_nobodys_decision() {
    let world = World::new();
    write(&world, "a.jpg", "");
    world.run(["select", "photos", "--xmp", "--xmp-rating", "5"]).expect(0);
    assert_eq!(words(&world, &[]), [word("a.jpg", Value::Null, Value::Null)]);
    // A person took them for a start and changed them.
    let sidecar = world.path("photos/a.xmp");
    let changed = fs::read_to_string(&sidecar).unwrap().replace("xmp:Rating=\"5\"", "xmp:Rating=\"-1\"");
    fs::write(&sidecar, changed).unwrap();
    assert_eq!(words(&world, &[]), [word("a.jpg", json!("reject"), json!("sidecar"))]);
}

#[test]
fn stars_of_exiftool_are_found_in_every_format_it_writes() {
    if Command::new("exiftool").arg("-ver").output().is_err() {
        return skipped("exiftool is not installed (Debian: libimage-exiftool-perl)");
    }
    for (ending, tag) in [("jpg", "-XMP:Rating=-1"), ("jpg", "-EXIF:Rating=5"), ("png", "-XMP:Rating=-1")] {
        let world = World::new();
        if ending == "png" {
            world.photo("photo.png", 3);
        } else {
            write(&world, "photo.jpg", "");
        }
        let file = world.path(format!("photos/photo.{ending}"));
        let run = Command::new("exiftool").args(["-q", "-overwrite_original", tag]).arg(&file).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let expected = if tag.ends_with("=5") { "keep" } else { "reject" };
        assert_eq!(words(&world, &[])[0].1, json!(expected), "{ending} {tag}");
    }
}

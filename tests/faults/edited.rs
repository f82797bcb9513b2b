//! What other programs write about a photo loses neither a decision nor what runs have seen.

use std::fs;
use std::path::Path;
use std::process::Command;

use image::{DynamicImage, ImageFormat};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::world::{FIRST_JOURNAL, World, png, skipped};

/// One photo of each format that can be written here.
fn photos_of_all_formats(world: &World) -> Vec<String> {
    let formats = [("webp", ImageFormat::WebP), ("gif", ImageFormat::Gif), ("tiff", ImageFormat::Tiff)];
    let mut names = Vec::new();
    for (seed, (ending, format)) in (1..).zip(formats) {
        let picture = image::load_from_memory(&png(96, 64, seed)).unwrap();
        DynamicImage::ImageRgb8(picture.to_rgb8()).save_with_format(file(world, ending), format).unwrap();
        names.push(format!("photo.{ending}"));
    }
    fs::write(file(world, "png"), png(96, 64, 9)).unwrap();
    fs::copy("fixtures/jpeg/fitted.jpg", file(world, "jpg")).unwrap();
    for drawn in ["sampling-420.heic", "sampling-444.avif", "lossy.jxl"] {
        let ending = Path::new(drawn).extension().unwrap().to_str().unwrap();
        fs::copy(Path::new("fixtures/photo").join(drawn), file(world, ending)).unwrap();
        names.push(format!("photo.{ending}"));
    }
    names.extend(["photo.png".to_owned(), "photo.jpg".to_owned()]);
    names
}

fn file(world: &World, ending: &str) -> std::path::PathBuf {
    world.path(format!("photos/photo.{ending}"))
}

const NEWS: [&str; 5] = ["select", "photos", "--all", "--since", "last-run"];

fn decided(world: &World) -> Vec<Value> {
    let lines = world.run(["select", "photos", "--all"]).expect(0).lines();
    lines.iter().map(|line| line["decision"].clone()).collect()
}

/// Everything is kept and delivered; then `edit` writes something about each photo.
fn edited(names: impl Fn(&World) -> Vec<String>, edit: impl Fn(&Path)) {
    let world = World::new();
    let names = names(&world);
    world.run(["decide", "keep", "photos"]).expect(0);
    assert_eq!(world.run(NEWS).expect(0).names().len(), names.len());
    for name in &names {
        let file = world.path("photos").join(name);
        let before = fs::read(&file).unwrap();
        edit(&file);
        assert_ne!(fs::read(&file).unwrap(), before, "{name} was to be edited");
    }
    assert_eq!(decided(&world), vec![json!("keep"); names.len()], "{names:?}");
    let news = world.run(NEWS).expect(0);
    assert!(news.stdout.is_empty(), "{}", news.text());
}

/// A segment that holds XMP, right after the beginning.
fn write_xmp(jpeg: &Path) {
    let bytes = fs::read(jpeg).unwrap();
    let said = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'/>";
    let length = (said.len() as u16 + 2).to_be_bytes();
    fs::write(jpeg, [&bytes[..2], &[0xff, 0xe1], &length, said, &bytes[2..]].concat()).unwrap();
}

#[test]
fn a_segment_of_xmp_changes_nothing_and_another_picture_is_another_photo() {
    let one = |world: &World| {
        fs::copy("fixtures/jpeg/420.jpg", file(world, "jpg")).unwrap();
        vec!["photo.jpg".to_owned()]
    };
    edited(one, write_xmp);

    let world = World::new();
    one(&world);
    world.run(["decide", "keep", "photos"]).expect(0);
    fs::copy("fixtures/jpeg/422.jpg", file(&world, "jpg")).unwrap();
    assert_eq!(decided(&world), [Value::Null]);
}

#[test]
fn ratings_captions_places_and_rotation_tags_of_exiftool_lose_nothing() {
    let exiftool = |arguments: &[&str], file: &Path| {
        let run = Command::new("exiftool").args(["-q", "-q", "-overwrite_original"]).args(arguments).arg(file).output();
        let run = run.expect("exiftool runs");
        assert!(run.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&run.stderr));
    };
    if Command::new("exiftool").arg("-ver").output().is_err() {
        return skipped("exiftool is not installed (Debian: libimage-exiftool-perl)");
    }
    edited(photos_of_all_formats, |file| exiftool(&["-XMP:Rating=5", "-XMP:Description=At the lake"], file));
    let with_exif = |world: &World| {
        let mut names = photos_of_all_formats(world);
        fs::remove_file(file(world, "gif")).unwrap();
        names.retain(|name| name != "photo.gif");
        names
    };
    edited(with_exif, |file| {
        exiftool(&["-GPSLatitude=47.5", "-GPSLatitudeRef=N", "-GPSLongitude=9.7", "-GPSLongitudeRef=E"], file);
        exiftool(&["-EXIF:Orientation#=6"], file);
    });
}

#[test]
fn tables_and_scans_of_jpegtran_lose_nothing() {
    if Command::new("jpegtran").arg("-version").output().is_err() {
        return skipped("jpegtran is not installed (Debian: libjpeg-turbo-progs)");
    }
    let all = |world: &World| {
        let names = ["411", "420", "422", "440", "444", "fitted", "grey", "progressive", "restarts", "scans-apart"];
        let names: Vec<String> = names.iter().map(|name| format!("{name}.jpg")).collect();
        for name in &names {
            let copy = world.path("photos").join(name);
            fs::copy(Path::new("fixtures/jpeg").join(name), &copy).unwrap();
            write_xmp(&copy);
        }
        names
    };
    for how in [&["-copy", "none"][..], &["-copy", "none", "-optimize"], &["-copy", "all", "-progressive"]] {
        edited(all, |file| {
            write_xmp(file);
            let run = Command::new("jpegtran").args(how).arg(file).output().expect("jpegtran runs");
            assert!(run.status.success() && !run.stdout.is_empty());
            fs::write(file, run.stdout).unwrap();
        });
    }
}

#[test]
fn what_an_older_albumctl_decided_by_bytes_is_taken_over_before_the_next_edit() {
    let world = World::new();
    fs::copy("fixtures/jpeg/420.jpg", file(&world, "jpg")).unwrap();
    world.run(["decide", "keep", "photos"]).expect(0);
    // A journal of before pictures were known: the same rows, which name the bytes alone.
    let journal = world.path("home/.local/share/albumctl/journal.sqlite");
    let content = blake3::hash(&fs::read(file(&world, "jpg")).unwrap());
    fs::remove_file(&journal).unwrap();
    let old = Connection::open(&journal).unwrap();
    old.execute_batch(FIRST_JOURNAL).unwrap();
    old.execute("INSERT INTO decision VALUES (1, ?1, 'keep', 1, x'61')", [content.as_bytes()]).unwrap();
    drop(old);
    assert_eq!(decided(&world), [json!("keep")]);
    write_xmp(&file(&world, "jpg"));
    assert_eq!(decided(&world), [json!("keep")]);
    assert_eq!(world.run(["decide", "list"]).expect(0).lines().len(), 1);
}

//! The committed fixture album is what its generator draws, and says about itself what a camera would.

#![allow(clippy::unreadable_literal, reason = "colours read as one hexadecimal word")]

#[path = "../fixtures/generator/album.rs"]
mod album;
#[path = "../fixtures/generator/elementary.rs"]
mod elementary;
#[path = "../fixtures/generator/exif.rs"]
mod exif;
#[path = "../fixtures/generator/film.rs"]
mod film;
#[path = "../fixtures/generator/lens.rs"]
mod lens;
#[path = "../fixtures/generator/noise.rs"]
mod noise;
#[path = "../fixtures/generator/scenes/mod.rs"]
mod scenes;
#[path = "../fixtures/generator/space.rs"]
mod space;
#[path = "../fixtures/generator/studio.rs"]
mod studio;

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use album::{Subject, WALK};
use studio::{FULL_SIZE, Shot, photograph, shots, truth};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/album")
}

fn committed(shot: &Shot) -> Vec<u8> {
    fs::read(folder().join(shot.file_name())).expect("every shot of the list is committed")
}

#[test]
fn the_truth_names_one_best_take_of_every_scene() {
    let committed = fs::read_to_string(folder().join("truth.csv")).expect("truth.csv is there");
    assert_eq!(committed, truth(), "the shot list changed: run `make fixtures`");
    let mut scenes: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    let mut files = Vec::new();
    for row in csv::Reader::from_reader(committed.as_bytes()).records() {
        let row = row.expect("truth.csv is well formed");
        files.push(row[0].to_owned());
        scenes.entry(row[1].to_owned()).or_default().push(&row[3] == "true");
        assert!(!row[4].is_empty(), "{} has no reason", &row[0]);
    }
    for (scene, takes) in &scenes {
        assert!((3..=5).contains(&takes.len()), "{scene} has {} takes", takes.len());
        assert_eq!(takes.iter().filter(|best| **best).count(), 1, "{scene}");
    }
    assert_eq!(scenes.len(), WALK.len());
    let mut found: Vec<String> = fs::read_dir(folder())
        .expect("the album is there")
        .map(|entry| entry.expect("its entries can be listed").file_name().to_string_lossy().into_owned())
        .filter(|name| name != "truth.csv")
        .collect();
    found.sort();
    assert_eq!(files, found);
}

#[test]
fn the_album_stays_small() {
    let bytes: usize = shots().map(|shot| committed(&shot).len()).sum();
    assert!(bytes < 6_000_000, "{bytes} bytes");
}

#[test]
fn the_notes_read_back_in_shooting_order() {
    use ::exif::{In, Reader, Tag};
    let mut last = String::new();
    for shot in shots() {
        let notes = Reader::new().read_from_container(&mut Cursor::new(committed(&shot))).expect("EXIF parses");
        let text = |tag| notes.get_field(tag, In::PRIMARY).map(|field| field.display_value().to_string());
        let number = |tag| notes.get_field(tag, In::PRIMARY).and_then(|field| field.value.get_uint(0));
        let time = text(Tag::DateTimeOriginal).expect("a time");
        let subsecond = text(Tag::SubSecTimeOriginal).expect("a subsecond");
        let taken = format!("{time}.{}", subsecond.trim_matches('"'));
        assert!(taken > last, "{} was taken at {taken}, after {last}", shot.file_name());
        last = taken;
        assert_eq!(text(Tag::OffsetTimeOriginal).as_deref(), Some("\"+02:00\""));
        assert_eq!(number(Tag::Orientation), Some(shot.shoot.orientation.into()));
        assert_eq!(notes.get_field(Tag::GPSLatitude, In::PRIMARY).is_some(), shot.shoot.place.is_some());
    }
}

/// Upright RGB of a committed file, averaged down to `width` by `height`.
fn shrunk(shot: &Shot, width: usize, height: usize) -> Vec<f32> {
    let mut decoder = jpeg_decoder::Decoder::new(Cursor::new(committed(shot)));
    let pixels = decoder.decode().expect("a whole JPEG");
    let info = decoder.info().expect("a header");
    let (stored_width, stored_height) = (usize::from(info.width), usize::from(info.height));
    let cell = stored_width.max(stored_height) / width.max(height);
    let mut sums = vec![0.0; width * height * 3];
    for row in 0..height * cell {
        for column in 0..width * cell {
            let (x, y) = match shot.shoot.orientation {
                6 => (row, stored_height - 1 - column),
                8 => (stored_width - 1 - row, column),
                _ => (column, row),
            };
            for channel in 0..3 {
                sums[(row / cell * width + column / cell) * 3 + channel] +=
                    f32::from(pixels[(y * stored_width + x) * 3 + channel]) / (cell * cell) as f32;
            }
        }
    }
    sums
}

#[test]
fn every_best_take_looks_as_drawn() {
    for shot in shots().filter(|shot| shot.take.best) {
        let drawn = photograph(&shot, FULL_SIZE / 20);
        let stored = shrunk(&shot, drawn.width, drawn.height);
        let apart =
            drawn.rgb.iter().zip(&stored).map(|(a, b)| (f32::from(*a) - b).abs()).sum::<f32>() / stored.len() as f32;
        // Sampling so few points misses fine detail, which a forest is full of; another scene or a turned one is far off.
        assert!(apart < 13.0, "{}: {apart} levels apart on average", shot.file_name());
    }
}

/// The generator does its own arithmetic, so the same bytes come out on every platform. One photo tells: all scenes are
/// made of the same arithmetic.
#[test]
fn a_photo_drawn_again_has_the_same_bytes() {
    let shot = shots().find(|shot| shot.shoot.subject == Subject::Flower).expect("a flower");
    let drawn = shot.jpeg(photograph(&shot, FULL_SIZE)).expect("the encoder works");
    assert!(drawn == committed(&shot), "{} differs", shot.file_name());
}

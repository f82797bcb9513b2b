//! `--sequences`: exposure brackets as cameras write them, and bursts that are none.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use exif::{Rational, SRational, Tag, Value as Exif};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::crop_imm;
use judge::sequences::{Exposure, Frame, FrameSketch, find};
use photo::{Limits, Scale, decode, resize};
use serde_json::Value;

use crate::face_quality::with_exif;
use crate::world::{World, fixture_album, shared_data};

/// How a camera writes a bracket: its bias in stops in the order taken, over this denominator.
struct Habit {
    camera: &'static str,
    little_endian: bool,
    stops: &'static [f64],
    denominator: i32,
    has_fractions: bool,
    /// Where the middle exposure comes in the order.
    middle: usize,
}

const HABITS: [Habit; 5] = [
    Habit {
        camera: "Canon",
        little_endian: true,
        stops: &[0.0, -2.0, 2.0],
        denominator: 3,
        has_fractions: true,
        middle: 0,
    },
    Habit {
        camera: "NIKON",
        little_endian: false,
        stops: &[-1.0, 0.0, 1.0],
        denominator: 6,
        has_fractions: true,
        middle: 1,
    },
    Habit {
        camera: "SONY",
        little_endian: true,
        stops: &[0.0, -0.7, 0.7, -1.4, 1.4],
        denominator: 10,
        has_fractions: true,
        middle: 0,
    },
    Habit {
        camera: "FUJIFILM",
        little_endian: true,
        stops: &[0.0, 1.0, -1.0],
        denominator: 100,
        has_fractions: false,
        middle: 0,
    },
    // With exposures set by hand: no compensation is written.
    Habit {
        camera: "OLYMPUS",
        little_endian: false,
        stops: &[-2.0, 0.0, 2.0],
        denominator: 0,
        has_fractions: true,
        middle: 1,
    },
];

fn ascii(text: &str) -> Exif {
    Exif::Ascii(vec![text.as_bytes().to_vec()])
}

/// What the camera of a habit writes into the frame of this number; each camera takes its pictures on a day of its own.
fn fields(habit: &Habit, day: usize, frame: usize) -> Vec<(Tag, Exif)> {
    let stops = habit.stops[frame];
    let millionths = 8_000.0 * stops.exp2();
    let mut fields = vec![
        (Tag::Make, ascii(habit.camera)),
        (Tag::DateTimeOriginal, ascii(&format!("2026:05:0{day} 10:00:{:02}", 10 + usize::from(frame > 3)))),
        (Tag::ExposureTime, Exif::Rational(vec![Rational { num: millionths as u32, denom: 1_000_000 }])),
        (Tag::FNumber, Exif::Rational(vec![Rational { num: 80, denom: 10 }])),
        (Tag::PhotographicSensitivity, Exif::Short(vec![200])),
        (Tag::ExposureMode, Exif::Short(vec![2])),
    ];
    let (num, denom) = match habit.denominator {
        0 => (0, 1),
        denominator => ((stops * f64::from(denominator)).round() as i32, denominator),
    };
    fields.push((Tag::ExposureBiasValue, Exif::SRational(vec![SRational { num, denom }])));
    if habit.has_fractions {
        fields.push((Tag::SubSecTimeOriginal, ascii(&format!("{:02}", 20 * (frame % 4) + 5))));
    }
    fields
}

/// Photos of scenes that have nothing to do with each other.
const SCENES: [&str; 6] = ["DSC_0102", "DSC_0108", "DSC_0109", "DSC_0115", "DSC_0118", "DSC_0126"];

fn scene(number: usize) -> RgbImage {
    let bytes = fs::read(fixture_album().join(format!("{}.jpg", SCENES[number]))).unwrap();
    let photo = decode(&bytes, Scale::AtLeast(640), &Limits::default()).unwrap().pixels;
    let photo = resize::within(&photo, 640).into_owned();
    RgbImage::from_raw(photo.width(), photo.height(), photo.into_data()).unwrap()
}

/// A picture at an exposure in stops.
fn exposed(picture: &RgbImage, stops: f64) -> Vec<u8> {
    let mut picture = picture.clone();
    for pixel in picture.pixels_mut() {
        pixel.0 = pixel.0.map(|level| (f64::from(level) * (0.6 * stops).exp2()).min(255.0) as u8);
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 92).encode_image(&picture).unwrap();
    bytes
}

fn name(habit: &Habit, frame: usize) -> String {
    format!("{}_{}.jpg", habit.camera, frame + 1)
}

fn album() -> World {
    let world = World::new();
    for (number, habit) in HABITS.iter().enumerate() {
        let scene = scene(number);
        for (frame, &stops) in habit.stops.iter().enumerate() {
            let file = with_exif(&exposed(&scene, stops), &fields(habit, number + 1, frame), habit.little_endian);
            fs::write(world.photos().join(name(habit, frame)), file).unwrap();
        }
    }
    fs::write(world.photos().join("ZZZ_1.jpg"), exposed(&scene(HABITS.len()), 0.0)).unwrap();
    world
}

fn by_name(lines: &[Value]) -> BTreeMap<String, Value> {
    let name = |line: &Value| Path::new(line["image_path"].as_str().unwrap()).file_name().unwrap().to_owned();
    lines.iter().map(|line| (name(line).into_string().unwrap(), line.clone())).collect()
}

#[test]
fn a_bracket_of_any_camera_takes_one_place_and_its_middle_exposure_stands_for_it() {
    let world = album();
    let lines = by_name(&world.run(["select", "photos", "--all"]).expect(0).lines());
    for habit in &HABITS {
        let middle = &lines[&name(habit, habit.middle)];
        assert_eq!((&middle["selected"], &middle["unit"]), (&true.into(), &"bracket".into()), "{middle}");
        let frames: Vec<&str> = middle["sequence"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        assert_eq!(frames[0], middle["image_path"], "the middle one first");
        let mut all: Vec<String> = (0..habit.stops.len()).map(|it| format!("photos/{}", name(habit, it))).collect();
        let mut named = frames.clone();
        all.sort();
        named.sort_unstable();
        assert_eq!(named, all);
        let reason = middle["reason"].as_str().unwrap();
        assert!(reason.contains(&format!("it stands for an exposure bracket of {}", habit.stops.len())), "{reason}");
        for frame in (0..habit.stops.len()).filter(|&frame| frame != habit.middle) {
            let line = &lines[&name(habit, frame)];
            assert_eq!((&line["selected"], &line["sequence"]), (&false.into(), &middle["sequence"]), "{line}");
            let expected = format!("for which {} stands", name(habit, habit.middle));
            assert!(line["reason"].as_str().unwrap().contains(&expected), "{line}");
        }
    }
    let single = &lines["ZZZ_1.jpg"];
    assert_eq!(
        (&single["unit"], &single["sequence"], &single["selected"]),
        (&"single".into(), &Value::Null, &true.into())
    );
    // From the file of an analysis the same, and with other threads.
    let analysis = world.run(["analyze", "photos", "--threads", "1", "-o", "all.jsonl"]).expect(0);
    assert_eq!(analysis.text(), "");
    let again = by_name(&world.run(["select", "--from", "all.jsonl", "--all"]).expect(0).lines());
    for (name, line) in &lines {
        for field in ["rank", "selected", "unit", "sequence", "reason"] {
            assert_eq!(line[field], again[name][field], "{name} {field}");
        }
    }
}

#[test]
fn the_best_frame_or_every_frame_where_that_is_asked_for() {
    let world = album();
    let best = by_name(&world.run(["select", "photos", "--all", "--sequences", "best"]).expect(0).lines());
    for habit in &HABITS {
        let frames: Vec<&Value> = (0..habit.stops.len()).map(|frame| &best[&name(habit, frame)]).collect();
        let score = |line: &Value| line["composite_score"].as_f64().unwrap();
        let first = frames.iter().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
        assert_eq!(frames.iter().filter(|line| line["selected"] == true).count(), 1, "{}", habit.camera);
        assert_eq!(first["selected"], true, "{first}");
        let others = frames.iter().filter(|line| line["selected"] == false);
        others.for_each(|line| assert!(line["reason"].as_str().unwrap().contains("is the best"), "{line}"));
    }
    let all = world.run(["select", "photos", "--all", "--sequences", "ignore"]).expect(0).lines();
    assert!(all.iter().all(|line| line["unit"] == "single" && line["sequence"].is_null()), "{all:?}");
    assert!(all.iter().all(|line| !line["reason"].as_str().unwrap().contains("bracket")));
}

#[test]
fn frames_go_along_and_a_persons_word_about_one_counts() {
    let world = album();
    let copies = |folder: &str, more: &[&str]| {
        let args = ["select", "photos", "--copy-to", folder];
        let lines = by_name(&world.run(args.iter().chain(more)).expect(0).lines());
        let mut names: Vec<String> = fs::read_dir(world.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("Canon"))
            .collect();
        names.sort();
        (names, lines)
    };
    let (names, lines) = copies("whole", &[]);
    assert_eq!(names, ["Canon_1.jpg", "Canon_2.jpg", "Canon_3.jpg"]);
    let written = lines["Canon_1.jpg"]["written"].as_array().unwrap();
    assert_eq!(written.iter().map(|it| it["companion"].as_bool().unwrap()).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(copies("alone", &["--companions", "photo"]).0, ["Canon_1.jpg"]);
    assert_eq!(copies("best", &["--sequences", "best"]).0.len(), 1);

    world.run(["decide", "keep", "photos/Canon_2.jpg"]).expect(0);
    world.run(["decide", "reject", "photos/NIKON_2.jpg"]).expect(0);
    let lines = by_name(&world.run(["select", "photos", "--all"]).expect(0).lines());
    assert_eq!((&lines["Canon_2.jpg"]["selected"], &lines["Canon_1.jpg"]["selected"]), (&true.into(), &false.into()));
    assert!(lines["Canon_1.jpg"]["reason"].as_str().unwrap().contains("of which you kept Canon_2.jpg"));
    let nikon: Vec<_> = (1..=3).map(|frame| lines[&format!("NIKON_{frame}.jpg")]["selected"] == true).collect();
    assert_eq!(nikon.iter().filter(|selected| **selected).count(), 1, "another frame stands for it");
    assert!(!nikon[1], "not the rejected one");
}

/// With a store, sketches are made while photos are decoded and read again for those that may be frames.
#[test]
fn a_sweep_is_found_with_and_without_stored_sketches() {
    let world = World::new();
    let (picture, same) = (scene(1), Habit { stops: &[0.0; 4], ..HABITS[0] });
    for frame in 0..4 {
        let window = crop_imm(&picture, 100 * frame, 0, 320, picture.height()).to_image();
        let mut fields = fields(&same, 1, 0);
        fields.retain(|(tag, _)| ![Tag::DateTimeOriginal, Tag::SubSecTimeOriginal].contains(tag));
        fields.push((Tag::DateTimeOriginal, ascii(&format!("2026:05:01 10:00:{:02}", 2 * frame))));
        let file = with_exif(&exposed(&window, 0.0), &fields, true);
        fs::write(world.photos().join(format!("turn_{frame}.jpg")), file).unwrap();
    }
    fs::write(world.photos().join("other.jpg"), exposed(&scene(4), 0.0)).unwrap();
    let [cold, again] = [0, 1].map(|_| world.run(["select", "photos", "--all"]).expect(0));
    let without = world.run(["select", "photos", "--all", "--no-cache"]).expect(0);
    assert_eq!((cold.text(), again.text()), (again.text(), without.text()));
    let units: Vec<String> = by_name(&cold.lines()).values().map(|line| line["unit"].to_string()).collect();
    assert_eq!(units, ["\"single\"", "\"sweep\"", "\"sweep\"", "\"sweep\"", "\"sweep\""]);
    // What other commands stored before has no sketches.
    let elsewhere = World::new();
    for photo in fs::read_dir(world.photos()).unwrap().flatten() {
        fs::copy(photo.path(), elsewhere.photos().join(photo.file_name())).unwrap();
    }
    elsewhere.run(["select", "photos", "--sequences", "ignore"]).expect(0);
    assert_eq!(elsewhere.run(["select", "photos", "--all"]).expect(0).text(), cold.text());
}

#[test]
fn real_bursts_are_no_sequences() {
    let Some(burst) = shared_data("exif_burst_album") else { return };
    let world = World::new();
    let lines = world.run(["select", burst.to_str().unwrap(), "--all"]).expect(0).lines();
    assert!(lines.iter().all(|line| line["unit"] == "single"), "{lines:?}");
}

/// The bursts have no times of their own; here each is given one exposure and a take a second.
#[test]
fn takes_of_one_scene_are_no_stack_and_no_sweep_whatever_the_clock_says() {
    let Some(folder) = shared_data("biq2021") else { return };
    let table = fs::read_to_string(folder.join("bursts.csv")).unwrap();
    let mut groups: BTreeMap<&str, Vec<FrameSketch>> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let mut cells = line.split(',');
        let (file, group) = (cells.next().unwrap(), cells.next().unwrap());
        let bytes = fs::read(folder.join("bursts").join(file)).unwrap();
        let decoded = decode(&bytes, Scale::AtLeast(1024), &Limits::default()).unwrap();
        groups.entry(group).or_default().extend(FrameSketch::of(&resize::within(&decoded.pixels, 1024)));
    }
    let mut takes = 0;
    for (group, sketches) in &groups {
        for gap_ms in [250, 1000] {
            let frame = |(at, sketch)| Frame {
                path: format!("photos/{group}_{at:03}.jpg").into(),
                taken_ms: Some(gap_ms * at as i64),
                width: 6000,
                height: 4000,
                exposure: Exposure { seconds: Some(0.01), bias: Some(0.0), ..Exposure::default() },
                sketch: Some(sketch),
            };
            let found = find(&sketches.iter().enumerate().map(frame).collect::<Vec<_>>());
            assert!(found.is_empty(), "{group}, every {gap_ms} ms: {found:?}");
        }
        takes += sketches.len();
    }
    assert!(takes > 300, "{takes}");
}

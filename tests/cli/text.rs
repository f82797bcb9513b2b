//! `albumctl ocr`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::{World, report, shared_data, skipped, text_model};

/// A white picture with a black bar.
fn bar(world: &World, name: &str) -> PathBuf {
    let path = world.photos().join(name);
    let inside = |x: u32, y: u32| (20..380).contains(&x) && (40..60).contains(&y);
    let picture = image::RgbImage::from_fn(400, 100, |x, y| image::Rgb([if inside(x, y) { 0 } else { 255 }; 3]));
    picture.save(&path).unwrap();
    path
}

#[test]
fn lines_are_found_and_read() {
    let world = World::new();
    text_model::install(&world, &text_model::finder(), &text_model::reader());
    bar(&world, "bar.png");
    image::RgbImage::from_pixel(64, 64, image::Rgb([255; 3])).save(world.photos().join("empty.png")).unwrap();
    let lines = world.run(["ocr", "photos"]).expect(0).lines();
    let (bar, empty) = (&lines[0], &lines[1]);
    assert_eq!((&bar["text"], &bar["models"][0]), (&"I".into(), &"pp-ocrv6-small@1".into()));
    let [line] = bar["lines"].as_array().unwrap().as_slice() else { panic!("{bar}") };
    assert!(line["text"] == "I" && line["confidence"].as_f64().unwrap() > 0.99, "{line}");
    let bbox: Vec<f64> = line["bbox"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let around = bbox[0] < 0.05 && bbox[1] < 0.4 && bbox[0] + bbox[2] > 0.95 && bbox[1] + bbox[3] > 0.6;
    assert!(around && bbox[1] > 0.1 && bbox[1] + bbox[3] < 0.9, "{bbox:?}");
    assert!(empty["text"] == "" && empty["lines"] == Value::Array(Vec::new()), "{empty}");
    // From the store, the same.
    assert_eq!(world.run(["ocr", "photos"]).expect(0).lines(), lines);
    let table = world.run(["ocr", "photos", "--format", "table"]).expect(0).text();
    assert!(table.contains("bar.png") && table.lines().any(|line| line.trim_end().ends_with('I')), "{table}");
    let csv = world.run(["ocr", "photos", "--format", "csv"]).expect(0).text();
    assert!(csv.starts_with("image_path,image_path_b64,text,lines,models"), "{csv}");
    // `analyze` has it, too.
    let analysed = world.run(["analyze", "photos"]).expect(0).lines();
    assert!(analysed[0]["text"]["text"] == "I" && analysed[0]["text"]["lines"] == bar["lines"], "{}", analysed[0]);
}

#[test]
fn text_alone_is_for_people_and_pipes() {
    let world = World::new();
    text_model::install(&world, &text_model::finder(), &text_model::reader());
    let one = bar(&world, "a.png");
    assert_eq!(world.run(["ocr", "--text", one.to_str().unwrap()]).expect(0).text(), "I\n");
    bar(&world, "b.png");
    let both = world.run(["ocr", "--text", "photos"]).expect(0).text();
    assert_eq!(both, "==> photos/a.png <==\nI\n==> photos/b.png <==\nI\n");
    world.run(["ocr", "--text", "photos", "-o", "text.txt"]).expect(0);
    assert_eq!(fs::read_to_string(world.path("text.txt")).unwrap(), both);
    world.run(["ocr", "--text", "--format", "csv", "photos"]).expect(2);
}

#[test]
fn languages_hold_the_reader_to_their_letters() {
    let world = World::new();
    let letters: Vec<String> = ('а'..='ё').chain('a'..='z').map(String::from).collect();
    let letters: Vec<&str> = ["я"].into_iter().chain(letters.iter().map(String::as_str)).collect();
    text_model::install(&world, &text_model::finder(), &text_model::reader_of(&letters));
    bar(&world, "a.png");
    let read = |languages: &[&str]| world.run([&["ocr", "--text", "photos"], languages].concat()).expect(0).text();
    // What was read of all letters is not taken from the store for fewer.
    for languages in [&[][..], &["--languages", "rus"], &["-l", "eng+rus"], &["--languages", "en,ru"]] {
        assert_eq!(read(languages), "я\n", "{languages:?}");
    }
    assert_eq!(read(&["--languages", "eng"]), "");
    for (unknown, languages) in [("deu", "eng+deu"), ("klingon", "klingon")] {
        let seen = world.run(["ocr", "photos", "--languages", languages]).expect(2);
        let told = format!("does not read `{unknown}`; it reads bul, eng, lat, msa, rus");
        assert!(seen.stderr.contains(&told), "{}", seen.stderr);
    }
}

#[test]
fn without_the_model_it_says_how_to_get_it() {
    let world = World::new();
    world.photo("a.png", 1);
    let seen = world.run(["ocr", "photos"]).expect(1);
    assert!(
        seen.stderr.contains("albumctl models pull text") && seen.stderr.contains("PP-OCRv6_rec_small"),
        "{}",
        seen.stderr
    );
    let seen = world.run(["ocr", "--model", "dinov2-s", "photos"]).expect(2);
    assert!(seen.stderr.contains("`dinov2-s` does not do this"), "{}", seen.stderr);
    assert!(world.run(["analyze", "photos"]).expect(0).lines()[0]["text"].is_null());
}

/// Words of three letters and more that are read, of pictures whose words are known.
#[test]
fn what_is_written_is_read() {
    let Some(folder) = shared_data("text") else { return };
    let Some(weights) = std::env::var_os("ALBUMCTL_WEIGHTS") else {
        return skipped("ALBUMCTL_WEIGHTS names no folder with the published weights");
    };
    let truth: Value = serde_json::from_slice(&fs::read(folder.join("text.json")).unwrap()).unwrap();
    let finder = "PP-OCRv6_det_small.onnx";
    for (model, names) in [
        ("pp-ocrv6-small", [finder, "PP-OCRv6_rec_small.onnx"]),
        ("pp-ocrv6-tiny", ["PP-OCRv6_det_tiny.onnx", "PP-OCRv6_rec_tiny.onnx"]),
        ("tesseract-eng", [finder, "eng.traineddata"]),
    ] {
        let files = names.map(|name| Path::new(&weights).join(name));
        if let Some(missing) = files.iter().find(|file| !file.exists()) {
            skipped(&format!("no {}", missing.display()));
            continue;
        }
        let world = World::new();
        files.iter().for_each(|file| drop(world.run(["models", "import", file.to_str().unwrap()]).expect(0)));
        let lines = world.run(["ocr", "--model", model, folder.to_str().unwrap()]).expect(0).lines();
        let (mut known, mut read) = (0, 0);
        for picture in truth.as_array().unwrap() {
            let name = picture["file"].as_str().unwrap();
            let line = lines.iter().find(|line| line["image_path"].as_str().unwrap().ends_with(name)).unwrap();
            let mut words: HashMap<&str, usize> = HashMap::new();
            let text = line["text"].as_str().unwrap();
            text.split(|letter: char| !letter.is_alphanumeric()).for_each(|word| *words.entry(word).or_default() += 1);
            let wanted = picture["words"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
            for word in wanted.filter(|word| word.chars().filter(|letter| letter.is_alphabetic()).count() >= 3) {
                known += 1;
                let left = words.get_mut(word).filter(|left| **left > 0);
                read += usize::from(left.map(|left| *left -= 1).is_some());
            }
        }
        let recall = f64::from(read as u32) / f64::from(known);
        report(&format!("{model}: {read} of {known} words read, recall {recall:.3}"));
        assert!(recall >= 0.937, "{model}: {recall}");
    }
}

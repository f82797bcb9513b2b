//! `albumctl people`, with the published networks where `ALBUMCTL_WEIGHTS` names their folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::{World, report, shared, shared_data, skipped};

const DLIB: [&str; 2] = ["dlib_face_recognition_resnet_model_v1.dat", "shape_predictor_5_face_landmarks.dat"];
const FINDING: [&str; 3] = [
    "face_detection_full_range_sparse.tflite",
    "face_detection_short_range.tflite",
    "face_landmark_with_attention.tflite",
];

/// A world with all models that people need, and the photos of people with who is on them.
fn world() -> Option<(World, PathBuf, BTreeMap<String, String>)> {
    let (faces, photos) = (shared("weights/mediapipe")?, shared_data("people/photos")?);
    let folder = std::env::var_os("ALBUMCTL_WEIGHTS").map(PathBuf::from);
    let Some(folder) = folder.filter(|folder| DLIB.iter().all(|name| folder.join(name).exists())) else {
        skipped("ALBUMCTL_WEIGHTS names no folder with dlib's files");
        return None;
    };
    let world = World::new();
    let files = DLIB.iter().map(|name| folder.join(name)).chain(FINDING.iter().map(|name| faces.join(name)));
    let words = ["models", "import"].map(PathBuf::from).into_iter().chain(files);
    world.run(words).expect(0);
    let truth = fs::read_to_string(photos.parent().unwrap().join("people.csv")).unwrap();
    let truth = truth.lines().skip(1).map(|line| line.split_once(',').unwrap());
    Some((world, photos, truth.map(|(file, person)| (file.to_owned(), person.to_owned())).collect()))
}

fn name(line: &Value) -> String {
    Path::new(line["image_path"].as_str().unwrap()).file_name().unwrap().to_string_lossy().into_owned()
}

/// The person of the largest face.
fn person(line: &Value) -> Option<String> {
    let area = |face: &&Value| face["bbox"][2].as_f64().unwrap() * face["bbox"][3].as_f64().unwrap();
    let largest = line["faces"].as_array().unwrap().iter().max_by(|a, b| area(a).total_cmp(&area(b)));
    largest?["person"].as_str().map(str::to_owned)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The files below a folder that hold some bytes.
fn holding(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    files(folder)
        .into_iter()
        .filter(|path| fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes))
        .collect()
}

#[test]
fn nothing_is_known_of_people_before_the_models_are_pulled() {
    let world = World::new();
    world.photo("a.png", 1);
    let seen = world.run(["people", "photos"]).expect(1);
    assert!(seen.text().is_empty() && seen.stderr.contains("albumctl models pull people"), "{}", seen.stderr);
    let analysed = world.run(["analyze", "photos"]).expect(0).lines();
    assert_eq!(analysed[0]["people"], Value::Null);
    assert!(holding(world.root(), b"CREATE TABLE person").is_empty());
    assert_eq!(world.run(["people", "list"]).expect(0).text(), "");
    let unknown = world.run(["people", "name", "p1", "Anna"]).expect(2);
    assert!(unknown.stderr.contains("nobody is called `p1`"), "{}", unknown.stderr);
    world.run(["people"]).expect(2);
    world.run(["people", "forget"]).expect(2);
    let forgotten = world.run(["people", "forget", "--all"]).expect(0);
    assert!(forgotten.text().is_empty());
    // The word brings what finds faces and what tells them apart.
    let refused = world.run(["models", "pull", "people", "--offline"]);
    assert!(refused.stderr.contains("dlib") && !refused.stderr.contains("no model is called"), "{}", refused.stderr);
}

#[test]
fn photos_of_six_people_are_told_apart_and_stay_so() {
    let Some((world, photos, truth)) = world() else { return };
    let photos = photos.to_str().unwrap();
    let look = || world.run(["people", photos]).expect(0).lines();
    let lines = look();
    let told: Vec<(Option<String>, &str)> =
        lines.iter().map(|line| (person(line), truth[&name(line)].as_str())).collect();
    let (mut both, mut ours, mut theirs) = (0, 0, 0);
    for (at, (found, person)) in told.iter().enumerate() {
        for (other, another) in &told[..at] {
            let (one, same) = (found.is_some() && found == other, person == another);
            (both, ours, theirs) = (both + u32::from(one && same), ours + u32::from(one), theirs + u32::from(same));
        }
    }
    let f1 = 2.0 * f64::from(both) / f64::from(ours + theirs);
    report(&format!("{} photos: {both} pairs right of {ours} found and {theirs} there, F1 {f1:.3}", lines.len()));
    assert!(lines.len() == truth.len() && f1 >= 0.97, "F1 {f1}: {told:?}");
    assert_eq!(look(), lines);
    assert!(lines.iter().all(|line| line["people_model"] == "face-recognition-dlib@1.3.0"));

    let known = world.run(["people", "list"]).expect(0).lines();
    assert!(known.len() >= 6 && known.iter().all(|one| one["photos"].as_u64().unwrap() >= 2), "{known:?}");
    let first = known[0]["person"].as_str().unwrap();
    let named = world.run(["people", "name", first, "Anna"]).expect(0).lines();
    assert_eq!((&named[0]["person"], &named[0]["name"]), (&first.into(), &"Anna".into()));
    let taken = world.run(["people", "name", "p2", "anna"]).expect(2);
    assert!(taken.stderr.contains("albumctl people merge"), "{}", taken.stderr);
    let with_name = look();
    let of_anna =
        with_name.iter().flat_map(|line| line["faces"].as_array().unwrap()).filter(|face| face["name"] == "Anna");
    assert_eq!(of_anna.count() as u64, known[0]["faces"].as_u64().unwrap());
    let table = world.run(["people", photos, "--format", "table"]).expect(0);
    assert!(table.text().contains("Anna"), "{}", table.text());

    // A photo that was somebody else's after all, and the way back.
    let one = lines.iter().find(|line| person(line).as_deref() == Some(first)).unwrap();
    let path = one["image_path"].as_str().unwrap();
    let split = world.run(["people", "split", "Anna", path]).expect(0).lines();
    assert_eq!((&split[0]["name"], &split[1]["photos"]), (&"Anna".into(), &1.into()));
    let new = split[1]["person"].as_str().unwrap();
    let again = look();
    let moved = again.iter().find(|line| line["image_path"] == path).unwrap();
    assert_eq!(person(moved).as_deref(), Some(new));
    world.run(["people", "merge", "Anna", new]).expect(0);
    assert_eq!(look(), with_name);

    let analysed = world.run(["analyze", photos]).expect(0).lines();
    for (all, line) in analysed.iter().zip(&with_name) {
        assert_eq!(all["people"], line["faces"]);
    }
}

#[test]
fn what_is_forgotten_is_gone_from_every_file() {
    let Some((world, photos, _)) = world() else { return };
    for name in ["img3.jpg", "img12.jpg", "img53.jpg", "img26.jpg"] {
        fs::copy(photos.join(name), world.photos().join(name)).unwrap();
    }
    let before: Vec<PathBuf> = files(world.root());
    let lines = world.run(["people", "photos"]).expect(0).lines();
    world.run(["people", "name", "p1", "Annabella"]).expect(0);
    world.run(["analyze", "photos"]).expect(0);
    assert!(!holding(world.root(), b"Annabella").is_empty());
    // One person: their faces go and do not come back, the others stay.
    world.run(["people", "forget", "Annabella"]).expect(0);
    assert!(holding(world.root(), b"Annabella").is_empty());
    let without = world.run(["people", "photos"]).expect(0).lines();
    let faces = |lines: &[Value]| lines.iter().map(|line| line["faces"].as_array().unwrap().len()).sum::<usize>();
    let of_her = lines.iter().filter(|line| person(line).as_deref() == Some("p1")).count();
    assert!(of_her >= 2);
    assert_eq!(faces(&without), faces(&lines) - of_her);
    // Everyone: the file is gone, and no other has come that was not there before but results of measuring.
    world.run(["people", "forget", "--all"]).expect(0);
    assert_eq!(world.run(["people", "list"]).expect(0).text(), "");
    let left: Vec<PathBuf> = files(world.root()).into_iter().filter(|path| !before.contains(path)).collect();
    assert!(left.iter().all(|path| path.starts_with(world.cache())), "{left:?}");
}

#[test]
fn everyone_who_is_asked_for_is_in_the_album_or_it_is_said() {
    let Some((world, photos, _)) = world() else { return };
    for name in ["img3.jpg", "img12.jpg", "img53.jpg", "img26.jpg", "img27.jpg", "img28.jpg"] {
        fs::copy(photos.join(name), world.photos().join(name)).unwrap();
    }
    let lines = world.run(["people", "photos"]).expect(0).lines();
    let of = |wanted: &str| lines.iter().filter(|line| person(line).as_deref() == Some(wanted)).count();
    assert_eq!((of("p1"), of("p2")), (3, 3), "{lines:?}");
    world.run(["people", "name", "p2", "Ben"]).expect(0);
    let analysed = world.run(["analyze", "photos"]).expect(0);
    fs::write(world.path("album.jsonl"), &analysed.stdout).unwrap();
    let who: BTreeMap<String, String> = lines.iter().map(|line| (name(line), person(line).unwrap())).collect();
    let count = |picks: &[Value], wanted: &str| picks.iter().filter(|pick| who[&name(pick)] == wanted).count();
    for source in [vec!["photos"], vec!["--from", "album.jsonl"]] {
        let select = |options: &[&str]| world.run(["select"].iter().chain(&source).chain(options)).expect(0);
        let each = select(&["--each-person", "1", "--top", "2"]).lines();
        assert_eq!((count(&each, "p1"), count(&each, "p2")), (1, 1), "{each:?}");
        let ben = select(&["--people", "ben", "--top", "1"]);
        let picks = ben.lines();
        assert_eq!(count(&picks, "p2"), 1);
        assert!(picks[0]["reason"].as_str().unwrap().contains("shows Ben, who was asked for"), "{picks:?}");
        assert!(!ben.stderr.contains("asked for"), "{}", ben.stderr);
        let both = select(&["--people", "Ben,p1", "--each-person", "2", "--top", "3"]);
        assert!(both.stderr.contains("is on 1 of the picks, 2 asked for: 3 photos to choose from"), "{}", both.stderr);
        let nobody = world.run(["select"].iter().chain(&source).chain(&["--people", "Eve"])).expect(2);
        assert!(nobody.stderr.contains("nobody is called `Eve`"), "{}", nobody.stderr);
    }
}

#[test]
fn people_cannot_be_asked_for_before_the_models_are_pulled() {
    let world = World::new();
    world.photo("a.png", 1);
    for options in [["--people", "Anna"], ["--each-person", "1"]] {
        let seen = world.run(["select", "photos"].iter().chain(&options)).expect(1);
        assert!(seen.stderr.contains("albumctl models pull people"), "{}", seen.stderr);
    }
}

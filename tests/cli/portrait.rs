//! `albumctl portrait`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::World;

const KEYS: [&str; 14] = [
    "image_path",
    "image_path_b64",
    "has_face",
    "num_faces",
    "is_portrait",
    "eyes_open",
    "is_smiling",
    "smile_score",
    "eye_aspect_ratio",
    "face_ratio",
    "center_offset",
    "portrait_score",
    "faces",
    "portrait_model",
];

/// The folder of files that are not part of the repository.
fn shared(below: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ALBUMCTL_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let found = folder.join(below).canonicalize().ok();
    if found.is_none() {
        crate::world::skipped(&format!("no ../shared/{below}"));
    }
    found
}

fn copy_golden(world: &World, name: &str) -> Option<()> {
    fs::copy(shared(&format!("data/faces_golden/png/{name}"))?, world.photos().join(name)).unwrap();
    Some(())
}

#[test]
fn without_the_models_it_says_how_to_get_them_and_other_commands_work() {
    let world = World::new();
    world.photo("a.png", 1);
    let seen = world.run(["portrait", "photos"]).expect(1);
    assert_eq!(seen.text(), "");
    assert!(seen.stderr.contains("model `mediapipe-face-full-range` is not here"), "{}", seen.stderr);
    assert!(seen.stderr.contains("albumctl models pull faces"), "{}", seen.stderr);
    world.run(["score", "photos"]).expect(0);
}

#[test]
fn a_damaged_model_is_not_used() {
    let world = World::new();
    world.photo("a.png", 1);
    fs::create_dir(world.path("models")).unwrap();
    fs::write(world.path("models/face_detection_full_range_sparse.tflite"), b"TFL3").unwrap();
    let seen = world.run(["portrait", "--models-dir", "models", "photos"]).expect(1);
    assert!(seen.stderr.contains("should have 2c3728e6"), "{}", seen.stderr);
}

#[test]
fn a_portrait_and_a_picture_without_faces() {
    let Some(models) = shared("weights/mediapipe") else { return };
    let world = World::new();
    world.photo("a-drawing.png", 1);
    if copy_golden(&world, "n04591157_Windsor_tie.png").is_none() {
        return;
    }
    let models = models.to_str().unwrap().to_owned();
    let seen = world.run(["portrait", "--models-dir", &models, "photos"]).expect(0);
    let [drawing, portrait] = seen.lines().try_into().unwrap();
    assert_eq!(portrait.as_object().unwrap().keys().collect::<Vec<_>>(), KEYS);
    assert_eq!(
        (&drawing["has_face"], &drawing["eyes_open"], &drawing["portrait_score"]),
        (&false.into(), &().into(), &0.5.into())
    );
    assert_eq!((&portrait["is_portrait"], &portrait["eyes_open"]), (&true.into(), &true.into()));
    assert_eq!(portrait["is_smiling"], true);
    assert_eq!(portrait["portrait_model"], "mediapipe-faces@0.10.21");
    assert!(portrait["faces"][0]["left_ear"].as_f64().unwrap() > 0.3);
    let again = world.run(["portrait", "--models-dir", &models, "--threads", "1", "photos"]).expect(0);
    assert_eq!(again.text(), seen.text(), "from the store the same");
}

/// The line of the only photo.
fn faces(world: &World, models: &Path, more: &[&str]) -> Value {
    let args = ["portrait", "--models-dir", models.to_str().unwrap(), "photos"];
    world.run(args.iter().chain(more)).expect(0).lines().remove(0)
}

#[test]
fn states_come_with_the_expression_network_and_go_with_its_rule() {
    let Some(models) = shared("weights/mediapipe") else { return };
    let world = World::new();
    if copy_golden(&world, "portrait_02.png").is_none() {
        return;
    }
    let ask = |more: &[&str]| faces(&world, &models, more);
    let states = ask(&[]);
    let face = &states["faces"][0];
    assert_eq!((&face["eyes"], &states["eyes_open"]), (&"laughing".into(), &true.into()));
    assert!(face["left_ear"].as_f64().unwrap() < 0.2, "the aspect ratio stays as an explanation: {face}");
    assert!(face["smile"].as_f64().unwrap() > 0.9 && face["smile_confidence"].as_f64().unwrap() > 0.9, "{face}");
    assert!(face["pose"]["yaw"].as_f64().unwrap().abs() < 10.0 && face["pose_confidence"].is_number(), "{face}");
    // A rule of its own is an answer of its own, whatever the store holds.
    let ear = ask(&["--set", "portrait_analysis.eyes=ear"]);
    assert_eq!((&ear["faces"][0]["eyes"], &ear["eyes_open"]), (&().into(), &false.into()));
    assert!(ear["portrait_score"].as_f64().unwrap() < states["portrait_score"].as_f64().unwrap());
    assert_eq!(ask(&[]), states);

    // Without the network all is as with that rule, and one line says so.
    let bare = world.path("bare");
    fs::create_dir(&bare).unwrap();
    for file in fs::read_dir(&models).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "tflite") {
            fs::copy(&file, bare.join(file.file_name().unwrap())).unwrap();
        }
    }
    let seen = world.run(["portrait", "--models-dir", "bare", "photos"]).expect(0);
    assert_eq!(seen.lines(), [ear]);
    assert!(seen.stderr.contains("judged by landmarks alone; `albumctl models pull faces`"), "{}", seen.stderr);
    // A bundle that is not the right one is not used.
    fs::write(bare.join("face_landmarker.task"), b"PK").unwrap();
    let seen = world.run(["portrait", "--models-dir", "bare", "photos"]).expect(1);
    assert!(seen.stderr.contains("should have 64184e22"), "{}", seen.stderr);
}

#[test]
fn everybody_in_a_group_counts_unless_told_otherwise() {
    let Some(models) = shared("weights/mediapipe") else { return };
    let world = World::new();
    if copy_golden(&world, "n04235860_sleeping_bag.png").is_none() {
        return;
    }
    let ask = |more: &[&str]| faces(&world, &models, more);
    let group = ask(&[]);
    assert_eq!((&group["num_faces"], &group["is_portrait"]), (&2.into(), &false.into()));
    let scores: Vec<f64> =
        group["faces"].as_array().unwrap().iter().map(|face| 0.75 + 0.25 * face["smile"].as_f64().unwrap()).collect();
    let score = group["portrait_score"].as_f64().unwrap();
    assert!((score - scores.iter().sum::<f64>() / 2.0).abs() < 1e-6 && score > 0.9, "{group}");
    let single = ask(&["--set", "album.portrait.groups=false"]);
    assert_eq!((&single["portrait_score"], &single["faces"][0]["is_prominent"]), (&0.5.into(), &false.into()));
}

#[test]
fn drawn_copies_go_where_they_are_wanted_and_never_over_anything() {
    let Some(models) = shared("weights/mediapipe") else { return };
    let world = World::new();
    let name = "n04591157_Windsor_tie.png";
    if copy_golden(&world, name).is_none() {
        return;
    }
    let before = fs::read(world.photos().join(name)).unwrap();
    let models = models.to_str().unwrap().to_owned();
    // The folder of the photos themselves is the worst place to write to.
    let draw = || {
        world.run(["portrait", "--models-dir", &models, "--annotate", "photos", &format!("photos/{name}")]).expect(0)
    };
    draw();
    draw();
    let second = world.path("photos/n04591157_Windsor_tie.faces-2.png");
    assert!(!second.exists(), "the same copy is not made twice");
    assert_eq!(fs::read(world.photos().join(name)).unwrap(), before);
    let first = image::open(world.path("photos/n04591157_Windsor_tie.faces.png")).unwrap();
    let original = image::load_from_memory(&before).unwrap();
    assert_eq!((first.width(), first.height()), (original.width(), original.height()));
    assert_ne!(first.to_rgb8(), original.to_rgb8(), "something is drawn");
    fs::write(world.path("photos/n04591157_Windsor_tie.faces.png"), b"mine").unwrap();
    draw();
    assert_eq!(fs::read(world.path("photos/n04591157_Windsor_tie.faces.png")).unwrap(), b"mine");
    assert!(second.exists(), "beside what somebody else put there");
}

#[test]
fn a_copy_that_cannot_be_written_is_a_failure() {
    let Some(models) = shared("weights/mediapipe") else { return };
    let world = World::new();
    // With what is added to it this name is too long for a file.
    world.photo(format!("{}.png", "n".repeat(250)), 1);
    world.photo("short.png", 2);
    let seen =
        world.run(["portrait", "--models-dir", models.to_str().unwrap(), "--annotate", "drawn", "photos"]).expect(3);
    assert_eq!(seen.lines().len(), 2);
    assert!(
        seen.stderr.contains("write: not drawn: cannot write") && seen.stderr.contains("1 failed"),
        "{}",
        seen.stderr
    );
    assert!(world.path("drawn/short.faces.png").exists());
}

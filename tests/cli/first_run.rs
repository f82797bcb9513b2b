//! What a new user is told of models that are not here: little, once, and only what helps.

use std::time::{Duration, Instant};

use crate::world::{Seen, World};

fn notes(seen: &Seen) -> Vec<&str> {
    seen.stderr.lines().filter(|line| line.starts_with("note:")).collect()
}

#[test]
fn the_first_run_says_in_one_short_line_what_is_missing_and_the_second_nothing() {
    let world = World::new();
    // Neither an empty folder nor an error is the moment for it.
    assert!(!world.run(["select", "photos"]).expect(0).stderr.contains("models pull"));
    assert!(!world.run(["select", "nowhere"]).expect(1).stderr.contains("models pull"));
    world.many_photos(3);
    let first = world.run(["select", "photos"]).expect(0);
    let [note] = notes(&first)[..] else { panic!("{}", first.stderr) };
    assert!(note.chars().count() <= 120 && note.contains("`albumctl models pull faces`"), "{note}");
    assert_eq!(first.stderr.lines().count(), 1, "nothing of models that cannot be had: {}", first.stderr);
    for again in [&["select", "photos"][..], &["analyze", "photos"]] {
        assert_eq!(world.run(again).expect(0).stderr, "");
    }
    // Other models are other news.
    let other = ["cluster", "photos", "--set", "album.clustering.feature_method=dinov2-s"];
    let seen = world.run(other).expect(0);
    assert_eq!(
        notes(&seen),
        ["note: photos are grouped by the built-in album-mini; `albumctl models pull dinov2-s` fixes that"]
    );
    assert_eq!(world.run(other).expect(0).stderr, "");
    // A job in the night is told of a lost part of the score every time.
    assert_eq!(notes(&world.run(["select", "photos", "-q"]).expect(0)), [note]);
    let strict = world.run(["select", "photos", "--strict"]).expect(1).stderr;
    assert!(strict.contains("ava-resnet50"), "{strict}");
}

#[test]
fn one_word_names_all_that_faces_need() {
    let world = World::new();
    let names = |seen: Seen| seen.lines().iter().map(|line| line["model"].clone()).collect::<Vec<_>>();
    let faces = names(world.run(["models", "info", "faces"]).expect(0));
    for model in ["mediapipe-face-full-range", "mediapipe-face-short-range", "mediapipe-face-mesh-attention"] {
        assert!(faces.iter().any(|face| face.as_str().unwrap().starts_with(&format!("{model}@"))), "{faces:?}");
    }
    let seen = world.run(["models", "pull", "faces", "--offline"]).expect(1);
    assert!(seen.stderr.contains("face_detection_short_range.tflite"), "{}", seen.stderr);
    assert!(world.run(["models", "pull", "face"]).expect(2).stderr.contains("did you mean `faces`?"));
}

#[test]
fn without_a_network_a_pull_fails_soon_and_names_another_way() {
    let world = World::new();
    world.photo("a.png", 1);
    // Port 9 of this machine refuses; a proxy that takes the connection and is silent is no network, either.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for proxy in ["http://127.0.0.1:9".to_owned(), format!("http://{}", silent.local_addr().unwrap())] {
        for args in [&["models", "pull", "faces"][..], &["portrait", "photos", "--pull"]] {
            let began = Instant::now();
            let mut command = world.command(args);
            let seen = Seen::from(command.env("https_proxy", &proxy).output().unwrap()).expect(1);
            assert!(began.elapsed() < Duration::from_secs(5), "{args:?}: {:?}", began.elapsed());
            let hints: Vec<&str> = seen.stderr.lines().filter(|line| line.contains("hint:")).collect();
            assert!(!hints.is_empty(), "{}", seen.stderr);
            assert!(
                hints.iter().all(|hint| hint.contains("models import") && !hint.contains("models pull")),
                "{hints:?}"
            );
        }
    }
}

//! `albumctl score`.

use std::fs;

use crate::world::{World, png};

const KEYS: [&str; 12] = [
    "image_path",
    "image_path_b64",
    "iqa_score",
    "sharpness",
    "exposure",
    "colorfulness",
    "contrast",
    "sharpness_raw",
    "colorfulness_raw",
    "width",
    "height",
    "measured_at",
];

#[test]
fn a_line_has_every_key_in_the_promised_order() {
    let world = World::new();
    world.photo("a.png", 1);
    let seen = world.run(["score", "photos"]).expect(0);
    let line = &seen.lines()[0];
    assert_eq!(line.as_object().unwrap().keys().collect::<Vec<_>>(), KEYS);
    assert_eq!(line["image_path"], "photos/a.png");
    assert_eq!((&line["width"], &line["height"], &line["measured_at"]), (&48.into(), &36.into(), &48.into()));
    assert_eq!(seen.stderr, "", "a run in which all went well says nothing in a pipe");
}

#[test]
fn large_photos_are_measured_at_1024_unless_asked() {
    let world = World::new();
    fs::write(world.photos().join("large.png"), png(1500, 900, 3)).unwrap();
    let measured_at = |args: &[&str]| world.run(args).expect(0).lines()[0]["measured_at"].clone();
    assert_eq!(measured_at(&["score", "photos"]), 1024);
    assert_eq!(measured_at(&["score", "--full-resolution", "photos"]), 1500);
    assert_eq!(measured_at(&["score", "--set", "thumbnail_sizes.medium=512", "photos"]), 512);
}

#[test]
fn the_same_bytes_come_out_for_any_number_of_threads_cold_or_warm() {
    let world = World::new();
    world.many_photos(40);
    let reference = world.run(["score", "--no-cache", "--threads", "1", "photos"]).expect(0).stdout;
    for threads in ["1", "2", "7"] {
        assert!(world.run(["score", "--no-cache", "--threads", threads, "photos"]).expect(0).stdout == reference);
        assert!(world.run(["score", "--threads", threads, "photos"]).expect(0).stdout == reference);
    }
}

#[test]
fn changing_a_weight_changes_the_overall_score_and_nothing_else() {
    let world = World::new();
    world.photo("a.png", 1);
    let plain = world.run(["score", "photos"]).expect(0).lines().remove(0);
    let mut only_contrast = world
        .run([
            "score",
            "photos",
            "--set",
            "quality_assessment.weights={sharpness: 0, exposure: 0, colorfulness: 0, contrast: 2}",
        ])
        .code;
    assert_eq!(only_contrast.take(), Some(2), "a section is not a value");
    let zero = ["sharpness", "exposure", "colorfulness"].map(|part| format!("quality_assessment.weights.{part}=0"));
    let args = ["score", "photos", "--set", &zero[0], "--set", &zero[1], "--set", &zero[2]];
    let contrast = world.run(args).expect(0).lines().remove(0);
    assert_eq!(contrast["iqa_score"], plain["contrast"]);
    assert_eq!(contrast["sharpness"], plain["sharpness"]);
}

#[test]
fn photos_are_never_changed_not_even_their_access_times() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new();
    let photo = world.photo("a.png", 1);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = fs::File::options().write(true).open(&photo).unwrap();
    file.set_times(fs::FileTimes::new().set_accessed(old).set_modified(old)).unwrap();
    drop(file);
    let state = |m: fs::Metadata| (m.atime(), m.mtime(), m.ctime_nsec(), m.size(), m.mode());
    let before = state(fs::metadata(&photo).unwrap());
    world.run(["score", "--no-cache", "photos"]).expect(0);
    assert_eq!(state(fs::metadata(&photo).unwrap()), before);
}

#[test]
fn what_is_wrong_is_said_when_asked() {
    let world = World::new();
    world.many_photos(2);
    let plain = world.run(["score", "photos"]).expect(0).lines();
    let lines = world.run(["score", "--degradations", "photos"]).expect(0).lines();
    for (plain, line) in plain.iter().zip(&lines) {
        assert!(plain.get("degradations").is_none());
        assert_eq!(line["iqa_score"], plain["iqa_score"]);
        assert!(line["degradation_model"].as_str().unwrap().starts_with("album-mini@"), "{line}");
        let named: Vec<&String> = line["degradations"].as_object().unwrap().keys().collect();
        assert_eq!(named, ["blur", "noise", "color_cast", "exposure", "jpeg"]);
        for (name, value) in line["degradations"].as_object().unwrap() {
            assert!((0.0..=1.0).contains(&value.as_f64().unwrap()), "{name}: {line}");
        }
    }
    let table = world.run(["score", "--degradations", "--format", "table", "photos"]).expect(0).text();
    assert!(table.contains("blur") && table.contains("JPEG"), "{table}");
}

#[test]
fn a_photos_own_bytes_may_come_on_standard_input() {
    let world = World::new();
    let photo = world.photo("a.png", 7);
    let bytes = fs::read(photo).unwrap();
    for more in [&[][..], &["--degradations"]] {
        let mut named = world.run(["score", "photos/a.png"].iter().chain(more)).expect(0).lines().remove(0);
        named["image_path"] = "-".into();
        let piped = world.run_with_stdin(["score", "-"].iter().chain(more), &bytes).expect(0).lines();
        assert_eq!(piped, [named]);
    }
    let list = world.run_with_stdin(["score", "-"], b"photos/a.png\n").expect(0).lines();
    assert_eq!(list[0]["image_path"], "photos/a.png", "a list is still a list");
    let cut = world.run_with_stdin(["score", "-"], &bytes[..200]).expect(1);
    assert!(cut.stdout.is_empty() && cut.stderr.contains("decode"), "{}", cut.stderr);
}

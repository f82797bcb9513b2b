//! `albumctl cluster`, `select`, `analyze`, and what is written for the picks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::world::{World, fixture_album};

/// Picks by what the test draws, sharpness, and groups by where it lies: what the built-in model thinks of drawings, which
/// are all balls and stripes to it, is not the matter here.
const BY_RULES: [&str; 8] = [
    "--set",
    "album.selection.junk=keep",
    "--set",
    "album.selection.ava_weight=0",
    "--set",
    "album.selection.use_siamese_tiebreaker=false",
    "--set",
    "album.clustering.feature_method=scene-layout",
];

/// Takes of drawn scenes: `s0_t0.png`, `s0_t1.png`, …; the later the take, the softer.
pub fn album(world: &World, scenes: u32, takes: u32) {
    for scene in 0..scenes {
        for take in 0..takes {
            let picture = drawn(scene, take);
            picture.save(world.photos().join(format!("s{scene}_t{take}.png"))).unwrap();
        }
    }
}

fn drawn(scene: u32, take: u32) -> image::RgbImage {
    let (s, soft) = (scene as f32, 1.0 + 12.0 * take as f32);
    image::RgbImage::from_fn(160, 120, |x, y| {
        let (u, v) = (x as f32 / 160.0 + 0.004 * take as f32, y as f32 / 120.0);
        let step = |edge: f32, at: f32| 1.0 / (1.0 + (-(at - edge) * 160.0 / soft).exp());
        let angle = s * 2.4;
        let across = u * angle.cos() + v * angle.sin();
        let stripe = step(0.0, (across * (9.0 + 3.0 * s)).sin() * 0.1);
        let ball = step(0.0, 0.2 - ((u - 0.2 - 0.15 * (s % 5.0)).powi(2) + (v - 0.4).powi(2)).sqrt());
        let tone = |shift: f32| 60.0 + 150.0 * (0.5 + 0.5 * (s * 1.9 + shift).sin());
        image::Rgb([0.0, 2.0, 4.0].map(|shift| {
            let ground = tone(shift) * (0.4 + 0.6 * stripe);
            (ground * (1.0 - ball) + tone(shift + 1.5) * ball).clamp(0.0, 255.0) as u8
        }))
    })
}

fn scene_of(line: &Value) -> String {
    let name = Path::new(line["image_path"].as_str().unwrap()).file_stem().unwrap().to_string_lossy().into_owned();
    name.split('_').next().unwrap().to_owned()
}

#[test]
fn cluster_puts_takes_of_a_scene_together() {
    let world = World::new();
    album(&world, 4, 3);
    let lines = world.run(["cluster", "photos"].iter().chain(&BY_RULES)).expect(0).lines();
    assert_eq!(
        lines[0].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["image_path", "image_path_b64", "cluster_id", "cluster_size", "is_noise", "method", "taken_at", "taken_from"]
    );
    let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    lines.iter().for_each(|line| groups.entry(scene_of(line)).or_default().push(&line["cluster_id"]));
    for (number, (scene, ids)) in groups.iter().enumerate() {
        assert!(ids.iter().all(|id| **id == number), "{scene}: {ids:?}");
    }
    assert!(lines.iter().all(|line| line["cluster_size"] == 3 && line["method"] == "agglomerative"));
}

#[test]
fn groups_mix_no_scenes_with_the_clock_or_without() {
    let world = World::new();
    let album = fixture_album();
    let truth = fs::read_to_string(album.join("truth.csv")).unwrap();
    let scene_of: BTreeMap<&str, &str> = truth.lines().skip(1).filter_map(|line| line.split_once(',')).collect();
    let scene_of = |name: &str| scene_of[name].split(',').next().unwrap();
    let groups = |use_times: &str| {
        let set = format!("album.clustering.use_times={use_times}");
        let seen = world.run(["cluster".as_ref(), album.as_os_str(), "--set".as_ref(), set.as_ref()]).expect(0);
        let mut groups: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (name, line) in seen.names().into_iter().zip(seen.lines()) {
            groups.entry(line["cluster_id"].as_i64().unwrap()).or_default().push(name);
        }
        groups
    };
    let mixed = |groups: &BTreeMap<i64, Vec<String>>| {
        groups.values().filter(|names| names.iter().any(|name| scene_of(name) != scene_of(&names[0]))).count()
    };
    let (blind, told) = (groups("false"), groups("true"));
    for groups in [&blind, &told] {
        assert_eq!(mixed(groups), 0, "{groups:?}");
    }
    assert!(blind.len() <= 9, "{blind:?}");
    assert_eq!(told.len(), 8, "{told:?}");
}

#[test]
fn cluster_writes_statistics_and_knows_its_methods() {
    let world = World::new();
    album(&world, 2, 2);
    for method in ["hdbscan", "kmeans", "dbscan", "agglomerative", "hierarchical", "hybrid", "burst"] {
        let lines = world.run(["cluster", "--method", method, "--stats", "stats.json", "photos"]).expect(0).lines();
        let stats: Value = serde_json::from_slice(&fs::read(world.path("stats.json")).unwrap()).unwrap();
        assert_eq!((lines.len(), &stats["algorithm"]), (4, &method.into()));
    }
    let refused = world.run(["cluster", "--method", "mean-shift", "photos"]).expect(2);
    assert!(refused.stderr.contains("hdbscan"), "{}", refused.stderr);
    let refused = world.run(["cluster", "--set", "album.clustering.method=mean-shift", "photos"]).expect(2);
    assert!(refused.stderr.contains("mean-shift"), "{}", refused.stderr);
}

#[test]
fn one_photo_is_an_album() {
    let world = World::new();
    world.photo("only.png", 1);
    let line = world.run(["select", "--top", "3", "photos"]).expect(0).lines().remove(0);
    assert_eq!((&line["rank"], &line["selected"], &line["cluster_size"]), (&1.into(), &true.into(), &1.into()));
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.starts_with("The only photo of its scene; ") && reason.contains(" and "), "two facts: {reason}");
}

#[test]
fn select_names_the_best_of_each_scene_with_reasons() {
    let world = World::new();
    album(&world, 4, 3);
    let run = |args: &[&str]| world.run(args.iter().chain(&BY_RULES)).expect(0).lines();
    let lines = run(&["select", "--per-cluster", "1", "photos"]);
    let keys: Vec<_> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "rank",
            "image_path",
            "image_path_b64",
            "selected",
            "composite_score",
            "aesthetic_score",
            "iqa_score",
            "portrait_score",
            "parts",
            "cluster_id",
            "cluster_size",
            "tiebreak",
            "close_call",
            "reason",
            "taken_at",
            "taken_from",
            "decision",
            "written",
            "aesthetic_model",
            "decision_source",
            "kind",
            "kind_confidence",
            "unit",
            "sequence",
            "companions",
            "taste",
            "relevance"
        ]
    );
    assert_eq!(lines.len(), 4);
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(line["rank"], at + 1);
        assert!(line["image_path"].as_str().unwrap().contains("_t0."), "{line}");
        assert!(line["reason"].as_str().unwrap().starts_with("Sharpest of 3 photos of its scene"), "{line}");
        assert_eq!(
            (&line["parts"]["portrait"]["why"], &line["parts"]["iqa"]["weight"]),
            (&"model_missing".into(), &1.0.into())
        );
    }
    let all = run(&["select", "--per-cluster", "1", "--all", "photos"]);
    assert_eq!(all.len(), 12);
    assert!(all[4..].iter().all(|line| line["rank"].is_null() && line["reason"].as_str().unwrap().contains("_t0.png")));
}

#[test]
fn values_that_cannot_be_are_refused_with_their_range() {
    let world = World::new();
    world.photo("a.png", 1);
    for (args, range) in [
        (["--min-iqa", "5"], "from 0 to 1"),
        (["--min-sharpness", "-0.1"], "from 0 to 1"),
        (["--min-aesthetic", "NaN"], "from 1 to 10"),
        (["--top", "0"], "at least 1"),
        (["--per-cluster", "0"], "at least 1"),
        (["--set", "album.quality.min_iqa_score=5"], "from 0 to 1"),
        (["--set", "album.selection.images_per_cluster=0"], "at least 1"),
    ] {
        let flag = args.join("=").replace("--set=", "--set ");
        let words = ["select", "photos"].into_iter().chain(flag.split(' '));
        let seen = world.run(words).expect(2);
        assert!(seen.stderr.contains(range) && seen.text().is_empty(), "{args:?}: {}", seen.stderr);
    }
    world.run(["select", "photos", "-n", "1", "--min-iqa", "0", "--min-aesthetic", "1"]).expect(0);
}

#[test]
fn top_takes_the_best_scenes_first() {
    let world = World::new();
    album(&world, 4, 2);
    let five = world.run(["select", "--top", "4", "photos"]).expect(0).names();
    let two = world.run(["select", "--top", "2", "photos"]).expect(0).names();
    assert_eq!(two, five[..2]);
}

#[test]
fn the_same_album_cold_and_warm_with_any_threads_and_from_a_file() {
    let world = World::new();
    album(&world, 5, 3);
    let args = ["select", "--top", "6", "--all", "photos"];
    let cold = world.run(args.iter().chain(&["--threads", "1"])).expect(0).stdout;
    assert_eq!(world.run(args.iter().chain(&["--threads", "5"])).expect(0).stdout, cold);
    assert_eq!(world.run(args.iter().chain(&["--no-cache"])).expect(0).stdout, cold);
    let analysed = world.run(["analyze", "photos"]).expect(0).stdout;
    fs::write(world.path("all.jsonl"), &analysed).unwrap();
    let from = ["select", "--from", "all.jsonl", "--top", "6", "--all"];
    assert_eq!(String::from_utf8(world.run(from).expect(0).stdout).unwrap(), String::from_utf8(cold.clone()).unwrap());
    let piped = world.run_with_stdin(["select", "--from", "-", "--top", "6", "--all"], &analysed).expect(0);
    assert_eq!(piped.stdout, cold);
    let refused = world.run_with_stdin(["select", "--from", "-"], b"{\"image_path\": \"a\"}\n").expect(2);
    assert!(refused.stderr.contains("line 1"), "{}", refused.stderr);
}

#[test]
fn a_broken_photo_costs_itself_alone() {
    let world = World::new();
    album(&world, 2, 2);
    fs::write(world.photos().join("broken.jpg"), b"\xff\xd8\xff no more").unwrap();
    let seen = world.run(["select", "photos"]).expect(3);
    assert_eq!(seen.lines().len(), 2);
    assert!(seen.stderr.contains("broken.jpg"), "{}", seen.stderr);
}

#[test]
fn copies_links_and_zips_say_where_they_are_and_a_dry_run_makes_none() {
    let world = World::new();
    album(&world, 2, 2);
    for (flags, action) in [
        (vec!["--copy-to", "out"], "copy"),
        (vec!["--link-to", "links"], "soft_link"),
        (vec!["--link-to", "hard", "--link", "hard", "--cluster-folders"], "hard_link"),
        (vec!["--zip", "album.zip"], "zip"),
    ] {
        let args: Vec<&str> = ["select", "photos"].into_iter().chain(flags.iter().copied()).collect();
        let dry = world.run(args.iter().chain(&["--dry-run"])).expect(0);
        assert!(!world.path(flags[1]).exists(), "{action}: a dry run wrote");
        let wet = world.run(&args).expect(0);
        assert_eq!(wet.text().replace("\"applied\":true", "\"applied\":false"), dry.text(), "{action}");
        for line in wet.lines() {
            let written = &line["written"][0];
            assert_eq!((&written["action"], &written["applied"]), (&action.into(), &true.into()));
            let place = world.path(written["image_path"].as_str().unwrap());
            if action != "zip" {
                assert_eq!(
                    fs::read(&place).unwrap(),
                    fs::read(world.path(line["image_path"].as_str().unwrap())).unwrap()
                );
            }
        }
    }
    let again = world.run(["select", "photos", "--zip", "album.zip"]).expect(2);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    world.run(["select", "photos", "--copy-to", "out"]).expect(0);
    assert_eq!(fs::read_dir(world.path("out")).unwrap().count(), 2, "a second run adds nothing");
}

/// A folder as a telephone leaves it: HEIC with films and notes of edits, a RAW file, and a link that leads elsewhere.
#[test]
fn what_belongs_to_a_photo_goes_along_and_is_no_photo_of_its_own() {
    let world = World::new();
    for (name, fixture) in [("IMG_1.HEIC", "sampling-420.heic"), ("IMG_2.HEIC", "grey.heic")] {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photo").join(fixture);
        fs::copy(fixture, world.photos().join(name)).unwrap();
    }
    for name in ["IMG_1.MOV", "img_1.aae", "IMG_1.HEIC.xmp", "IMG_2.mp4", "MVI_3.MOV", "IMG_1.txt"] {
        let content = if name.ends_with("xmp") { "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"/>" } else { name };
        fs::write(world.photos().join(name), content).unwrap();
    }
    fs::write(world.path("secret"), "of others").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(world.path("secret"), world.photos().join("IMG_2.mov")).unwrap();
    let listed = |folder: &str| {
        let mut names: Vec<String> = fs::read_dir(world.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let run = |more: &[&str]| {
        let select = ["select", "photos", "--top", "2", "--per-cluster", "2"];
        world.run(select.iter().chain(more)).expect(0)
    };
    let copied = run(&["--copy-to", "out"]);
    assert_eq!(copied.lines().len(), 2);
    assert!(!copied.stderr.contains("warning"), "{}", copied.stderr);
    assert!(
        copied.stderr.contains("picked 2 of 2 photos") && copied.stderr.contains("copied 2 (and 4 files of theirs)")
    );
    let everything = ["IMG_1.HEIC", "IMG_1.HEIC.xmp", "IMG_1.MOV", "IMG_1.aae", "IMG_2.HEIC", "IMG_2.mp4"];
    assert_eq!(listed("out"), everything);
    let companions =
        |line: &Value| line["written"].as_array().unwrap().iter().filter(|it| it["companion"] == true).count();
    assert_eq!(copied.lines().iter().map(companions).sum::<usize>(), 4);
    // A sidecar that changed at home leaves the one in the album alone, which is told.
    fs::write(world.photos().join("IMG_1.HEIC.xmp"), "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"> </x:xmpmeta>").unwrap();
    let again = run(&["--copy-to", "out"]);
    assert!(again.stderr.contains("1 file beside the photos exists there in another version"), "{}", again.stderr);
    assert_eq!(listed("out"), everything);
    run(&["--copy-to", "alone", "--companions", "photo"]);
    assert_eq!(listed("alone"), ["IMG_1.HEIC", "IMG_2.HEIC"]);
    run(&["--zip", "album.zip"]);
    assert_eq!(zip::ZipArchive::new(fs::File::open(world.path("album.zip")).unwrap()).unwrap().len(), 6);
}

#[test]
fn sidecars_follow_the_album_and_leave_people_alone() {
    let world = World::new();
    album(&world, 2, 2);
    let side = |name: &str| world.photos().join(name);
    let rate = |least: &str| {
        let args = ["select", "photos", "--per-cluster", "1", "--min-iqa", least, "--xmp"];
        world.run(args.iter().chain(&BY_RULES)).expect(0)
    };
    rate("0");
    let (first, second) = (side("s0_t0.xmp"), side("s1_t0.xmp"));
    assert!(!side("s0_t1.xmp").exists() && fs::read_to_string(&first).unwrap().contains("xmp:Rating=\"4\""));
    let state = |path: &Path| (fs::read(path).unwrap(), fs::metadata(path).unwrap().modified().unwrap());
    let before = [state(&first), state(&second)];
    rate("0");
    assert_eq!([state(&first), state(&second)], before, "nothing changed, nothing is written");
    // One falls out of the album, the other is rated by hand: ours goes, theirs stays.
    let text = fs::read_to_string(&first).unwrap().replace("xmp:Rating=\"4\"", "xmp:Rating=\"5\"");
    fs::write(&first, text).unwrap();
    rate("1");
    assert!(fs::read_to_string(&first).unwrap().contains("xmp:Rating=\"5\""));
    assert!(!fs::read_to_string(&second).unwrap().contains("xmp:Rating="));
    world.run(["select", "photos", "--xmp=full-name"].iter().chain(&BY_RULES)).expect(0);
    assert!(side("s0_t0.png.xmp").exists());
}

#[test]
fn the_report_is_one_file_with_all_photos() {
    let world = World::new();
    album(&world, 2, 2);
    world.run(["select", "photos", "--report", "album.html"]).expect(0);
    let html = fs::read_to_string(world.path("album.html")).unwrap();
    assert!(html.contains("s0_t0.png") && html.contains("s1_t1.png") && html.contains("id=\"t3\""));
    assert_eq!(html.matches("\"rank\":1").count(), 1);
    fs::remove_file(world.path("album.html")).unwrap();
    world.run(["select", "photos", "--report", "album.html", "--dry-run"]).expect(0);
    assert!(!world.path("album.html").exists());
}

#[test]
fn a_portrait_score_in_a_file_is_the_one_that_counts() {
    let world = World::new();
    album(&world, 1, 1);
    let analysed = world.run(["analyze", "photos"]).expect(0).text();
    let faces = "\"is_portrait\":true,\"eyes_open\":true,\"is_smiling\":true,\"smile_score\":0.8";
    let none = "\"is_portrait\":null,\"eyes_open\":null,\"is_smiling\":null,\"smile_score\":null";
    let with_face = analysed.replacen(none, faces, 1).replacen("\"portrait_score\":null", "\"portrait_score\":0.99", 1);
    assert_ne!(with_face, analysed);
    fs::write(world.path("all.jsonl"), with_face).unwrap();
    let line = world.run(["select", "--from", "all.jsonl"]).expect(0).lines().remove(0);
    assert_eq!((&line["portrait_score"], &line["parts"]["portrait"]["value"]), (&0.99.into(), &0.99.into()));
}

#[test]
fn a_take_with_open_eyes_goes_before_a_better_one_with_a_blink() {
    let world = World::new();
    album(&world, 1, 2);
    let mut lines = world.run(["analyze", "photos"].iter().chain(&BY_RULES)).expect(0).lines();
    // What the face models would have added: two people, of whom the right one blinks in the sharper take.
    for line in &mut lines {
        let blinks = line["image_path"].as_str().unwrap().contains("_t0.");
        let face = |x: f64, open: bool| {
            serde_json::json!({
                "bbox": [x, 0.2, 0.3, 0.4], "confidence": 0.9, "keypoints": vec![[0.5, 0.5]; 6],
                "eyes": if open { "open" } else { "closed" }, "eyes_open": open, "is_smiling": false, "is_prominent": true
            })
        };
        line["faces"] = serde_json::json!([face(0.6, !blinks), face(0.1, true)]);
        for (key, value) in [("has_face", true), ("is_portrait", false), ("eyes_open", !blinks), ("is_smiling", false)]
        {
            line[key] = value.into();
        }
        (line["num_faces"], line["portrait_score"]) = (2.into(), if blinks { 0.625 } else { 0.75 }.into());
        line["portrait_model"] = "m@1".into();
    }
    let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
    fs::write(world.path("all.jsonl"), text.join("\n")).unwrap();
    let pick = |more: &[&str]| {
        let args = ["select", "--from", "all.jsonl", "--set", "album.selection.portrait_weight=0.02"];
        let seen = world.run(args.iter().chain(&BY_RULES).chain(more)).expect(0);
        seen.lines().remove(0)
    };
    let line = pick(&[]);
    assert!(line["image_path"].as_str().unwrap().contains("_t1."), "{line}");
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.contains("both have their eyes open; in s0_t0.png the second from the left blinks"), "{reason}");
    assert_eq!(line["close_call"], false);
    let line = pick(&["--set", "album.selection.blink_margin=0"]);
    assert!(line["image_path"].as_str().unwrap().contains("_t0."), "{line}");
}

#[test]
fn a_page_from_a_file_has_pictures_and_faces_as_far_as_they_are_there() {
    let world = World::new();
    album(&world, 2, 2);
    let analysed = world.run(["analyze", "photos"]).expect(0).text();
    // What a face model would have added to the first line.
    let keypoints = "[[0.3,0.3],[0.5,0.3],[0.4,0.4],[0.4,0.5],[0.2,0.35],[0.6,0.35]]";
    let face = format!(
        "[{{\"bbox\":[0.25,0.125,0.5,0.5],\"confidence\":0.9,\"keypoints\":{keypoints},\"left_ear\":0.3,\
         \"right_ear\":0.3,\"mouth_width_ratio\":0.4,\"corner_elevation\":0.01,\"eyes_open\":true,\"is_smiling\":true,\
         \"smile_score\":0.8,\"unclear\":null}}]"
    );
    let with_face = analysed
        .replacen(
            "\"has_face\":null,\"num_faces\":null,\"is_portrait\":null",
            "\"has_face\":true,\"num_faces\":1,\"is_portrait\":true",
            1,
        )
        .replacen("\"portrait_score\":null", "\"portrait_score\":0.95", 1)
        .replacen("\"faces\":null,\"portrait_model\":null", &format!("\"faces\":{face},\"portrait_model\":\"m@1\""), 1);
    assert_ne!(with_face, analysed);
    fs::write(world.path("all.jsonl"), with_face).unwrap();
    let page = || {
        let args = ["select", "--from", "all.jsonl", "--report", "album.html"];
        let seen = world.run(args.iter().chain(&BY_RULES)).expect(0);
        (fs::read_to_string(world.path("album.html")).unwrap(), seen.stderr)
    };
    let pictures = |html: &str| (0..4).filter(|at| html.contains(&format!("id=\"t{at}\""))).collect::<Vec<_>>();
    let (html, _) = page();
    assert_eq!(pictures(&html), [0, 1, 2, 3]);
    assert_eq!(html.matches("\"bbox\":[0.25,0.125,0.5,0.5],\"eyes_open\":true,\"smiling\":true").count(), 1);
    // Of photos that moved or are others by now there is no picture, which is said.
    fs::remove_file(world.path("photos/s0_t0.png")).unwrap();
    drawn(7, 0).save(world.path("photos/s1_t1.png")).unwrap();
    let (html, told) = page();
    assert_eq!(pictures(&html), [1, 2]);
    assert!(told.contains("2 photos moved or changed"), "{told}");
    assert!(html.contains("s0_t0.png"));
}

#[test]
fn every_line_keeps_its_schema() {
    let world = World::new();
    album(&world, 2, 2);
    for command in ["cluster", "select", "analyze"] {
        let schema: Value = serde_json::from_slice(&world.run(["schema", command]).expect(0).stdout).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for line in world.run([command, "photos"]).expect(0).lines() {
            let errors: Vec<String> = validator.iter_errors(&line).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{command}: {errors:?}");
        }
    }
}

#[test]
fn a_fresh_machine_picks_the_best_take_of_six_of_the_eight_drawn_scenes() {
    let world = World::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/album");
    let seen = world.run(["select", folder.to_str().unwrap(), "--top", "8", "-v"]).expect(0);
    let truth = fs::read_to_string(folder.join("truth.csv")).unwrap();
    let best = |name: &str| truth.lines().any(|line| line.starts_with(name) && line.contains(",true,"));
    let lines = seen.lines();
    let name = |line: &Value| {
        Path::new(line["image_path"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned()
    };
    let right = lines.iter().filter(|line| best(&name(line))).count();
    assert!(lines.len() == 8 && right >= 6, "{right} of {}", lines.len());
    assert!(lines.iter().all(|line| line["aesthetic_score"].is_f64()), "a fresh machine rates");
    let model = |line: &Value| line["aesthetic_model"].as_str().is_some_and(|model| model.starts_with("album-mini@"));
    assert!(lines.iter().all(model), "and says by which model");
    let model = "model `ava-resnet50` is not here";
    assert!(
        seen.stderr.contains(model) && seen.stderr.contains("the built-in album-mini rates instead"),
        "{}",
        seen.stderr
    );
    assert!(lines.iter().any(|line| line["tiebreak"].is_object()), "takes met in the tie-break");
    let decoded = seen.stderr.lines().find_map(|line| line.trim_start().strip_prefix("decode ")).unwrap();
    assert_eq!(decoded.split_whitespace().nth(1), Some("32"), "each photo is looked at once: {}", seen.stderr);
}

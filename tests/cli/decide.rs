//! `albumctl decide`, and how `select` obeys.

use std::fs;

use serde_json::{Value, json};

use super::album::album;
use crate::world::{World, png};

fn journal(world: &World) -> std::path::PathBuf {
    world.path("home/.local/share/albumctl/journal.sqlite")
}

fn line<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    lines.iter().find(|line| line["image_path"].as_str().unwrap().ends_with(name)).unwrap()
}

#[test]
fn a_kept_photo_comes_first_and_a_rejected_one_never() {
    let world = World::new();
    album(&world, 3, 3);
    let before = world.run(["select", "photos", "--per-cluster", "1"]).expect(0).names();
    assert_eq!(before.len(), 3);
    let picked = |scene: &str| before.iter().find(|name| name.starts_with(scene)).unwrap().clone();
    // What the scores would not pick is kept, and what they would is rejected.
    let other =
        |scene: &str| if picked(scene).contains("_t2") { format!("{scene}_t1.png") } else { format!("{scene}_t2.png") };
    let (kept, rejected) = ([other("s0"), other("s1")], picked("s2"));
    let photo = |name: &String| format!("photos/{name}");
    world.run(["decide".to_owned(), "keep".to_owned(), photo(&kept[0]), photo(&kept[1])]).expect(0);
    world.run(["decide".to_owned(), "reject".to_owned(), photo(&rejected)]).expect(0);
    let seen = world.run(["select", "photos", "--per-cluster", "1", "--all"]).expect(0);
    let lines = seen.lines();
    assert_eq!(lines[..3].iter().map(|line| line["rank"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    for kept in &kept {
        let line = line(&lines, kept);
        assert!(line["rank"].as_u64().unwrap() <= 2);
        assert_eq!((&line["decision"], &line["reason"]), (&json!("keep"), &json!("You kept it.")));
    }
    assert!(lines[0]["composite_score"].as_f64() >= lines[1]["composite_score"].as_f64());
    let said = line(&lines, &rejected);
    assert_eq!(
        (&said["selected"], &said["decision"], &said["reason"]),
        (&json!(false), &json!("reject"), &json!("You rejected it."))
    );
    let third = lines[2]["image_path"].as_str().unwrap();
    assert!(third.contains("s2_") && !third.ends_with(&rejected), "{third}");
    assert_eq!(line(&lines, &picked("s0"))["reason"], format!("You kept {} of this scene.", kept[0]));
    assert!(!seen.stderr.contains("you kept"), "{}", seen.stderr);
}

#[test]
fn more_kept_than_asked_for_are_all_picked_and_it_is_said() {
    let world = World::new();
    album(&world, 3, 2);
    world.run(["decide", "keep", "photos/s0_t1.png", "photos/s1_t1.png"]).expect(0);
    let seen = world.run(["select", "photos", "--top", "1"]).expect(0);
    assert_eq!(seen.lines().len(), 2);
    assert_eq!(seen.lines()[1]["reason"], "You kept it, though only one was asked for.");
    assert!(
        seen.stderr.contains("you kept 2 of these photos: all are picked, though --top asks for 1"),
        "{}",
        seen.stderr
    );
    let quiet = world.run(["select", "photos", "--top", "1", "-q"]).expect(0).stderr;
    assert!(quiet.starts_with("note: faces are not analysed") && quiet.lines().count() == 1, "{quiet}");
}

#[test]
fn decisions_go_with_the_content_wherever_it_lies() {
    let world = World::new();
    album(&world, 2, 2);
    world.run(["decide", "keep", "photos/s0_t1.png"]).expect(0);
    world.run(["decide", "reject", "photos/s1_t0.png"]).expect(0);
    fs::create_dir(world.path("photos/moved")).unwrap();
    fs::rename(world.path("photos/s0_t1.png"), world.path("photos/moved/other name.png")).unwrap();
    fs::copy(world.path("photos/s1_t0.png"), world.path("photos/moved/copy.png")).unwrap();
    fs::remove_dir_all(world.cache()).unwrap();
    let told = |args: &[&str]| {
        let lines = world.run(["select", "photos", "--all"].iter().chain(args)).expect(0).lines();
        let of = |name| line(&lines, name)["decision"].clone();
        [of("other name.png"), of("s1_t0.png"), of("copy.png"), of("s0_t0.png")]
    };
    let expected = [json!("keep"), json!("reject"), json!("reject"), Value::Null];
    assert_eq!(told(&[]), expected);
    assert_eq!(told(&["--no-cache"]), expected, "--no-cache does not forget decisions");
    assert_eq!(told(&["--set", "album.clustering.method=burst"]), expected);
    // An edited file is another photo.
    fs::write(world.path("photos/s1_t0.png"), png(90, 60, 5)).unwrap();
    assert_eq!(told(&[])[1], Value::Null);
}

#[test]
fn a_dry_run_prints_the_same_lines_and_a_clearing_takes_back() {
    let world = World::new();
    world.many_photos(3);
    let dry = world.run(["decide", "keep", "photos", "--dry-run"]).expect(0);
    assert!(!journal(&world).exists());
    let wet = world.run(["decide", "keep", "photos"]).expect(0);
    assert_eq!(dry.text().replace("\"applied\":false", "\"applied\":true"), wet.text());
    let first = &wet.lines()[0];
    assert_eq!(
        first.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["image_path", "image_path_b64", "decision", "before", "content", "applied", "picture"]
    );
    assert_eq!((&first["decision"], &first["before"]), (&json!("keep"), &Value::Null));
    assert!(["content", "picture"].iter().all(|id| first[*id].as_str().unwrap().len() == 64));
    let changed = world.run(["decide", "reject", "photos/0001.png"]).expect(0).lines().remove(0);
    assert_eq!((&changed["decision"], &changed["before"]), (&json!("reject"), &json!("keep")));
    let cleared = world.run(["decide", "clear", "photos/0002.png"]).expect(0).lines().remove(0);
    assert_eq!((&cleared["decision"], &cleared["before"]), (&Value::Null, &json!("keep")));
    let list = world.run(["decide", "list"]).expect(0).lines();
    let told: Vec<_> = list.iter().map(|line| line["decision"].as_str().unwrap()).collect();
    assert_eq!(told, ["keep", "reject"]);
    assert!(list[0]["image_path"].as_str().unwrap().ends_with("photos/0000.png"));
    assert!(list[0]["decided_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&list[0]["content"], &list[0]["picture"]), (&first["content"], &first["picture"]));
}

#[test]
fn lists_come_from_standard_input_and_odd_photos_fail_alone() {
    let world = World::new();
    world.many_photos(2);
    world.photo("line\nbreak.png", 7);
    let seen = world.run_with_stdin(["decide", "keep", "-"], b"photos/0000.png\nphotos/gone.png\n").expect(3);
    assert_eq!(seen.names(), ["0000.png"]);
    assert!(seen.stderr.contains("gone.png: read: no such file"), "{}", seen.stderr);
    let seen = world.run_with_stdin(["decide", "keep", "-0", "-"], b"photos/line\nbreak.png\0photos/0001.png\0");
    assert_eq!(seen.expect(0).names(), ["line\nbreak.png", "0001.png"]);
    assert_eq!(world.run(["decide", "list"]).expect(0).lines().len(), 3);
    fs::write(world.path("notes.txt"), "no photo").unwrap();
    world.run(["decide", "keep", "notes.txt"]).expect(1);
    world.run(["decide", "keep"]).expect(2);
}

#[test]
fn a_raw_file_and_its_jpeg_are_decided_together_whichever_is_named() {
    let world = World::new();
    world.photo("a.jpg", 1);
    world.photo("a.cr2", 2);
    world.photo("b.jpg", 3);
    let seen = world.run(["decide", "reject", "photos/a.cr2"]).expect(0);
    assert_eq!(seen.names(), ["a.jpg"]);
    let lines = world.run(["select", "photos", "--all"]).expect(0).lines();
    assert_eq!((line(&lines, "a.jpg")["decision"].clone(), lines.len()), (json!("reject"), 2));
    // The RAW file alone is still that photo.
    fs::remove_file(world.path("photos/a.jpg")).unwrap();
    assert_eq!(world.run(["decide", "clear", "photos/a.cr2", "--dry-run"]).expect(0).lines()[0]["before"], "reject");
}

#[test]
fn decisions_show_on_the_page_and_in_sidecars_and_in_analyses() {
    let world = World::new();
    album(&world, 2, 2);
    world.run(["decide", "keep", "photos/s0_t1.png"]).expect(0);
    world.run(["decide", "reject", "photos/s1_t0.png"]).expect(0);
    world.run(["select", "photos", "--per-cluster", "1", "--xmp", "--report", "album.html"]).expect(0);
    let html = fs::read_to_string(world.path("album.html")).unwrap();
    assert!(html.contains(r#""decision":"keep""#) && html.contains(r#""decision":"reject""#));
    let side = |name: &str| fs::read_to_string(world.path("photos").join(name)).unwrap();
    let (kept, rejected) = (side("s0_t1.xmp"), side("s1_t0.xmp"));
    for part in ["xmp:Rating=\"4\"", "xmp:Label=\"Keep\"", "albumctl:Decision=\"keep\""] {
        assert!(kept.contains(part), "{part}: {kept}");
    }
    for part in ["xmp:Rating=\"-1\"", "xmp:Label=\"Reject\"", "albumctl:Decision=\"reject\""] {
        assert!(rejected.contains(part), "{part}: {rejected}");
    }
    // Analyses carry the content, so that a decision finds photos that have gone.
    let analysed = world.run(["analyze", "photos"]).expect(0);
    assert_eq!(line(&analysed.lines(), "s1_t0.png")["decision"], "reject");
    fs::write(world.path("all.jsonl"), &analysed.stdout).unwrap();
    world.run(["decide", "clear", "photos"]).expect(0);
    world.run(["decide", "reject", "photos/s0_t0.png"]).expect(0);
    fs::rename(world.path("photos"), world.path("elsewhere")).unwrap();
    // Two are too close to call, and nobody can look at them any more: they count as failed.
    let close = ["--set", "album.selection.tiebreak_margin=1"];
    let lines = world.run(["select", "--from", "all.jsonl", "--all"].iter().chain(&close)).expect(3).lines();
    assert_eq!(line(&lines, "s0_t0.png")["decision"], "reject");
    assert_eq!(line(&lines, "s1_t0.png")["decision"], Value::Null, "the journal is right, not an old analysis");
    // What was taken back goes from the sidecars as well; they lie beside the photos.
    fs::rename(world.path("elsewhere"), world.path("photos")).unwrap();
    world.run(["decide", "clear", "photos"]).expect(0);
    // By sharpness: what the built-in model thinks of drawings is not the matter here.
    let by_rules = ["--set", "album.selection.ava_weight=0", "--set", "album.selection.use_siamese_tiebreaker=false"];
    world.run(["select", "photos", "--per-cluster", "1", "--xmp"].iter().chain(&by_rules)).expect(0);
    let text = side("s0_t1.xmp");
    assert!(!text.contains("xmp:Rating") && !text.contains("Decision") && !text.contains("xmp:Label"), "{text}");
}

#[test]
fn what_a_page_saved_is_decided_wherever_the_photos_lie() {
    let world = World::new();
    album(&world, 2, 2);
    let kept = world.run(["decide", "keep", "photos/s0_t1.png", "photos/s1_t1.png", "--dry-run"]).expect(0).lines();
    let line = |told: &Value, decision: Value| json!({ "image_path": told["image_path"], "decision": decision, "content": told["content"], "picture": told["picture"] });
    let saved = format!("{}\n\n{}\n", line(&kept[0], json!("keep")), line(&kept[1], json!("reject")));
    fs::write(world.path("decisions.jsonl"), &saved).unwrap();
    fs::rename(world.path("photos"), world.path("elsewhere")).unwrap();
    let dry = world.run(["decide", "--from", "decisions.jsonl", "--dry-run"]).expect(0).lines();
    assert_eq!((&dry[0]["decision"], &dry[0]["applied"]), (&json!("keep"), &json!(false)));
    assert!(world.run(["decide", "list"]).expect(0).lines().is_empty());
    world.run(["decide", "--from", "decisions.jsonl"]).expect(0);
    let chosen = world.run(["select", "elsewhere", "--all"]).expect(0).lines();
    assert_eq!(self::line(&chosen, "s0_t1.png")["decision"], "keep");
    assert_eq!(self::line(&chosen, "s1_t1.png")["decision"], "reject");
    // Null takes back, and what `list` prints is read, too.
    let back = format!("{}\n", line(&kept[0], Value::Null));
    let told = world.run_with_stdin(["decide", "--from", "-"], back.as_bytes()).expect(0).lines();
    assert_eq!((&told[0]["before"], &told[0]["decision"]), (&json!("keep"), &Value::Null));
    let list = world.run(["decide", "list"]).expect(0).text();
    fs::remove_file(journal(&world)).unwrap();
    world.run_with_stdin(["decide", "--from", "-"], list.as_bytes()).expect(0);
    assert_eq!(world.run(["decide", "list"]).expect(0).lines()[0]["decision"], "reject");
}

#[test]
fn a_file_with_a_line_that_is_none_decides_nothing() {
    let world = World::new();
    world.photo("a.png", 1);
    let whole = world.run(["decide", "keep", "photos", "--dry-run"]).expect(0).text();
    for odd in
        ["{}", "nonsense", &whole.replace("\"content\":\"", "\"content\":\"x"), &whole.replace("keep", "perhaps")]
    {
        let refused = world.run_with_stdin(["decide", "--from", "-"], format!("{whole}{odd}\n").as_bytes()).expect(2);
        assert!(refused.stderr.contains("-, line 2: not a line of decisions"), "{}", refused.stderr);
    }
    assert!(!journal(&world).exists());
    assert!(world.run(["decide"]).expect(2).stderr.contains("--from"));
}

#[test]
fn the_log_tells_everything_that_was_ever_said() {
    let world = World::new();
    world.photo("a.png", 1);
    for word in ["keep", "reject", "clear"] {
        world.run(["decide", word, "photos/a.png"]).expect(0);
    }
    let log = world.run(["decide", "log"]).expect(0).lines();
    let words: Vec<&Value> = log.iter().map(|line| &line["decision"]).collect();
    assert_eq!(words, [&json!("keep"), &json!("reject"), &Value::Null]);
    assert!(world.run(["decide", "list"]).expect(0).lines().is_empty());
}

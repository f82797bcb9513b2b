//! Files that should not be there, or not be delivered.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::world::{World, png, set_mode};

const KILLS: u32 = 14;

fn names_in(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn names_in_zip(file: &Path) -> BTreeSet<String> {
    let archive = zip::ZipArchive::new(fs::File::open(file).unwrap()).unwrap();
    archive.file_names().map(|name| name.unwrap().into_owned()).collect()
}

fn is_unfinished(name: &str) -> bool {
    name.starts_with(".albumctl-")
}

#[test]
fn killed_while_copying() {
    let world = World::new();
    let names: BTreeSet<String> = (0..8).map(|n| format!("{n:02}.png")).collect();
    for (seed, name) in names.iter().enumerate() {
        let photo = world.photo(name, seed as u32);
        fs::write(photo, [png(48, 36, seed as u32), vec![seed as u8; 2_000_000]].concat()).unwrap();
    }
    let copying = ["select", "photos", "--per-cluster", "99", "--copy-to", "photos/out"];
    let out = world.photos().join("out");
    // The first run measures the photos; those that are killed know them.
    world.run(copying).expect(0);
    fs::remove_dir_all(&out).unwrap();
    let started = Instant::now();
    world.run(copying).expect(0);
    let whole_run = started.elapsed();
    let (mut unfinished, mut cut_short) = (0, 0);
    for kill in 0..KILLS {
        fs::remove_dir_all(&out).unwrap();
        let mut child = world.command(copying).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole_run.mul_f64(0.1 + 0.8 * f64::from(kill * 5 % KILLS) / f64::from(KILLS)));
        child.kill().unwrap();
        child.wait().unwrap();
        if !out.exists() {
            fs::create_dir(&out).unwrap();
        }
        let left = names_in(&out);
        let copies: BTreeSet<String> = left.iter().filter(|name| !is_unfinished(name)).cloned().collect();
        unfinished += left.len() - copies.len();
        cut_short += usize::from(copies.len() < names.len());
        for copy in &copies {
            assert!(fs::read(out.join(copy)).unwrap() == fs::read(world.photos().join(copy)).unwrap(), "{copy}");
        }
        let seen = world.run(["score", "photos"]).expect(0);
        assert_eq!(seen.names().len(), names.len() + copies.len(), "kill {kill}: {left:?}");
    }
    assert!(cut_short > 0, "no kill fell before the end");
    // What kills leave is gone with the first run that writes there once it is old.
    let photos = world.photos();
    let strays: Vec<_> = [".albumctl-Ab12Cd", ".albumctl-zzzzzz"].map(|name| out.join(name)).to_vec();
    for stray in strays.iter().chain(&[photos.join(".albumctl-Ab12Cd")]) {
        fs::write(stray, png(48, 36, 99)).unwrap();
    }
    for stray in names_in(&out).into_iter().filter(|name| is_unfinished(name)) {
        let file = fs::File::options().write(true).open(out.join(stray)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60)).unwrap();
    }
    fs::remove_file(out.join("00.png")).unwrap_or_default();
    world.run(copying).expect(0);
    assert_eq!(names_in(&out), names, "{unfinished} were left by kills");
    assert!(photos.join(".albumctl-Ab12Cd").exists(), "it is young, and nothing was written beside it");
}

#[test]
fn unfinished_file() {
    let world = World::new();
    world.photo("fine.png", 1);
    world.photo(".albumctl-Ab12Cd", 2);
    world.photo(".albumctl-Ab12Cd.png", 3);
    let seen = world.run(["score", "-v", "photos"]).expect(0);
    assert_eq!(seen.names(), ["fine.png"]);
    assert!(seen.stderr.contains("2 files passed over"), "{}", seen.stderr);
    let seen = world.run(["score", "photos/.albumctl-Ab12Cd", "photos/fine.png"]).expect(3);
    assert!(seen.stderr.contains("photos/.albumctl-Ab12Cd: scan: a file of albumctl's own"), "{}", seen.stderr);
}

#[test]
fn copies_among_the_photos() {
    let world = World::new();
    world.many_photos(8);
    world.run(["decide", "keep", "photos/0003.png", "photos/0005.png"]).expect(0);
    for way in [
        &["--copy-to", "photos/picks"][..],
        &["--link-to", "photos/links"],
        &["--link-to", "photos/hard", "--link", "hard"],
    ] {
        let folder = world.path(way[1]);
        let runs: Vec<(Vec<u8>, BTreeSet<String>)> = (0..5)
            .map(|_| {
                let seen = world.run(["select", "photos", "--all", "-v"].iter().chain(way)).expect(0);
                (seen.stdout, names_in(&folder))
            })
            .collect();
        assert!(runs.iter().all(|run| *run == runs[0]), "{way:?}");
        let seen = world.run(["select", "photos", "--all", "-v"].iter().chain(way)).expect(0);
        assert!(
            seen.stderr.contains(&format!("{}: passed over, for this run writes there", way[1])),
            "{}",
            seen.stderr
        );
        assert!(runs[0].1.contains("0003.png") && runs[0].1.contains("0005.png"));
    }
}

#[test]
fn copies_onto_the_photos() {
    let world = World::new();
    world.photo("deep/a.png", 1);
    for args in [["select", "photos", "--copy-to", "photos/../photos"], ["select", "photos", "--link-to", "photos"]] {
        let seen = world.run(args).expect(2);
        assert!(seen.stderr.contains("is to be looked at and written to"), "{}", seen.stderr);
    }
    assert_eq!(names_in(&world.photos()), ["deep".to_owned()].into());
}

#[test]
fn same_picture_twice() {
    let world = World::new();
    let first = world.photo("a.png", 1);
    world.photo("b.png", 2);
    let alone = world.run(["select", "photos", "--per-cluster", "9"]).expect(0).stdout;
    fs::create_dir(world.photos().join("old")).unwrap();
    fs::copy(&first, world.photos().join("a (1).png")).unwrap();
    fs::copy(&first, world.photos().join("old/a.png")).unwrap();
    for decision in ["none", "keep"] {
        if decision == "keep" {
            world.run(["decide", "keep", "photos/a.png"]).expect(0);
        }
        let seen = world.run(["select", "photos", "--all", "--per-cluster", "9", "--copy-to", "out"]).expect(0);
        let of = |name: &str| seen.lines().into_iter().find(|line| line["image_path"] == name).unwrap();
        assert_eq!(of("photos/a.png")["selected"], true);
        for (copy, told) in [("photos/a (1).png", "a.png"), ("photos/old/a.png", "photos/a.png")] {
            assert_eq!(of(copy)["selected"], false);
            assert_eq!(of(copy)["reason"], format!("The same picture as {told}, byte for byte."));
        }
        assert_eq!(names_in(&world.path("out")), ["a.png", "b.png"].map(str::to_owned).into());
    }
    assert_eq!(world.run(["score", "photos"]).expect(0).lines().len(), 4, "others tell of every file");
    assert_eq!(world.run(["cluster", "photos"]).expect(0).lines().len(), 4);
    assert!(!alone.is_empty());
}

#[cfg(unix)]
#[test]
fn set_user_id() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    for (name, mode) in [("a.png", 0o4755), ("b.png", 0o2750), ("c.png", 0o1640)] {
        set_mode(&world.photo(name, mode), mode);
    }
    world.run(["select", "photos", "--per-cluster", "9", "--copy-to", "out"]).expect(0);
    for (name, mode) in [("a.png", 0o755), ("b.png", 0o750), ("c.png", 0o640)] {
        let copied = world.path("out").join(name).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(copied & !mode, 0, "{name}: {copied:o}");
        assert_eq!(copied & 0o700, mode & 0o700, "{name}: {copied:o}");
    }
}

#[test]
fn names_in_a_zip() {
    let world = World::new();
    let evil = ["..\\..\\evil.png", ".._.._evil.png", "a\u{1b}[2J\n.png", "C:evil.png", "nul.png", "plain.png"];
    for (seed, name) in evil.iter().enumerate() {
        world.photo(name, seed as u32);
    }
    world.run(["select", "photos", "--hidden", "--per-cluster", "9", "--zip", "album.zip"]).expect(0);
    let names = names_in_zip(&world.path("album.zip"));
    assert_eq!(names.len(), evil.len(), "{names:?}");
    for name in &names {
        assert!(!name.contains(['\\', '/', ':', '\u{1b}', '\n']) && name != "nul.png", "{names:?}");
    }
    assert!(names.contains("plain.png"));
}

#[test]
fn evil_list() {
    let world = World::new();
    world.many_photos(4);
    let lines = world.run(["analyze", "photos"]).expect(0).lines();
    fs::write(world.path("secret"), "the password").unwrap();
    fs::write(world.photos().join("0001.png"), png(48, 36, 77)).unwrap();
    fs::write(world.photos().join("0002.png"), "no photo any more").unwrap();
    let without_hash = |line: &Value| {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("content");
        line
    };
    let pointing = |line: Value, path: &str| {
        let mut line = line;
        line["image_path"] = json!(path);
        line
    };
    let secret = world.path("secret");
    fs::write(world.path("another-secret"), "the key").unwrap();
    let mut list = [
        lines[0].clone(),
        lines[1].clone(),
        without_hash(&lines[2]),
        without_hash(&lines[3]),
        pointing(lines[0].clone(), secret.to_str().unwrap()),
        pointing(without_hash(&lines[1]), "another-secret"),
        pointing(lines[2].clone(), "/dev/zero"),
    ];
    list[4]["content"] = json!(blake3::hash(b"the password").to_hex().as_str());
    list[6]["content"] = json!("0".repeat(64));
    let text = list.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    fs::write(world.path("evil.jsonl"), text).unwrap();
    // A tie-break would look at the photos, and tell of each that it cannot read.
    let alone = ["--per-cluster", "9", "--set", "album.selection.use_siamese_tiebreaker=false"];
    let run = |more: &[&str]| world.run(["select", "--from", "evil.jsonl"].iter().chain(&alone).chain(more)).expect(3);
    let delivered = BTreeSet::from(["0000.png".to_owned(), "0003.png".to_owned()]);
    for way in ["--copy-to", "--link-to"] {
        let planned = run(&[way, "out", "--dry-run"]).text();
        assert!(!world.path("out").exists());
        let seen = run(&[way, "out"]);
        assert_eq!(names_in(&world.path("out")), delivered, "{way}");
        assert_eq!(seen.text().replace("\"applied\":true", "\"applied\":false"), planned);
        let warnings: Vec<&str> = seen.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
        assert_eq!(warnings.len(), 5, "{}", seen.stderr);
        assert!(seen.stderr.contains("photos/0001.png: write: not delivered: its content is not"), "{}", seen.stderr);
        assert!(seen.stderr.contains("photos/0002.png: write: not delivered: it is no photo"), "{}", seen.stderr);
        assert!(seen.stderr.contains("secret: write: not delivered: it is no photo"), "{}", seen.stderr);
        fs::remove_dir_all(world.path("out")).unwrap();
    }
    run(&["--zip", "album.zip", "--xmp"]);
    assert_eq!(names_in_zip(&world.path("album.zip")), delivered);
    let sidecars: BTreeSet<String> = names_in(&world.photos())
        .into_iter()
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "xmp"))
        .collect();
    assert_eq!(sidecars, ["0000.xmp", "0003.xmp"].map(str::to_owned).into());
    assert!(!world.path("secret.xmp").exists());
}

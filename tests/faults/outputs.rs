//! What outputs must not do to files that are there, and what must be on disk before a run counts as done.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::{Seen, World, fixture_album, skipped};

/// Files that must stay as they are, content and time.
struct Kept(Vec<(PathBuf, Vec<u8>, std::time::SystemTime)>);

impl Kept {
    fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let kept = |path: PathBuf| (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap(), path);
        Self(paths.into_iter().map(kept).map(|(bytes, time, path)| (path, bytes, time)).collect())
    }

    #[track_caller]
    fn check(&self, after: &dyn std::fmt::Debug) {
        for (path, bytes, time) in &self.0 {
            let same = fs::read(path).is_ok_and(|now| now == *bytes);
            assert!(same && fs::metadata(path).unwrap().modified().unwrap() == *time, "{after:?}: {}", path.display());
        }
    }
}

/// Refused before any work, naming the file, and nothing is touched.
#[track_caller]
fn refused(world: &World, args: &[&str], named: &str, kept: &Kept) {
    let seen = world.run(args).expect(2);
    assert_eq!(seen.text(), "", "{args:?}");
    assert!(seen.stderr.contains(named) && seen.stderr.contains("hint: "), "{args:?}: {}", seen.stderr);
    kept.check(&args);
}

#[test]
fn output_onto_a_photo() {
    let world = World::new();
    let jpeg = fs::read(fixture_album().join("DSC_0106.jpg")).unwrap();
    for name in ["photos/a.jpg", "odd.dat", "features.parquet", "model.safetensors", "page.html"] {
        fs::write(world.path(name), &jpeg).unwrap();
    }
    world.photo("b.png", 2);
    // A card that lost a sector: no photo any more by content, and still the only one there is.
    fs::write(world.path("photos/c.jpg"), [vec![0; 512], jpeg[512..].to_vec()].concat()).unwrap();
    symlink(world.path("photos/a.jpg"), world.path("link.jsonl")).unwrap();
    fs::hard_link(world.path("photos/a.jpg"), world.path("linked.jsonl")).unwrap();
    let all = ["photos/a.jpg", "photos/b.png", "photos/c.jpg", "odd.dat", "features.parquet", "model.safetensors"];
    let kept = Kept::of(all.iter().chain(&["page.html"]).map(|name| world.path(name)));

    // As the shell expands `score -o photos/*`.
    refused(&world, &["score", "-o", "photos/a.jpg", "photos/b.png", "photos/c.jpg"], "photos/a.jpg", &kept);
    for place in ["photos/b.png", "photos/c.jpg", "odd.dat", "link.jsonl", "linked.jsonl"] {
        refused(&world, &["score", "photos", "-o", place], place, &kept);
        refused(&world, &["score", "photos", "--telemetry", place], place, &kept);
        refused(&world, &["select", "photos", "--report", place], place, &kept);
        refused(&world, &["select", "photos", "--zip", place], place, &kept);
        refused(&world, &["embed", "photos", "-o", place], place, &kept);
        refused(&world, &["cluster", "photos", "--stats", place], place, &kept);
        refused(&world, &["schema", "score", "-o", place], place, &kept);
        refused(&world, &["completions", "bash", "-o", place], place, &kept);
        refused(&world, &["man", "-o", place], place, &kept);
        refused(&world, &["decide", "keep", "photos", "-o", place], place, &kept);
    }
    refused(&world, &["select", "photos", "--report", "page.html"], "page.html", &kept);
    refused(&world, &["embed", "photos", "-o", "features.parquet"], "features.parquet", &kept);
    refused(&world, &["kmeans", "fit", "--data", "f.parquet", "-m", "model.safetensors"], "model.safetensors", &kept);
    assert!(world.run(["decide", "list"]).expect(0).stdout.is_empty(), "nothing was decided");

    // What is ours is made anew.
    for _ in 0..2 {
        world.run(["select", "photos/b.png", "-o", "picks.jsonl", "--report", "r.html", "--telemetry", "t"]).expect(0);
        world.run(["embed", "photos/b.png", "-o", "new.parquet"]).expect(0);
        world.run(["embed", "photos/b.png", "-o", "new.npy"]).expect(0);
        world.run(["man", "-o", "albumctl.1"]).expect(0);
        world.run(["cluster", "photos/b.png", "--stats", "stats.json"]).expect(0);
    }
}

#[test]
fn output_onto_something_else() {
    let world = World::new();
    world.photo("a.png", 1);
    let header = br#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let model = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    let others = [
        ("net.safetensors", model),
        ("net.pt", b"PK\x03\x04\x14\0\0\0archive/data.pkl".to_vec()),
        ("net.tflite", b"\x1c\0\0\0TFL3\x14\0\x20\0".to_vec()),
        ("IMG_1.MOV", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ".to_vec()),
        ("IMG_1.xmp", br#"<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>"#.to_vec()),
        ("table.parquet", b"PAR1\x15\x04\x15\0".to_vec()),
    ];
    others.iter().for_each(|(name, content)| fs::write(world.path(name), content).unwrap());
    let kept = Kept::of(others.iter().map(|(name, _)| world.path(name)));
    for (name, _) in &others {
        refused(&world, &["score", "photos", "-o", name], name, &kept);
        refused(&world, &["score", "photos", "--telemetry", name], name, &kept);
    }
    refused(&world, &["kmeans", "fit", "--data", "table.parquet", "-m", "net.safetensors"], "net.safetensors", &kept);
    fs::create_dir(world.path("run")).unwrap();
    fs::copy(world.path("net.safetensors"), world.path("run/best.safetensors")).unwrap();
    let best = Kept::of([world.path("run/best.safetensors")]);
    refused(&world, &["train", "quality", "photos", "--run", "run"], "run/best.safetensors", &best);
}

#[test]
fn output_onto_an_input() {
    let world = World::new();
    world.many_photos(3);
    world.run(["analyze", "photos", "-o", "analysis.jsonl"]).expect(0);
    world.run(["embed", "photos", "-o", "features.parquet"]).expect(0);
    fs::write(world.path("own.yaml"), "num_workers: 1\n").unwrap();
    fs::write(world.path("list"), "photos/0000.png\n").unwrap();
    fs::write(world.path("photos/text.jpg"), "a photo by its name\n").unwrap();
    fs::hard_link(world.path("analysis.jsonl"), world.path("same.jsonl")).unwrap();
    let names = ["analysis.jsonl", "features.parquet", "own.yaml", "list", "photos/text.jpg"];
    let kept = Kept::of(names.map(|name| world.path(name)));
    refused(&world, &["select", "--from", "analysis.jsonl", "-o", "analysis.jsonl"], "analysis.jsonl", &kept);
    refused(&world, &["select", "--from", "analysis.jsonl", "--report", "same.jsonl"], "analysis.jsonl", &kept);
    refused(&world, &["score", "photos", "--config", "own.yaml", "-o", "own.yaml"], "own.yaml", &kept);
    refused(&world, &["score", "photos", "--config", "own.yaml", "--telemetry", "own.yaml"], "own.yaml", &kept);
    refused(&world, &["score", "photos", "-o", "photos/text.jpg"], "photos/text.jpg", &kept);
    let scores = ["dedup", "--data", "features.parquet", "--scores", "analysis.jsonl", "-o", "analysis.jsonl"];
    refused(&world, &scores, "analysis.jsonl", &kept);
    let assign = ["kmeans", "assign", "--data", "features.parquet", "-o", "features.parquet"];
    world.run(["kmeans", "fit", "--data", "features.parquet", "-k", "1"]).expect(0);
    refused(&world, &assign, "features.parquet", &kept);
    let list = fs::File::open(world.path("list")).unwrap();
    let output = world.command(["score", "-", "-o", "list"]).stdin(list).output().unwrap();
    let seen = Seen::from(output).expect(2);
    assert!(seen.stderr.contains("standard input"), "{}", seen.stderr);
    kept.check(&"a list on standard input");
}

#[test]
fn outputs_of_one_name() {
    let world = World::new();
    world.photo("a.png", 1);
    symlink("results", world.path("link")).unwrap();
    let kept = Kept::of([world.path("photos/a.png")]);
    let twice = [
        ["select", "photos", "-o", "results", "--report", "results"],
        ["select", "photos", "-o", "results", "--telemetry", "./results"],
        ["select", "photos", "--report", "results", "--zip", "photos/../results"],
        ["cluster", "photos", "-o", "results", "--stats", "results"],
    ];
    for args in twice {
        refused(&world, &args, "the same file", &kept);
        assert!(!world.path("results").exists(), "{args:?}");
    }
    fs::write(world.path("results"), "older\n").unwrap();
    refused(&world, &["select", "photos", "-o", "link", "--report", "results"], "the same file", &kept);
    assert_eq!(fs::read(world.path("results")).unwrap(), b"older\n");
}

#[test]
fn output_taken_meanwhile() {
    let world = World::new();
    let photo = world.photo("0000.png", 1);
    let seen = world.run(["select", "photos", "--copy-to", "album", "-o", "album/0000.png"]).expect(1);
    assert!(seen.stderr.contains("a photo (PNG) is there"), "{}", seen.stderr);
    assert_eq!(fs::read(world.path("album/0000.png")).unwrap(), fs::read(photo).unwrap());
    assert_eq!(fs::read_dir(world.path("album")).unwrap().count(), 1);
}

#[test]
fn nothing_to_deliver() {
    let world = World::new();
    world.many_photos(4);
    for empty in ["empty", "broken"] {
        fs::create_dir(world.path(empty)).unwrap();
    }
    fs::write(world.path("broken/a.jpg"), "no photo").unwrap();
    let commands: [&[&str]; 9] = [
        &["select", "photos", "-o", "p.jsonl", "--report", "p.html", "--xmp", "--telemetry", "t.json"],
        &["score", "photos", "-o", "s.jsonl"],
        &["analyze", "photos", "-o", "a.jsonl"],
        &["aesthetics", "photos", "-o", "b.jsonl"],
        &["embed", "photos", "-o", "e.jsonl"],
        &["embed", "photos", "-o", "f.parquet"],
        &["embed", "photos", "-o", "f.npy"],
        &["cluster", "photos", "-o", "c.jsonl", "--stats", "c.json"],
        &["dedup", "photos", "--method", "phash", "-o", "d.jsonl"],
    ];
    commands.iter().for_each(|args| drop(world.run(*args).expect(0)));
    let sidecars = |name: String| world.path("photos").join(name);
    let files = ["p.jsonl", "p.html", "t.json", "s.jsonl", "a.jsonl", "b.jsonl", "e.jsonl", "f.parquet", "f.npy"];
    let files = files.iter().chain(&["c.jsonl", "c.json", "d.jsonl"]).map(|name| world.path(name));
    let first_pick = world.run(["select", "photos"]).expect(0).names().remove(0);
    let kept = Kept::of(files.chain([sidecars(first_pick.replace(".png", ".xmp"))]));
    for (folder, code) in [("gone", 1), ("broken", 1), ("empty", 0)] {
        for args in commands {
            let args: Vec<&str> = args.iter().map(|arg| if *arg == "photos" { folder } else { arg }).collect();
            let seen = world.run(&args).expect(code);
            kept.check(&args);
            let output = args[args.iter().position(|arg| *arg == "-o").unwrap() + 1];
            assert!(seen.stderr.contains(&format!("{output}: left as it was")), "{args:?}: {}", seen.stderr);
        }
    }
    // Lines that were read before and lead to nothing now are no results either.
    fs::write(world.path("none.jsonl"), "").unwrap();
    world.run(["select", "--from", "none.jsonl", "-o", "p.jsonl", "--report", "p.html"]).expect(0);
    kept.check(&"--from an empty file");
    // Where nothing was, an empty file says that nothing was found.
    world.run(["score", "empty", "-o", "new.jsonl"]).expect(0);
    assert_eq!(fs::read(world.path("new.jsonl")).unwrap(), b"");

    let news = ["select", "photos", "--since", "last-run", "-o", "news.jsonl"];
    world.run(news).expect(0);
    let news_kept = Kept::of([world.path("news.jsonl")]);
    assert!(!fs::read(world.path("news.jsonl")).unwrap().is_empty());
    world.run(news).expect(0);
    news_kept.check(&news);

    // A choice that picks nothing is a result.
    world.run(["select", "photos", "--min-iqa", "1", "-o", "p.jsonl"]).expect(0);
    assert_eq!(fs::read(world.path("p.jsonl")).unwrap(), b"");
}

/// A power cut cannot be had here; what the kernel is asked to do can be seen.
#[cfg(target_os = "linux")]
#[test]
fn on_disk_before_it_counts() {
    let world = World::new();
    world.many_photos(4);
    let traced = Command::new("strace").arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !traced.is_ok_and(|status| status.success()) {
        return skipped("no strace here, or nobody may be traced");
    }
    world.run(["select", "photos", "--no-cache", "--since", "last-run:first"]).expect(0);
    let calls = "trace=rename,renameat,renameat2,link,linkat,symlink,symlinkat,fsync,fdatasync,write,pwrite64";
    let binary = env!("CARGO_BIN_EXE_albumctl");
    let args = ["select", "photos", "--no-cache", "--since", "last-run", "-o", "out/picks.jsonl"];
    let more = ["--report", "out/page.html", "--copy-to", "new/album", "--zip", "zips/album.zip", "--xmp"];
    fs::create_dir(world.path("out")).unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "4", "-o", "calls", "-e", calls]).arg(binary).args(args).args(more);
    strace.env_clear().env("HOME", world.path("home")).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    strace.current_dir(world.path(""));
    Seen::from(strace.output().unwrap()).expect(0);
    let trace = fs::read_to_string(world.path("calls")).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    let root = fs::canonicalize(world.path("")).unwrap();
    // Where each name came to lie, and when; the name is the last one of the call.
    let named = |line: &str| Some(root.join(line.rsplit('"').nth(1)?));
    let is_naming = |line: &str| ["rename", "link", "symlink"].iter().any(|call| line.contains(call));
    let namings: Vec<(usize, PathBuf)> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is_naming(line) && line.ends_with("= 0") && !line.contains("journal"))
        .filter_map(|(at, line)| Some((at, named(line)?)))
        .collect();
    let folders: BTreeSet<&Path> = namings.iter().filter_map(|(_, path)| path.parent()).collect();
    let expected = ["out", "new/album", "zips", "photos"].map(|folder| root.join(folder));
    assert!(expected.iter().all(|folder| folders.contains(folder.as_path())), "{folders:?}");
    let last = namings.iter().map(|(at, _)| *at).max().unwrap();
    let counted = (last..lines.len())
        .find(|&at| lines[at].contains("write") && lines[at].contains("/journal.sqlite"))
        .expect("the news are written down after the last file has its name");
    for (at, path) in &namings {
        let folder = format!("<{}>", path.parent().unwrap().display());
        let found = lines[*at..counted].iter().any(|line| line.contains("fsync(") && line.contains(&folder));
        assert!(found, "{} is not surely on disk when the news count", path.display());
    }
    // Folders that were made are names in others.
    for folder in [root.clone(), root.join("new")] {
        let folder = format!("<{}>", folder.display());
        assert!(lines[..counted].iter().any(|line| line.contains("fsync(") && line.contains(&folder)), "{folder}");
    }
}

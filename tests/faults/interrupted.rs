//! SIGINT and SIGTERM: a choice is made of all photos or not at all.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::world::{Seen, World, report};

const ROUNDS: u32 = 16;
const PHOTOS: u32 = 200;

fn spawn(world: &World, args: &[&str]) -> Child {
    world.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended_by(child: Child, round: u32) -> Seen {
    let signal = if (round / 2).is_multiple_of(2) { Signal::INT } else { Signal::TERM };
    let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal);
    child.wait_with_output().unwrap().into()
}

/// Signals at moments without a pattern: a start, the middle, the end.
fn moment(whole_run: Duration, round: u32) -> Duration {
    whole_run.mul_f64(1.1 * f64::from(round * 7 % ROUNDS) / f64::from(ROUNDS))
}

fn names(folder: PathBuf) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn interrupted_choices() {
    let world = World::new();
    world.many_photos(60);
    let photos = names(world.photos());
    let select = ["select", "photos", "--no-cache", "--top", "5", "-o", "p.jsonl", "--report", "p.html"];
    let select = [&select[..], &["--xmp", "--copy-to", "album"]].concat();
    let commands: [(&[&str], &[&str]); 4] = [
        (&select, &["p.jsonl", "p.html"]),
        (&["cluster", "photos", "--no-cache", "-o", "c.jsonl", "--stats", "c.json"], &["c.jsonl", "c.json"]),
        (&["dedup", "photos", "--no-cache", "--method", "phash", "-o", "d.jsonl"], &["d.jsonl"]),
        (&["embed", "photos", "--no-cache", "-o", "e.parquet"], &["e.parquet"]),
    ];
    for (args, outputs) in commands {
        let started = Instant::now();
        world.run(args).expect(0);
        let whole_run = started.elapsed();
        let whole: Vec<Vec<u8>> = outputs.iter().map(|output| fs::read(world.path(output)).unwrap()).collect();
        // An older result of the same kind, as one sees it at once when it is replaced.
        let older: Vec<Vec<u8>> = whole.iter().map(|whole| [&whole[..], b" "].concat()).collect();
        let (interrupted, mut done) = (Cell::new(0), 0);
        // A busy machine may put many a signal before the start or behind the end.
        for round in (0..4 * ROUNDS).take_while(|round| *round < ROUNDS || interrupted.get() < 3) {
            outputs.iter().zip(&older).for_each(|(output, older)| fs::write(world.path(output), older).unwrap());
            let _ = fs::remove_dir_all(world.path("album"));
            let sidecars =
                names(world.photos()).into_iter().filter(|name| Path::new(name).extension() == Some("xmp".as_ref()));
            sidecars.for_each(|name| fs::remove_file(world.photos().join(name)).unwrap());
            let child = spawn(&world, args);
            std::thread::sleep(moment(whole_run, round));
            let seen = ended_by(child, round);
            let now: Vec<Vec<u8>> = outputs.iter().map(|output| fs::read(world.path(output)).unwrap()).collect();
            if seen.code == Some(0) {
                assert!(now == whole, "round {round} of {args:?}");
                done += 1;
                continue;
            }
            assert!(now == older, "round {round} of {args:?}: {}", seen.stderr);
            assert_eq!(seen.text(), "", "round {round} of {args:?}");
            // Before it listens, a signal ends it as it ends any program.
            let Some(code) = seen.code else { continue };
            assert_eq!(code, 130, "{}", seen.stderr);
            assert_eq!(seen.stderr.matches("interrupted").count(), 1, "{}", seen.stderr);
            interrupted.set(interrupted.get() + 1);
            if seen.stderr.contains("nothing was chosen or written") {
                assert!(!world.path("album").exists());
                assert_eq!(names(world.photos()), photos, "no stars");
            }
        }
        let interrupted = interrupted.get();
        report(&format!("{}: {interrupted} interrupted, {done} had done all", args[0]));
        assert!(interrupted >= 3, "{args:?}: {interrupted} signals fell into the run");
    }
}

#[test]
fn interrupted_copies() {
    let world = World::new();
    world.many_photos(300);
    world.run(["analyze", "photos", "-o", "analysis.jsonl"]).expect(0);
    let args = ["select", "--from", "analysis.jsonl", "--per-cluster", "999", "--copy-to", "album", "-o", "p.jsonl"];
    let mut stopped = 0;
    for round in 0..ROUNDS {
        let _ = fs::remove_dir_all(world.path("album"));
        fs::write(world.path("p.jsonl"), "older\n").unwrap();
        let child = spawn(&world, &args);
        let started = Instant::now();
        while names(world.path("album")).len() < 5 && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_micros(200));
        }
        let seen = ended_by(child, round);
        let copies = names(world.path("album"));
        assert!(copies.iter().all(|name| !name.starts_with('.')), "nothing half-way is left: {copies:?}");
        for name in &copies {
            let (copy, photo) = (world.path("album").join(name), world.photos().join(name));
            assert!(fs::read(copy).unwrap() == fs::read(photo).unwrap(), "{name}");
        }
        if seen.code == Some(0) {
            assert_eq!(copies.len(), 300);
            continue;
        }
        let seen = seen.expect(130);
        assert!(seen.stderr.contains(&format!("{} of 300 photos were copied", copies.len())), "{}", seen.stderr);
        assert_eq!(fs::read(world.path("p.jsonl")).unwrap(), b"older\n");
        stopped += 1;
        if stopped == 3 {
            // What is missing comes with the next run, and nothing twice.
            world.run(args).expect(0);
            assert_eq!(names(world.path("album")).len(), 300);
            return;
        }
    }
    assert!(stopped > 0, "no signal fell between two copies");
}

#[test]
fn interrupted_measuring() {
    let world = World::new();
    world.many_photos(PHOTOS);
    for command in ["score", "analyze", "aesthetics"] {
        let started = Instant::now();
        let whole = world.run([command, "photos", "--no-cache"]).expect(0).text();
        let whole_run = started.elapsed();
        let paths = |text: &str| -> Vec<String> {
            let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            lines.map(|line| line["image_path"].as_str().unwrap().to_owned()).collect()
        };
        let mut in_the_middle = 0;
        for round in (0..ROUNDS).step_by(2) {
            let (to_file, cache) = (round % 8 == 6, format!("cache-{command}-{round}"));
            let mut args = vec![command, "photos", "--cache-dir", &cache];
            if to_file {
                fs::write(world.path("older.jsonl"), "older\n").unwrap();
                args.extend(["-o", "older.jsonl"]);
            }
            let child = spawn(&world, &args);
            std::thread::sleep(moment(whole_run, round));
            let seen = ended_by(child, round);
            let Some(130) = seen.code else {
                assert!(seen.code.is_none_or(|code| code == 0), "{:?}: {}", seen.code, seen.stderr);
                continue;
            };
            let printed = seen.text();
            if to_file {
                assert_eq!(fs::read(world.path("older.jsonl")).unwrap(), b"older\n");
                assert_eq!(seen.stderr.matches("older.jsonl: not written").count(), 1, "{}", seen.stderr);
            }
            if command == "analyze" {
                assert!(paths(&whole).starts_with(&paths(&printed)));
                assert!(!printed.contains("\"selected\":true"), "nothing is chosen among a part");
            } else {
                assert!(whole.starts_with(&printed), "round {round}: a prefix of the whole");
            }
            in_the_middle += usize::from((1..PHOTOS as usize).contains(&printed.lines().count()));
            let again = world.run([command, "photos", "-v", "--cache-dir", &cache]).expect(0);
            assert!(again.text() == whole, "round {round}: the next run gives the same bytes");
            let remembered = !again.stderr.contains(", 0 from the store");
            assert!(printed.is_empty() || remembered, "round {round}: {}", again.stderr);
        }
        report(&format!("{command}: {in_the_middle} of {} signals in the middle", ROUNDS / 2));
        assert!(in_the_middle > 0, "{command}: no signal fell into the middle");
    }
}

//! Faults of what a person decided: damage, kills, signals, locks.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::world::{FIRST_JOURNAL, Random, Seen, World};

fn journal(world: &World) -> PathBuf {
    world.path("home/.local/share/albumctl/journal.sqlite")
}

fn list(world: &World) -> Vec<u8> {
    world.run(["decide", "list"]).expect(0).stdout
}

/// A journal with every kind of row, over several pages.
fn world_with_decisions() -> World {
    let world = World::new();
    world.many_photos(40);
    world.run(["decide", "keep", "photos"]).expect(0);
    world.run(["decide", "reject", "photos/0001.png", "photos/0003.png"]).expect(0);
    world.run(["decide", "clear", "photos/0002.png"]).expect(0);
    world.run(["select", "photos", "-q", "--since", "last-run"]).expect(0);
    world
}

/// The same bytes with one of the things that happen to files.
fn damaged(sound: &[u8], seed: u64) -> Vec<u8> {
    let (mut random, mut bytes) = (Random::new(seed), sound.to_vec());
    let length = bytes.len();
    match seed % 8 {
        0 => bytes.truncate(random.below(length)),
        1 => {
            let at = random.below(length) / 512 * 512;
            bytes[at..(at + 512).min(length)].fill(0);
        }
        2 => {
            let at = random.below(length) / 4096 * 4096;
            bytes[at..(at + 4096).min(length)].fill(0);
        }
        3 => {
            let (from, to) = (random.below(length) / 4096 * 4096, random.below(length) / 4096 * 4096);
            let page = bytes[from..from + 4096].to_vec();
            bytes[to..to + 4096].copy_from_slice(&page);
        }
        4 => (0..random.below(30)).for_each(|_| bytes[random.below(length)] = random.below(256) as u8),
        // Among what the file says of itself.
        5 => bytes[random.below(100)] ^= 1 << random.below(8),
        _ => bytes[random.below(length)] ^= 1 << random.below(8),
    }
    bytes
}

#[test]
fn journal_damaged_two_hundred_times() {
    let world = world_with_decisions();
    let (file, told) = (journal(&world), list(&world));
    let sound = fs::read(&file).unwrap();
    assert!(sound.len() >= 4 * 4096, "{} bytes", sound.len());
    let mut without_layout = sound.clone();
    without_layout[60..64].fill(0);
    let named = [Vec::new(), vec![0; sound.len()], without_layout];
    let at_random: Vec<_> = (0..200).map(|seed| damaged(&sound, seed)).collect();
    let (mut refused, mut whole) = (0, 0);
    for (number, bytes) in named.iter().chain(&at_random).enumerate() {
        fs::write(&file, bytes).unwrap();
        let seen = world.run(["decide", "list"]);
        if seen.code == Some(0) {
            assert!(seen.stdout == told, "damage {number}: {}", seen.text());
            assert!(number >= named.len());
            whole += 1;
        } else {
            let seen = seen.expect(1);
            assert!(seen.stdout.is_empty() && seen.stderr.contains("journal.sqlite"), "{number}: {}", seen.stderr);
            let kept = world.run(["decide", "keep", "photos/0001.png"]).expect(1);
            assert!(kept.stdout.is_empty() && kept.stderr.contains("journal.sqlite"), "{number}: {}", kept.stderr);
            assert!(fs::read(&file).unwrap() == *bytes, "damage {number}: it is left as it is");
            refused += 1;
        }
        if number % 20 < named.len() {
            let code = world.run(["select", "photos", "--since", "last-run"]).code;
            assert_eq!(code == Some(1), seen_refused(&world), "damage {number}: {code:?}");
        }
    }
    assert!(refused > 100 && whole > 0, "{refused} refused, {whole} without loss");
}

fn seen_refused(world: &World) -> bool {
    world.run(["decide", "list"]).code != Some(0)
}

#[test]
fn journal_beside_foreign_logs() {
    let world = world_with_decisions();
    let (file, told) = (journal(&world), list(&world));
    let mut random = Random::new(1);
    for suffix in ["-journal", "-wal", "-shm"] {
        let beside = file.with_file_name(format!("journal.sqlite{suffix}"));
        fs::write(&beside, (0..9000).map(|_| random.below(256) as u8).collect::<Vec<_>>()).unwrap();
        assert!(list(&world) == told, "{suffix}");
        let _ = fs::remove_file(beside);
    }
    // A tool that leaves newer pages in a log of its own: they are brought home by the next change.
    let other = Connection::open(&file).unwrap();
    other.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    drop(other);
    world.run(["decide", "clear", "photos/0000.png"]).expect(0);
    let told = list(&world);
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(file.with_file_name(format!("journal.sqlite{suffix}")));
    }
    assert!(list(&world) == told, "the one file holds all");
    assert_eq!(fs::read(&file).unwrap()[18..20], [1, 1], "and goes on doing so");
}

#[test]
fn journal_behind_a_broken_link() {
    let world = world_with_decisions();
    let file = journal(&world);
    let away = world.path("a drive that goes away.sqlite");
    fs::rename(&file, &away).unwrap();
    symlink(&away, &file).unwrap();
    let told = list(&world);
    fs::rename(&away, world.path("gone")).unwrap();
    for args in [&["decide", "list"][..], &["select", "photos"], &["decide", "keep", "photos"]] {
        let seen = world.run(args).expect(1);
        assert!(seen.stdout.is_empty() && seen.stderr.contains("journal.sqlite"), "{args:?}: {}", seen.stderr);
    }
    fs::rename(world.path("gone"), &away).unwrap();
    assert!(list(&world) == told);
}

/// What is told of decisions that name the bytes alone.
fn without_pictures(told: &[u8]) -> Vec<u8> {
    let lines = std::str::from_utf8(told).unwrap().lines();
    let lines = lines.map(|line| {
        let (before, picture) = line.split_once("\"picture\":\"").unwrap();
        format!("{before}\"picture\":null{}\n", picture.split_once('"').unwrap().1)
    });
    lines.collect::<String>().into_bytes()
}

#[test]
fn journal_of_the_first_layout() {
    let world = world_with_decisions();
    let (file, told) = (journal(&world), without_pictures(&list(&world)));
    let newer = file.with_file_name("newer");
    fs::rename(&file, &newer).unwrap();
    let old = Connection::open(&file).unwrap();
    old.execute_batch(FIRST_JOURNAL).unwrap();
    old.execute("ATTACH ?1 AS newer", [newer.to_str().unwrap()]).unwrap();
    old.execute_batch(
        "INSERT INTO decision SELECT id, substr(content, 1, 32), word, decided_ms, path FROM newer.decision;
         INSERT INTO run SELECT id + 6, key, about, finished_ms FROM newer.run;
         INSERT INTO seen SELECT run + 6, substr(content, 1, 32) FROM newer.seen;
         DETACH newer;",
    )
    .unwrap();
    old.close().unwrap();
    let before = fs::read(&file).unwrap();
    assert!(list(&world) == told, "it is read as it is");
    assert!(fs::read(&file).unwrap() == before, "reading changes nothing");
    // A photo's content in the table alone, which the index contradicts.
    let content = {
        let old = Connection::open(&file).unwrap();
        old.query_row("SELECT content FROM decision WHERE id = 2", [], |row| row.get::<_, Vec<u8>>(0)).unwrap()
    };
    let at = before.windows(32).position(|window| window == content).unwrap();
    let mut flipped = before.clone();
    flipped[at] ^= 4;
    fs::write(&file, &flipped).unwrap();
    for args in [&["decide", "list"][..], &["decide", "keep", "photos"]] {
        assert!(world.run(args).expect(1).stderr.contains("journal.sqlite"));
    }
    assert!(fs::read(&file).unwrap() == flipped);
    fs::write(&file, &before).unwrap();
    let news = world.run(["select", "photos", "-q", "--since", "last-run"]).expect(0);
    assert_eq!(news.text(), "", "what was seen is still known");
    assert!(list(&world) == told, "it was taken over");
    let mut flipped = fs::read(&file).unwrap();
    let at = flipped.windows(32).position(|window| window == content).unwrap();
    flipped[at] ^= 4;
    fs::write(&file, &flipped).unwrap();
    world.run(["decide", "list"]).expect(1);
}

#[test]
fn killed_while_the_journal_is_made() {
    let world = World::new();
    world.many_photos(3);
    let started = Instant::now();
    world.run(["decide", "keep", "photos"]).expect(0);
    let (whole_run, folder) = (started.elapsed(), journal(&world).parent().unwrap().to_owned());
    for kill in 0..60 {
        fs::remove_dir_all(world.path("home/.local")).unwrap();
        let child = world.command(["decide", "keep", "photos"]).stdout(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(whole_run.mul_f64(f64::from(kill * 37 % 60) / 60.0));
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::KILL);
        child.wait_with_output().unwrap();
        let decided = world.run(["decide", "list"]).expect(0).lines().len();
        assert!(decided == 0 || decided == 3, "kill {kill}: {decided}");
        world.run(["decide", "keep", "photos"]).expect(0);
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["journal.sqlite"], "kill {kill}");
    }
}

#[test]
fn terminated_while_deciding() {
    let world = World::new();
    world.many_photos(60);
    let args = ["decide", "keep", "photos", "--threads", "1", "--no-cache"];
    let started = Instant::now();
    world.run(args).expect(0);
    let whole_run = started.elapsed();
    let (mut none, mut all) = (0, 0);
    for turn in 0..60 {
        world.run(["decide", "clear", "photos"]).expect(0);
        let child = world.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(whole_run.mul_f64(1.1 * f64::from(turn * 37 % 60) / 60.0));
        let signal = if turn % 2 == 0 { rustix::process::Signal::TERM } else { rustix::process::Signal::INT };
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal);
        let seen = Seen::from(child.wait_with_output().unwrap());
        let decided = world.run(["decide", "list"]).expect(0).lines().len();
        assert!(decided == 0 || decided == 60, "turn {turn}: {decided} of 60 decisions");
        // Before it listens, the signal ends it as it ends everything.
        assert!([None, Some(130), Some(0)].contains(&seen.code), "turn {turn}: {:?}", seen.code);
        if seen.code.is_some() {
            assert_eq!(seen.text().lines().count(), decided, "turn {turn}: what is printed is what holds");
            assert_eq!(seen.stderr.contains("nothing was decided"), decided == 0, "turn {turn}: {}", seen.stderr);
            none += u32::from(decided == 0);
        }
        all += u32::from(decided == 60);
    }
    assert!(none > 0 && all > 0, "{none} times nothing, {all} times everything");
}

#[test]
fn locked_journal() {
    let world = world_with_decisions();
    let (file, told) = (journal(&world), list(&world));
    let other = Connection::open(&file).unwrap();
    for (lock, reading) in [("BEGIN EXCLUSIVE", 1), ("BEGIN; SELECT count(*) FROM decision", 0)] {
        for statement in lock.split("; ") {
            let mut statement = other.prepare(statement).unwrap();
            let mut rows = statement.query([]).unwrap();
            while rows.next().unwrap().is_some() {}
        }
        for (args, code) in [(&["decide", "list"][..], reading), (&["decide", "clear", "photos"], 1)] {
            let started = Instant::now();
            let seen = world.run(args).expect(code);
            assert!(started.elapsed() < Duration::from_secs(20), "{lock}, {args:?}: {:?}", started.elapsed());
            if code == 1 {
                assert!(seen.stdout.is_empty(), "{lock}, {args:?}");
                assert!(
                    seen.stderr.contains("journal.sqlite") && seen.stderr.contains("another process holds it"),
                    "{lock}, {args:?}: {}",
                    seen.stderr
                );
            }
        }
        other.execute_batch("ROLLBACK").unwrap();
        assert!(list(&world) == told, "{lock}");
    }
}

//! Faults of the results store that cost time, never a result.

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::world::{Random, Seen, World, png, set_mode};

fn store(world: &World) -> PathBuf {
    let entries = fs::read_dir(world.cache()).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "sqlite")).unwrap()
}

#[test]
fn locked_store() {
    let world = World::new();
    world.many_photos(6);
    world.run(["score", "photos"]).expect(0);
    // Photos that the store does not know: there is something to write.
    (0..3).for_each(|n| fs::write(world.photos().join(format!("{n:04}.png")), png(50, 40, 70 + n)).unwrap());
    let reference = world.run(["score", "--no-cache", "photos"]).expect(0).stdout;
    let file = store(&world);
    for (mode, lock) in [
        ("WAL", "BEGIN IMMEDIATE"),
        ("WAL", "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE"),
        ("DELETE", "BEGIN; SELECT count(*) FROM finding"),
        ("DELETE", "BEGIN EXCLUSIVE"),
    ] {
        let other = Connection::open(&file).unwrap();
        other.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(())).unwrap();
        for statement in lock.split("; ") {
            let mut statement = other.prepare(statement).unwrap();
            let mut rows = statement.query([]).unwrap();
            while rows.next().unwrap().is_some() {}
        }
        let started = Instant::now();
        let seen = world.run(["score", "photos"]).expect(0);
        assert!(started.elapsed() < Duration::from_secs(20), "{mode}, {lock}: {:?}", started.elapsed());
        assert!(seen.stdout == reference, "{mode}, {lock}");
        assert_eq!(seen.stderr.matches("warning: ").count(), 1, "{mode}, {lock}: {}", seen.stderr);
        assert!(seen.stderr.contains("is locked by another process"), "{mode}, {lock}: {}", seen.stderr);
    }
    let seen = world.run(["score", "-v", "photos"]).expect(0);
    assert!(
        seen.stderr.contains("3 computed, 3 from the store") && !seen.stderr.contains("warning"),
        "{}",
        seen.stderr
    );
}

/// What the store keeps of a payload: a hash of its row's key and of itself behind it.
fn sealed(content: &[u8], analysis: &[u8], payload: &[u8]) -> Vec<u8> {
    let key = [content, analysis].concat();
    let mut hasher = blake3::Hasher::new();
    for part in [key.as_slice(), payload] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    [payload, &hasher.finalize().as_bytes()[..8]].concat()
}

#[test]
fn garbage_in_rows_of_the_store() {
    let world = World::new();
    world.many_photos(4);
    let run = || world.run(["select", "photos", "--all", "--report", "page.html"]).expect(0);
    // What faces need is told once a machine.
    run();
    let first = run();
    let (reference, told, page) = (first.stdout, first.stderr, fs::read(world.path("page.html")).unwrap());
    let file = store(&world);
    let mut altered = 0;
    for seed in 0..54 {
        let mut random = Random::new(seed);
        let other = Connection::open(&file).unwrap();
        // What no run has needed since is still what it was altered to.
        let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = other
            .prepare("SELECT content, analysis, CAST(payload AS BLOB) FROM finding")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for _ in 0..3 {
            let (content, analysis, payload) = &rows[random.below(rows.len())];
            let mut garbage = |length: usize| -> Vec<u8> { (0..length).map(|_| random.below(256) as u8).collect() };
            let not_numbers = f32::NAN.to_le_bytes();
            let instead: Box<dyn rusqlite::ToSql> = match seed % 9 {
                0 => Box::new(garbage(payload.len())),
                1 => Box::new(garbage(payload.len() / 2)),
                2 => Box::new(Vec::new()),
                3 => Box::new("a word".to_owned()),
                4 => Box::new(3.5),
                // Of another photo or another question, as sound as it is there.
                5 => Box::new(rows[random.below(rows.len())].2.clone()),
                6 => Box::new(sealed(content, analysis, &garbage(7))),
                // Half as many numbers as there should be, each of them sound.
                7 => Box::new(sealed(content, analysis, &payload[..payload.len().saturating_sub(8) / 8 * 4])),
                _ => Box::new(sealed(content, analysis, &not_numbers.repeat(payload.len().div_ceil(8) / 4 + 1))),
            };
            let update = "UPDATE finding SET payload = ?1 WHERE content = ?2 AND analysis = ?3";
            altered += other.execute(update, params![instead, content, analysis]).unwrap();
        }
        let alter = match seed % 5 {
            0 => "UPDATE file SET content = x'00'",
            1 => "UPDATE file SET content = (SELECT max(content) FROM file)",
            2 => "UPDATE file SET content = 'a word', inode = 'another'",
            3 => "UPDATE file SET size = 1e300",
            _ => "UPDATE file SET content = randomblob(40)",
        };
        other.execute(alter, []).unwrap();
        drop(other);
        let seen = run();
        assert!(seen.stdout == reference, "seed {seed}");
        assert_eq!(seen.stderr, told, "seed {seed}");
        assert!(fs::read(world.path("page.html")).unwrap() == page, "seed {seed}");
    }
    assert!(altered > 100, "{altered}");
}

#[test]
fn store_damaged_in_the_middle_of_a_run() {
    let world = World::new();
    // More than are looked up at once.
    world.many_photos(600);
    let reference = world.run(["score", "photos"]).expect(0).text();
    let (sound, file) = (fs::read(store(&world)).unwrap(), store(&world));
    let mut met = 0;
    for turn in 0..4 {
        fs::write(&file, &sound).unwrap();
        let mut child = world
            .command(["score", "--threads", "1", "photos"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        output.read_line(&mut text).unwrap();
        let mut damaged = fs::File::options().write(true).open(&file).unwrap();
        damaged.seek(SeekFrom::Start(if turn % 2 == 0 { 4096 } else { 0 })).unwrap();
        damaged.write_all(&vec![0xA5; sound.len() - 4096]).unwrap();
        output.read_to_string(&mut text).unwrap();
        let seen = Seen::from(child.wait_with_output().unwrap()).expect(0);
        assert!(text == reference, "turn {turn}");
        let warnings = seen.stderr.matches("warning: ").count();
        assert!(warnings <= 1 && seen.stderr.matches("set aside").count() == warnings, "{}", seen.stderr);
        met += warnings;
        let next = world.run(["score", "photos"]).expect(0);
        assert!(next.text() == reference, "turn {turn}");
        world.run(["score", "photos"]).expect(0);
    }
    assert!(met > 0, "no run met the damage");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Folder and files of ours, with their modes.
fn modes(folder: &Path) -> Vec<u32> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    [mode(folder)].into_iter().chain(files.map(|file| mode(&file))).collect()
}

#[test]
fn private_files() {
    for umask in ["022", "000"] {
        let world = World::new();
        world.many_photos(2);
        let run = |args: &[&str]| world.run_under(&format!("umask {umask}"), args).expect(0);
        let (cache, data) = (world.cache(), world.path("home/.local/share/albumctl"));
        run(&["score", "photos"]);
        run(&["decide", "keep", "photos"]);
        assert_eq!((modes(&cache), modes(&data)), (vec![0o700, 0o600], vec![0o700, 0o600]), "umask {umask}");
        // What an older albumctl left open to others, its log included.
        for folder in [&cache, &data] {
            set_mode(folder, 0o755);
            fs::read_dir(folder).unwrap().for_each(|entry| set_mode(&entry.unwrap().path(), 0o644));
        }
        fs::write(cache.join("results-v1.sqlite"), "an older layout").unwrap();
        let held = Connection::open(store(&world)).unwrap();
        held.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
        held.execute_batch("CREATE TABLE IF NOT EXISTS other (a); DROP TABLE other").unwrap();
        run(&["score", "photos"]);
        run(&["decide", "list"]);
        assert_eq!(
            modes(&cache),
            [&[0o700][..], &[0o600; 4]].concat(),
            "umask {umask}: two databases, a log, its index"
        );
        assert_eq!(modes(&data), [0o700, 0o600], "umask {umask}");
        drop(held);
        // A folder the user made is the user's; what we put there is not for others.
        fs::create_dir(world.path("shared")).unwrap();
        set_mode(&world.path("shared"), 0o775);
        run(&["score", "photos", "--cache-dir", "shared"]);
        run(&["score", "photos", "--cache-dir", "made/here"]);
        assert_eq!(modes(&world.path("shared")), [0o775, 0o600], "umask {umask}");
        assert_eq!(modes(&world.path("made/here")), [0o700, 0o600], "umask {umask}");
    }
}

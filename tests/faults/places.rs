//! Faults of the places results go to.

use std::fs;
use std::process::Stdio;

use crate::world::{SHORT_FILES, Seen, World, set_mode, skipped};

#[test]
fn read_only_cache() {
    let world = World::new();
    world.many_photos(3);
    let reference = world.run(["score", "--no-cache", "photos"]).expect(0).stdout;
    fs::create_dir_all(world.path("sealed")).unwrap();
    set_mode(&world.path("sealed"), 0o555);
    let Some(mut command) = world.command_without_privileges(["score", "--cache-dir", "sealed/cache", "photos"]) else {
        return skipped("cannot run without privileges here");
    };
    let seen = Seen::from(command.output().unwrap()).expect(0);
    assert_eq!(seen.stderr.matches("warning: ").count(), 1, "{}", seen.stderr);
    assert!(seen.stderr.contains("--cache-dir DIR"), "{}", seen.stderr);
    assert!(seen.stdout == reference);
}

#[test]
fn read_only_store() {
    let world = World::new();
    world.many_photos(3);
    let reference = world.run(["score", "--cache-dir", "store", "photos"]).expect(0).stdout;
    world.photo("0003.png", 77);
    for entry in fs::read_dir(world.path("store")).unwrap() {
        set_mode(&entry.unwrap().path(), 0o444);
    }
    set_mode(&world.path("store"), 0o555);
    let Some(mut command) = world.command_without_privileges(["score", "-v", "--cache-dir", "store", "photos"]) else {
        return skipped("cannot run without privileges here");
    };
    let seen = Seen::from(command.output().unwrap()).expect(0);
    assert_eq!(seen.stderr.matches("warning: ").count(), 1, "{}", seen.stderr);
    assert!(seen.stderr.contains("1 computed, 3 from the store"), "{}", seen.stderr);
    assert!(seen.stdout.starts_with(&reference));
}

#[test]
fn full_disk() {
    let world = World::new();
    world.many_photos(200);
    let reference = world.run(["score", "--no-cache", "photos"]).expect(0).stdout;
    let seen = world.run_under(SHORT_FILES, ["score", "photos"]).expect(0);
    assert_eq!(seen.stderr.matches("warning: the results store").count(), 1, "{}", seen.stderr);
    assert!(seen.stdout == reference);
    world.run(["score", "photos"]).expect(0);
}

#[test]
fn full_output() {
    let world = World::new();
    world.many_photos(3);
    let mut command = world.command(["score", "photos"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let seen = Seen::from(command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
    let seen = seen.expect(1);
    assert!(seen.stderr.contains("No space left"), "{}", seen.stderr);
    let seen = world.run(["score", "photos", "-o", "/dev/full"]).expect(1);
    assert!(seen.stderr.contains("No space left"), "{}", seen.stderr);
}

#[test]
fn closed_stdout() {
    let world = World::new();
    world.many_photos(200);
    let mut command = world.command(["score", "photos"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let seen = Seen::from(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(seen.stderr, "");
}

#[test]
fn unknown_key() {
    let world = World::new();
    let seen = world.run(["score", "--set", "limits.max_secnds=3", "photos"]).expect(2);
    assert!(seen.stderr.contains("did you mean `limits.max_seconds`?"), "{}", seen.stderr);
}

#[test]
fn damaged_store() {
    let world = World::new();
    world.many_photos(5);
    let reference = world.run(["score", "photos"]).expect(0).stdout;
    let store = fs::read_dir(world.cache())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "sqlite"))
        .unwrap();
    for damage in
        [b"garbage ".repeat(2000), Vec::from(&b"SQLite format 3\0"[..]), fs::read(&store).unwrap()[..5000].to_vec()]
    {
        fs::write(&store, damage).unwrap();
        let seen = world.run(["score", "photos"]).expect(0);
        assert!(seen.stdout == reference);
        assert_eq!(seen.stderr.matches("warning: ").count(), 1, "{}", seen.stderr);
        assert!(seen.stderr.contains("set aside"), "{}", seen.stderr);
        let seen = world.run(["score", "-v", "photos"]).expect(0);
        assert!(seen.stderr.contains("0 computed, 5 from the store"), "{}", seen.stderr);
    }
}

#[test]
fn damaged_journal() {
    let world = World::new();
    world.many_photos(2);
    world.run(["decide", "reject", "photos/0000.png"]).expect(0);
    let journal = world.path("home/.local/share/albumctl/journal.sqlite");
    let sound = fs::read(&journal).unwrap();
    let damaged = b"garbage ".repeat(2000);
    fs::write(&journal, &damaged).unwrap();
    for args in [&["select", "photos"][..], &["decide", "keep", "photos"], &["decide", "list"]] {
        let seen = world.run(args).expect(1);
        assert!(seen.stdout.is_empty() && seen.stderr.contains("journal.sqlite"), "{args:?}: {}", seen.stderr);
    }
    assert!(world.run(["select", "photos"]).expect(1).stderr.contains("hint: bring back a copy"));
    assert!(fs::read(&journal).unwrap() == damaged, "it is left as it is");
    world.run(["score", "photos"]).expect(0);
    fs::write(&journal, sound).unwrap();
    assert_eq!(world.run(["select", "photos", "--per-cluster", "9"]).expect(0).names(), ["0001.png"]);
}

#[test]
fn unwritable_journal() {
    let world = World::new();
    world.many_photos(2);
    world.run(["decide", "reject", "photos/0000.png"]).expect(0);
    let folder = world.path("home/.local/share/albumctl");
    set_mode(&folder.join("journal.sqlite"), 0o444);
    set_mode(&folder, 0o555);
    let run =
        |args: &[&str]| world.command_without_privileges(args).map(|mut command| Seen::from(command.output().unwrap()));
    let Some(selected) = run(&["select", "photos", "--no-cache", "--per-cluster", "9"]) else {
        return skipped("cannot run without privileges here");
    };
    assert_eq!(selected.expect(0).names(), ["0001.png"], "what may only be read is obeyed");
    for args in [&["decide", "keep", "photos"][..], &["select", "photos", "--since", "last-run"]] {
        let seen = run(args).unwrap().expect(1);
        assert!(
            seen.stdout.is_empty() && seen.stderr.contains(&folder.display().to_string()),
            "{args:?}: {}",
            seen.stderr
        );
        assert_eq!(seen.stderr.matches("permission denied").count(), 1, "{args:?}: {}", seen.stderr);
    }
}

#[test]
fn overlapping_runs() {
    let world = World::new();
    world.many_photos(40);
    let args = ["select", "photos", "--all", "-q", "--since", "last-run"];
    let children: Vec<_> =
        (0..6).map(|_| world.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).collect();
    let seen: Vec<_> =
        children.into_iter().map(|child| Seen::from(child.wait_with_output().unwrap()).expect(0)).collect();
    let lost = "note: faces are not analysed";
    assert!(seen.iter().flat_map(|seen| seen.stderr.lines()).all(|line| line.starts_with(lost)), "{}", seen[0].stderr);
    let mut lines: Vec<usize> = seen.iter().map(|seen| seen.lines().len()).collect();
    lines.sort_unstable();
    assert_eq!(lines, [0, 0, 0, 0, 0, 40], "one delivers all that is new, the others nothing");
}

#[test]
fn eight_at_once() {
    let world = World::new();
    world.many_photos(120);
    let reference = world.run(["score", "--no-cache", "photos"]).expect(0).stdout;
    let children: Vec<_> = (0..8)
        .map(|_| world.command(["score", "photos"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    for child in children {
        let seen = Seen::from(child.wait_with_output().unwrap()).expect(0);
        assert_eq!(seen.stderr, "");
        assert!(seen.stdout == reference);
    }
    let seen = world.run(["score", "-v", "photos"]).expect(0);
    assert!(seen.stderr.contains("0 computed, 120 from the store"), "{}", seen.stderr);
}

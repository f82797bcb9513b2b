//! `select --since`: what cron does every hour.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use crate::world::{World, png};

const ALL_NEW: [&str; 5] = ["select", "photos", "--all", "--since", "last-run"];

fn news(world: &World, more: &[&str]) -> Vec<String> {
    let mut names = world.run(ALL_NEW.iter().chain(more)).expect(0).names();
    names.sort();
    names
}

#[test]
fn the_second_run_is_silent_and_the_third_sees_what_is_new_or_changed() {
    let world = World::new();
    world.many_photos(3);
    assert_eq!(news(&world, &[]), ["0000.png", "0001.png", "0002.png"]);
    let quiet = world.run(ALL_NEW.iter().chain(&["-q"])).expect(0);
    assert_eq!((quiet.text().as_str(), quiet.stderr.as_str()), ("", ""));
    let told = world.run(ALL_NEW).expect(0);
    assert!(told.stdout.is_empty() && told.stderr.contains("no new photos since the run of 20"), "{}", told.stderr);

    world.photo("0003.png", 3);
    assert_eq!(news(&world, &[]), ["0003.png"]);
    // A photo edited is new; one renamed, touched or copied is not.
    fs::write(world.path("photos/0001.png"), png(60, 40, 99)).unwrap();
    fs::rename(world.path("photos/0000.png"), world.path("photos/renamed.png")).unwrap();
    fs::copy(world.path("photos/0002.png"), world.path("photos/copy.png")).unwrap();
    File::options()
        .append(true)
        .open(world.path("photos/0003.png"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    assert_eq!(news(&world, &["--no-cache"]), ["0001.png"]);
    // Clearing the cache forgets nothing.
    fs::remove_dir_all(world.cache()).unwrap();
    assert!(news(&world, &[]).is_empty());
}

#[test]
fn a_broken_photo_is_told_once_until_somebody_changes_it() {
    let world = World::new();
    fs::write(world.path("photos/broken.png"), &png(64, 48, 1)[..60]).unwrap();
    let run = |code: i32| world.run(ALL_NEW).expect(code);
    assert!(run(1).stderr.contains("broken.png"));
    let again = run(0);
    assert!(!again.stderr.contains("broken.png") && again.stderr.contains("no new photos"), "{}", again.stderr);
    world.photo("good.png", 2);
    assert_eq!(run(0).names(), ["good.png"]);
    // Other broken bytes are another broken photo, and tell themselves beside good news.
    fs::write(world.path("photos/broken.png"), &png(64, 48, 1)[..70]).unwrap();
    world.photo("better.png", 3);
    let both = run(3);
    assert_eq!(both.names(), ["better.png"]);
    assert!(both.stderr.contains("broken.png"), "{}", both.stderr);
    run(0);
    fs::write(world.path("photos/broken.png"), png(64, 48, 1)).unwrap();
    assert_eq!(run(0).names(), ["broken.png"], "mended, it is news");
}

#[test]
fn folders_settings_and_names_tell_runs_apart_and_destinations_do_not() {
    let world = World::new();
    world.photo("a/1.png", 1);
    world.photo("b/2.png", 2);
    assert_eq!(news(&world, &[]).len(), 2);
    for other in [&["--top", "1"][..], &["--set", "album.selection.ava_weight=0.9"], &["--exclude", "x*"]] {
        assert_eq!(news(&world, other).len(), 2, "{other:?}");
        assert!(news(&world, other).is_empty(), "{other:?}");
    }
    let named = ["select", "photos", "--all", "--since", "last-run:phone"];
    assert_eq!(world.run(named).expect(0).lines().len(), 2);
    assert_eq!(world.run(["select", "photos/b", "--since", "last-run"]).expect(0).names(), ["2.png"]);
    // The same folders under other names, and another place to write to, are the same run.
    let same = [
        "select",
        "./photos/../photos",
        "photos",
        "--all",
        "--since",
        "last-run",
        "--copy-to",
        "out",
        "--threads",
        "1",
    ];
    assert!(world.run(same).expect(0).lines().is_empty());
    assert!(!world.path("out").exists());
    // A run of its own does not count as the last one.
    world.photo("c.png", 3);
    assert_eq!(world.run(["select", "photos", "--all"]).expect(0).lines().len(), 3);
    assert_eq!(news(&world, &[]), ["c.png"]);
}

#[test]
fn only_what_was_delivered_counts_as_seen() {
    let world = World::new();
    world.many_photos(2);
    // Both, whether or not they are one scene.
    let args = |more: &[&'static str]| -> Vec<&str> {
        ALL_NEW.iter().chain(&["--per-cluster", "9"]).chain(more).copied().collect()
    };
    let dry = world.run(args(&["--dry-run", "--copy-to", "out"])).expect(0);
    assert_eq!(dry.lines().len(), 2);
    world.run(args(&["-o", "no/such/folder/lines.jsonl"])).expect(1);
    world.run(args(&["--report", "no/such/folder/page.html"])).expect(1);
    fs::write(world.path("file"), "in the way").unwrap();
    world.run(args(&["--copy-to", "file"])).expect(1);
    // A sidecar that cannot be written costs its photo, and the run is not the last one yet.
    fs::write(world.path("photos/0000.xmp"), "no XMP").unwrap();
    world.run(args(&["--xmp"])).expect(3);
    fs::remove_file(world.path("photos/0000.xmp")).unwrap();
    // A reader that goes away was told nothing.
    let mut child = world.command(args(&[])).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(news(&world, &["--per-cluster", "9", "--copy-to", "out"]).len(), 2);
    // The sidecar that was written goes along with its photo.
    assert_eq!(fs::read_dir(world.path("out")).unwrap().count(), 3);
    assert!(news(&world, &["--per-cluster", "9"]).is_empty());
}

#[test]
fn a_photo_that_fails_is_tried_again_and_the_others_are_not() {
    let world = World::new();
    world.many_photos(2);
    // It is not broken: it is more than this run may take.
    fs::write(world.path("photos/large.png"), png(1500, 1500, 8)).unwrap();
    let little = ["--set", "limits.max_decode_mb=1"];
    assert_eq!(world.run(ALL_NEW.iter().chain(&little)).expect(3).lines().len(), 2);
    assert_eq!(world.run(ALL_NEW.iter().chain(&little)).expect(1).lines().len(), 0);
    assert_eq!(news(&world, &[]), ["large.png"]);
}

#[test]
fn an_overlapping_run_leaves_the_news_to_the_first() {
    let world = World::new();
    world.many_photos(30);
    let args: Vec<&str> = ALL_NEW.iter().chain(&["-q", "--copy-to", "out", "--per-cluster", "99"]).copied().collect();
    assert_eq!(world.run(&args).expect(0).lines().len(), 30);
    world.photo("late.png", 77);
    let locks = world.path("home/.local/share/albumctl/running");
    let lock = fs::read_dir(locks).unwrap().next().unwrap().unwrap().path();
    let held = File::options().write(true).open(lock).unwrap();
    held.lock().unwrap();
    let seen = world.run(args.iter().filter(|arg| **arg != "-q")).expect(0);
    assert!(seen.stdout.is_empty() && seen.stderr.contains("under way"), "{}", seen.stderr);
    drop(held);
    assert_eq!(world.run(&args).expect(0).names(), ["late.png"]);
}

#[test]
fn dates_times_and_durations_ask_when_the_file_came() {
    let world = World::new();
    world.photo("old.png", 1);
    std::thread::sleep(std::time::Duration::from_millis(60));
    let now = jiff::Timestamp::now().to_string();
    std::thread::sleep(std::time::Duration::from_millis(60));
    let new = world.photo("new.png", 2);
    // Copied with the time of the shot, as from a card: it is new all the same.
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    File::options().append(true).open(new).unwrap().set_modified(long_ago).unwrap();
    let names = |since: &str| world.run(["select", "photos", "--all", "--since", since]).expect(0).names();
    assert_eq!(names(&now), ["new.png"]);
    assert_eq!(names("7d").len(), 2);
    assert_eq!(names("2001-01-01").len(), 2);
    assert_eq!(names("2199-01-01").len(), 0);
    assert!(!world.path("home/.local").exists(), "nothing is written down");
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let world = World::new();
    world.many_photos(1);
    for (args, word) in [
        (vec!["select", "photos", "--since", "yesterday"], "last-run"),
        (vec!["select", "photos/0000.png", "--since", "last-run"], "whole folders"),
        (vec!["select", "-", "--since", "last-run"], "whole folders"),
        (vec!["select", "--from", "x.jsonl", "--since", "last-run"], "--from"),
    ] {
        let seen = world.run(&args).expect(2);
        assert!(seen.stderr.contains(word), "{args:?}: {}", seen.stderr);
    }
    // A disk that is not there is no empty folder.
    world.run(["select", "photos", "not-mounted", "--since", "last-run"]).expect(1);
    assert!(!Path::new(&world.path("home/.local/share/albumctl/running")).exists());
}

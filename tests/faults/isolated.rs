//! Faults of the processes in which photos are decoded.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::files::children;
use crate::world::{Seen, World, fixture_album, png};

const ON: [&str; 6] = ["score", "photos", "--no-cache", "--threads=1", "--isolate", "on"];

/// Photos of which the first takes a while to decode.
fn photos(count: u32) -> World {
    let world = World::new();
    world.many_photos(count);
    fs::write(world.photos().join("0000.png"), png(6000, 4500, 7)).unwrap();
    world
}

fn started(world: &World, more: &[&str]) -> Child {
    world.command(ON.iter().chain(more)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A worker that has not been seen before, once it has been told what to do.
#[track_caller]
fn next_worker(parent: u32, seen: &mut BTreeSet<u32>) -> u32 {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        let limited = |pid: &u32| {
            let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
            let soft = limits.lines().find_map(|line| line.strip_prefix("Max data size")?.split_whitespace().next());
            soft.is_some_and(|soft| soft != "unlimited")
        };
        if let Some(pid) = children(parent).into_iter().filter(|pid| !seen.contains(pid)).find(limited) {
            seen.insert(pid);
            return pid;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no worker was started");
}

fn send(pid: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), signal);
}

#[test]
fn isolated_photos() {
    let world = World::new();
    let album = fixture_album();
    for more in [&["--threads", "2"][..], &["--full-resolution", "--threads", "5"]] {
        let run = |isolate| {
            let args = ["score", album.to_str().unwrap(), "--no-cache", "--isolate", isolate];
            world.run(args.iter().chain(more)).expect(0)
        };
        let (on, off) = (run("on"), run("off"));
        assert_eq!(on.text(), off.text());
    }
}

#[test]
fn worker_killed() {
    let world = photos(4);
    let expected = world.run(["score", "photos", "--no-cache", "--isolate", "off"]).expect(0).text();
    for signal in [Signal::KILL, Signal::ABORT, Signal::SEGV] {
        let child = started(&world, &[]);
        let worker = next_worker(child.id(), &mut BTreeSet::new());
        send(worker, signal);
        // The first may be taken for a stack that ran over, which this is not.
        send(worker, signal);
        let seen = Seen::from(child.wait_with_output().unwrap()).expect(0);
        assert_eq!((seen.text(), seen.stderr.contains("warning")), (expected.clone(), false), "{signal:?}");
    }
}

#[test]
fn worker_killed_twice() {
    let world = photos(4);
    let child = started(&world, &[]);
    let mut known = BTreeSet::new();
    for _ in 0..2 {
        send(next_worker(child.id(), &mut known), Signal::KILL);
    }
    let seen = Seen::from(child.wait_with_output().unwrap()).expect(3);
    assert_eq!(seen.names(), ["0001.png", "0002.png", "0003.png"]);
    let died = "warning: photos/0000.png: decode: the PNG decoder's process died of this file, twice (signal 9)";
    assert_eq!(seen.stderr.lines().filter(|line| *line == died).count(), 1, "{}", seen.stderr);
}

#[test]
fn worker_stopped() {
    let world = photos(3);
    let child = started(&world, &["--set", "limits.max_seconds=6"]);
    send(next_worker(child.id(), &mut BTreeSet::new()), Signal::STOP);
    let begun = Instant::now();
    let seen = Seen::from(child.wait_with_output().unwrap()).expect(3);
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    assert_eq!(seen.names(), ["0001.png", "0002.png"]);
    assert!(
        seen.stderr.contains("photos/0000.png: decode: decoding the PNG was given up after 6 s"),
        "{}",
        seen.stderr
    );
}

#[test]
fn orphaned_worker() {
    let world = photos(3);
    let mut child = started(&world, &[]);
    let worker = next_worker(child.id(), &mut BTreeSet::new());
    child.kill().unwrap();
    child.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    let runs =
        || fs::read_to_string(format!("/proc/{worker}/cmdline")).is_ok_and(|line| line.contains("decode-worker"));
    while runs() {
        assert!(Instant::now() < until, "it still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

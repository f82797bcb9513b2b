//! The binary killed, crowded, and short of room.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use hub::digest::Digest;

use crate::place::noise;
use crate::server::{Served, Server};
use crate::world::{Seen, World, set_mode, skipped};

/// What is written and hashed at once.
const CHUNK: u64 = 1 << 18;

/// A world whose user has a manifest of one file served by `server`.
pub fn world_with(server: &Server, bytes: &[u8], served: Served) -> World {
    let world = World::new();
    let url = server.serve("/model.bin", served);
    let manifest = format!(
        "name: net\nversion: 1\ntitle: A net\ntask: embedding\nlicense: MIT\n\
         file: {{name: model.bin, size: {}, sha256: {}}}\nsources: [\"{url}\"]\n",
        bytes.len(),
        Digest::of(bytes)
    );
    add_manifest(&world, "net", &manifest);
    world
}

pub fn add_manifest(world: &World, name: &str, yaml: &str) {
    let folder = world.path("home/.config/albumctl/models");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.yaml")), yaml).unwrap();
}

pub fn models(world: &World) -> PathBuf {
    world.path("home/.local/share/albumctl/models")
}

fn names(folder: &PathBuf) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Bytes of the one part there is.
fn part_bytes(world: &World) -> u64 {
    let parts = names(&models(world).join("parts"));
    let lengths = parts.iter().filter(|path| path.extension().is_some_and(|e| e == "part"));
    lengths.map(|path| path.metadata().map_or(0, |metadata| metadata.len())).max().unwrap_or(0)
}

fn spawn_pull(world: &World) -> Child {
    world.command(["models", "pull", "net"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn assert_only_right(world: &World, bytes: &[u8]) {
    for blob in names(&models(world).join("blobs")) {
        assert!(fs::read(blob).unwrap() == bytes, "a bad file was accepted");
    }
}

#[test]
fn killed_a_hundred_times() {
    let (server, bytes) = (Server::start(), noise(6_000_000, 70));
    let trickle = Some((1 << 16, Duration::from_millis(2)));
    let world = world_with(&server, &bytes, Served { trickle, ..Served::file(&bytes) });
    let mut random = noise(1000, 71).into_iter();
    // The moments of the kills are spread over most of the time that a pull takes on this machine.
    let started = Instant::now();
    world.run(["models", "pull", "net"]).expect(0);
    let whole = started.elapsed();
    world.run(["models", "rm", "net"]).expect(0);
    let (mut kills, mut finished, mut resumed) = (0, 0, 0);
    while kills < 100 {
        server.forget_log();
        let before = part_bytes(&world);
        let mut child = spawn_pull(&world);
        sleep(whole.mul_f64(0.05 + 0.55 * f64::from(random.next().unwrap()) / 255.0));
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        kills += u32::from(ended.is_none());
        assert_only_right(&world, &bytes);
        let asked = server.log();
        // The server may note the request of the one killed before only now; that one began at the same byte.
        assert!(asked.iter().all(|asked| asked.from() == before), "goes on at {before}: {asked:?}");
        resumed += u32::from(before > 0 && !asked.is_empty());
        if !names(&models(&world).join("blobs")).is_empty() {
            finished += 1;
            world.run(["models", "verify", "net"]).expect(0);
            world.run(["models", "rm", "net"]).expect(0);
        }
    }
    assert!(finished > 0 && resumed > 30, "{finished} finished, {resumed} resumed: the moments must be well spread");
    let before = part_bytes(&world);
    server.forget_log();
    let line = world.run(["models", "pull", "net"]).expect(0).lines().remove(0);
    assert!(line["transferred"].as_u64().unwrap() <= bytes.len() as u64 - before + CHUNK, "{line}");
    assert!(server.sent() <= bytes.len() as u64 - before + CHUNK);
    assert_eq!(names(&models(&world).join("parts")), Vec::<PathBuf>::new());
    world.run(["models", "verify", "--all"]).expect(0);
}

#[test]
fn eight_at_once() {
    let (server, bytes) = (Server::start(), noise(4_000_000, 72));
    let trickle = Some((1 << 16, Duration::from_millis(4)));
    let world = world_with(&server, &bytes, Served { trickle, ..Served::file(&bytes) });
    let children: Vec<Child> = (0..8).map(|_| spawn_pull(&world)).collect();
    for child in children {
        let line = Seen::from(child.wait_with_output().unwrap()).expect(0).lines().remove(0);
        assert_eq!(line["sha256"], Digest::of(&bytes).hex());
    }
    assert_only_right(&world, &bytes);
    assert_eq!(server.sent(), bytes.len() as u64, "one fetches, seven wait");
    assert_eq!(names(&models(&world).join("parts")), Vec::<PathBuf>::new());
}

#[test]
fn when_the_one_that_fetches_is_killed_another_goes_on() {
    let (server, bytes) = (Server::start(), noise(4_000_000, 73));
    let trickle = Some((1 << 16, Duration::from_millis(5)));
    let world = world_with(&server, &bytes, Served { trickle, ..Served::file(&bytes) });
    let mut first = spawn_pull(&world);
    while part_bytes(&world) < 1_000_000 {
        sleep(Duration::from_millis(2));
    }
    let others: Vec<Child> = (0..3).map(|_| spawn_pull(&world)).collect();
    sleep(Duration::from_millis(60));
    first.kill().unwrap();
    first.wait().unwrap();
    let left = part_bytes(&world);
    for child in others {
        Seen::from(child.wait_with_output().unwrap()).expect(0);
    }
    assert_only_right(&world, &bytes);
    assert_eq!(server.log().iter().map(crate::server::Asked::from).collect::<Vec<_>>(), [0, left]);
}

#[test]
fn interrupted() {
    let (server, bytes) = (Server::start(), noise(400_000, 74));
    let world = world_with(&server, &bytes, Served { silent_after: Some(300_000), ..Served::file(&bytes) });
    let child = spawn_pull(&world);
    while part_bytes(&world) < 300_000 {
        sleep(Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let seen = Seen::from(child.wait_with_output().unwrap()).expect(130);
    assert_eq!(seen.text(), "");
    assert_eq!(part_bytes(&world), 300_000);
    server.serve("/model.bin", Served::file(&bytes));
    let line = world.run(["models", "pull", "net"]).expect(0).lines().remove(0);
    assert_eq!(line["transferred"], 100_000);
}

/// Runs the binary with `setup` before it in a shell; `$1` is the model folder.
fn shell(world: &World, wrap: &[&str], setup: &str, after: &str) -> Seen {
    let script = format!(
        "{setup} || exit 99; {} models pull net --models-dir \"$1\"; code=$?; {after}; exit $code",
        env!("CARGO_BIN_EXE_albumctl")
    );
    let folder = world.path("small");
    fs::create_dir_all(&folder).unwrap();
    let mut words = wrap.to_vec();
    words.extend(["sh", "-c", &script, "sh", folder.to_str().unwrap()]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear().env("HOME", world.path("home"));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.output().unwrap().into()
}

#[test]
fn a_full_disk() {
    let (server, bytes) = (Server::start(), noise(60_000_000, 75));
    let world = world_with(&server, &bytes, Served::file(&bytes));
    let small = "mount -t tmpfs -o size=40m none \"$1\"";
    let seen = shell(&world, &["unshare", "-rm"], small, "true");
    if seen.code == Some(99) || seen.stderr.contains("unshare failed") {
        return skipped(&format!("a small tmpfs cannot be mounted here: {}", seen.stderr));
    }
    let seen = seen.expect(1);
    assert!(seen.stderr.contains("needs 7") && seen.stderr.contains("are free"), "{}", seen.stderr);
    assert_eq!(server.sent(), 0, "said before a byte came");
    // Nobody says how long it is, so the disk fills up on the way.
    let url = server.serve("/model.bin", Served { chunked: true, ..Served::file(&bytes) });
    let manifest = format!(
        "name: net\nversion: 1\ntask: t\nlicense: MIT\nfile: {{name: model.bin, sha256: {}}}\nsources: [\"{url}\"]\n",
        Digest::of(&bytes)
    );
    add_manifest(&world, "net", &manifest);
    let seen = shell(&world, &["unshare", "-rm"], small, "ls -A \"$1/parts\"; df --output=avail \"$1\"").expect(1);
    assert!(seen.stderr.contains("the disk is full"), "{}", seen.stderr);
    let text = seen.text();
    let free = text.lines().last().unwrap().trim().parse::<u64>().unwrap();
    assert!(free > 40_000, "what came was removed: {text}");
}

#[test]
fn a_file_size_limit_is_a_full_disk() {
    let (server, bytes) = (Server::start(), noise(4_000_000, 76));
    let world = world_with(&server, &bytes, Served::file(&bytes));
    let seen = shell(&world, &["env"], "trap '' XFSZ; ulimit -f 2000", "ls -A \"$1/parts\"").expect(1);
    assert!(seen.stderr.contains("the disk is full"), "{}", seen.stderr);
    assert_eq!(seen.text(), "", "nothing is left of it");
    world.run(["models", "pull", "net"]).expect(0);
}

#[test]
fn a_model_folder_that_may_only_be_read() {
    let (server, bytes) = (Server::start(), noise(100_000, 77));
    let world = world_with(&server, &bytes, Served::file(&bytes));
    world.run(["models", "pull", "net", "--models-dir", "shared"]).expect(0);
    let folders = ["", "blobs", "notes", "parts"].map(|name| world.path("shared").join(name));
    let Some(mut command) = world.command_without_privileges(["models", "path", "net", "--models-dir", "shared"])
    else {
        return skipped("cannot run without privileges here");
    };
    for folder in &folders {
        set_mode(folder, 0o555);
    }
    for folder in ["home/.config", "home/.config/albumctl", "home/.config/albumctl/models"] {
        set_mode(&world.path(folder), 0o755);
    }
    // Verified already, so it is used; a file whose note is gone is read through each time.
    Seen::from(command.output().unwrap()).expect(0);
    set_mode(&folders[2], 0o755);
    for note in names(&folders[2]) {
        fs::remove_file(note).unwrap();
    }
    set_mode(&folders[2], 0o555);
    Seen::from(command.output().unwrap()).expect(0);
    set_mode(&folders[1], 0o755);
    fs::remove_file(names(&folders[1]).remove(0)).unwrap();
    set_mode(&folders[1], 0o555);
    let mut pull = world.command_without_privileges(["models", "pull", "net", "--models-dir", "shared"]).unwrap();
    let seen = Seen::from(pull.output().unwrap()).expect(1);
    assert!(seen.stderr.contains("shared") && seen.stderr.contains("ermission denied"), "{}", seen.stderr);
    for folder in &folders {
        set_mode(folder, 0o755);
    }
}

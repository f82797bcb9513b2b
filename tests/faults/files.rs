//! Faults of photos and folders.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{Seen, World, png, report, set_mode, skipped};

/// Runs over `photos`, where one good photo and one bad one lie; the warning about the bad one.
#[track_caller]
fn warning_about(world: &World, bad: &str) -> String {
    world.photo("good.png", 1);
    let seen = world.run(["score", "photos"]).expect(3);
    assert_eq!(seen.names(), ["good.png"]);
    let start = format!("warning: photos/{bad}: ");
    let about: Vec<&str> = seen.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert!(about.len() == 1 && about[0].starts_with(&start), "{}", seen.stderr);
    about[0][start.len()..].to_owned()
}

#[test]
fn truncated() {
    let world = World::new();
    let whole = png(400, 300, 7);
    fs::write(world.photos().join("cut.png"), &whole[..whole.len() / 2]).unwrap();
    let warning = warning_about(&world, "cut.png");
    assert!(warning.starts_with("decode: truncated PNG"), "{warning}");
}

#[test]
fn zero_length() {
    let world = World::new();
    fs::write(world.photos().join("empty.jpg"), "").unwrap();
    assert!(warning_about(&world, "empty.jpg").contains("empty"));
}

#[test]
fn wrong_extension() {
    let world = World::new();
    fs::write(world.photos().join("really-png.jpg"), png(40, 30, 1)).unwrap();
    fs::write(world.photos().join("photo.txt"), png(40, 30, 2)).unwrap();
    assert_eq!(world.run(["score", "photos"]).expect(0).names(), ["photo.txt", "really-png.jpg"]);
}

#[cfg(target_os = "linux")]
#[test]
fn huge_side_by_side() {
    let world = World::new();
    // Each takes 108 MB as pixels, twice that while it is decoded.
    let flat = image::RgbImage::from_pixel(6000, 6000, image::Rgb([90, 120, 60]));
    let first = world.photos().join("0.png");
    flat.save(&first).unwrap();
    for copy in 1..6_u8 {
        // Trailing bytes make it another photo and change no pixel.
        fs::write(world.photos().join(format!("{copy}.png")), [fs::read(&first).unwrap(), vec![copy]].concat())
            .unwrap();
    }
    let (alone, one) = peak_of_score(&world, &["--set", "limits.max_decode_mb=330"]);
    let (free, six) = peak_of_score(&world, &["--set", "limits.max_decode_mb=4000"]);
    assert_eq!((alone.len(), &alone), (6, &free));
    report(&format!("six photos of 36 megapixels: {one} MB within 330 MB, {six} MB without a bound"));
    assert!(one < 400 && six > 500, "{one} MB and {six} MB");
}

/// The lines of `score` with six threads and the most memory it held, in MB.
#[cfg(target_os = "linux")]
fn peak_of_score(world: &World, more: &[&str]) -> (Vec<String>, u64) {
    let args = ["score", "photos", "--threads", "6", "--no-cache", "-q", "--isolate", "off"];
    let (seen, peak) = peak_of(world.command(args.iter().chain(more)));
    (seen.text().lines().map(str::to_owned).collect(), peak)
}

/// What a run shows, and the most memory that it and the processes it started held, in MB.
#[cfg(target_os = "linux")]
pub fn peak_of(command: Command) -> (Seen, u64) {
    let (seen, peak, _) = cost_of(command);
    (seen, peak)
}

/// The same with the time that the process itself computed: what else the machine does is not in it.
#[cfg(target_os = "linux")]
pub fn cost_of(mut command: Command) -> (Seen, u64, Duration) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let parent = child.id();
    let watch = std::thread::spawn(move || {
        let (mut peak, mut busy) = (0, Duration::ZERO);
        // What has ended has no memory any more.
        while let Some(held) = memory(parent, "status", "VmHWM:") {
            // Shared pages, the program's own file above all, are divided among those that map them.
            let share = |pid| memory(pid, "smaps_rollup", "Pss:");
            let workers: u64 = children(parent).into_iter().filter_map(|pid| Some(share(pid)? + exchanged(pid))).sum();
            busy = busy.max(computed(parent));
            peak = peak.max(held).max(share(parent).unwrap_or(0) + workers);
            std::thread::sleep(Duration::from_millis(5));
        }
        (peak / 1024, busy)
    });
    let output = child.wait_with_output().unwrap();
    let (peak, busy) = watch.join().unwrap();
    (Seen::from(output), peak, busy)
}

/// The time that a process has computed, which Linux counts in hundredths of a second.
#[cfg(target_os = "linux")]
fn computed(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// In KiB.
#[cfg(target_os = "linux")]
fn memory(pid: u32, table: &str, figure: &str) -> Option<u64> {
    let table = fs::read_to_string(format!("/proc/{pid}/{table}")).ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix(figure))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// What the file in memory holds that a worker has for its standard output, in KiB.
#[cfg(target_os = "linux")]
fn exchanged(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/fd/1")).map_or(0, |file| file.len() / 1024)
}

/// The processes that `parent` has started and that run.
#[cfg(target_os = "linux")]
pub fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((_, after_name)) = stat.rsplit_once(") ") else { return false };
        let mut fields = after_name.split(' ');
        fields.next() != Some("Z") && fields.next() == Some(&parent.to_string())
    };
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(is_child).collect()
}

#[test]
fn bomb() {
    let world = World::new();
    // A header that claims 100,000 x 100,000 pixels, and nothing behind it.
    let mut bytes = png(8, 8, 1);
    bytes[16..20].copy_from_slice(&100_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&100_000u32.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    fs::write(world.photos().join("bomb.png"), bytes).unwrap();
    let warning = warning_about(&world, "bomb.png");
    assert!(
        warning.contains("too large: 100000 x 100000 pixels") && warning.contains("limits.max_megapixels"),
        "{warning}"
    );
}

pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn permission_denied() {
    let world = World::new();
    set_mode(&world.photo("secret.png", 2), 0o000);
    world.photo("good.png", 1);
    let Some(mut command) = world.command_without_privileges(["score", "photos"]) else {
        return skipped("cannot run without privileges here");
    };
    let seen = Seen::from(command.output().unwrap()).expect(3);
    assert_eq!(seen.names(), ["good.png"]);
    assert!(seen.stderr.contains("warning: photos/secret.png: read: permission denied"), "{}", seen.stderr);
}

#[test]
fn unreadable_folder() {
    let world = World::new();
    world.photo("private/a.png", 2);
    world.photo("good.png", 1);
    set_mode(&world.photos().join("private"), 0o000);
    let command = world.command_without_privileges(["score", "photos"]);
    let seen = command.map(|mut command| Seen::from(command.output().unwrap()));
    set_mode(&world.photos().join("private"), 0o755);
    let Some(seen) = seen else { return skipped("cannot run without privileges here") };
    let seen = seen.expect(3);
    assert_eq!(seen.names(), ["good.png"]);
    assert!(seen.stderr.contains("warning: photos/private: scan: permission denied"), "{}", seen.stderr);
}

#[test]
fn vanishing_file() {
    let world = World::new();
    world.many_photos(400);
    let mut command = world.command(["score", "--threads", "1", "photos"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    // The scan is over, and nobody is 399 photos ahead of the first answer.
    fs::remove_file(world.photos().join("0399.png")).unwrap();
    assert_eq!(lines.count(), 398);
    let seen = Seen::from(child.wait_with_output().unwrap()).expect(3);
    assert!(seen.stderr.contains("warning: photos/0399.png: read: no such file"), "{}", seen.stderr);
}

#[test]
fn folder_loop() {
    let world = World::new();
    world.photo("a/good.png", 1);
    symlink("..", world.photos().join("a/up")).unwrap();
    let seen = world.run(["score", "--follow", "photos"]).expect(0);
    assert_eq!((seen.names(), seen.stderr.as_str()), (vec!["good.png".to_owned()], ""));
}

#[test]
fn fifo() {
    let world = World::new();
    world.photo("good.png", 1);
    let pipe = world.photos().join("pipe.jpg");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(world.photos().join("socket.jpg")).unwrap();
    let started = Instant::now();
    let seen = world.run(["score", "-v", "photos"]).expect(0);
    assert_eq!(seen.names(), ["good.png"]);
    assert!(seen.stderr.contains("2 files passed over"), "{}", seen.stderr);
    let seen = world.run(["score", "photos/pipe.jpg", "/dev/zero", "photos/good.png"]).expect(3);
    assert!(seen.stderr.contains("photos/pipe.jpg: read: not a regular file but a pipe"), "{}", seen.stderr);
    assert!(seen.stderr.contains("/dev/zero: read: not a regular file but a device"), "{}", seen.stderr);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn odd_name() {
    let world = World::new();
    fs::write(world.photos().join(Path::new(OsStr::from_bytes(b"\xff\xfe.png"))), png(20, 20, 1)).unwrap();
    let line = world.run(["score", "photos"]).expect(0).lines().remove(0);
    assert_eq!(line["image_path_b64"], "cGhvdG9zL//+LnBuZw==");
}

#[test]
fn control_characters() {
    let world = World::new();
    fs::write(world.photos().join("\u{1b}[2J.jpg"), "x").unwrap();
    fs::write(world.photos().join("ok\u{1b}[2J.png"), png(20, 20, 1)).unwrap();
    let seen = world.run(["score", "--format", "table", "photos"]).expect(3);
    assert!(!seen.stderr.contains('\u{1b}'), "{:?}", seen.stderr);
    assert!(!seen.text().contains('\u{1b}'), "{:?}", seen.text());
}

#[test]
fn nothing_usable() {
    let world = World::new();
    fs::write(world.photos().join("a.jpg"), "x").unwrap();
    let seen = world.run(["score", "photos"]).expect(1);
    assert_eq!((seen.text().as_str(), seen.stderr.contains("1 failed")), ("", true));
}

#[test]
fn strict() {
    let world = World::new();
    fs::write(world.photos().join("0-broken.jpg"), "x").unwrap();
    world.many_photos(50);
    let seen = world.run(["score", "--strict", "photos"]).expect(1);
    assert!(seen.stderr.contains("--strict"), "{}", seen.stderr);
    assert!(seen.names().is_empty());
}

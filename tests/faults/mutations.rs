//! Photos of every format with some of their bytes changed. `make faults` takes a hundred thousand of them, `cargo test` a
//! sample; `ALBUMCTL_MUTATIONS` says how many.

#[path = "../world/raw_file.rs"]
mod raw_file;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use image::ImageFormat;
use photo::{Limits, Scale};

use self::raw_file::raw;
use super::files::peak_of;
use crate::world::{Random, World, png, report};

const SAMPLE: usize = 2000;
/// Files in one run of the binary.
const TOGETHER: usize = 500;
const MAX_SECONDS: f64 = 2.0;
/// Memory that decoding may take, and what a run may take in all, in MB.
const ROOM: u64 = 500;
const MOST: u64 = 600;

#[test]
fn mutated_photos() {
    let wish = std::env::var("ALBUMCTL_MUTATIONS").ok();
    let count = wish.map_or(SAMPLE, |wish| wish.parse().expect("ALBUMCTL_MUTATIONS is a number"));
    let seeds = seeds();
    assert!(seeds.len() > 50, "{}", seeds.len());
    let (mut peak, mut slowest, mut refused) = (0, Duration::ZERO, 0);
    for first in (0..count).step_by(TOGETHER) {
        let world = World::new();
        world.photo("good.png", 1);
        let numbers = first..count.min(first + TOGETHER);
        for number in numbers.clone() {
            let (extension, seed) = &seeds[number % seeds.len()];
            let bytes = mutated(seed, &mut Random::new(number as u64));
            slowest = slowest.max(time_of(&bytes));
            fs::write(world.photos().join(format!("{number:06}.{extension}")), bytes).unwrap();
        }
        let isolate = if (first / TOGETHER).is_multiple_of(2) { "off" } else { "on" };
        let (room, seconds) = (format!("limits.max_decode_mb={ROOM}"), format!("limits.max_seconds={MAX_SECONDS}"));
        let limits = ["--set", &room, "--set", &seconds, "--isolate", isolate];
        let args = ["score", "photos", "--threads", "2", "--no-cache", "-v", "-o", "scores.jsonl"];
        let (seen, most) = peak_of(world.command(args.iter().chain(&limits)));
        peak = peak.max(most);
        assert!(matches!(seen.code, Some(0 | 3)), "from {first}: {:?}: {}", seen.code, seen.stderr);
        assert!(most < MOST, "from {first}: {most} MB");
        let scores = fs::read_to_string(world.path("scores.jsonl")).unwrap();
        let warned = seen.stderr.lines().filter(|line| line.starts_with("warning: photos/")).count();
        refused += warned;
        assert_eq!(scores.lines().count() + warned, numbers.len() + 1, "from {first}: {}", seen.stderr);
    }
    report(&format!("{count} photos with changed bytes: {refused} refused, slowest {slowest:.2?}, at most {peak} MB"));
    assert!(refused > count / 10 && refused < count, "{refused}");
}

/// What decoding takes; it must not go on for a second longer than it may.
fn time_of(bytes: &[u8]) -> Duration {
    let limits = Limits { max_seconds: MAX_SECONDS, max_alloc: ROOM << 20, ..Limits::default() };
    let once = || {
        let begun = Instant::now();
        let _ = photo::decode(bytes, Scale::Full, &limits);
        begun.elapsed()
    };
    // The machine may have had other work: only what is slow every time is.
    let mut times = (0..3).map(|_| once());
    let bound = Duration::from_secs_f64(MAX_SECONDS + 1.0);
    let time = times.find(|time| *time < bound);
    time.unwrap_or_else(|| panic!("{} bytes took longer than {bound:?}, three times", bytes.len()))
}

/// The small photos of the repository with their extensions, in the order of their names, and formats not among them.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folders = ["photo", "jpeg"].map(|name| fs::read_dir(fixtures.join(name)).unwrap());
    let mut files: Vec<_> = folders.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &PathBuf| Some((path.extension()?.to_str()?.to_owned(), fs::read(path).ok()?));
    let mut seeds: Vec<_> = files.iter().filter_map(read).filter(|(_, bytes)| bytes.len() < 30_000).collect();
    let picture = image::load_from_memory(&png(19, 13, 1)).unwrap();
    let written = |format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    for (extension, format) in [("bmp", ImageFormat::Bmp), ("tif", ImageFormat::Tiff), ("gif", ImageFormat::Gif)] {
        seeds.push((extension.to_owned(), written(format)));
    }
    seeds.push(("nef".to_owned(), raw(&written(ImageFormat::Jpeg))));
    seeds
}

/// Up to six changes: single bytes, numbers of four bytes as files have them for sizes and places, parts taken out, put
/// in twice or moved, and an end that is missing.
fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(6) {
        if bytes.len() < 8 {
            break;
        }
        let at = random.below(bytes.len() - 4);
        let length = 1 + random.below((bytes.len() - at).min(64));
        match random.below(9) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
            3 | 4 => {
                let number = [0, 1, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, bytes.len() as u32][random.below(7)];
                let order = if random.below(2) == 0 { u32::to_le_bytes } else { u32::to_be_bytes };
                bytes[at..at + 4].copy_from_slice(&order(number));
            }
            5 => drop(bytes.drain(at..at + length)),
            6 => {
                let part = bytes[at..at + length].to_vec();
                bytes.splice(at..at, part);
            }
            7 => {
                let part = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len() - length + 1);
                bytes[to..to + length].copy_from_slice(&part);
            }
            _ => bytes.truncate(at + 4),
        }
    }
    bytes
}

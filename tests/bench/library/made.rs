//! A made library of photos: scenes in takes, with the times a camera would write, in folders of 500.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use base::pixels::Pixels;
use base::random::SplitMix;
use photo::{Limits, Scale};

use super::exif::{self, Notes};

const WIDTH: usize = 160;
const HEIGHT: usize = 120;
const EACH_FOLDER: usize = 500;
/// The first photo's time, in seconds from 1970: a morning in 2015.
const BEGIN: i64 = 1_420_099_200;

/// One photo of the library: a take of a scene.
pub struct Shot {
    number: usize,
    scene: u64,
    take: u64,
    /// In milliseconds from 1970; `None` for a picture that came without metadata.
    taken_ms: Option<i64>,
}

/// The first `count` photos: half of the scenes are single photos, others have up to eight takes within seconds. A
/// tenth of the scenes has no times, and one in thirty is visited again.
pub fn shots(count: usize) -> Vec<Shot> {
    let mut chance = SplitMix(2015);
    let mut shots: Vec<Shot> = Vec::with_capacity(count);
    let (mut clock, mut scenes) = (BEGIN * 1000, 0_u64);
    while shots.len() < count {
        let is_new = scenes == 0 || !chance.draw().is_multiple_of(30);
        let scene = if is_new { scenes } else { chance.draw() % scenes };
        scenes += u64::from(is_new);
        let takes = match chance.draw() % 10 {
            0..5 => 1,
            5..8 => 2 + chance.draw() % 2,
            _ => 4 + chance.draw() % 5,
        };
        let is_timed = !chance.draw().is_multiple_of(10);
        let pause_s = if chance.draw().is_multiple_of(40) { 86_400 * 5 } else { 1_800 };
        clock += 20_000 + (chance.fraction() * f64::from(pause_s) * 1000.0) as i64;
        for _ in 0..takes {
            clock += 600 + (chance.draw() % 5_000) as i64;
            let (number, take) = (shots.len(), chance.draw());
            shots.push(Shot { number, scene, take, taken_ms: is_timed.then_some(clock) });
        }
    }
    shots.truncate(count);
    shots
}

impl Shot {
    fn path(&self, library: &Path) -> PathBuf {
        library.join(format!("{:03}", self.number / EACH_FOLDER)).join(format!("{:06}.jpg", self.number))
    }

    /// The photo as a camera would write it.
    fn jpeg(&self, sources: &[PathBuf]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut file, 80);
        if let Some(notes) = self.notes() {
            encoder.add_app_segment(1, exif::app1(&notes)).expect("a short segment");
        }
        let source = &sources[(base::random::mixed(self.scene) % sources.len() as u64) as usize];
        let bytes = fs::read(source).expect("a source photo");
        let source = photo::decode(&bytes, Scale::AtLeast(256), &Limits::default()).expect("a readable source photo");
        let pixels = seen(&source.pixels, self.scene, self.take);
        encoder.encode(&pixels, WIDTH as u16, HEIGHT as u16, jpeg_encoder::ColorType::Rgb).expect("a small photo");
        file
    }

    fn notes(&self) -> Option<Notes> {
        let ms = self.taken_ms?;
        let time = jiff::Timestamp::from_millisecond(ms).expect("a time of this century");
        let mut chance = SplitMix(self.take);
        Some(Notes {
            taken: time.strftime("%Y:%m:%d %H:%M:%S").to_string(),
            subsecond: format!("{:03}", ms % 1000),
            offset: "+00:00",
            orientation: 1,
            shutter: 60 + (chance.draw() % 4 * 60) as u32,
            f_number: 2.8,
            iso: 100,
            focal_length: 28,
            size: (WIDTH, HEIGHT),
            place: None,
        })
    }
}

/// Writes the photos that are not there yet, on all processors.
pub fn write(library: &Path, shots: &[Shot], sources: &[PathBuf]) {
    for folder in 0..shots.len().div_ceil(EACH_FOLDER) {
        fs::create_dir_all(library.join(format!("{folder:03}"))).expect("a folder of the library");
    }
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(shot) = shots.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let path = shot.path(library);
                    if !path.exists() {
                        fs::write(path, shot.jpeg(sources)).expect("a photo");
                    }
                }
            });
        }
    });
}

/// Removes the photos again.
pub fn remove(library: &Path, shots: &[Shot]) {
    for shot in shots {
        fs::remove_file(shot.path(library)).expect("a photo goes");
    }
}

/// A window of a source, mirrored or not, in colours of the scene's own. Each take sees it from a little elsewhere.
fn seen(source: &Pixels, scene: u64, take: u64) -> Vec<u8> {
    let mut chance = SplitMix(base::random::mixed(scene));
    let mut even = || chance.fraction() * 2.0 - 1.0;
    let (width, height) = (f64::from(source.width()), f64::from(source.height()));
    let share = 0.65 + 0.25 * even();
    let (left, above) = ((even() * 0.5 + 0.5) * (1.0 - share), (even() * 0.5 + 0.5) * (1.0 - share));
    let (mirrored, gains) = (even() > 0.0, [1.0 + 0.3 * even(), 1.0 + 0.3 * even(), 1.0 + 0.3 * even()]);
    let mut hand = SplitMix(take);
    let mut shake = |most: f64| (hand.fraction() * 2.0 - 1.0) * most;
    let (left, above, share, gain) =
        (left + shake(0.02), above + shake(0.02), share * (1.0 + shake(0.03)), 1.0 + shake(0.05));
    let mut pixels = Vec::with_capacity(WIDTH * HEIGHT * 3);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let across = x as f64 / WIDTH as f64;
            let across = if mirrored { 1.0 - across } else { across };
            let at = |place: f64, most: f64| (place * most).clamp(0.0, most - 1.0) as u32;
            let down = above + share * y as f64 / HEIGHT as f64;
            let pixel = source.get(at(left + share * across, width), at(down, height));
            pixels.extend(pixel.iter().zip(gains).map(|(&level, own)| (f64::from(level) * own * gain) as u8));
        }
    }
    pixels
}

//! Bursts of groups, drawn from recorded faces: in one take everybody's eyes are open, in every other somebody blinks.
//! `albumctl select` is to find the one.

use std::fs;

use base::pixels::Pixels;
use hub::faces::{FaceAnalyzer, Landmarks};
use image::codecs::jpeg::JpegEncoder;
use judge::portrait::{Eyes, EyesBy, Face, Thresholds};
use photo::resize::{self, Filter};

use crate::expressions::picture;
use crate::golden;
use crate::states::{FACES, with_closed_eyes};
use crate::world::{Random, World, shared};

const BURSTS: usize = 40;
const REACHED: usize = 38;
const TAKES: usize = 4;
/// The side of a tile with one face, and its side as a multiple of the face's.
const TILE: u32 = 300;
const AROUND_FACE: f64 = 2.2;
const MARGIN: u32 = 30;

/// The square around a face; beyond the picture the nearest pixels go on.
fn tile(pixels: &Pixels, face: &Face) -> Pixels {
    let [x, y, width, height] = face.bbox;
    let (picture_width, picture_height) = (f64::from(pixels.width()), f64::from(pixels.height()));
    let side = AROUND_FACE * (width * picture_width).max(height * picture_height);
    let (left, top) =
        ((x + width / 2.0) * picture_width - side / 2.0, (y + height / 2.0) * picture_height - side / 2.0);
    let side = side.round() as u32;
    let inside = |v: f64, size: u32| v.round().clamp(0.0, f64::from(size - 1)) as u32;
    let places = (0..side).flat_map(|y| (0..side).map(move |x| (f64::from(x), f64::from(y))));
    let data = places.flat_map(|(x, y)| pixels.get(inside(left + x, pixels.width()), inside(top + y, pixels.height())));
    let square = Pixels::new(side, side, data.collect()).unwrap();
    resize::resize(&square, TILE, TILE, Filter::Lanczos3)
}

/// Tiles in rows of two, each moved by some pixels.
fn group(tiles: &[&Pixels], shifts: &[[u32; 2]], ground: [u8; 3]) -> Pixels {
    let rows = tiles.len().div_ceil(2) as u32;
    let (width, height) = (2 * TILE + 2 * MARGIN, rows * TILE + 2 * MARGIN);
    let mut data: Vec<u8> = (0..width * height).flat_map(|_| ground).collect();
    for (at, (tile, [dx, dy])) in tiles.iter().zip(shifts).enumerate() {
        let (column, row) = (at as u32 % 2, at as u32 / 2);
        let (left, top) = (MARGIN - 10 + dx + column * TILE, MARGIN - 10 + dy + row * TILE);
        for (y, line) in (top..).zip(tile.rows()) {
            let start = (y * width + left) as usize * 3;
            data[start..start + line.len()].copy_from_slice(line);
        }
    }
    Pixels::new(width, height, data).unwrap()
}

/// A take as a camera would keep it: a little lighter or darker than the last, with noise.
fn as_taken(pixels: &Pixels, random: &mut Random) -> Vec<u8> {
    let light = 92 + random.below(17) as i32;
    let data: Vec<u8> = pixels
        .data()
        .iter()
        .map(|&level| (i32::from(level) * light / 100 + random.below(9) as i32 - 4).clamp(0, 255) as u8)
        .collect();
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 92)
        .encode(&data, pixels.width(), pixels.height(), image::ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

/// A face with its eyes open, and with lids drawn over them.
struct Person {
    open: Pixels,
    closed: Pixels,
}

/// The faces on which drawn lids are seen as closed eyes: of the recorded ones, those without glasses that are not turned.
fn people(analyzer: &FaceAnalyzer) -> Option<Vec<Person>> {
    let mut people = Vec::new();
    for name in FACES {
        let pixels = picture(&format!("{name}.png"))?;
        for face in &analyzer.analyse(&pixels).faces {
            let open = tile(&pixels, face);
            let seen = analyzer.analyse(&open);
            let closed = with_closed_eyes(&open, &seen);
            let drawn = analyzer.analyse(&closed);
            if let ([face], [blink]) = (seen.faces.as_slice(), drawn.faces.as_slice())
                && face.eyes.and_then(Eyes::are_open) == Some(true)
                && blink.eyes == Some(Eyes::Closed)
            {
                people.push(Person { open, closed });
            }
        }
    }
    Some(people)
}

#[test]
fn of_drawn_bursts_the_take_with_all_eyes_open_wins() {
    let thresholds = Thresholds { eyes: EyesBy::States, groups: true, ..Thresholds::default() };
    let Some(analyzer) = golden::analyzer(Landmarks::Attention, thresholds) else { return };
    let (Some(people), Some(models)) = (people(&analyzer), shared("weights/mediapipe")) else { return };
    assert!(people.len() >= 8, "lids can be drawn on {} faces", people.len());
    let world = World::new();
    let mut random = Random::new(18);
    let (mut won, mut lost) = (0, Vec::new());
    for burst in 0..BURSTS {
        let count = 2 + random.below(3);
        let mut order: Vec<usize> = (0..people.len()).collect();
        (0..count).for_each(|at| order.swap(at, at + random.below(people.len() - at)));
        let ground = [0; 3].map(|_: u8| 60 + random.below(120) as u8);
        let (folder, best) = (world.photos().join(format!("{burst:02}")), random.below(TAKES));
        fs::create_dir(&folder).unwrap();
        for take in 0..TAKES {
            let shifts: Vec<[u32; 2]> = (0..count).map(|_| [0; 2].map(|_: u32| random.below(21) as u32)).collect();
            let (always, also) = (random.below(count), random.below(3 * count));
            let of = |(at, index): (usize, &usize)| {
                let blinks = take != best && (at == always || at == also);
                if blinks { &people[*index].closed } else { &people[*index].open }
            };
            let tiles: Vec<&Pixels> = order[..count].iter().enumerate().map(of).collect();
            let drawn = group(&tiles, &shifts, ground);
            fs::write(folder.join(format!("DSC_{take}.jpg")), as_taken(&drawn, &mut random)).unwrap();
        }
        // Squares on a ground of one colour look like memes, as photos of people do not; what is asked is who blinks.
        let args = ["--top", "1", "--junk", "keep", folder.to_str().unwrap()];
        let args = ["select", "--models-dir", models.to_str().unwrap()].into_iter().chain(args);
        let line = world.run(args).expect(0).lines().remove(0);
        let is_best = line["image_path"].as_str().unwrap().ends_with(&format!("DSC_{best}.jpg"));
        won += usize::from(is_best);
        if !is_best {
            lost.push(format!("{burst}: {count} people, take {best}, but {line}"));
        }
    }
    println!("{} faces; the take with all eyes open won in {won} of {BURSTS} drawn bursts", people.len());
    assert!(won >= REACHED, "{won} of {BURSTS}: {lost:#?}");
}

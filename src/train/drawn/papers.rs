//! Documents and receipts, as scans or photographed on a table.

use super::camera::photographed;
use super::canvas::{Canvas, colour, dark, mixed, pale};
use super::letters::Typeface;
use super::random_photo;
use crate::rng::Rng;
use base::pixels::Pixels;

pub fn document(photos: &[&Pixels], rng: &mut Rng) -> Pixels {
    let (width, height) = if rng.chance(0.85) { (620, 877) } else { (877, 620) };
    let (paper, ink) = (pale(rng), dark(rng));
    let mut page = Canvas::new(width, height, paper);
    let face = Typeface::new(rng);
    let size = rng.between(6.0, 13.0);
    let margin = page.width * rng.between(0.05, 0.14);
    let mut y = page.height * rng.between(0.03, 0.12);
    if rng.chance(0.5) {
        let heading = size * rng.between(1.5, 2.6);
        let end = page.width * rng.between(0.4, 0.9);
        face.line(&mut page, (margin, y), end, heading, ink, rng);
        y += heading * 2.2;
    }
    if rng.chance(0.15) {
        let stripe = colour(rng);
        page.rectangle((0.0, 0.0), (width as f32, page.height * rng.between(0.02, 0.08)), stripe);
    }
    let columns = if rng.chance(0.25) { 2 } else { 1 };
    let gap = size * 2.0;
    let column = (page.width - 2.0 * margin - gap * (columns - 1) as f32) / columns as f32;
    let end = page.height * if rng.chance(0.4) { rng.between(0.3, 0.9) } else { 0.95 };
    let top = y;
    for at in 0..columns {
        y = top;
        let x = margin + at as f32 * (column + gap);
        while y + size * 2.0 < end {
            let lines = (1 + rng.below(8)).min(((end - y) / size / 1.75) as usize);
            if rng.chance(0.08) {
                let line = mixed(ink, paper, 0.5);
                page.rectangle((x, y), (column, 1.5), line);
                y += size;
            } else if rng.chance(0.08) && y + size * 10.0 < end {
                y = table(&mut page, (x, y), column, size, &face, rng) + size;
            } else {
                y = face.paragraph(&mut page, (x, y), column, (size, lines.max(1)), ink, rng);
                y += if rng.chance(0.6) { size * rng.between(0.2, 2.0) } else { 0.0 };
            }
        }
    }
    let page = page.pixels();
    if rng.chance(0.5) { photographed(&page, ground(photos, rng), rng) } else { page }
}

fn table(page: &mut Canvas, (x, y): (f32, f32), width: f32, size: f32, face: &Typeface, rng: &mut Rng) -> f32 {
    let (rows, columns) = (3 + rng.below(4), 2 + rng.below(4));
    let (row, column, line) = (size * 2.2, width / columns as f32, dark(rng));
    for at in 0..=rows {
        page.rectangle((x, y + at as f32 * row), (width, 1.0), line);
    }
    for at in 0..rows * columns {
        let place = (x + (at % columns) as f32 * column + size * 0.5, y + (at / columns) as f32 * row + size * 0.6);
        face.line(page, place, place.0 + column * rng.between(0.4, 0.9), size, line, rng);
    }
    y + rows as f32 * row
}

pub fn receipt(photos: &[&Pixels], rng: &mut Rng) -> Pixels {
    let width = 300 + rng.below(160);
    let height = width * (130 + rng.below(150)) / 100;
    let (paper, ink) = (pale(rng), mixed(dark(rng), [120; 3], rng.between(0.0, 0.5)));
    let mut slip = Canvas::new(width, height, paper);
    let face = Typeface::new(rng);
    let size = rng.between(8.0, 14.0);
    let margin = slip.width * rng.between(0.04, 0.12);
    let (wide, end) = (slip.width - 2.0 * margin, slip.height * rng.between(0.5, 0.97));
    let mut y = size * rng.between(1.0, 3.0);
    for _ in 0..rng.below(4) {
        let letters = 5 + rng.below(12);
        let x = (slip.width - letters as f32 * size * 0.65) / 2.0;
        face.letters(&mut slip, (x.max(margin), y), size, ink, letters, rng);
        y += size * 1.8;
    }
    let step = size * rng.between(1.5, 2.6);
    while y + 2.0 * size < end {
        if rng.chance(0.1) {
            for dash in 0..(wide / 8.0) as usize {
                slip.rectangle((margin + dash as f32 * 8.0, y), (4.0, 1.5), ink);
            }
        } else {
            face.line(&mut slip, (margin, y), margin + wide * rng.between(0.3, 0.65), size, ink, rng);
            let digits = 4 + rng.below(2);
            let x = margin + wide - digits as f32 * size * 0.68;
            face.letters(&mut slip, (x, y), size, ink, digits, rng);
        }
        y += step;
    }
    if rng.chance(0.3) && y + 50.0 < slip.height {
        let mut x = margin;
        while x < margin + wide {
            let bar = rng.between(1.0, 5.0);
            slip.rectangle((x, y), (bar, 40.0), ink);
            x += bar + rng.between(1.0, 5.0);
        }
    }
    let slip = slip.pixels();
    if rng.chance(0.8) { photographed(&slip, ground(photos, rng), rng) } else { slip }
}

/// Sometimes a photo is used instead of a table.
fn ground<'a>(photos: &[&'a Pixels], rng: &mut Rng) -> Option<&'a Pixels> {
    if rng.chance(0.3) { random_photo(photos, rng) } else { None }
}

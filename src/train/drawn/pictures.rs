//! Charts, drawings and memes.

use super::canvas::{Canvas, Colour, Point, colour, dark, mixed, pale};
use super::letters::Typeface;
use super::random_photo;
use crate::rng::Rng;
use base::pixels::Pixels;
use std::f32::consts::TAU;

pub fn chart(rng: &mut Rng) -> Pixels {
    let (ground, ink) = if rng.chance(0.8) { (pale(rng), dark(rng)) } else { (dark(rng), pale(rng)) };
    let mut sheet = Canvas::new(560 + rng.below(260), 400 + rng.below(160), ground);
    let face = Typeface::new(rng);
    let (width, height) = (sheet.width, sheet.height);
    let (left, right, top, low) = (width * 0.1, width * 0.95, height * 0.14, height * 0.88);
    face.line(&mut sheet, (width * 0.2, height * 0.04), width * rng.between(0.45, 0.9), 14.0, ink, rng);
    let hues: Vec<Colour> = (0..6).map(|_| colour(rng)).collect();
    if rng.chance(0.25) {
        pie(&mut sheet, &face, &hues, ink, rng);
        return sheet.pixels();
    }
    for line in 0..=5 {
        let y = top + (low - top) * line as f32 / 5.0;
        if rng.chance(0.8) {
            sheet.rectangle((left, y), (right - left, 1.0), mixed(ground, ink, 0.2));
        }
        face.letters(&mut sheet, (width * 0.03, y - 5.0), 9.0, ink, 3, rng);
    }
    sheet.rectangle((left, top), (2.0, low - top), ink);
    sheet.rectangle((left, low), (right - left, 2.0), ink);
    let (count, sets) = (3 + rng.below(14), 1 + rng.below(4));
    let step = (right - left) / count as f32;
    let kind = rng.below(3);
    for (set, hue) in hues.iter().enumerate().take(sets) {
        let (start, trend) = (rng.unit(), rng.between(-0.08, 0.08));
        let values: Vec<f32> = (0..count)
            .map(|at| (start + trend * at as f32 + rng.between(-0.2, 0.2)).clamp(0.03, 1.0) * (low - top))
            .collect();
        let points: Vec<Point> =
            (values.iter().enumerate()).map(|(at, v)| (left + (at as f32 + 0.5) * step, low - v)).collect();
        match kind {
            0 => {
                let bar = step * 0.8 / sets as f32;
                for (at, v) in values.iter().enumerate() {
                    let x = left + at as f32 * step + step * 0.1 + set as f32 * bar;
                    sheet.rectangle((x, low - v), (bar, *v), *hue);
                }
            }
            1 => sheet.stroke(&points, rng.between(1.5, 5.0), *hue),
            _ => points.iter().for_each(|point| sheet.ellipse(*point, (5.0, 5.0), *hue)),
        }
    }
    for at in 0..count.min(8) {
        let x = left + (right - left) * at as f32 / count.min(8) as f32;
        face.letters(&mut sheet, (x, low + 8.0), 9.0, ink, 2 + rng.below(3), rng);
    }
    sheet.pixels()
}

fn pie(sheet: &mut Canvas, face: &Typeface, hues: &[Colour], ink: Colour, rng: &mut Rng) {
    let (x, y, radius) = (sheet.width * rng.between(0.35, 0.6), sheet.height * 0.55, sheet.height * 0.36);
    let mut from = rng.between(0.0, TAU);
    let end = from + TAU;
    for (at, hue) in hues.iter().enumerate() {
        let to = if at + 1 == hues.len() { end } else { (from + rng.between(0.3, 1.8)).min(end) };
        let steps = 24;
        let mut corners = vec![(x, y)];
        corners.extend((0..=steps).map(|step| {
            let angle = from + (to - from) * step as f32 / steps as f32;
            (x + radius * angle.cos(), y + radius * angle.sin())
        }));
        sheet.polygon(&corners, *hue);
        let line = sheet.height * 0.2 + at as f32 * 26.0;
        sheet.rectangle((sheet.width * 0.84, line), (12.0, 12.0), *hue);
        face.letters(sheet, (sheet.width * 0.87, line), 10.0, ink, 5, rng);
        from = to;
    }
}

/// A drawing of outlines, flat colours or hatching.
pub fn drawing(rng: &mut Rng) -> Pixels {
    let (ground, ink) = (pale(rng), if rng.chance(0.7) { dark(rng) } else { colour(rng) });
    let mut sheet = Canvas::new(420 + rng.below(300), 420 + rng.below(300), ground);
    let (width, height) = (sheet.width, sheet.height);
    let (filled, pen) = (rng.chance(0.6), rng.between(1.0, 7.0));
    if filled && rng.chance(0.6) {
        // Sky and ground.
        let horizon = height * rng.between(0.4, 0.8);
        let (sky, grass) = (colour(rng), colour(rng));
        sheet.rectangle((0.0, 0.0), (width, horizon), mixed(sky, [255; 3], 0.4));
        sheet.rectangle((0.0, horizon), (width, height), grass);
    }
    for _ in 0..3 + rng.below(14) {
        let centre = (width * rng.unit(), height * rng.between(0.1, 0.95));
        let size = width * rng.between(0.04, 0.28);
        let outline = outline(centre, size, rng);
        let fill = colour(rng);
        if filled {
            sheet.polygon(&outline, fill);
        }
        if !filled || rng.chance(0.6) {
            let mut closed = outline.clone();
            closed.extend(outline.first());
            sheet.stroke(&closed, pen, ink);
        }
        if !filled && rng.chance(0.3) {
            let (spacing, turn) = (rng.between(4.0, 12.0), rng.between(-1.0, 1.0));
            for line in 0..(size / spacing) as usize {
                let x = centre.0 - size / 2.0 + line as f32 * spacing;
                let ends = [(x, centre.1 - size / 2.0), (x + turn * size, centre.1 + size / 2.0)];
                sheet.stroke(&ends, pen * 0.5, ink);
            }
        }
    }
    for _ in 0..rng.below(12) {
        // A scribble.
        let (mut x, mut y) = (width * rng.unit(), height * rng.unit());
        let mut turn = rng.between(0.0, TAU);
        let points: Vec<Point> = (0..10 + rng.below(30))
            .map(|_| {
                turn += rng.between(-0.5, 0.5);
                (x, y) = (x + 12.0 * turn.cos(), y + 12.0 * turn.sin());
                (x, y)
            })
            .collect();
        sheet.stroke(&points, pen, ink);
    }
    sheet.pixels()
}

/// A blob, a house, a star, or a tree.
fn outline((x, y): Point, size: f32, rng: &mut Rng) -> Vec<Point> {
    match rng.below(4) {
        0 => {
            let (waves, deep, start) = (1 + rng.below(5), rng.between(0.0, 0.35), rng.between(0.0, TAU));
            let point = |step: usize| {
                let angle = step as f32 / 40.0 * TAU;
                let radius = size * 0.5 * (1.0 + deep * (waves as f32 * angle + start).sin());
                (x + radius * angle.cos(), y + radius * angle.sin())
            };
            (0..40).map(point).collect()
        }
        1 => {
            let (half, roof) = (size * 0.5, size * rng.between(0.2, 0.7));
            vec![(x - half, y), (x, y - roof), (x + half, y), (x + half, y + size), (x - half, y + size)]
        }
        2 => {
            let (points, deep) = (4 + rng.below(6), rng.between(0.3, 0.7));
            let corner = |at: usize| {
                let radius = size * 0.5 * if at.is_multiple_of(2) { 1.0 } else { deep };
                let angle = at as f32 / points as f32 * TAU / 2.0;
                (x + radius * angle.cos(), y + radius * angle.sin())
            };
            (0..2 * points).map(corner).collect()
        }
        _ => {
            let (half, trunk) = (size * 0.4, size * 0.08);
            vec![
                (x, y - size),
                (x + half, y),
                (x + trunk, y),
                (x + trunk, y + half),
                (x - trunk, y + half),
                (x - trunk, y),
                (x - half, y),
            ]
        }
    }
}

/// A photo, or a plain background, with lines of bold letters: across it, on a banner, or in strips above and below.
pub fn meme(photos: &[&Pixels], rng: &mut Rng) -> Pixels {
    let (width, height) = (460 + rng.below(160), 380 + rng.below(240));
    let mut sheet = Canvas::new(width, height, colour(rng));
    let (wide, high) = (sheet.width, sheet.height);
    let face = Typeface::new(rng);
    let size = rng.between(18.0, 46.0);
    let strips = rng.chance(0.35);
    let strip = if strips { size * 2.4 } else { 0.0 };
    let ground = if strips { if rng.chance(0.7) { [255; 3] } else { [0; 3] } } else { [255; 3] };
    if let Some(photo) = random_photo(photos, rng) {
        sheet.paste(photo, (0.0, 0.0), (wide, high));
    }
    let above = rng.chance(0.6);
    let mut places = if above || strips { vec![size * 0.6] } else { Vec::new() };
    if !above || rng.chance(0.5) {
        places.push(if rng.chance(0.5) { high - size * 1.7 } else { high * rng.between(0.2, 0.8) });
    }
    let banner = !strips && rng.chance(0.5);
    let (box_colour, bright) = (colour(rng), rng.chance(0.8));
    if strips {
        sheet.rectangle((0.0, 0.0), (wide, strip), ground);
    }
    for y in places {
        let ink = if strips && y < strip {
            mixed([0; 3], ground.map(|v| 255 - v), 1.0)
        } else if bright {
            [255; 3]
        } else {
            [20; 3]
        };
        let left = wide * rng.between(0.04, 0.25);
        let letters = (((wide - 2.0 * left) / size / 0.68) as usize).max(4);
        if banner {
            sheet.rectangle(
                (left - size * 0.4, y - size * 0.4),
                (wide - 2.0 * left + size * 0.8, size * 1.9),
                box_colour,
            );
        } else if !strips {
            // An outline keeps letters legible on any background.
            let state = rng.clone();
            for shift in [(-3.0, 0.0), (3.0, 0.0), (0.0, -3.0), (0.0, 3.0)] {
                let edge = ink.map(|v: u8| 255 - v);
                face.letters(&mut sheet, (left + shift.0, y + shift.1), size, edge, letters, &mut state.clone());
            }
        }
        face.letters(&mut sheet, (left, y), size, ink, letters, rng);
    }
    sheet.pixels()
}

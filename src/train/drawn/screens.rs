//! Screenshots of phones and computers.

use super::canvas::{Canvas, Colour, colour, dark, mixed, pale};
use super::letters::Typeface;
use super::random_photo;
use crate::rng::Rng;
use base::pixels::Pixels;

/// Colours and typeface of a screen.
struct Theme {
    ground: Colour,
    text: Colour,
    accent: Colour,
    face: Typeface,
    size: f32,
}

impl Theme {
    fn new(rng: &mut Rng) -> Self {
        let (ground, text) = if rng.chance(0.5) { (pale(rng), dark(rng)) } else { (dark(rng), pale(rng)) };
        Self { ground, text, accent: colour(rng), face: Typeface::new(rng), size: rng.between(7.0, 14.0) }
    }

    fn faint(&self, share: f32) -> Colour {
        mixed(self.ground, self.text, share)
    }
}

pub fn screenshot(photos: &[&Pixels], rng: &mut Rng) -> Pixels {
    let theme = Theme::new(rng);
    let tall = rng.chance(0.65);
    let (width, height) = if tall { (400, 660 + rng.below(240)) } else { (800, 450 + rng.below(150)) };
    let mut screen = Canvas::new(width, height, theme.ground);
    match rng.below(6) {
        0 => chat(&mut screen, &theme, rng),
        1 => list(&mut screen, &theme, photos, rng),
        2 => terminal(&mut screen, &theme, rng),
        3 => windows(&mut screen, &theme, rng),
        4 => page(&mut screen, &theme, photos, rng),
        _ => {
            // A note or a single message.
            let lines = 2 + rng.below(20);
            let left = screen.width * rng.between(0.03, 0.12);
            let width = screen.width - 2.0 * left;
            let top = screen.height * rng.between(0.02, 0.3);
            theme.face.paragraph(&mut screen, (left, top), width, (theme.size, lines), theme.text, rng);
        }
    }
    if rng.chance(0.6) {
        bars(&mut screen, &theme, rng);
    }
    screen.pixels()
}

/// A status bar at the top, and perhaps buttons at the bottom.
fn bars(screen: &mut Canvas, theme: &Theme, rng: &mut Rng) {
    let high = theme.size * 2.0;
    let ground = if rng.chance(0.3) { theme.accent } else { theme.ground };
    let (width, bottom) = (screen.width, screen.height);
    screen.rectangle((0.0, 0.0), (width, high), ground);
    theme.face.letters(screen, (8.0, high * 0.3), theme.size * 0.8, theme.text, 5, rng);
    for icon in 1..=3 {
        let x = width - icon as f32 * theme.size * 1.6;
        screen.rectangle((x, high * 0.3), (theme.size, theme.size * 0.7), theme.text);
    }
    if rng.chance(0.5) {
        screen.rectangle((0.0, bottom - 2.0 * high), (width, 2.0 * high), theme.faint(0.06));
        for icon in 0..5 {
            let x = width * (icon as f32 + 0.5) / 5.0;
            screen.ellipse((x, bottom - high), (theme.size * 0.7, theme.size * 0.7), theme.faint(0.6));
        }
    }
}

fn chat(screen: &mut Canvas, theme: &Theme, rng: &mut Rng) {
    let own = if rng.chance(0.5) { mixed(theme.ground, theme.accent, 0.5) } else { theme.faint(0.25) };
    let (size, width) = (theme.size, screen.width);
    let round = rng.between(2.0, 14.0);
    let mut y = size * 3.0;
    while y < screen.height {
        let mine = rng.chance(0.45);
        let (lines, wide) = (1 + rng.below(3), width * rng.between(0.25, 0.75));
        let high = lines as f32 * size * 1.75 + size;
        let x = if mine { width - wide - 10.0 } else { 10.0 };
        screen.bubble((x, y), (wide, high), round, if mine { own } else { theme.faint(0.1) });
        let place = (x + size * 0.7, y + size * 0.7);
        theme.face.paragraph(screen, place, wide - size * 1.2, (size, lines), theme.text, rng);
        y += high + size * rng.between(0.4, 2.0);
    }
}

fn list(screen: &mut Canvas, theme: &Theme, photos: &[&Pixels], rng: &mut Rng) {
    let row = theme.size * rng.between(3.0, 6.5);
    let (icons, pictures) = (rng.chance(0.7), rng.chance(0.2));
    for at in 1..=(screen.height / row) as usize {
        let y = at as f32 * row;
        let left = if icons { row * 1.1 } else { theme.size };
        if icons {
            let round = if rng.chance(0.5) { theme.accent } else { colour(rng) };
            match random_photo(photos, rng).filter(|_| pictures) {
                Some(photo) => screen.paste(photo, (row * 0.2, y + row * 0.15), (row * 0.7, row * 0.7)),
                None => screen.ellipse((row * 0.5, y + row * 0.5), (row * 0.3, row * 0.3), round),
            }
        }
        let end = screen.width * rng.between(0.4, 0.85);
        theme.face.line(screen, (left, y + row * 0.2), end, theme.size, theme.text, rng);
        let small = theme.size * 0.75;
        theme.face.line(screen, (left, y + row * 0.55), screen.width * 0.8, small, theme.faint(0.5), rng);
        let width = screen.width;
        screen.rectangle((left, y + row - 1.0), (width, 1.0), theme.faint(0.15));
    }
}

fn terminal(screen: &mut Canvas, theme: &Theme, rng: &mut Rng) {
    let ground = dark(rng);
    let (width, height) = (screen.width, screen.height);
    screen.rectangle((0.0, 0.0), (width, height), ground);
    let inks = [[60, 220, 90], [210, 210, 210], theme.accent.map(|v| 120 + v / 2), [220, 180, 80]];
    let plain = rng.below(inks.len());
    let (size, full) = (theme.size * 0.8, rng.between(0.15, 1.0));
    let mut y = size;
    while y + size < height * full {
        let indent = width * (0.02 + 0.04 * rng.below(4) as f32);
        let ink = if rng.chance(0.7) { inks[plain] } else { inks[rng.below(inks.len())] };
        theme.face.line(screen, (indent, y), width * rng.between(0.2, 0.95), size, ink, rng);
        y += size * 1.7;
    }
}

fn windows(screen: &mut Canvas, theme: &Theme, rng: &mut Rng) {
    let desk = colour(rng);
    let (width, height) = (screen.width, screen.height);
    screen.rectangle((0.0, 0.0), (width, height), desk);
    for _ in 0..=rng.below(3) {
        let (wide, high) = (width * rng.between(0.4, 0.95), height * rng.between(0.4, 0.9));
        let (x, y) = (rng.between(0.0, width - wide), rng.between(0.0, height - high));
        screen.rectangle((x, y), (wide, high), theme.ground);
        screen.rectangle((x, y), (wide, theme.size * 2.0), theme.faint(0.15));
        for button in 0..3 {
            let place = (x + wide - (button as f32 + 0.8) * theme.size * 1.6, y + theme.size);
            screen.ellipse(place, (theme.size * 0.4, theme.size * 0.4), theme.faint(0.6));
        }
        let lines = (high / theme.size / 1.75) as usize;
        let place = (x + theme.size, y + theme.size * 3.0);
        let lines = lines.saturating_sub(4).clamp(1, 24);
        theme.face.paragraph(screen, place, wide - theme.size * 2.0, (theme.size, lines), theme.text, rng);
    }
}

fn page(screen: &mut Canvas, theme: &Theme, photos: &[&Pixels], rng: &mut Rng) {
    let (width, size) = (screen.width, theme.size);
    screen.rectangle((0.0, 0.0), (width, size * 4.0), theme.accent);
    theme.face.line(screen, (size, size * 1.2), width * 0.5, size * 1.6, theme.ground, rng);
    let mut y = size * 5.0;
    while y < screen.height {
        match random_photo(photos, rng).filter(|_| rng.chance(0.15)) {
            Some(photo) => {
                let (wide, high) = (width * rng.between(0.2, 0.5), width * rng.between(0.1, 0.3));
                screen.paste(photo, (size, y), (wide, high));
                y += high + size;
            }
            None if rng.chance(0.2) => {
                let (wide, place) = (width * rng.between(0.2, 0.5), (size, y));
                screen.bubble(place, (wide, size * 2.4), size, theme.accent);
                y += size * 3.5;
            }
            None => {
                let lines = 1 + rng.below(6);
                let text = (size, lines);
                y = theme.face.paragraph(screen, (size, y), width - 2.0 * size, text, theme.text, rng) + size;
            }
        }
    }
}

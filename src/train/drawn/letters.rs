//! Random typefaces: letters of stems, bowls, bars and diagonals. They are illegible, as any small text is at the
//! network's input size.

use super::canvas::{Canvas, Colour, Point};
use crate::rng::Rng;

const LETTERS: usize = 26;

/// The strokes of a letter; y is 0 at the cap height and 1 at the baseline.
#[derive(Debug)]
struct Letter {
    strokes: Vec<Vec<Point>>,
    width: f32,
}

#[derive(Debug)]
pub struct Typeface {
    letters: Vec<Letter>,
    weight: f32,
    slant: f32,
    spacing: f32,
}

impl Typeface {
    pub fn new(rng: &mut Rng) -> Self {
        let (wide, low) = (rng.between(0.4, 0.62), rng.between(0.28, 0.42));
        let (even, serifs) = (rng.chance(0.25), rng.chance(0.35));
        let letters = (0..LETTERS).map(|_| letter(wide, low, even, serifs, rng)).collect();
        let slant = if rng.chance(0.2) { rng.between(0.08, 0.25) } else { 0.0 };
        Self { letters, weight: rng.between(0.07, 0.2), slant, spacing: rng.between(0.12, 0.22) }
    }

    /// Draws a random word; returns the x coordinate after it.
    pub fn word(&self, canvas: &mut Canvas, (x, y): Point, size: f32, colour: Colour, rng: &mut Rng) -> f32 {
        let length = 1 + rng.below(4) + rng.below(6);
        self.letters(canvas, (x, y), size, colour, length, rng)
    }

    /// Draws random letters; returns the x coordinate after them.
    pub fn letters(
        &self,
        canvas: &mut Canvas,
        (mut x, y): Point,
        size: f32,
        colour: Colour,
        count: usize,
        rng: &mut Rng,
    ) -> f32 {
        for _ in 0..count {
            let letter = &self.letters[rng.below(LETTERS)];
            for stroke in &letter.strokes {
                let points: Vec<Point> = stroke
                    .iter()
                    .map(|(across, down)| (x + (across + self.slant * (1.0 - down)) * size, y + down * size))
                    .collect();
                canvas.stroke(&points, self.weight * size, colour);
            }
            x += (letter.width + self.spacing) * size;
        }
        x
    }

    /// Draws words until the line is full.
    pub fn line(&self, canvas: &mut Canvas, place: Point, end: f32, size: f32, colour: Colour, rng: &mut Rng) {
        let mut x = place.0;
        // A word can be about this wide.
        while x + 3.5 * size < end {
            x = self.word(canvas, (x, place.1), size, colour, rng) + 0.35 * size;
        }
    }

    /// Draws a paragraph of the given width, whose last line may be short; returns the y coordinate below it.
    pub fn paragraph(
        &self,
        canvas: &mut Canvas,
        (x, y): Point,
        width: f32,
        (size, lines): (f32, usize),
        colour: Colour,
        rng: &mut Rng,
    ) -> f32 {
        let step = size * 1.75;
        for line in 0..lines {
            let full = if line + 1 == lines { rng.between(0.3, 1.0) } else { rng.between(0.9, 1.0) };
            self.line(canvas, (x, y + line as f32 * step), x + width * full, size, colour, rng);
        }
        y + lines as f32 * step
    }
}

fn letter(wide: f32, low: f32, even: bool, serifs: bool, rng: &mut Rng) -> Letter {
    let width = if even { wide } else { wide * rng.between(0.5, 1.35) };
    let top = if rng.chance(0.35) { 0.0 } else { low };
    let bottom = if rng.chance(0.12) { 1.3 } else { 1.0 };
    let mut strokes: Vec<Vec<Point>> = Vec::new();
    let bowl = |from: f32, to: f32| -> Vec<Point> {
        let (middle, radius) = (f32::midpoint(from, to), (to - from) / 2.0);
        let turn = |step: usize| step as f32 / 12.0 * std::f32::consts::TAU;
        (0..=12).map(|s| (width * (0.5 + 0.5 * turn(s).cos()), middle + radius * turn(s).sin())).collect()
    };
    match rng.below(6) {
        0 => strokes.push(vec![(0.0, top), (0.0, bottom)]),
        1 => strokes.extend([vec![(0.0, top), (0.0, bottom)], bowl(low, 1.0)]),
        2 => strokes.push(bowl(low, 1.0)[..10].to_vec()),
        3 => strokes.extend([vec![(0.0, low), (0.0, 1.0)], vec![(0.0, low), (width, low), (width, 1.0)]]),
        4 => strokes.push(vec![(0.0, top), (width / 2.0, 1.0), (width, top)]),
        _ => strokes.extend([vec![(width / 2.0, top), (width / 2.0, 1.0)], vec![(0.0, low), (width, low)]]),
    }
    if rng.chance(0.3) {
        let y = rng.between(low, 1.0);
        strokes.push(vec![(0.0, y), (width, y)]);
    }
    if serifs {
        let feet: Vec<Vec<Point>> = strokes
            .iter()
            .filter_map(|stroke| stroke.last().copied())
            .map(|(x, y)| vec![(x - 0.1, y), (x + 0.1, y)])
            .collect();
        strokes.extend(feet);
    }
    Letter { strokes, width }
}

//! Face chips: squares of 150 pixels in which eyes and nose have fixed positions. They are cut out exactly as by dlib,
//! because the network was trained on such chips.

use base::pixels::Pixels;

/// Corners of the eyes, and the base of the nose.
pub(super) const POINTS: usize = 5;
/// Pixels of a side.
pub const CHIP: usize = 150;
/// The margin around the face, relative to its side.
const PADDING: f64 = 0.25;
/// The mean positions of the points in a face of side 1.
const MEAN: [Point; POINTS] = [
    [0.859_567_459_599_2, 0.213_498_153_801_4],
    [0.646_060_476_410_4, 0.228_967_438_767_7],
    [0.120_575_062_078_9, 0.213_727_452_684_8],
    [0.334_085_061_371_2, 0.229_064_240_324_2],
    [0.490_112_313_567_9, 0.627_797_531_647_5],
];

/// x and y in pixels.
pub type Point = [f64; 2];

/// A similarity transform: `(turn, skew)` times the point, as complex numbers, plus the shift.
#[derive(Clone, Copy, Debug)]
pub(super) struct Similarity {
    turn: f64,
    skew: f64,
    shift: Point,
}

impl Similarity {
    /// The least-squares transform from some points to others.
    pub fn between(from: &[Point], to: &[Point]) -> Self {
        let count = from.len() as f64;
        let mean = |points: &[Point]| [0, 1].map(|axis| points.iter().map(|p| p[axis]).sum::<f64>() / count);
        let (centre, goal) = (mean(from), mean(to));
        let (mut dot, mut cross, mut spread) = (0.0, 0.0, 0.0);
        for (from, to) in from.iter().zip(to) {
            let [x, y] = [from[0] - centre[0], from[1] - centre[1]];
            let [u, v] = [to[0] - goal[0], to[1] - goal[1]];
            dot += x * u + y * v;
            cross += x * v - y * u;
            spread += x * x + y * y;
        }
        let [turn, skew] = if spread > 0.0 { [dot / spread, cross / spread] } else { [1.0, 0.0] };
        let moved = Self { turn, skew, shift: [0.0; 2] }.apply(centre);
        Self { turn, skew, shift: [goal[0] - moved[0], goal[1] - moved[1]] }
    }

    pub fn matrix(&self) -> [f64; 2] {
        [self.turn, self.skew]
    }

    fn apply(&self, [x, y]: Point) -> Point {
        [self.turn * x - self.skew * y + self.shift[0], self.skew * x + self.turn * y + self.shift[1]]
    }
}

/// Cuts out the chip around the points of a face, as RGB bytes; black outside the photo.
pub fn face_chip(pixels: &Pixels, points: &[Point; POINTS]) -> Vec<u8> {
    let side = CHIP as f64;
    let mean = MEAN.map(|point| point.map(|v| (PADDING + v) / (2.0 * PADDING + 1.0) * side));
    let place = Similarity::between(&mean, points);
    let scale = place.turn.hypot(place.skew);
    let centre = place.apply([side / 2.0; 2]);
    let direction = if scale > 0.0 { [place.turn / scale, place.skew / scale] } else { [1.0, 0.0] };
    let mut square = Square { centre, half: (side * scale - 1.0) / 2.0, direction };
    // If the chip is less than half as large as its region, the photo is halved first, so that no pixels are skipped.
    let halvings = square.halvings();
    let mut around = Window::around(pixels, &square, halvings);
    square.centre = [square.centre[0] - around.origin[0], square.centre[1] - around.origin[1]];
    for _ in 0..halvings {
        around = around.halved();
        square = square.halved();
    }
    square.sample(&around)
}

#[derive(Clone, Copy, Debug)]
struct Square {
    centre: Point,
    half: f64,
    /// Cosine and sine of the rotation.
    direction: [f64; 2],
}

impl Square {
    fn halvings(&self) -> u32 {
        let (mut halvings, mut side) = (0, self.half);
        while side + 1.0 > CHIP as f64 && halvings < 16 {
            halvings += 1;
            side /= 2.0;
        }
        halvings
    }

    /// The same in the picture of [`Window::halved`].
    fn halved(self) -> Self {
        let [x, y] = self.centre;
        Self { centre: [x / 2.0 - 1.25, y / 2.0 - 0.75], half: self.half / 2.0, ..self }
    }

    fn turned(&self, x: f64, y: f64) -> Point {
        let [cos, sin] = self.direction;
        [self.centre[0] + cos * x - sin * y, self.centre[1] + sin * x + cos * y]
    }

    fn sample(&self, from: &Window) -> Vec<u8> {
        let mut chip = vec![0; CHIP * CHIP * 3];
        let step = 2.0 * self.half / (CHIP - 1) as f64;
        for (y, row) in chip.chunks_exact_mut(CHIP * 3).enumerate() {
            for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let place = self.turned(x as f64 * step - self.half, y as f64 * step - self.half);
                if let Some(colour) = from.at(place) {
                    *pixel = colour;
                }
            }
        }
        chip
    }
}

/// A part of a photo.
#[derive(Debug)]
struct Window {
    origin: Point,
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Window {
    /// The part of a photo that a square needs.
    fn around(pixels: &Pixels, square: &Square, halvings: u32) -> Self {
        let [cos, sin] = square.direction.map(f64::abs);
        // Two pixels of margin for each halving.
        let air = (0..halvings).fold(2.0, |air, _| 2.0 * air + 2.0);
        let reach = square.half * (cos + sin) + air;
        let range = |centre: f64, end: u32| {
            let end = f64::from(end);
            let begin = (centre - reach + 0.5).floor().clamp(0.0, end);
            (begin as usize, ((centre + reach + 0.5).floor() + 1.0).clamp(begin, end) as usize)
        };
        let (left, right) = range(square.centre[0], pixels.width());
        let (top, bottom) = range(square.centre[1], pixels.height());
        let line = |y: usize| &pixels.data()[(y * pixels.width() as usize + left) * 3..][..(right - left) * 3];
        let data = (top..bottom).flat_map(line).copied().collect();
        Self { origin: [left as f64, top as f64], width: right - left, height: bottom - top, data }
    }

    /// Halves the size: every other pixel after a filter of 1, 4, 6, 4, 1 in both directions.
    fn halved(&self) -> Self {
        const FILTER: [u32; 5] = [1, 4, 6, 4, 1];
        if self.width <= 8 || self.height <= 8 {
            return Self { origin: [0.0; 2], width: 0, height: 0, data: Vec::new() };
        }
        let [width, height] = [self.width, self.height].map(|side| (side - 3) / 2);
        let mut data = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                for c in 0..3 {
                    let line = |row: usize| -> u32 {
                        let start = ((2 * y + row) * self.width + 2 * x) * 3 + c;
                        let taps = FILTER.iter().zip(self.data[start..].iter().step_by(3));
                        taps.map(|(weight, value)| weight * u32::from(*value)).sum()
                    };
                    let sum: u32 = FILTER.iter().enumerate().map(|(row, weight)| weight * line(row)).sum();
                    data.push((sum / 256) as u8);
                }
            }
        }
        Self { origin: [0.0; 2], width, height, data }
    }

    /// Interpolates between four pixels; `None` if one of them is missing.
    fn at(&self, [x, y]: Point) -> Option<[u8; 3]> {
        let (left, top) = (x.floor(), y.floor());
        let inside = |v: f64, end: usize| v >= 0.0 && v + 1.0 < end as f64;
        if !(inside(left, self.width) && inside(top, self.height)) {
            return None;
        }
        let (across, down) = (x - left, y - top);
        let start = (top as usize * self.width + left as usize) * 3;
        let value = |at: usize| f64::from(self.data[at]);
        Some(std::array::from_fn(|c| {
            let row = |start: usize| (1.0 - across) * value(start + c) + across * value(start + 3 + c);
            ((1.0 - down) * row(start) + down * row(start + self.width * 3)) as u8
        }))
    }
}

//! A canvas of plain coloured shapes without anti-aliasing: pictures are drawn larger than the network's input and
//! scaled down.

use crate::rng::Rng;
use base::pixels::Pixels;
use photo::resize;

pub type Colour = [u8; 3];
pub type Point = (f32, f32);

#[derive(Clone, Debug)]
pub struct Canvas {
    pub width: f32,
    pub height: f32,
    columns: usize,
    data: Vec<u8>,
}

impl Canvas {
    pub fn new(width: usize, height: usize, colour: Colour) -> Self {
        let data = std::iter::repeat_n(colour, width * height).flatten().collect();
        Self { width: width as f32, height: height as f32, columns: width, data }
    }

    pub fn pixels(self) -> Pixels {
        let (width, height) = (self.width as u32, self.height as u32);
        picture_of(width, height, self.data)
    }

    /// The pixels of a row between two x coordinates.
    fn span(&mut self, y: usize, from: f32, to: f32) -> &mut [[u8; 3]] {
        let column = |x: f32| x.round().clamp(0.0, self.width) as usize;
        let (from, to) = (column(from), column(to));
        let row = &mut self.data[y * self.columns * 3..][..self.columns * 3];
        &mut row.as_chunks_mut::<3>().0[from..to.max(from)]
    }

    fn lines(&self, top: f32, bottom: f32) -> std::ops::Range<usize> {
        let line = |y: f32| y.round().clamp(0.0, self.height) as usize;
        line(top)..line(bottom)
    }

    pub fn rectangle(&mut self, (x, y): Point, (width, height): Point, colour: Colour) {
        for line in self.lines(y, y + height) {
            self.span(line, x, x + width).fill(colour);
        }
    }

    /// A rectangle with round corners.
    pub fn bubble(&mut self, (x, y): Point, (width, height): Point, radius: f32, colour: Colour) {
        let radius = radius.min(width / 2.0).min(height / 2.0);
        for line in self.lines(y, y + height) {
            let at = line as f32 + 0.5 - y;
            let beyond = (radius - at).max(at - (height - radius)).max(0.0);
            let inset = radius - (radius * radius - beyond * beyond).max(0.0).sqrt();
            self.span(line, x + inset, x + width - inset).fill(colour);
        }
    }

    pub fn ellipse(&mut self, (x, y): Point, (across, down): Point, colour: Colour) {
        for line in self.lines(y - down, y + down) {
            let at = (line as f32 + 0.5 - y) / down.max(0.5);
            let half = across * (1.0 - at * at).max(0.0).sqrt();
            self.span(line, x - half, x + half).fill(colour);
        }
    }

    /// Fills a polygon.
    pub fn polygon(&mut self, corners: &[Point], colour: Colour) {
        let top = corners.iter().map(|p| p.1).fold(f32::MAX, f32::min);
        let bottom = corners.iter().map(|p| p.1).fold(f32::MIN, f32::max);
        for line in self.lines(top, bottom) {
            let y = line as f32 + 0.5;
            let sides = corners.iter().zip(corners.iter().cycle().skip(1));
            let mut crossings: Vec<f32> = sides
                .filter(|(a, b)| (a.1 <= y) != (b.1 <= y))
                .map(|(a, b)| a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0))
                .collect();
            crossings.sort_unstable_by(f32::total_cmp);
            for pair in crossings.as_chunks::<2>().0 {
                self.span(line, pair[0], pair[1]).fill(colour);
            }
        }
    }

    /// A line through points.
    pub fn stroke(&mut self, points: &[Point], thickness: f32, colour: Colour) {
        let half = (thickness / 2.0).max(0.5);
        for ends in points.windows(2) {
            let (a, b) = (ends[0], ends[1]);
            let (dx, dy) = (b.0 - a.0, b.1 - a.1);
            let length = (dx * dx + dy * dy).sqrt().max(1e-3);
            let (nx, ny) = (-dy / length * half, dx / length * half);
            let corners = [(a.0 + nx, a.1 + ny), (b.0 + nx, b.1 + ny), (b.0 - nx, b.1 - ny), (a.0 - nx, a.1 - ny)];
            self.polygon(&corners, colour);
        }
        if half > 1.0 {
            points.iter().for_each(|point| self.ellipse(*point, (half, half), colour));
        }
    }

    /// Draws a picture at a position, resized.
    pub fn paste(&mut self, picture: &Pixels, (x, y): Point, (width, height): Point) {
        let side = |v: f32| (v as u32).max(1);
        let scaled = resize::resize(picture, side(width), side(height), resize::Filter::Bilinear);
        for (at, row) in scaled.rows().enumerate() {
            let line = y as usize + at;
            if line < self.height as usize {
                let to = self.span(line, x.floor(), x.floor() + scaled.width() as f32);
                to.as_flattened_mut().iter_mut().zip(row).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// A picture from exactly as many bytes as its size needs.
pub fn picture_of(width: u32, height: u32, data: Vec<u8>) -> Pixels {
    match Pixels::new(width, height, data) {
        Some(picture) => picture,
        None => unreachable!("a canvas of {width}x{height} has all its bytes"),
    }
}

/// A random colour.
pub fn colour(rng: &mut Rng) -> Colour {
    std::array::from_fn(|_| rng.below(256) as u8)
}

/// A random colour that is nearly white.
pub fn pale(rng: &mut Rng) -> Colour {
    let light = rng.between(222.0, 256.0);
    std::array::from_fn(|_| (light - rng.between(0.0, 14.0)) as u8)
}

/// A random colour that is nearly black.
pub fn dark(rng: &mut Rng) -> Colour {
    let light = rng.between(0.0, 46.0);
    std::array::from_fn(|_| (light + rng.between(0.0, 16.0)) as u8)
}

/// Blends two colours; `share` is the weight of `b`.
pub fn mixed(a: Colour, b: Colour, share: f32) -> Colour {
    std::array::from_fn(|i| (f32::from(a[i]) * (1.0 - share) + f32::from(b[i]) * share) as u8)
}

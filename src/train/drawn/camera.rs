//! Renders paper as a camera sees it: in perspective, on a table, in uneven light.

use super::canvas::{Point, mixed, picture_of};
use crate::degrade;
use crate::rng::Rng;
use base::pixels::Pixels;
use photo::resize;

/// A photo of the paper on a table, or on top of `ground`.
pub fn photographed(paper: &Pixels, ground: Option<&Pixels>, rng: &mut Rng) -> Pixels {
    let (width, height) = (paper.width() as f32, paper.height() as f32);
    let margin = rng.between(-0.03, 0.16);
    let (wide, high) = (width * (1.0 + 2.0 * margin), height * (1.0 + 2.0 * margin));
    let tilt = rng.between(0.01, 0.09) * width;
    let mut corner = |x: f32, y: f32| -> Point {
        let shift = |v: f32, rng: &mut Rng| v + rng.between(-tilt, tilt);
        (shift(x + margin * width, rng), shift(y + margin * height, rng))
    };
    let corners = [corner(0.0, 0.0), corner(width, 0.0), corner(width, height), corner(0.0, height)];
    let (columns, rows) = (wide as u32, high as u32);
    let table = ground.map_or_else(
        || table(columns, rows, rng),
        |photo| resize::resize(photo, columns, rows, resize::Filter::Bilinear),
    );
    let (light, turn) = (rng.between(0.62, 1.05), rng.between(0.0, std::f32::consts::TAU));
    let (falloff, warm) = (rng.between(0.0, 0.35), rng.between(-0.06, 0.06));
    let to_paper = inverse(corners);
    let mut data = table.data().to_vec();
    for (at, pixel) in data.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (x, y) = ((at % columns as usize) as f32, (at / columns as usize) as f32);
        let (u, v) = to_paper(x + 0.5, y + 0.5);
        if (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) {
            *pixel = bilinear(paper, u * width - 0.5, v * height - 0.5);
        }
        let slope = (x / wide - 0.5) * turn.cos() + (y / high - 0.5) * turn.sin();
        let shade = light * (1.0 - falloff * (slope + 0.5));
        for (value, tint) in pixel.iter_mut().zip([1.0 + warm, 1.0, 1.0 - warm]) {
            *value = (f32::from(*value) * shade * tint).clamp(0.0, 255.0) as u8;
        }
    }
    let seen = picture_of(columns, rows, data);
    let seen = if rng.chance(0.5) { degrade::apply(&seen, degrade::NOISE, rng.between(0.0, 0.2), rng) } else { seen };
    degrade::encoded(&seen, 70 + rng.below(26) as u8)
}

/// A table top of wood, cloth or stone: bands and grain of one colour.
fn table(width: u32, height: u32, rng: &mut Rng) -> Pixels {
    let base: [u8; 3] = [rng.between(30.0, 190.0), rng.between(25.0, 150.0), rng.between(20.0, 140.0)].map(|v| v as u8);
    let (band, grain) = (rng.between(0.01, 0.2), rng.between(2.0, 16.0));
    let horizontal = rng.chance(0.5);
    let data = (0..width * height).flat_map(|at| {
        let (x, y) = ((at % width) as f32, (at / width) as f32);
        let along = if horizontal { x } else { y };
        let wave = ((along * band).sin() + (along * band * 2.7).sin()) * 0.5;
        let light = wave * 12.0 + grain * (rng.unit() - 0.5);
        base.map(|v| (f32::from(v) + light).clamp(0.0, 255.0) as u8)
    });
    picture_of(width, height, data.collect())
}

/// The colour between pixels, whose middles are at whole numbers.
pub fn bilinear(picture: &Pixels, x: f32, y: f32) -> [u8; 3] {
    let (columns, rows) = (picture.width() as usize, picture.height() as usize);
    let (left, top) = (x.max(0.0) as usize, y.max(0.0) as usize);
    let (right, low) = ((left + 1).min(columns - 1), (top + 1).min(rows - 1));
    let at = |x: usize, y: usize| -> [u8; 3] {
        let place = (y.min(rows - 1) * columns + x.min(columns - 1)) * 3;
        std::array::from_fn(|i| picture.data()[place + i])
    };
    let (across, down) = ((x - left as f32).clamp(0.0, 1.0), (y - top as f32).clamp(0.0, 1.0));
    mixed(mixed(at(left, top), at(right, top), across), mixed(at(left, low), at(right, low), across), down)
}

/// Returns the map from positions in the picture to positions on the paper, 0 to 1, whose corners are at the given
/// points, clockwise from the top left.
fn inverse([a, b, c, d]: [Point; 4]) -> impl Fn(f32, f32) -> Point {
    // The projective map of the unit square to the four corners (Heckbert), and its adjugate matrix.
    let (sx, sy) = (a.0 - b.0 + c.0 - d.0, a.1 - b.1 + c.1 - d.1);
    let ((dx1, dy1), (dx2, dy2)) = ((b.0 - c.0, b.1 - c.1), (d.0 - c.0, d.1 - c.1));
    let cross = dx1 * dy2 - dx2 * dy1;
    let (g, h) = ((sx * dy2 - dx2 * sy) / cross, (dx1 * sy - sx * dy1) / cross);
    let m =
        [[b.0 - a.0 + g * b.0, d.0 - a.0 + h * d.0, a.0], [b.1 - a.1 + g * b.1, d.1 - a.1 + h * d.1, a.1], [g, h, 1.0]];
    let minor = |r: [usize; 2], k: [usize; 2]| m[r[0]][k[0]] * m[r[1]][k[1]] - m[r[0]][k[1]] * m[r[1]][k[0]];
    let adjugate = [
        [minor([1, 2], [1, 2]), -minor([0, 2], [1, 2]), minor([0, 1], [1, 2])],
        [-minor([1, 2], [0, 2]), minor([0, 2], [0, 2]), -minor([0, 1], [0, 2])],
        [minor([1, 2], [0, 1]), -minor([0, 2], [0, 1]), minor([0, 1], [0, 1])],
    ];
    move |x, y| {
        let [u, v, w] = adjugate.map(|row| row[0] * x + row[1] * y + row[2]);
        (u / w, v / w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_of_the_paper_lie_where_they_were_put() {
        let corners = [(3.0, 5.0), (90.0, 1.0), (80.0, 70.0), (10.0, 60.0)];
        let to_paper = inverse(corners);
        for ((x, y), (u, v)) in corners.into_iter().zip([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]) {
            let found = to_paper(x, y);
            assert!((found.0 - u).abs() < 1e-3 && (found.1 - v).abs() < 1e-3, "{found:?}");
        }
    }
}

//! How a picture is framed: whether its lines are level and upright, and what stands at its edges. Takes of one scene may
//! differ in nothing else.

use pulp::{Simd, WithSimd};

use super::measures::Plane;
use base::pixels::Pixels;

/// Length of [`framing`].
pub const FRAMING: usize = 2 * ANGLES.len() + 2 * PLACES;
/// Lines are counted that lean by less than 1, 2, 3.5, 6, 10 and 16 degrees. These are the sines of twice the angles.
const ANGLES: [f32; 6] = [0.034_899, 0.069_756, 0.121_869, 0.207_912, 0.342_020, 0.529_919];
const BINOMIAL: [f32; 5] = [0.0625, 0.25, 0.375, 0.25, 0.0625];
const WINDOW: [f32; 7] = [1.0 / 7.0; 7];
/// What the filters take from both ends of a row together.
const LOST: usize = BINOMIAL.len() - 1 + 2 + WINDOW.len() - 1;
/// Squared brightness differences below this are noise.
const NOISE: f32 = 8.0;
/// Weight per pixel that belongs to no line, so that a faint line in an empty picture does not count as much as a clear one.
const NO_LINE: f32 = 0.05;

/// Side of the cells in which contrast and detail are looked at, in pixels.
const CELL: usize = 4;
/// A cell's contrast is its difference from the cells up to so far around it.
const AROUND: usize = 8;
/// Width of the edge, in cells.
const EDGE: usize = 3;
const PLACES: usize = 5;

/// Measures a picture of the network's input size.
pub fn framing(picture: &Pixels) -> [f32; FRAMING] {
    pulp::Arch::new().dispatch(Measure(picture))
}

/// Compiled for the processor at hand. Sums are joined in a fixed order, so every processor gives the same values.
struct Measure<'a>(&'a Pixels);

impl WithSimd for Measure<'_> {
    type Output = [f32; FRAMING];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [f32; FRAMING] {
        let luma = Plane::luma(self.0);
        let mut all = Vec::with_capacity(FRAMING);
        all.extend(lines(&luma));
        all.extend(places(&contrast(&colours(self.0))));
        all.extend(places(&detail(&luma)));
        all.try_into().unwrap_or([0.0; FRAMING])
    }
}

/// The shares of upright and of level lines that lean by less than each of [`ANGLES`]. Brightness changes across a line, so
/// its direction is found from the changes in a window, which point one way where there is a line.
#[inline(always)]
fn lines(luma: &Plane) -> [f32; 2 * ANGLES.len()] {
    let mut sums = [0.0f64; 2 * ANGLES.len()];
    if luma.width <= LOST || luma.height <= LOST {
        return [0.0; _];
    }
    let [across, down, both] = changes(&filtered(luma, &BINOMIAL)).map(|plane| filtered(&plane, &WINDOW));
    let (width, height) = (across.width, across.height);
    let (mut leaning, mut weights) = (vec![0.0f32; width], [vec![0.0f32; width], vec![0.0f32; width]]);
    let mut total = f64::from(NO_LINE) * (width * height) as f64;
    for y in 0..height {
        let [upright, level] = &mut weights;
        let outputs = leaning.iter_mut().zip(upright.iter_mut().zip(level.iter_mut()));
        let inputs = across.row(y).iter().zip(down.row(y)).zip(both.row(y));
        for ((leaning, (upright, level)), ((a, b), c)) in outputs.zip(inputs) {
            let (difference, twice, strength) = (a - b, 2.0 * c, a + b);
            let direction = (difference * difference + twice * twice).sqrt();
            let clear = (2.0 * direction / (strength + NOISE) - 1.0).clamp(0.0, 1.0);
            let weight = strength.sqrt().sqrt() * clear * clear;
            *leaning = twice.abs() / (direction + 1e-6);
            (*upright, *level) = if difference > 0.0 { (weight, 0.0) } else { (0.0, weight) };
        }
        for (sums, weights) in sums.chunks_exact_mut(ANGLES.len()).zip(&weights) {
            total += f64::from(sum_below(weights, &leaning, f32::INFINITY));
            for (sum, most) in sums.iter_mut().zip(ANGLES) {
                *sum += f64::from(sum_below(weights, &leaning, most));
            }
        }
    }
    sums.map(|sum| (sum / total) as f32)
}

/// The sum of the weights whose value is below `most`, in sixteen lanes.
#[inline(always)]
fn sum_below(weights: &[f32], values: &[f32], most: f32) -> f32 {
    let mut sums = [0.0f32; 16];
    for (weights, values) in weights.chunks(16).zip(values.chunks(16)) {
        for (sum, (weight, value)) in sums.iter_mut().zip(weights.iter().zip(values)) {
            *sum += if *value < most { *weight } else { 0.0 };
        }
    }
    sums.iter().sum()
}

/// The changes of brightness at each pixel but those of the edge: squared across, squared down, and multiplied.
#[inline(always)]
fn changes(plane: &Plane) -> [Plane; 3] {
    let (width, height) = (plane.width - 2, plane.height - 2);
    let mut planes = [(); 3].map(|()| Plane { width, height, data: vec![0.0; width * height] });
    for y in 0..height {
        let (above, here, below) = (&plane.row(y)[1..], plane.row(y + 1), &plane.row(y + 2)[1..]);
        let [xx, yy, xy] = planes.each_mut().map(|plane| &mut plane.data[y * width..][..width]);
        for x in 0..width {
            let (across, down) = (here[x + 2] - here[x], below[x] - above[x]);
            (xx[x], yy[x], xy[x]) = (across * across, down * down, across * down);
        }
    }
    planes
}

/// Multiplies neighbours by `taps` along both axes. Pixels without enough neighbours are left out.
#[inline(always)]
fn filtered(plane: &Plane, taps: &[f32]) -> Plane {
    let (width, height) = (plane.width + 1 - taps.len(), plane.height + 1 - taps.len());
    let mut data = vec![0.0f32; width * height];
    let mut line = vec![0.0f32; plane.width];
    for (y, out) in data.chunks_exact_mut(width).enumerate() {
        line.fill(0.0);
        for (at, tap) in taps.iter().enumerate() {
            line.iter_mut().zip(plane.row(y + at)).for_each(|(sum, v)| *sum += tap * v);
        }
        for (at, tap) in taps.iter().enumerate() {
            out.iter_mut().zip(&line[at..]).for_each(|(sum, v)| *sum += tap * v);
        }
    }
    Plane { width, height, data }
}

/// The mean colour of each cell: brightness, and two differences of colours.
#[inline(always)]
fn colours(picture: &Pixels) -> [Plane; 3] {
    let (width, height) = (picture.width() as usize / CELL, picture.height() as usize / CELL);
    let mut planes = [(); 3].map(|()| Plane { width, height, data: vec![0.0; width * height] });
    for (y, row) in picture.rows().take(height * CELL).enumerate() {
        for (x, cell) in row.as_chunks::<{ 3 * CELL }>().0.iter().enumerate() {
            let mut sums = [0.0f32; 3];
            for pixel in cell.as_chunks::<3>().0 {
                sums.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += f32::from(*v));
            }
            let [red, green, blue] = sums.map(|sum| sum / (CELL * CELL) as f32);
            let colour = [0.299 * red + 0.587 * green + 0.114 * blue, red - green, blue - 0.5 * (red + green)];
            let at = y / CELL * width + x;
            planes.iter_mut().zip(colour).for_each(|(plane, v)| plane.data[at] += v);
        }
    }
    planes
}

/// How much the colour of each cell differs from that of its surroundings.
fn contrast(colours: &[Plane; 3]) -> Plane {
    let [Plane { width, height, .. }, ..] = *colours;
    let mut squares = vec![0.0f32; width * height];
    for plane in colours {
        let sums = Sums::of(plane);
        for y in 0..height {
            for x in 0..width {
                let difference = plane.row(y)[x] - sums.mean_around(x, y);
                squares[y * width + x] += difference * difference;
            }
        }
    }
    squares.iter_mut().for_each(|v| *v = v.sqrt());
    Plane { width, height, data: squares }
}

/// The sums of all values above and left of each place, which give that of any rectangle.
struct Sums {
    width: usize,
    height: usize,
    data: Vec<f64>,
}

impl Sums {
    fn of(plane: &Plane) -> Self {
        let stride = plane.width + 1;
        let mut data = vec![0.0; stride * (plane.height + 1)];
        for y in 0..plane.height {
            let mut row = 0.0;
            for (x, v) in plane.row(y).iter().enumerate() {
                row += f64::from(*v);
                data[(y + 1) * stride + x + 1] = data[y * stride + x + 1] + row;
            }
        }
        Self { width: plane.width, height: plane.height, data }
    }

    /// The mean of the cells at most [`AROUND`] away.
    fn mean_around(&self, x: usize, y: usize) -> f32 {
        let (left, right) = (x.saturating_sub(AROUND), (x + AROUND + 1).min(self.width));
        let (top, bottom) = (y.saturating_sub(AROUND), (y + AROUND + 1).min(self.height));
        let at = |x: usize, y: usize| self.data[y * (self.width + 1) + x];
        let sum = at(right, bottom) - at(left, bottom) - at(right, top) + at(left, top);
        (sum / ((right - left) * (bottom - top)) as f64) as f32
    }
}

/// How much brightness changes from pixel to pixel in each cell.
#[inline(always)]
fn detail(luma: &Plane) -> Plane {
    let (width, height) = (luma.width / CELL, luma.height / CELL);
    let mut data = vec![0.0f32; width * height];
    let mut line = vec![0.0f32; luma.width];
    for y in 0..height * CELL {
        let here = luma.row(y);
        let below = luma.row((y + 1).min(luma.height - 1));
        for (change, (v, below)) in line.iter_mut().zip(here.iter().zip(below)) {
            *change = (below - v).abs();
        }
        for (change, (v, right)) in line.iter_mut().zip(here.iter().zip(&here[1..])) {
            *change += (right - v).abs();
        }
        let cells = &mut data[y / CELL * width..][..width];
        for (sum, part) in cells.iter_mut().zip(line.as_chunks::<CELL>().0) {
            *sum += part.iter().sum::<f32>() / (CELL * CELL) as f32;
        }
    }
    Plane { width, height, data }
}

/// Where the values of a plane are: at the fullest edge, the next, and the other two, each relative to the mean; and how far
/// their centre is from the middle, across and down.
fn places(plane: &Plane) -> [f32; PLACES] {
    let (width, height) = (plane.width, plane.height);
    if width <= 2 * EDGE || height <= 2 * EDGE {
        return [0.0; PLACES];
    }
    let [mut total, mut across, mut down] = [0.0f64; 3];
    let mut edges = [0.0f64; 4];
    for y in 0..height {
        for (x, v) in plane.row(y).iter().enumerate() {
            // A plane without any contrast counts as even.
            let v = f64::from(*v) + 0.5;
            total += v;
            across += v * ((x as f64 + 0.5) / width as f64 - 0.5);
            down += v * ((y as f64 + 0.5) / height as f64 - 0.5);
            let at = [x < EDGE, x >= width - EDGE, y < EDGE, y >= height - EDGE];
            edges.iter_mut().zip(at).filter(|(_, at)| *at).for_each(|(edge, _)| *edge += v);
        }
    }
    let mean = total / (width * height) as f64;
    let cells = [height, height, width, width].map(|cells| (EDGE * cells) as f64);
    edges.iter_mut().zip(cells).for_each(|(edge, cells)| *edge /= cells * mean);
    edges.sort_unstable_by(|a, b| b.total_cmp(a));
    let [fullest, next, third, last] = edges;
    [fullest, next, f64::midpoint(third, last), (across / total).abs(), (down / total).abs()].map(|v| v as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose brightness is a function of the place, with the middle at 0.
    fn picture(light: impl Fn(f32, f32) -> f32) -> Pixels {
        let data = (0..224 * 224).flat_map(|at| {
            let (x, y) = ((at % 224) as f32 - 112.0, (at / 224) as f32 - 112.0);
            [light(x, y).clamp(0.0, 255.0) as u8; 3]
        });
        Pixels::new(224, 224, data.collect()).expect("whole pixels")
    }

    #[test]
    fn a_level_horizon_and_an_upright_wall_are_told_from_leaning_ones() {
        let edge = |degrees: f32| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            framing(&picture(|x, y| 120.0 + 40.0 * (y * cos + x * sin).clamp(-1.0, 1.0)))
        };
        let (level, leaning, upright) = (edge(0.0), edge(5.0), edge(90.0));
        let [near, far] = [1, 3];
        assert!(level[ANGLES.len() + near] > 0.5 && level[near] < 0.01, "{level:?}");
        assert!(upright[near] > 0.5 && upright[ANGLES.len() + near] < 0.01, "{upright:?}");
        assert!(leaning[ANGLES.len() + near] < 0.01 && leaning[ANGLES.len() + far] > 0.5, "{leaning:?}");
        let mirrored = edge(-5.0);
        assert!((mirrored[ANGLES.len() + far] - leaning[ANGLES.len() + far]).abs() < 0.02, "{mirrored:?}");
    }

    #[test]
    fn a_thing_at_the_edge_is_told_from_one_in_the_middle() {
        let disc = |at: f32| {
            let found = framing(&picture(|x, y| if (x - at).hypot(y) < 30.0 { 220.0 } else { 60.0 }));
            <[f32; 2 * PLACES]>::try_from(&found[2 * ANGLES.len()..]).expect("the places")
        };
        let (middle, cut) = (disc(0.0), disc(104.0));
        for map in [0, PLACES] {
            assert!(cut[map] > 2.0 * middle[map], "{middle:?} {cut:?}");
            assert!(cut[map + 3] > 0.1 && middle[map + 3] < 0.01, "{middle:?} {cut:?}");
        }
    }

    #[test]
    fn any_picture_is_measured() {
        for (width, height) in [(1, 1), (16, 300), (40, 40), (224, 224)] {
            let bytes = vec![9; (width * height * 3) as usize];
            let found = framing(&Pixels::new(width, height, bytes).expect("whole pixels"));
            assert!(found.iter().all(|v| v.is_finite()), "{found:?}");
        }
    }
}

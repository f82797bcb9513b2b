//! `scene-layout`: a hand-made embedding for use without a trained model. It describes the layout of edge directions,
//! brightness and colour, which is enough to distinguish takes of one scene from those of another, without recognising
//! the content.
//!
//! Weights and sizes were chosen on bursts of 37 scenes (`tests/bench/results/cluster.md`): edge directions contribute
//! most, brightness and colour little but consistently. The measured numbers are whitened, since what most photos have
//! in common (a horizon, a bright sky, a subject in the middle) does not distinguish scenes.

use std::sync::LazyLock;

use super::whitening::Whitening;
use base::pixels::Pixels;

pub const NAME: &str = "scene-layout";
/// The version, which changes with the numbers, so that cached embeddings are not mixed with new ones.
pub const VERSION: u32 = 3;

/// The side, in pixels, to which photos are shrunk regardless of aspect ratio. Small changes of framing then stay
/// within a cell.
const SIDE: usize = 64;
const PIXELS: usize = SIDE * SIDE;

const EDGE_CELLS: usize = 6;
const DIRECTIONS: usize = 12;
const LIGHT_CELLS: usize = 8;
const COLOUR_CELLS: usize = 4;
const COLOUR_BINS: usize = 8;

/// The weights of the parts in the cosine, before the whole is normalised.
const EDGE_SHARE: f32 = 4.0;
const LIGHT_SHARE: f32 = 1.0;
const COLOUR_SHARE: f32 = 0.5;
const PALETTE_SHARE: f32 = 0.5;

/// The length of the output of [`measure`].
pub const MEASURED: usize = EDGE_CELLS * EDGE_CELLS * DIRECTIONS
    + LIGHT_CELLS * LIGHT_CELLS
    + COLOUR_CELLS * COLOUR_CELLS * 2
    + COLOUR_BINS * COLOUR_BINS;

/// The length of the output of [`describe`].
pub const DIM: usize = 256;

/// The whitening, computed from unrelated photographs by `make layout-whitening`.
static WHITENING: LazyLock<Whitening> =
    LazyLock::new(|| Whitening::from_bytes(include_bytes!("scene_layout.whitening"), MEASURED, DIM));

/// Returns the embedding: [`DIM`] numbers of unit length.
pub fn describe(pixels: &Pixels) -> Vec<f32> {
    WHITENING.apply(&measure(pixels))
}

/// Returns the [`MEASURED`] numbers of unit length before whitening.
pub fn measure(pixels: &Pixels) -> Vec<f32> {
    let [light, green_red, blue_yellow] = lab(&shrink(pixels));
    let mut whole = Vec::with_capacity(DIM);
    let mut add = |part: Vec<f32>, share: f32| {
        let scale = share.sqrt();
        whole.extend(unit(part).into_iter().map(|value| value * scale));
    };
    add(edges(&blur(&light, 1.0)), EDGE_SHARE);
    add(centred(cells(&blur(&light, 3.0), LIGHT_CELLS)), LIGHT_SHARE);
    add([cells(&green_red, COLOUR_CELLS), cells(&blue_yellow, COLOUR_CELLS)].concat(), COLOUR_SHARE);
    add(palette(&green_red, &blue_yellow), PALETTE_SHARE);
    unit(whole)
}

/// Scales to length 1; a zero vector stays zero.
fn unit(mut values: Vec<f32>) -> Vec<f32> {
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm > 1e-9 {
        for value in &mut values {
            *value /= norm;
        }
    }
    values
}

/// Subtracts the mean. This removes exposure from brightness, and lets different histograms have a negative cosine.
fn centred(mut values: Vec<f32>) -> Vec<f32> {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    for value in &mut values {
        *value -= mean;
    }
    values
}

/// For each target pixel, the first of its source pixels along one axis, and the weights from there on.
fn spans(length: usize) -> Vec<(usize, Vec<f32>)> {
    let step = length as f64 / SIDE as f64;
    let span = |target: usize| {
        let (from, to) = (target as f64 * step, (target + 1) as f64 * step);
        let first = (from as usize).min(length - 1);
        let end = (to.ceil() as usize).min(length).max(first + 1);
        let share = |at: usize| ((to.min((at + 1) as f64) - from.max(at as f64)) / step) as f32;
        (first, (first..end).map(share).collect())
    };
    (0..SIDE).map(span).collect()
}

/// Shrinks by area averaging to `PIXELS` RGB values of 0..=255: down first, where neighbours lie side by side.
fn shrink(pixels: &Pixels) -> Vec<[f32; 3]> {
    let columns = spans(pixels.width() as usize);
    let rows: Vec<&[u8]> = pixels.rows().collect();
    let mut sums = vec![0.0_f32; 3 * pixels.width() as usize];
    let mut small = Vec::with_capacity(PIXELS);
    for (first, shares) in spans(pixels.height() as usize) {
        sums.fill(0.0);
        for (row, share) in rows[first..].iter().zip(shares) {
            for (sum, value) in sums.iter_mut().zip(*row) {
                *sum += share * f32::from(*value);
            }
        }
        for (first, shares) in &columns {
            let mut cell = [0.0_f32; 3];
            for (pixel, share) in sums.as_chunks::<3>().0[*first..].iter().zip(shares) {
                (0..3).for_each(|channel| cell[channel] += share * pixel[channel]);
            }
            small.push(cell);
        }
    }
    small
}

/// Converts to CIE L*a*b* under D65, as three planes.
fn lab(pixels: &[[f32; 3]]) -> [Vec<f32>; 3] {
    let linear = |value: f32| {
        let value = value / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let curve = |t: f32| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let mut planes = [Vec::with_capacity(PIXELS), Vec::with_capacity(PIXELS), Vec::with_capacity(PIXELS)];
    for pixel in pixels {
        let [r, g, b] = pixel.map(linear);
        let x = curve((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
        let y = curve(0.2126 * r + 0.7152 * g + 0.0722 * b);
        let z = curve((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
        for (plane, value) in planes.iter_mut().zip([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]) {
            plane.push(value);
        }
    }
    planes
}

/// Gaussian blur with repeated edge pixels.
fn blur(plane: &[f32], sigma: f32) -> Vec<f32> {
    let radius = (4.0 * sigma).ceil() as usize;
    let kernel: Vec<f32> =
        (0..=2 * radius).map(|at| (-0.5 * ((at as f32 - radius as f32) / sigma).powi(2)).exp()).collect();
    let mut across = Vec::with_capacity(PIXELS);
    for line in plane.chunks_exact(SIDE) {
        let (first, last) = (vec![line[0]; radius], vec![line[SIDE - 1]; radius]);
        let wide = [&first, line, &last].concat();
        across.extend(average(&kernel, |at| &wide[at..]));
    }
    let row = |at: usize| &across[SIDE * at.saturating_sub(radius).min(SIDE - 1)..];
    (0..SIDE).flat_map(|y| average(&kernel, |at| row(y + at))).collect()
}

/// The average of as many rows as there are weights.
fn average<'a>(weights: &[f32], row: impl Fn(usize) -> &'a [f32]) -> [f32; SIDE] {
    let mut sums = [0.0; SIDE];
    for (at, weight) in weights.iter().enumerate() {
        for (sum, value) in sums.iter_mut().zip(row(at)) {
            *sum += weight * value;
        }
    }
    let total: f32 = weights.iter().sum();
    sums.map(|sum| sum / total)
}

/// Means over a grid of `count` x `count` squares.
fn cells(plane: &[f32], count: usize) -> Vec<f32> {
    let side = SIDE / count;
    let mut sums = vec![0.0; count * count];
    for (at, value) in plane.iter().enumerate() {
        sums[at / SIDE / side * count + at % SIDE / side] += value;
    }
    sums.iter().map(|sum| sum / (side * side) as f32).collect()
}

/// Histograms of edge directions around a grid of points. The square root keeps a single strong edge from dominating;
/// normalising the length removes the overall strength, and with it contrast and blur.
fn edges(light: &[f32]) -> Vec<f32> {
    let mut votes = vec![[0.0_f32; DIRECTIONS]; PIXELS];
    for y in 0..SIDE {
        for x in 0..SIDE {
            let inner = |at: usize| at > 0 && at < SIDE - 1;
            let dx = if inner(x) { light[y * SIDE + x + 1] - light[y * SIDE + x - 1] } else { 0.0 };
            let dy = if inner(y) { light[(y + 1) * SIDE + x] - light[(y - 1) * SIDE + x] } else { 0.0 };
            let strength = dx.hypot(dy);
            // Opposite directions are equivalent, so half a turn covers all.
            let turn = dy.atan2(dx).rem_euclid(std::f32::consts::PI) / std::f32::consts::PI * DIRECTIONS as f32;
            let share = turn - turn.floor();
            let first = turn as usize % DIRECTIONS;
            votes[y * SIDE + x][first] += strength * (1.0 - share);
            votes[y * SIDE + x][(first + 1) % DIRECTIONS] += strength * share;
        }
    }
    centred(unit(gather(&votes)).into_iter().map(f32::sqrt).collect())
}

/// Sums the votes around each grid point with weights that fall with distance, so that an edge between two cells counts
/// in both.
fn gather(votes: &[[f32; DIRECTIONS]]) -> Vec<f32> {
    let spread = SIDE as f32 / 2.0 / EDGE_CELLS as f32;
    let weights: Vec<[f32; SIDE]> = (0..EDGE_CELLS)
        .map(|cell| {
            let centre = ((cell as f32 + 0.5) * SIDE as f32 / EDGE_CELLS as f32).floor();
            std::array::from_fn(|at| (-0.5 * ((at as f32 - centre) / spread).powi(2)).exp())
        })
        .collect();
    let mut all = Vec::with_capacity(EDGE_CELLS * EDGE_CELLS * DIRECTIONS);
    for down in &weights {
        let mut strip = [[0.0_f32; DIRECTIONS]; SIDE];
        for (line, weight) in votes.chunks_exact(SIDE).zip(down) {
            for (sum, vote) in strip.iter_mut().zip(line) {
                (0..DIRECTIONS).for_each(|k| sum[k] += weight * vote[k]);
            }
        }
        for across in &weights {
            let mut sum = [0.0_f32; DIRECTIONS];
            for (vote, weight) in strip.iter().zip(across) {
                (0..DIRECTIONS).for_each(|k| sum[k] += weight * vote[k]);
            }
            all.extend(sum);
        }
    }
    all
}

/// A histogram of colour regardless of position, over a* and b* with linear interpolation and finer bins near grey.
fn palette(green_red: &[f32], blue_yellow: &[f32]) -> Vec<f32> {
    let place = |value: f32| {
        let value = (value / 80.0).clamp(-1.0, 1.0);
        let at = f32::midpoint(value.signum() * value.abs().sqrt(), 1.0) * (COLOUR_BINS - 1) as f32;
        let low = (at as usize).min(COLOUR_BINS - 2);
        (low, at - low as f32)
    };
    let mut bins = vec![0.0_f32; COLOUR_BINS * COLOUR_BINS];
    for (&a, &b) in green_red.iter().zip(blue_yellow) {
        let ((row, down), (column, across)) = (place(a), place(b));
        for (r, vertical) in [(row, 1.0 - down), (row + 1, down)] {
            for (c, horizontal) in [(column, 1.0 - across), (column + 1, across)] {
                bins[r * COLOUR_BINS + c] += vertical * horizontal;
            }
        }
    }
    centred(bins.iter().map(|count| (count / PIXELS as f32).sqrt()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A drawn scene of a house on a hill; `shift` changes the framing, `gain` the exposure, `seed` the scene.
    fn scene(width: u32, height: u32, shift: f32, gain: f32, seed: f32) -> Pixels {
        let mut data = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (u, v) = (x as f32 / width as f32 + shift, y as f32 / height as f32);
                let hill = 0.5 + 0.2 * (u * (4.0 + seed) + seed).sin();
                let house = (u - 0.3 - 0.1 * seed).abs() < 0.08 && (v - 0.55).abs() < 0.1;
                let colour = if house {
                    [190.0, 70.0 + 20.0 * seed, 60.0]
                } else if v < hill {
                    [110.0, 150.0, 220.0 - 60.0 * v]
                } else {
                    [60.0 + 30.0 * (u * 40.0).sin(), 130.0, 50.0]
                };
                data.extend(colour.map(|value: f32| (value * gain).clamp(0.0, 255.0) as u8));
            }
        }
        Pixels::new(width, height, data).unwrap()
    }

    fn similarity(a: &Pixels, b: &Pixels) -> f32 {
        describe(a).iter().zip(describe(b)).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn takes_with_other_exposure_framing_or_size_stay_similar_and_another_scene_does_not() {
        let first = scene(300, 200, 0.0, 1.0, 0.0);
        for (what, take) in [
            ("exposure", scene(300, 200, 0.0, 0.7, 0.0)),
            ("framing", scene(300, 200, 0.02, 1.0, 0.0)),
            ("size", scene(150, 100, 0.0, 1.0, 0.0)),
        ] {
            assert!(similarity(&first, &take) > 0.7, "{what}: {}", similarity(&first, &take));
        }
        let other = similarity(&first, &scene(300, 200, 0.0, 1.0, 3.0));
        assert!(other < 0.62, "another scene: {other}");
    }

    #[test]
    fn any_picture_size_gives_a_unit_vector_of_the_documented_length() {
        for (width, height) in [(1, 1), (1, 500), (63, 65), (64, 64), (1000, 3)] {
            let described = describe(&scene(width, height, 0.0, 1.0, 1.0));
            assert_eq!(described.len(), DIM);
            let norm: f32 = described.iter().map(|value| value * value).sum();
            assert!((norm - 1.0).abs() < 1e-4, "{width}x{height}: {norm}");
        }
        let black = describe(&Pixels::new(9, 9, vec![0; 243]).unwrap());
        assert!(black.iter().all(|value| value.is_finite()) && black.iter().any(|value| *value != 0.0));
    }
}

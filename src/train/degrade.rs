//! Adds synthetic faults to clean photos; kinds and strengths are the labels.

use jpeg_encoder::{ColorType, Encoder};

use super::rng::Rng;
use base::pixels::Pixels;
use networks::mini::DEGRADATIONS;
use photo::{self, Limits, Scale, resize};

/// Strength of each fault of [`DEGRADATIONS`], 0 (none) to 1.
pub type Strengths = [f32; DEGRADATIONS.len()];

pub const BLUR: usize = 0;
pub const NOISE: usize = 1;
pub const CAST: usize = 2;
pub const EXPOSURE: usize = 3;
pub const JPEG: usize = 4;

/// Blend targets of colour casts.
const TINTS: [[f32; 3]; 8] = [
    [255.0, 190.0, 190.0],
    [190.0, 255.0, 190.0],
    [190.0, 190.0, 255.0],
    [255.0, 255.0, 180.0],
    [255.0, 190.0, 255.0],
    [190.0, 255.0, 255.0],
    [255.0, 215.0, 165.0],
    [170.0, 195.0, 255.0],
];

/// Adds one to three random faults in random order.
pub fn with_random_faults(photo: &Pixels, rng: &mut Rng) -> (Pixels, Strengths) {
    let mut strengths = [0.0; DEGRADATIONS.len()];
    let mut kinds = [BLUR, BLUR, NOISE, CAST, EXPOSURE, EXPOSURE, JPEG];
    rng.shuffle(&mut kinds);
    let count = match rng.unit() {
        v if v < 0.7 => 1,
        v if v < 0.93 => 2,
        _ => 3,
    };
    let mut photo = photo.clone();
    for &kind in &kinds[..count] {
        if strengths[kind] > 0.0 {
            continue;
        }
        let strength = rng.between(0.08, 1.0);
        photo = apply(&photo, kind, strength, rng);
        strengths[kind] = strength;
    }
    (photo, strengths)
}

/// Adds one fault of a given strength.
pub fn apply(photo: &Pixels, kind: usize, strength: f32, rng: &mut Rng) -> Pixels {
    match kind {
        BLUR => blurred(photo, strength, rng),
        NOISE => noisy(photo, strength, rng),
        CAST => tinted(photo, strength, rng),
        EXPOSURE => exposed(photo, strength, rng),
        _ => encoded(photo, (70.0 - 64.0 * strength.sqrt()) as u8),
    }
}

pub(super) fn mapped(photo: &Pixels, mut value: impl FnMut(usize, f32) -> f32) -> Pixels {
    let bytes =
        photo.data().iter().enumerate().map(|(i, v)| value(i % 3, f32::from(*v)).round().clamp(0.0, 255.0) as u8);
    same_size(photo, bytes.collect())
}

fn same_size(photo: &Pixels, data: Vec<u8>) -> Pixels {
    Pixels::new(photo.width(), photo.height(), data).unwrap_or_else(|| photo.clone())
}

/// Defocus (a disc or a Gaussian) or motion blur (a line). At full strength a disc is about a twentieth of the picture
/// wide.
fn blurred(photo: &Pixels, strength: f32, rng: &mut Rng) -> Pixels {
    let reach = photo.long_side() as f32 / 224.0;
    match rng.below(3) {
        0 => {
            let sigma = (0.35 + 2.9 * strength) * reach;
            let radius = (3.0 * sigma).ceil() as i32;
            let bell: Vec<f32> = (-radius..=radius).map(|x| (-0.5 * (x as f32 / sigma).powi(2)).exp()).collect();
            let line = |along: (i32, i32)| -> Vec<(i32, i32, f32)> {
                (-radius..=radius).zip(&bell).map(|(at, w)| (at * along.0, at * along.1, *w)).collect()
            };
            convolved(&convolved(photo, &line((1, 0))), &line((0, 1)))
        }
        1 => {
            let radius = (0.7 + 4.3 * strength) * reach;
            let reach = radius.ceil() as i32;
            let mut disc = Vec::new();
            for y in -reach..=reach {
                for x in -reach..=reach {
                    let inside = radius + 0.5 - ((x * x + y * y) as f32).sqrt();
                    if inside > 0.0 {
                        disc.push((x, y, inside.min(1.0)));
                    }
                }
            }
            convolved(photo, &disc)
        }
        _ => {
            let (length, angle) = ((2.0 + 13.0 * strength) * reach, rng.between(0.0, std::f32::consts::PI));
            let steps = (length * 2.0).ceil() as i32;
            let mut line: Vec<(i32, i32, f32)> = Vec::new();
            for step in 0..=steps {
                let at = (step as f32 / steps as f32 - 0.5) * length;
                let (x, y) = (at * angle.cos(), at * angle.sin());
                let (left, top) = (x.floor(), y.floor());
                for (dx, wx) in [(0, 1.0 - (x - left)), (1, x - left)] {
                    for (dy, wy) in [(0, 1.0 - (y - top)), (1, y - top)] {
                        let tap = (left as i32 + dx, top as i32 + dy, wx * wy);
                        match line.iter_mut().find(|there| (there.0, there.1) == (tap.0, tap.1)) {
                            Some(there) => there.2 += tap.2,
                            None => line.push(tap),
                        }
                    }
                }
            }
            convolved(photo, &line)
        }
    }
}

/// Convolution with sparse taps (x, y, weight), which are normalised; edges are repeated.
pub(super) fn convolved(photo: &Pixels, taps: &[(i32, i32, f32)]) -> Pixels {
    let (width, height) = (photo.width() as i32, photo.height() as i32);
    let total: f32 = taps.iter().map(|tap| tap.2).sum();
    let reach = taps.iter().map(|tap| tap.0.abs()).max().unwrap_or(0);
    let padded_width = (width + 2 * reach) as usize * 3;
    let mut padded = Vec::with_capacity(padded_width * height as usize);
    for row in photo.rows() {
        let (first, last) = (&row[..3], &row[row.len() - 3..]);
        (0..reach).for_each(|_| padded.extend(first.iter().map(|v| f32::from(*v))));
        padded.extend(row.iter().map(|v| f32::from(*v)));
        (0..reach).for_each(|_| padded.extend(last.iter().map(|v| f32::from(*v))));
    }
    let mut out = Vec::with_capacity(photo.data().len());
    let mut line = vec![0.0f32; width as usize * 3];
    for y in 0..height {
        line.fill(0.0);
        for (dx, dy, weight) in taps {
            let from = (y + dy).clamp(0, height - 1) as usize * padded_width + (reach + dx) as usize * 3;
            let source = &padded[from..from + line.len()];
            line.iter_mut().zip(source).for_each(|(sum, v)| *sum += weight * v);
        }
        out.extend(line.iter().map(|v| (v / total).round().clamp(0.0, 255.0) as u8));
    }
    same_size(photo, out)
}

/// Luminance and colour noise, stronger in the dark; sometimes dead pixels instead.
fn noisy(photo: &Pixels, strength: f32, rng: &mut Rng) -> Pixels {
    if rng.chance(0.15) {
        let share = 0.002 + 0.05 * strength;
        let mut data = photo.data().to_vec();
        for pixel in data.as_chunks_mut::<3>().0 {
            if rng.chance(share) {
                *pixel = if rng.chance(0.5) { [255; 3] } else { [0; 3] };
            }
        }
        return same_size(photo, data);
    }
    let (sigma, colour) = (3.0 + 37.0 * strength, rng.between(0.2, 1.0));
    let dark = rng.between(0.0, 0.7);
    let mut shared = 0.0;
    mapped(photo, |channel, v| {
        if channel == 0 {
            shared = rng.normal();
        }
        let own = rng.normal();
        v + sigma * (1.0 - dark * v / 255.0) * (shared * (1.0 - colour) + own * colour)
    })
}

fn tinted(photo: &Pixels, strength: f32, rng: &mut Rng) -> Pixels {
    if rng.chance(0.5) {
        let (tint, share) = (TINTS[rng.below(TINTS.len())], 0.06 + 0.42 * strength);
        return mapped(photo, |channel, v| v * (1.0 - share) + tint[channel] * share);
    }
    // A wrong white balance: opposite gains of red and blue, or of green against both.
    let gain = 1.0 + 0.08 + 0.55 * strength;
    let gains = match rng.below(4) {
        0 => [gain, 1.0, 1.0 / gain],
        1 => [1.0 / gain, 1.0, gain],
        2 => [1.0 / gain.sqrt(), gain.sqrt(), 1.0 / gain.sqrt()],
        _ => [gain.sqrt(), 1.0 / gain.sqrt(), gain.sqrt()],
    };
    mapped(photo, |channel, v| v * gains[channel])
}

/// Over- or underexposure by up to two and a half stops, in linear light.
fn exposed(photo: &Pixels, strength: f32, rng: &mut Rng) -> Pixels {
    let stops = (0.25 + 2.25 * strength) * if rng.chance(0.5) { 1.0 } else { -1.0 };
    let gain = stops.exp2();
    let table: Vec<f32> =
        (0..256).map(|v| ((v as f32 / 255.0).powf(2.2) * gain).min(1.0).powf(1.0 / 2.2) * 255.0).collect();
    mapped(photo, |_, v| table[v as usize])
}

/// Encodes as JPEG and decodes again.
pub fn encoded(photo: &Pixels, quality: u8) -> Pixels {
    let mut bytes = Vec::new();
    let (width, height) = (photo.width() as u16, photo.height() as u16);
    let written = Encoder::new(&mut bytes, quality.clamp(1, 100)).encode(photo.data(), width, height, ColorType::Rgb);
    let read = written.ok().and_then(|()| photo::decode(&bytes, Scale::Full, &Limits::default()).ok());
    read.map_or_else(|| photo.clone(), |decoded| decoded.pixels)
}

/// A random crop resized to a square, as if framing and distance had changed.
pub fn reframed(photo: &Pixels, side: u32, rng: &mut Rng) -> Pixels {
    let share = rng.between(0.7, 1.0);
    let stretch = rng.between(0.9, 1.11).sqrt();
    let cut = |whole: u32, share: f32| ((whole as f32 * share.min(1.0)) as u32).max(16).min(whole);
    let (width, height) = (cut(photo.width(), share * stretch), cut(photo.height(), share / stretch));
    let x = rng.below((photo.width() - width + 1) as usize) as u32;
    let y = rng.below((photo.height() - height + 1) as usize) as u32;
    let part = resize::crop(photo, x, y, width, height).unwrap_or_else(|| photo.clone());
    resize::resize(&part, side, side, resize::Filter::Bicubic)
}

pub fn mirrored(photo: &Pixels) -> Pixels {
    let mut data = Vec::with_capacity(photo.data().len());
    for row in photo.rows() {
        row.as_chunks::<3>().0.iter().rev().for_each(|pixel| data.extend_from_slice(pixel));
    }
    same_size(photo, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use judge::quality::{Weights, measure};

    fn photo() -> Pixels {
        let mut rng = Rng::at(3, [0, 0]);
        let data = (0..96 * 96).flat_map(|i| {
            let (x, y) = (i % 96, i / 96);
            let checks = if (x / 7 + y / 9) % 2 == 0 { 60.0 } else { 170.0 };
            [checks + rng.between(0.0, 20.0), checks, 220.0 - checks].map(|v| v as u8)
        });
        Pixels::new(96, 96, data.collect()).expect("whole pixels")
    }

    #[test]
    fn each_fault_does_what_it_says_and_more_when_stronger() {
        let photo = photo();
        let weights = Weights::default();
        let difference = |a: &Pixels| {
            let sum: f64 = a.data().iter().zip(photo.data()).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).sum();
            sum / photo.data().len() as f64
        };
        for (kind, name) in DEGRADATIONS.iter().enumerate() {
            for seed in 0..6 {
                let made = |strength| apply(&photo, kind, strength, &mut Rng::at(seed, [1, 1]));
                let (weak, strong) = (made(0.1), made(1.0));
                assert!(difference(&strong) > difference(&weak), "{name} {seed}");
                if kind == BLUR {
                    let sharp = measure(&photo, &weights).sharpness_raw;
                    assert!(measure(&strong, &weights).sharpness_raw < 0.6 * sharp, "{seed}");
                }
            }
        }
    }

    #[test]
    fn a_fault_repeats_with_its_chance() {
        let photo = photo();
        let draw = || with_random_faults(&photo, &mut Rng::at(7, [1, 2]));
        assert_eq!(draw(), draw());
        assert!(draw().1.iter().any(|strength| *strength > 0.0));
        assert_eq!(mirrored(&mirrored(&photo)), photo);
        assert_eq!(reframed(&photo, 64, &mut Rng::at(1, [1, 1])).width(), 64);
    }
}

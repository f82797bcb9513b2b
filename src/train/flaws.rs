//! Adds the four flaws of the multi-head quality model to clean photos; the strengths are the labels.

use super::degrade::{convolved, mapped};
use super::rng::Rng;
use super::watermark;
use base::pixels::Pixels;
use networks::multihead::DEGRADATIONS;

pub type Strengths = [f32; DEGRADATIONS.len()];

/// Weights of the heads in the loss; watermarks are the hardest to detect.
pub const LOSS_WEIGHTS: [f32; DEGRADATIONS.len()] = [1.0, 1.0, 1.5, 1.0];

const TINTS: [[f32; 3]; 8] = [
    [255.0, 200.0, 200.0],
    [200.0, 255.0, 200.0],
    [200.0, 200.0, 255.0],
    [255.0, 255.0, 200.0],
    [255.0, 200.0, 255.0],
    [200.0, 255.0, 255.0],
    [255.0, 220.0, 180.0],
    [180.0, 200.0, 255.0],
];

/// Adds none to all four flaws, in random order.
pub fn with_random_flaws(photo: &Pixels, rng: &mut Rng) -> (Pixels, Strengths) {
    let mut heads = [0, 1, 2, 3];
    rng.shuffle(&mut heads);
    let count = rng.below(heads.len() + 1);
    let (mut photo, mut strengths) = (photo.clone(), [0.0; DEGRADATIONS.len()]);
    for &head in &heads[..count] {
        let strength = rng.between(0.1, if matches!(head, 0 | 2) { 0.5 } else { 1.0 });
        photo = apply(&photo, head, strength, rng);
        strengths[head] = strength;
    }
    (photo, strengths)
}

/// Adds one flaw of a given strength, by its index in [`DEGRADATIONS`].
pub fn apply(photo: &Pixels, head: usize, strength: f32, rng: &mut Rng) -> Pixels {
    match head {
        0 => {
            let tint = TINTS[rng.below(TINTS.len())];
            mapped(photo, |channel, v| v * (1.0 - strength) + tint[channel] * strength)
        }
        1 => blurred(photo, strength, rng),
        2 => watermark::apply(photo, strength, rng),
        _ => noisy(photo, strength, rng),
    }
}

fn blurred(photo: &Pixels, strength: f32, rng: &mut Rng) -> Pixels {
    let radius = ((1.0 + 9.0 * strength) as i32).max(1);
    let separable = |line: &dyn Fn(i32) -> f32, reach: i32| {
        let taps = |along: (i32, i32)| -> Vec<(i32, i32, f32)> {
            (-reach..=reach).map(|at| (at * along.0, at * along.1, line(at))).collect()
        };
        convolved(&convolved(photo, &taps((1, 0))), &taps((0, 1)))
    };
    match rng.below(3) {
        0 => separable(&|at| (-0.5 * (at as f32 / radius as f32).powi(2)).exp(), 3 * radius),
        1 => separable(&|_| 1.0, radius),
        _ => {
            let reach = (5.0 + 15.0 * strength) as i32 / 2;
            let along = [(1, 0), (0, 1), (1, 1)][rng.below(3)];
            let taps: Vec<_> = (-reach..=reach).map(|at| (at * along.0, at * along.1, 1.0)).collect();
            convolved(photo, &taps)
        }
    }
}

fn noisy(photo: &Pixels, strength: f32, rng: &mut Rng) -> Pixels {
    match rng.below(3) {
        0 => {
            let sigma = 10.0 + 40.0 * strength;
            mapped(photo, |_, v| v + sigma * rng.normal())
        }
        1 => {
            let share = 0.01 + 0.09 * strength;
            let mut dot = None;
            mapped(photo, |channel, v| {
                if channel == 0 {
                    dot = rng.chance(share).then(|| if rng.chance(0.5) { 255.0 } else { 0.0 });
                }
                dot.unwrap_or(v)
            })
        }
        // Shot noise: the Poisson distribution of photon counts, approximated by a normal one.
        _ => {
            let levels = 255.0 * (1.0 - 0.5 * strength) * 0.25;
            mapped(photo, |_, v| v + 255.0 / levels * (v / 255.0 * levels).sqrt() * rng.normal())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flaw_changes_the_photo_and_more_when_stronger() {
        let data = (0..96 * 96)
            .flat_map(|at| [(at % 96 * 2) as u8, (at / 96 * 2) as u8, if at / 7 % 2 == 0 { 60 } else { 180 }]);
        let photo = Pixels::new(96, 96, data.collect()).expect("pixels");
        let difference = |other: &Pixels| -> f64 {
            other.data().iter().zip(photo.data()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum()
        };
        for (head, name) in DEGRADATIONS.iter().enumerate() {
            for seed in 0..9 {
                let made = |strength| apply(&photo, head, strength, &mut Rng::at(seed, [1, 1]));
                let (weak, strong) = (difference(&made(0.1)), difference(&made(0.5)));
                assert!(weak > 0.0 && strong > weak, "{name} {seed}: {weak} {strong}");
            }
        }
        let mut seen = [false; 5];
        for seed in 0..60 {
            let (made, strengths) = with_random_flaws(&photo, &mut Rng::at(seed, [2, 2]));
            let flaws = strengths.iter().filter(|strength| **strength > 0.0).count();
            seen[flaws] = true;
            assert_eq!(flaws == 0, made == photo);
        }
        assert_eq!(seen, [true; 5]);
    }
}

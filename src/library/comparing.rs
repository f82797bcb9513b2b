//! Which of two photos is better, where no network was trained to say so.

use crate::analyses::Found;
use crate::config::AlbumSelection;

/// The parts of the composite that can be had, their weights rescaled.
pub fn composite(found: &Found, weights: &AlbumSelection) -> f64 {
    let quality = found.quality.overall;
    let Some(score) = found.aesthetic else { return quality };
    let beauty = (f64::from(score) - 1.0) / 9.0;
    let total = weights.ava_weight + weights.iqa_weight;
    let weighed = weights.ava_weight * beauty + weights.iqa_weight * quality;
    if total > 0.0 { weighed / total } else { quality }
}

/// The original's confidence for scores, on 0.5 to 1: their difference as a share of the larger one.
pub fn likelihood(a: f64, b: f64) -> f64 {
    0.5 + (a - b) / a.max(b).max(1e-6) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_become_a_probability_that_mirrors() {
        assert!((likelihood(0.4, 0.4) - 0.5).abs() < 1e-12);
        assert!((likelihood(0.8, 0.4) - 0.75).abs() < 1e-12);
        assert!((likelihood(0.4, 0.8) - 0.25).abs() < 1e-12);
        assert!((0.5..=1.0).contains(&likelihood(1.0, 0.0)));
    }
}

//! Which of two photos is better, where no network was trained to say so.

use crate::analyses::Found;
use crate::config::AlbumSelection;
use crate::select::{Parts, Weights};

pub fn weights(selection: &AlbumSelection) -> Weights {
    Weights { aesthetic: selection.ava_weight, iqa: selection.iqa_weight, portrait: selection.portrait_weight }
}

/// What `select` ranks by. All that has a weight may be missing; then no photo is better than another.
pub fn composite(found: &Found, weights: &Weights) -> f64 {
    let parts = Parts::new(found.aesthetic_score(), Ok(found.quality.overall), &found.portrait(), weights);
    parts.composite().unwrap_or(0.0)
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

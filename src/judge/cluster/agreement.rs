//! Measures of agreement between two groupings of the same photos.

use std::collections::HashMap;
use std::hash::Hash;

/// The number of unordered pairs among `n`.
fn pairs(n: u64) -> f64 {
    n as f64 * (n as f64 - 1.0) / 2.0
}

/// Counts the pairs together in both groupings, in the first, in the second, and all pairs. If one slice is longer, its
/// excess is ignored.
fn together<A: Hash + Eq, B: Hash + Eq>(first: &[A], second: &[B]) -> (f64, f64, f64, f64) {
    let (mut both, mut a, mut b) = (HashMap::new(), HashMap::new(), HashMap::new());
    let mut n = 0_u64;
    for (x, y) in first.iter().zip(second) {
        *both.entry((x, y)).or_insert(0_u64) += 1;
        *a.entry(x).or_insert(0_u64) += 1;
        *b.entry(y).or_insert(0_u64) += 1;
        n += 1;
    }
    let count = |counts: Vec<u64>| -> f64 { counts.into_iter().map(pairs).sum() };
    (count(both.into_values().collect()), count(a.into_values().collect()), count(b.into_values().collect()), pairs(n))
}

/// The adjusted Rand index: 1 for equal groupings, about 0 for unrelated ones.
pub fn adjusted_rand<A: Hash + Eq, B: Hash + Eq>(first: &[A], second: &[B]) -> f64 {
    let (both, a, b, all) = together(first, second);
    let by_chance = if all > 0.0 { a * b / all } else { 0.0 };
    let most = f64::midpoint(a, b);
    if (most - by_chance).abs() < f64::EPSILON * most.max(1.0) { 1.0 } else { (both - by_chance) / (most - by_chance) }
}

/// Precision and recall of the pairs of a grouping against the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairwiseScore {
    /// The share of the grouped pairs that belong together; 1 if no pair was grouped.
    pub precision: f64,
    /// The share of the pairs belonging together that were grouped; 1 if no pair belongs together.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
}

pub fn pairwise<A: Hash + Eq, B: Hash + Eq>(truth: &[A], found: &[B]) -> PairwiseScore {
    let (both, belong, put, _) = together(truth, found);
    let share = |of: f64| if of > 0.0 { both / of } else { 1.0 };
    let (precision, recall) = (share(put), share(belong));
    let sum = precision + recall;
    PairwiseScore { precision, recall, f1: if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_groupings_with_other_labels_agree_fully() {
        let (a, b) = ([0, 0, 1, 1, 2], ["x", "x", "q", "q", "z"]);
        assert!((adjusted_rand(&a, &b) - 1.0).abs() < 1e-12);
        assert!((pairwise(&a, &b).f1 - 1.0).abs() < 1e-12);
    }

    /// Of 15 pairs, 6 are together in `truth`, 3 in `found`, 2 in both.
    #[test]
    fn equals_a_case_computed_by_hand() {
        let (truth, found) = ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2]);
        let score = pairwise(&truth, &found);
        assert!((score.precision - 2.0 / 3.0).abs() < 1e-12 && (score.recall - 1.0 / 3.0).abs() < 1e-12);
        assert!((score.f1 - 4.0 / 9.0).abs() < 1e-12);
        let expected = (2.0 - 6.0 * 3.0 / 15.0) / (4.5 - 6.0 * 3.0 / 15.0);
        assert!((adjusted_rand(&truth, &found) - expected).abs() < 1e-12);
    }

    #[test]
    fn groups_of_one_and_no_photos_are_defined() {
        assert_eq!(adjusted_rand(&[0, 1, 2], &[5, 6, 7]).to_bits(), 1.0_f64.to_bits());
        assert_eq!(adjusted_rand::<u8, u8>(&[], &[]).to_bits(), 1.0_f64.to_bits());
        let one_blob = pairwise(&[0, 1, 2], &[0, 0, 0]);
        assert!(one_blob.precision.abs() < 1e-12 && (one_blob.recall - 1.0).abs() < 1e-12);
    }
}

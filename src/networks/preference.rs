//! The preference between two photos: a head over the difference of their features.

use super::head::FusedHead;

/// The photo of a pair that the head's second class stands for. In the original's training it is the second photo; the
/// original's inference read it the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class1 {
    First,
    #[default]
    Second,
}

/// The probability that the first photo is the better one, computed in both orders. Swapping the photos mirrors it exactly,
/// a photo against itself gives one half, and a bias of the head for one side cancels.
pub fn first_is_better(head: &FusedHead, class_1: Class1, first: &[f32], second: &[f32]) -> f32 {
    let lead = |a: &[f32], b: &[f32]| {
        let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let logits = head.apply(&difference);
        f64::from(logits[1]) - f64::from(logits[0])
    };
    let second_class = (lead(first, second) - lead(second, first)) / 2.0;
    let for_first = if class_1 == Class1::First { second_class } else { -second_class };
    stronger(for_first)
}

/// The probability for a lead of the first photo.
pub fn stronger(lead: f64) -> f32 {
    // The smaller probability is computed and the other is its complement: both orders share their rounding.
    let smaller = (1.0 / (1.0 + lead.abs().exp())) as f32;
    if lead > 0.0 { 1.0 - smaller } else { smaller }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{InMemory, Ledger};
    use crate::head::{Bend, HeadConfig};
    use kernels::{Cpu, Engine, Precision};

    fn head(hidden: Vec<usize>) -> FusedHead {
        let config = HeadConfig { inputs: 4, hidden, outputs: 2, bend: Bend::Tanh, dropout: 0.0 };
        let widths = [&[4], config.hidden.as_slice(), &[2]].concat();
        let mut memory = InMemory::default();
        for (i, pair) in widths.windows(2).enumerate() {
            let weight = (0..pair[0] * pair[1]).map(|k| (k as f32 * 0.9 + i as f32).sin()).collect();
            memory.tensors.insert(format!("{}.weight", 3 * i), (vec![pair[1], pair[0]], weight));
            let bias = (0..pair[1]).map(|k| k as f32).collect();
            memory.tensors.insert(format!("{}.bias", 3 * i), (vec![pair[1]], bias));
        }
        let ledger = Ledger::new(&memory);
        let engine = Engine { cpu: Cpu::Plain, precision: Precision::Full };
        FusedHead::new(&config, engine, &ledger.root()).unwrap()
    }

    #[test]
    fn swapping_mirrors_and_a_photo_ties_with_itself() {
        let (a, b) = ([0.3, -1.0, 2.0, 0.1], [0.2, 0.5, -0.4, 0.9]);
        for hidden in [vec![], vec![5, 3]] {
            let head = head(hidden);
            let there = first_is_better(&head, Class1::Second, &a, &b);
            let back = first_is_better(&head, Class1::Second, &b, &a);
            assert_eq!(there, 1.0 - back);
            assert_eq!(there, first_is_better(&head, Class1::First, &b, &a));
            assert!((there - 0.5).abs() > 1e-3);
            assert_eq!(first_is_better(&head, Class1::Second, &a, &a), 0.5);
        }
    }

    #[test]
    fn the_second_class_of_a_linear_head_votes_for_the_second_photo() {
        let head = head(vec![]);
        // Second class minus first, for a positive first number only: sin(3.6) - sin(0) < 0.
        let (a, b) = ([1.0, 0.0, 0.0, 0.0], [0.0; 4]);
        assert!(first_is_better(&head, Class1::Second, &a, &b) > 0.5);
    }
}

//! Whether a taste helps: predictions for scenes that it did not learn from, beside the default.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Decisions, Example};

/// Fewer than so many scenes, or so many photos kept or rejected, tell nothing.
const LEAST_SCENES: usize = 6;
const LEAST_OF_EACH: usize = 4;
const MOST_FOLDS: usize = 10;
/// Standard errors on each side of an interval of 98 %.
const ERRORS: f64 = 2.33;

/// How often the better of two photos is put first. Both photos are of scenes that were not learned from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// By the composite score alone; ties count half.
    pub default: f64,
    /// With the taste.
    pub taste: f64,
    /// The interval of 98 % of the difference, by leaving out each scene in turn.
    pub low: f64,
    pub high: f64,
    /// Whether the interval of `taste` is clear of one half: a default that chance made look worse proves nothing.
    pub beats_chance: bool,
}

/// `None` where too little was decided.
pub(super) fn validate(decisions: &Decisions) -> Option<Validation> {
    let Decisions { examples, pairs, .. } = *decisions;
    let of_word = |kept: bool| -> Vec<usize> {
        (0..examples.len()).filter(|&photo| examples[photo].kept == Some(kept)).collect()
    };
    let (kept, rejected) = (of_word(true), of_word(false));
    // Photos that take part in nothing but belong to a scene would only make it look larger.
    let taking_part =
        kept.iter().chain(&rejected).copied().chain(pairs.iter().flat_map(|pair| [pair.better, pair.worse]));
    let mut scenes: BTreeMap<u64, usize> = taking_part.map(|photo| (examples[photo].scene, 0)).collect();
    scenes.values_mut().enumerate().for_each(|(number, scene)| *scene = number);
    let told = if kept.len().min(rejected.len()) >= LEAST_OF_EACH { kept.len() * rejected.len() } else { 0 };
    if scenes.len() < LEAST_SCENES || (told == 0 && pairs.len() < 2 * LEAST_OF_EACH) {
        return None;
    }
    let predicted = predictions(decisions, &scenes);
    let default: Vec<f64> = (0..examples.len()).map(|photo| decisions.composite(photo)).collect();
    let mut sums = vec![[0.0; 3]; scenes.len()];
    let mut total = [0.0; 3];
    let mut compare = |better: usize, worse: usize| {
        let first = |values: &[f64]| match values[better].total_cmp(&values[worse]) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        let compared = [first(&default), first(&predicted), 1.0];
        let of = [better, worse].map(|photo| scenes[&examples[photo].scene]);
        add(&mut total, compared);
        add(&mut sums[of[0]], compared);
        if of[0] != of[1] {
            add(&mut sums[of[1]], compared);
        }
    };
    if told > 0 {
        kept.iter().for_each(|&better| rejected.iter().for_each(|&worse| compare(better, worse)));
    }
    pairs.iter().for_each(|pair| compare(pair.better, pair.worse));
    let gain = |[default, taste, count]: [f64; 3]| (taste - default) / count.max(1.0);
    let right = |[_, taste, count]: [f64; 3]| taste / count.max(1.0);
    let (low, high) = interval(total, &sums, &gain);
    Some(Validation {
        default: total[0] / total[2],
        taste: total[1] / total[2],
        low,
        high,
        beats_chance: interval(total, &sums, &right).0 > 0.5,
    })
}

/// The interval of a figure by leaving out each scene in turn. `sums` are the parts of `total` that a scene has to do with.
fn interval(total: [f64; 3], sums: &[[f64; 3]], figure: &dyn Fn([f64; 3]) -> f64) -> (f64, f64) {
    let without = |left: &[f64; 3]| figure([total[0] - left[0], total[1] - left[1], total[2] - left[2]]);
    let left_out: Vec<f64> = sums.iter().map(without).collect();
    let count = left_out.len() as f64;
    let mean = left_out.iter().sum::<f64>() / count;
    let variance = (count - 1.0) / count * left_out.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let (middle, error) = (figure(total), variance.sqrt());
    (middle - ERRORS * error, middle + ERRORS * error)
}

fn add(sum: &mut [f64; 3], values: [f64; 3]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// The score of each example by a taste that did not learn from its scene. Scenes are dealt to folds in turn.
fn predictions(decisions: &Decisions, scenes: &BTreeMap<u64, usize>) -> Vec<f64> {
    let folds = MOST_FOLDS.min(scenes.len());
    let fold_of = |scene: u64| scenes.get(&scene).map(|number| number % folds);
    // `review` learns after every decision, so all cores do.
    let weights: Vec<Vec<f64>> =
        (0..folds).into_par_iter().map(|fold| decisions.weights(|scene| fold_of(scene) != Some(fold))).collect();
    let examples = decisions.examples.iter().enumerate();
    let predicted = |(photo, example): (usize, &Example)| {
        fold_of(example.scene).map_or(0.0, |fold| decisions.predicted(photo, &weights[fold]))
    };
    examples.map(predicted).collect()
}

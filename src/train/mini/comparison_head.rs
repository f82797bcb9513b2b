//! The last stretch of a run: on the finished network a referee learns to compare photos, from takes of scenes that people
//! rated and from degraded copies. The network stays as it is, so its opinions do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;

use super::MARGIN;
use super::batch::TrainingSet;
use crate::adam::{Adam, Pace, values};
use crate::eval::ranking::{self, Judged};
use crate::recipe::RefereeRecipe;
use crate::rng::Rng;
use crate::{TrainError, loss};
use networks::checkpoint::{InMemory, Ledger};
use networks::mini::views::Answers;
use networks::mini::{COMPARISON_FEATURES, ComparisonHead, FAR, HIDDEN, Heads, comparison_features};

/// Takes of a series this far from each other show the same scene, more or less.
const NEAR: usize = 3;
/// Opinions closer than this order nothing; those farther apart than [`FULL`] all weigh the same.
const LEAST_APART: f32 = 0.05;
const FULL: f32 = 0.3;

type Row = [f32; COMPARISON_FEATURES];

/// Pairs of rows, the better one first, with what each weighs.
#[derive(Debug, Default)]
struct Pairs {
    better: Vec<u32>,
    worse: Vec<u32>,
    weight: Vec<f32>,
}

impl Pairs {
    fn add(&mut self, better: usize, worse: usize, weight: f32) {
        self.better.push(better as u32);
        self.worse.push(worse as u32);
        self.weight.push(weight);
    }

    /// The rows `from..` in the order of their scores.
    fn order(&mut self, from: usize, scores: &[f32], alike: impl Fn(usize, usize) -> bool) {
        for i in 0..scores.len() {
            for j in (0..scores.len()).filter(|&j| scores[i] - scores[j] >= LEAST_APART && alike(i, j)) {
                self.add(from + i, from + j, (scores[i] - scores[j]).min(FULL) / FULL);
            }
        }
    }

    fn loss(&self, strengths: &Tensor) -> candle_core::Result<Tensor> {
        let device = strengths.device();
        let of = |rows: &[u32]| strengths.index_select(&Tensor::new(rows, device)?, 0);
        loss::behind(&of(&self.better)?, &of(&self.worse)?, &Tensor::new(self.weight.as_slice(), device)?, 1.0)
    }
}

/// The tensors of a referee by the names that [`ComparisonHead::new`] reads; `None` when it was asked to stop.
pub fn train(
    heads: &Heads,
    set: &TrainingSet<'_>,
    recipe: &RefereeRecipe,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Option<InMemory>, TrainError> {
    let (photos, places) = (set.photos, set.places);
    let mut rows: Vec<Row> = Vec::new();
    let mut training_photos: Vec<(f64, Pairs)> = Vec::new();
    // Takes as they are, in the order that people gave them.
    let takes: Vec<usize> = (0..set.takes.len()).filter(|take| !set.takes[*take].held).collect();
    let mut pairs = Pairs::default();
    let scores: Vec<f32> = takes.iter().map(|take| set.takes[*take].score).collect();
    pairs.order(rows.len(), &scores, |i, j| set.takes[takes[i]].group == set.takes[takes[j]].group);
    rows.extend(heard(heads, set, takes.iter().map(|take| places.take(*take))));
    training_photos.push((recipe.losses.takes, pairs));
    let mut pairs = Pairs::default();
    let scores: Vec<f32> = set.series().iter().map(|photo| photos[*photo].score).collect();
    pairs.order(rows.len(), &scores, |i, j| i.abs_diff(j) <= NEAR);
    rows.extend(heard(heads, set, set.series().iter().map(|photo| places.view(*photo, 0, false))));
    training_photos.push((recipe.losses.series, pairs));
    // Photos of both kinds before degraded copies of themselves.
    let of_takes = takes.iter().map(|take| places.copies_of_take(*take)).collect::<Vec<_>>();
    let of_singles = places.copies().filter(|(photo, _)| !photos[*photo].held).map(|(_, copies)| copies).collect();
    for (copies, weight) in [(of_takes, recipe.losses.degraded_takes), (of_singles, recipe.losses.degraded)] {
        let mut pairs = Pairs::default();
        for own in copies {
            let first = rows.len();
            (1..own.len()).for_each(|copy| pairs.add(first, first + copy, 1.0));
            rows.extend(heard(heads, set, own));
        }
        training_photos.push((weight, pairs));
    }
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    training_photos.retain(|(weight, pairs)| *weight > 0.0 && !pairs.weight.is_empty());
    learn(&rows, &training_photos, recipe, seed).map(Some)
}

/// What the referee hears about the pictures of some looks.
fn heard(heads: &Heads, set: &TrainingSet<'_>, looks: impl IntoIterator<Item = usize>) -> Vec<Row> {
    let looks: Vec<usize> = looks.into_iter().collect();
    let heard = |row: &usize| {
        let said = Answers::of(heads, &set.looks.pooled(*row), &set.looks.measured(*row));
        comparison_features(&said, &set.looks.details(*row))
    };
    looks.par_iter().map(heard).collect()
}

fn learn(
    rows: &[Row],
    training_photos: &[(f64, Pairs)],
    recipe: &RefereeRecipe,
    seed: u64,
) -> Result<InMemory, TrainError> {
    let device = &Device::Cpu;
    let count = rows.len().max(1) as f32;
    let mean: Row = std::array::from_fn(|at| rows.iter().map(|row| row[at]).sum::<f32>() / count);
    let std: Row = std::array::from_fn(|at| {
        (rows.iter().map(|row| (row[at] - mean[at]).powi(2)).sum::<f32>() / count).sqrt() + 1e-3
    });
    let even = rows
        .iter()
        .flat_map(|row| (0..COMPARISON_FEATURES).map(|at| ((row[at] - mean[at]) / std[at]).clamp(-FAR, FAR)));
    let even = Tensor::from_vec(even.collect::<Vec<f32>>(), (rows.len(), COMPARISON_FEATURES), device)?;
    let mut rng = Rng::at(seed, [1, 4]);
    let mut vars: BTreeMap<String, Var> = BTreeMap::new();
    for (name, shape, scale) in [
        ("hidden.weight", vec![HIDDEN, COMPARISON_FEATURES], (COMPARISON_FEATURES as f32).sqrt().recip()),
        ("hidden.bias", vec![HIDDEN], 0.0),
        ("out.weight", vec![1, HIDDEN], (HIDDEN as f32).sqrt().recip()),
    ] {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| scale * rng.normal()).collect();
        vars.insert(name.to_owned(), Var::from_vec(values, shape, device)?);
    }
    let mut adam = Adam::new(&vars)?;
    let mask = |shape: (usize, usize), dropped: f32, rng: &mut Rng| -> candle_core::Result<Tensor> {
        let keep = 1.0 - dropped;
        let values = (0..shape.0 * shape.1).map(|_| if rng.chance(keep) { 1.0 / keep } else { 0.0 });
        Tensor::from_vec(values.collect::<Vec<f32>>(), shape, device)
    };
    for step in 0..recipe.steps {
        let at = (step as f32 + 0.5) / recipe.steps as f32;
        let rate = (at / 0.3).min((1.0 - at) / 0.7);
        let shown = (&even * mask((rows.len(), COMPARISON_FEATURES), recipe.dropout[0], &mut rng)?)?;
        let hidden =
            shown.matmul(&vars["hidden.weight"].t()?)?.broadcast_add(vars["hidden.bias"].as_tensor())?.relu()?;
        let hidden = (hidden * mask((rows.len(), HIDDEN), recipe.dropout[1], &mut rng)?)?;
        let strengths = hidden.matmul(&vars["out.weight"].t()?)?.squeeze(1)?;
        let mut total = Tensor::zeros((), candle_core::DType::F32, device)?;
        for (weight, pairs) in training_photos {
            total = (total + (pairs.loss(&strengths)? * *weight)?)?;
        }
        let pace = Pace {
            learning_rate: recipe.learning_rate * rate,
            head_factor: 1.0,
            weight_decay: recipe.weight_decay,
            longest: 4.0,
            keep: 0.0,
        };
        if !adam.step(&vars, &total.backward()?, pace)?.is_finite() {
            return Err(TrainError::NotFinite { epoch: 0, step });
        }
    }
    let mut found = InMemory::default();
    for (name, var) in &vars {
        found.tensors.insert(name.clone(), (var.dims().to_vec(), values(var)?));
    }
    found.tensors.insert("mean".into(), (vec![COMPARISON_FEATURES], mean.to_vec()));
    found.tensors.insert("std".into(), (vec![COMPARISON_FEATURES], std.to_vec()));
    Ok(found)
}

/// Pairs and first places of takes that it has not seen: the shares in which it agrees with people.
pub fn agreement(heads: &Heads, tensors: &InMemory, set: &TrainingSet<'_>) -> Result<Option<[f64; 2]>, TrainError> {
    let referee = ComparisonHead::new(&Ledger::new(tensors).root()).map_err(candle_core::Error::wrap)?;
    let held: Vec<usize> = (0..set.takes.len()).filter(|take| set.takes[*take].held).collect();
    let heard = heard(heads, set, held.iter().map(|take| set.places.take(*take)));
    let judged: Vec<Judged> = (held.iter().zip(&heard))
        .map(|(take, heard)| Judged {
            group: set.takes[*take].group,
            truth: f64::from(set.takes[*take].score),
            predicted: f64::from(referee.strength(heard)),
        })
        .collect();
    let total = ranking::total(&ranking::by_group(&judged, MARGIN));
    Ok((!judged.is_empty()).then(|| [total.pairwise(), total.top1()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::RefereeLosses;

    #[test]
    fn what_decides_is_found_among_what_does_not() {
        let mut rng = Rng::at(5, [0, 0]);
        let rows: Vec<Row> = (0..600).map(|_| std::array::from_fn(|_| 3.0 + rng.normal())).collect();
        let mut pairs = Pairs::default();
        // Many of the last number and few of the first make a good photo.
        let scores: Vec<f32> = rows.iter().map(|row| 0.1 * (row[COMPARISON_FEATURES - 1] - row[0])).collect();
        pairs.order(0, &scores[..550], |i, j| i / 10 == j / 10);
        let losses = RefereeLosses { takes: 1.0, series: 0.0, degraded_takes: 0.0, degraded: 0.0 };
        let recipe = RefereeRecipe {
            steps: 150,
            learning_rate: 0.01,
            weight_decay: 0.05,
            dropout: [0.05, 0.2],
            singles: 0,
            copies: 0,
            losses,
        };
        let tensors = learn(&rows, &[(1.0, pairs)], &recipe, 1).expect("a referee");
        let referee = ComparisonHead::new(&Ledger::new(&tensors).root()).expect("its tensors");
        let strengths: Vec<f32> = rows.iter().map(|row| referee.strength(row)).collect();
        let (mut right, mut all) = (0, 0);
        for i in 550..600 {
            for j in (550..600).filter(|&j| scores[i] > scores[j] + 0.05) {
                all += 1;
                right += usize::from(strengths[i] > strengths[j]);
            }
        }
        assert!(all > 500 && right * 10 > all * 9, "{right} of {all}");
    }
}

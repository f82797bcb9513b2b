//! The last stretch of a run: on the finished network a referee learns to compare photos, from takes of scenes that people
//! rated and from degraded copies. The network stays as it is, so its opinions do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;

use super::MARGIN;
use super::data::Burst;
use super::judge;
use crate::adam::{Adam, Pace, values};
use crate::batch::Sample;
use crate::eval::ranking::{self, Judged};
use crate::eval::variants::Fault;
use crate::recipe::RefereeRecipe;
use crate::rng::Rng;
use crate::{TrainError, degrade, loss};
use base::pixels::Pixels;
use networks::checkpoint::{InMemory, Ledger};
use networks::fused::Runner;
use networks::mini::views::{self, Answers};
use networks::mini::{COMPARISON_FEATURES, ComparisonHead, FAR, HIDDEN, comparison_features};

/// Takes of a series this far from each other show the same scene, more or less.
const NEAR: usize = 3;
/// Opinions closer than this order nothing; those farther apart than [`FULL`] all weigh the same.
const LEAST_APART: f32 = 0.05;
const FULL: f32 = 0.3;
/// Files tell nothing when both of a pair are written alike.
const ENCODED: u8 = 95;

/// What it learns from.
#[derive(Debug, Clone, Copy)]
pub struct TrainingSet<'a> {
    pub takes: &'a [Burst],
    pub singles: &'a [Sample],
    pub series: &'a [Sample],
}

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
    runner: &Runner,
    training_set: TrainingSet<'_>,
    recipe: &RefereeRecipe,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Option<InMemory>, TrainError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut training_photos: Vec<(f64, Pairs)> = Vec::new();
    // Takes as they are, in the order that people gave them.
    let takes: Vec<&Pixels> = training_set.takes.iter().map(|take| &take.pixels).collect();
    let Some(own) = heard(runner, &takes, stop)? else { return Ok(None) };
    let mut pairs = Pairs::default();
    let scores: Vec<f32> = training_set.takes.iter().map(|take| take.score).collect();
    pairs.order(rows.len(), &scores, |i, j| training_set.takes[i].group == training_set.takes[j].group);
    rows.extend(own);
    training_photos.push((recipe.losses.takes, pairs));
    let near: Vec<&Pixels> = training_set.series.iter().map(|sample| &sample.pixels).collect();
    let Some(own) = heard(runner, &near, stop)? else { return Ok(None) };
    let mut pairs = Pairs::default();
    let scores: Vec<f32> = training_set.series.iter().map(|sample| sample.score).collect();
    pairs.order(rows.len(), &scores, |i, j| i.abs_diff(j) <= NEAR);
    rows.extend(own);
    training_photos.push((recipe.losses.series, pairs));
    // Photos of both kinds before degraded copies of themselves.
    let step = (training_set.singles.len() / recipe.singles.max(1)).max(1);
    let singles: Vec<&Pixels> =
        training_set.singles.iter().step_by(step).take(recipe.singles).map(|sample| &sample.pixels).collect();
    for (of, photos, weight) in [(1, &takes, recipe.losses.degraded_takes), (2, &singles, recipe.losses.degraded)] {
        let copies = |(at, photo): (usize, &&Pixels)| -> Result<Option<Vec<Row>>, TrainError> {
            let mut all = vec![degrade::encoded(photo, ENCODED)];
            let mut rng = Rng::at(seed ^ of, [at as u64, 3]);
            all.extend((0..recipe.copies).map(|copy| degraded(photo, copy, &mut rng)));
            heard(runner, &all.iter().collect::<Vec<_>>(), stop)
        };
        let found: Result<Option<Vec<Vec<Row>>>, TrainError> = photos.par_iter().enumerate().map(copies).collect();
        let Some(found) = found? else { return Ok(None) };
        let mut pairs = Pairs::default();
        for own in found {
            (1..own.len()).for_each(|copy| pairs.add(rows.len(), rows.len() + copy, 1.0));
            rows.extend(own);
        }
        training_photos.push((weight, pairs));
    }
    training_photos.retain(|(weight, pairs)| *weight > 0.0 && !pairs.weight.is_empty());
    learn(&rows, &training_photos, recipe, seed).map(Some)
}

/// One fault, most of them faint.
fn degraded(photo: &Pixels, copy: usize, rng: &mut Rng) -> Pixels {
    let strength = if rng.chance(0.5) { rng.between(0.02, 0.4) } else { rng.between(0.1, 1.0) };
    let applied = |fault: Fault| fault.apply(photo).unwrap_or_else(|| photo.clone());
    let worse = match copy % 4 {
        0 => degrade::apply(photo, degrade::BLUR, strength, rng),
        1 => applied(Fault::Noise(4.0 + 40.0 * strength)),
        2 => {
            let stops = 0.4 + 1.8 * strength;
            applied(Fault::Exposure(if rng.chance(0.5) { stops } else { -stops }))
        }
        _ => return degrade::encoded(photo, (90.0 - 84.0 * strength.sqrt()) as u8),
    };
    degrade::encoded(&worse, ENCODED)
}

/// What the referee hears about each photo; `None` when asked to stop.
fn heard(runner: &Runner, photos: &[&Pixels], stop: &AtomicBool) -> Result<Option<Vec<Row>>, TrainError> {
    let heard = |photo: &&Pixels| -> Result<Option<Row>, TrainError> {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let said = Answers::of(judge::answers(runner, &views::of(photo).shown())?);
        Ok(Some(comparison_features(&said, photo)))
    };
    photos.par_iter().map(heard).collect()
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
pub fn agreement(runner: &Runner, tensors: &InMemory, takes: &[Burst]) -> Result<Option<[f64; 2]>, TrainError> {
    let referee = ComparisonHead::new(&Ledger::new(tensors).root()).map_err(candle_core::Error::wrap)?;
    let photos: Vec<&Pixels> = takes.iter().map(|take| &take.pixels).collect();
    let Some(heard) = heard(runner, &photos, &AtomicBool::new(false))? else { return Ok(None) };
    let judged: Vec<Judged> = (takes.iter().zip(&heard))
        .map(|(take, heard)| Judged {
            group: take.group,
            truth: f64::from(take.score),
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

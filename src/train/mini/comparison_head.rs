//! The last stage of a run: trains the comparison head on top of the finished network, from rated takes of the same
//! scene, from degraded copies, and from copies that are framed worse. The other heads stay frozen, so their opinions do not change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;

use super::MIN_SCORE_GAP;
use super::batch::TrainingSet;
use super::framing;
use crate::adam::{Adam, StepOptions, values};
use crate::eval::ranking::{self, ScoredPhoto};
use crate::recipe::ComparisonRecipe;
use crate::rng::Rng;
use crate::{TrainError, loss};
use base::pixels::Pixels;
use networks::checkpoint::{InMemory, Ledger};
use networks::mini::views::Answers;
use networks::mini::{self, COMPARISON_FEATURES, ComparisonHead, FAR, FRAMING_AT, HIDDEN, Heads, comparison_features};

/// Photos of a series at most this many numbers apart show about the same scene.
const SERIES_DISTANCE: usize = 3;
/// Pairs whose scores differ by less than this are left out; those that differ by [`FULL_WEIGHT_DIFFERENCE`] or more
/// all weigh the same.
const MIN_DIFFERENCE: f32 = 0.05;
const FULL_WEIGHT_DIFFERENCE: f32 = 0.3;

type Row = [f32; COMPARISON_FEATURES];

/// Pairs of a better and a worse row, with their weights.
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

    /// Adds the pairs of the rows `from..` that are comparable, by their scores.
    fn add_ordered(&mut self, from: usize, scores: &[f32], comparable: impl Fn(usize, usize) -> bool) {
        for i in 0..scores.len() {
            for j in (0..scores.len()).filter(|&j| scores[i] - scores[j] >= MIN_DIFFERENCE && comparable(i, j)) {
                self.add(
                    from + i,
                    from + j,
                    (scores[i] - scores[j]).min(FULL_WEIGHT_DIFFERENCE) / FULL_WEIGHT_DIFFERENCE,
                );
            }
        }
    }

    fn loss(&self, strengths: &Tensor) -> candle_core::Result<Tensor> {
        let device = strengths.device();
        let of = |rows: &[u32]| strengths.index_select(&Tensor::new(rows, device)?, 0);
        loss::ranked_pairs(&of(&self.better)?, &of(&self.worse)?, &Tensor::new(self.weight.as_slice(), device)?, 1.0)
    }
}

/// Returns the tensors by the names that [`ComparisonHead::new`] reads; `None` when asked to stop.
pub fn train(
    heads: &Heads,
    set: &TrainingSet<'_>,
    recipe: &ComparisonRecipe,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Option<InMemory>, TrainError> {
    let (photos, index) = (set.photos, set.index);
    let mut rows: Vec<Row> = Vec::new();
    let mut loss_terms: Vec<(f64, Pairs)> = Vec::new();
    // Unaltered takes, ordered by people's scores.
    let takes: Vec<usize> = (0..set.takes.len()).filter(|take| !set.takes[*take].held_out).collect();
    let mut pairs = Pairs::default();
    let scores: Vec<f32> = takes.iter().map(|take| set.takes[*take].score).collect();
    pairs.add_ordered(rows.len(), &scores, |i, j| set.takes[takes[i]].group == set.takes[takes[j]].group);
    rows.extend(comparison_inputs(heads, set, takes.iter().map(|take| index.take(*take))));
    loss_terms.push((recipe.losses.takes, pairs));
    let mut pairs = Pairs::default();
    let scores: Vec<f32> = set.series().iter().map(|photo| photos[*photo].score).collect();
    pairs.add_ordered(rows.len(), &scores, |i, j| i.abs_diff(j) <= SERIES_DISTANCE);
    rows.extend(comparison_inputs(heads, set, set.series().iter().map(|photo| index.view(*photo, 0, false))));
    loss_terms.push((recipe.losses.series, pairs));
    // Takes and single photos, each better than its degraded copies.
    let takes_copies = takes.iter().map(|take| index.copies_of_take(*take)).collect::<Vec<_>>();
    let singles_copies =
        index.copies().filter(|(photo, _)| !photos[*photo].held_out).map(|(_, copies)| copies).collect();
    for (copies, weight) in [(takes_copies, recipe.losses.degraded_takes), (singles_copies, recipe.losses.degraded)] {
        let mut pairs = Pairs::default();
        for group in copies {
            let first = rows.len();
            (1..group.len()).for_each(|copy| pairs.add(first, first + copy, 1.0));
            rows.extend(comparison_inputs(heads, set, group));
        }
        loss_terms.push((weight, pairs));
    }
    for (pair, weight) in
        [(framing::tilted as FramingPair, recipe.losses.tilted), (framing::off_centre, recipe.losses.off_centre)]
    {
        let framed = framed(heads, set, false, recipe.framed, seed, pair);
        let mut pairs = Pairs::default();
        (0..framed.len()).for_each(|at| pairs.add(rows.len() + 2 * at, rows.len() + 2 * at + 1, 1.0));
        rows.extend(framed.into_iter().flatten());
        loss_terms.push((weight, pairs));
    }
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    loss_terms.retain(|(weight, pairs)| *weight > 0.0 && !pairs.weight.is_empty());
    learn(&rows, &loss_terms, recipe, seed).map(Some)
}

type FramingPair = fn(&Pixels, &mut Rng) -> [Pixels; 2];

/// The inputs for up to `count` single photos, framed well and framed worse. They differ in their framing alone, so that
/// nothing else is taken for its sign.
fn framed(
    heads: &Heads,
    set: &TrainingSet<'_>,
    held_out: bool,
    count: usize,
    seed: u64,
    pair: FramingPair,
) -> Vec<[Row; 2]> {
    let singles: Vec<usize> = (0..set.photos.len())
        .filter(|photo| set.photos[*photo].series_number.is_none() && set.photos[*photo].held_out == held_out)
        .collect();
    let step = (singles.len() / count.max(1)).max(1);
    let chosen: Vec<usize> = singles.into_iter().step_by(step).take(count).collect();
    let rows = comparison_inputs(heads, set, chosen.iter().map(|photo| set.index.view(*photo, 0, false)));
    let with_framings = |(photo, row): (&usize, &Row)| {
        let mut rng = Rng::at(seed ^ *photo as u64, [0, 6]);
        pair(&set.photos[*photo].pixels, &mut rng).map(|copy| {
            let mut row = *row;
            row[FRAMING_AT..].copy_from_slice(&mini::framing(&copy));
            row
        })
    };
    chosen.par_iter().zip(&rows).map(with_framings).collect()
}

/// The inputs of the comparison head for some rows of the feature table.
fn comparison_inputs(heads: &Heads, set: &TrainingSet<'_>, rows: impl IntoIterator<Item = usize>) -> Vec<Row> {
    let rows: Vec<usize> = rows.into_iter().collect();
    let of_row = |row: &usize| {
        let answers = Answers::of(heads, &set.features.pooled(*row), &set.features.measured(*row));
        comparison_features(&answers, &set.features.details(*row))
    };
    rows.par_iter().map(of_row).collect()
}

fn learn(
    rows: &[Row],
    loss_terms: &[(f64, Pairs)],
    recipe: &ComparisonRecipe,
    seed: u64,
) -> Result<InMemory, TrainError> {
    let device = &Device::Cpu;
    let count = rows.len().max(1) as f32;
    let mean: Row = std::array::from_fn(|at| rows.iter().map(|row| row[at]).sum::<f32>() / count);
    let std: Row = std::array::from_fn(|at| {
        (rows.iter().map(|row| (row[at] - mean[at]).powi(2)).sum::<f32>() / count).sqrt() + 1e-3
    });
    let normalised = rows
        .iter()
        .flat_map(|row| (0..COMPARISON_FEATURES).map(|at| ((row[at] - mean[at]) / std[at]).clamp(-FAR, FAR)));
    let normalised = Tensor::from_vec(normalised.collect::<Vec<f32>>(), (rows.len(), COMPARISON_FEATURES), device)?;
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
        let inputs = (&normalised * mask((rows.len(), COMPARISON_FEATURES), recipe.dropout[0], &mut rng)?)?;
        let hidden =
            inputs.matmul(&vars["hidden.weight"].t()?)?.broadcast_add(vars["hidden.bias"].as_tensor())?.relu()?;
        let hidden = (hidden * mask((rows.len(), HIDDEN), recipe.dropout[1], &mut rng)?)?;
        let strengths = hidden.matmul(&vars["out.weight"].t()?)?.squeeze(1)?;
        let mut total = Tensor::zeros((), candle_core::DType::F32, device)?;
        for (weight, pairs) in loss_terms {
            total = (total + (pairs.loss(&strengths)? * *weight)?)?;
        }
        let options = StepOptions {
            learning_rate: recipe.learning_rate * rate,
            head_factor: 1.0,
            weight_decay: recipe.weight_decay,
            max_gradient_norm: 4.0,
            mean_decay: 0.0,
        };
        if !adam.step(&vars, &total.backward()?, options)?.is_finite() {
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

/// How a comparison head does on photos that were held out.
pub struct HeldOutResult {
    /// The share of pairs of takes ordered as people do, and the share of bursts whose best take is ranked first.
    pub pairwise: f64,
    pub first: f64,
    /// The share of level copies preferred to tilted ones, and of centred copies to those off centre.
    pub level: f64,
    pub centred: f64,
}

/// `None` without held-out takes.
pub fn judge(
    heads: &Heads,
    tensors: &InMemory,
    set: &TrainingSet<'_>,
    recipe: &ComparisonRecipe,
    seed: u64,
) -> Result<Option<HeldOutResult>, TrainError> {
    let comparison_head = ComparisonHead::new(&Ledger::new(tensors).root()).map_err(candle_core::Error::wrap)?;
    let held_out: Vec<usize> = (0..set.takes.len()).filter(|take| set.takes[*take].held_out).collect();
    if held_out.is_empty() {
        return Ok(None);
    }
    let inputs = comparison_inputs(heads, set, held_out.iter().map(|take| set.index.take(*take)));
    let judged: Vec<ScoredPhoto> = (held_out.iter().zip(&inputs))
        .map(|(take, inputs)| ScoredPhoto {
            group: set.takes[*take].group,
            truth: f64::from(set.takes[*take].score),
            predicted: f64::from(comparison_head.strength(inputs)),
        })
        .collect();
    let total = ranking::total(&ranking::by_group(&judged, MIN_SCORE_GAP));
    let preferred = |pair: FramingPair| {
        let pairs = framed(heads, set, true, recipe.framed, seed, pair);
        let right = |[better, worse]: &&[Row; 2]| comparison_head.strength(better) > comparison_head.strength(worse);
        pairs.iter().filter(right).count() as f64 / pairs.len().max(1) as f64
    };
    Ok(Some(HeldOutResult {
        pairwise: total.pairwise(),
        first: total.top1(),
        level: preferred(framing::tilted),
        centred: preferred(framing::off_centre),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::ComparisonLosses;

    #[test]
    fn what_decides_is_found_among_what_does_not() {
        let mut rng = Rng::at(5, [0, 0]);
        let rows: Vec<Row> = (0..600).map(|_| std::array::from_fn(|_| 3.0 + rng.normal())).collect();
        let mut pairs = Pairs::default();
        // A high last feature and a low first one make a good photo.
        let scores: Vec<f32> = rows.iter().map(|row| 0.1 * (row[COMPARISON_FEATURES - 1] - row[0])).collect();
        pairs.add_ordered(0, &scores[..550], |i, j| i / 10 == j / 10);
        let losses = ComparisonLosses {
            takes: 1.0,
            series: 0.0,
            degraded_takes: 0.0,
            degraded: 0.0,
            tilted: 0.0,
            off_centre: 0.0,
        };
        let recipe = ComparisonRecipe {
            steps: 150,
            learning_rate: 0.01,
            weight_decay: 0.05,
            dropout: [0.05, 0.2],
            singles: 0,
            copies: 0,
            framed: 0,
            losses,
        };
        let tensors = learn(&rows, &[(1.0, pairs)], &recipe, 1).expect("tensors");
        let comparison_head = ComparisonHead::new(&Ledger::new(&tensors).root()).expect("its tensors");
        let strengths: Vec<f32> = rows.iter().map(|row| comparison_head.strength(row)).collect();
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

//! Metrics of the small network on the held-out photos.

use std::collections::BTreeMap;

use candle_core::Device;
use rayon::prelude::*;

use super::MIN_SCORE_GAP;
use super::batch::TrainingSet;
use crate::TrainError;
use crate::eval::ranking::{self, ScoredPhoto};
use crate::eval::scores;
use networks::mini::{Heads, Mini, answer};

/// Batch size of the evaluation.
const EVALUATION_BATCH: usize = 512;

/// The opinion, the preference and the most probable kind of each row.
fn answers(mini: &Mini, set: &TrainingSet<'_>, rows: &[usize]) -> Result<Vec<(f64, f64, usize)>, TrainError> {
    let mut all = Vec::new();
    for rows in rows.chunks(EVALUATION_BATCH) {
        let outputs = mini.heads(&set.inputs(rows, &Device::Cpu)?, None)?;
        let (opinions, preferences) = (outputs.opinion.to_vec1::<f32>()?, outputs.preference.to_vec1::<f32>()?);
        let kinds = outputs.kind.argmax(1)?.to_vec1::<u32>()?;
        let each = opinions.into_iter().zip(preferences).zip(kinds);
        all.extend(
            each.map(|((opinion, preference), kind)| (f64::from(opinion), f64::from(preference), kind as usize)),
        );
    }
    Ok(all)
}

/// The quantile `share` of the margins by which the training photos are classified as photographs (log of the
/// probability ratio to the next kind), at least 0.
pub fn kind_bias_shift(heads: &Heads, set: &TrainingSet<'_>, share: f64) -> f32 {
    let training: Vec<usize> = (0..set.photos.len()).filter(|photo| !set.photos[*photo].held_out).collect();
    let margin = |photo: &usize| {
        let row = set.index.view(*photo, 0, false);
        let outputs = heads.answer(&set.features.pooled(row), &set.features.measured(row).whole);
        let kinds = &outputs[answer::KIND];
        let other = kinds[1..].iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        (kinds[0].max(f32::MIN_POSITIVE) / other).ln()
    };
    let mut margins: Vec<f32> = training.par_iter().map(margin).collect();
    margins.sort_unstable_by(f32::total_cmp);
    margins.get((margins.len() as f64 * share) as usize).map_or(0.0, |margin| margin.max(0.0))
}

/// Metrics on the held-out photos; empty if there are none.
pub fn judge(mini: &Mini, set: &TrainingSet<'_>) -> Result<BTreeMap<String, f64>, TrainError> {
    let mut metrics = BTreeMap::new();
    let held_out: Vec<usize> = (0..set.photos.len()).filter(|i| set.photos[*i].held_out).collect();
    if held_out.is_empty() {
        return Ok(metrics);
    }
    let rows: Vec<usize> = held_out.iter().map(|photo| set.index.view(*photo, 0, false)).collect();
    let outputs = answers(mini, set, &rows)?;
    let pick = |wanted: &dyn Fn(bool) -> bool| -> (Vec<f64>, Vec<f64>) {
        let photos = held_out.iter().map(|photo| &set.photos[*photo]);
        let picked = outputs.iter().zip(photos).filter(|(_, photo)| wanted(photo.series_number.is_some()));
        picked.map(|((opinion, ..), photo)| (*opinion, f64::from(photo.score))).unzip()
    };
    let (predicted, scores) = pick(&|_| true);
    let srcc = scores::spearman(&predicted, &scores);
    metrics.insert("srcc".to_owned(), srcc);
    metrics.insert("plcc".to_owned(), scores::pearson(&predicted, &scores));
    metrics.insert("mae".to_owned(), scores::mean_absolute_error(&predicted, &scores));
    metrics.insert("mse".to_owned(), scores::mean_squared_error(&predicted, &scores));
    let (predicted, scores) = pick(&|series| series);
    metrics.insert("srcc_series".to_owned(), scores::spearman(&predicted, &scores));
    let (predicted, scores) = pick(&|series| !series);
    metrics.insert("srcc_singles".to_owned(), scores::spearman(&predicted, &scores));
    let mut figure = srcc + metrics["srcc_series"] + metrics["srcc_singles"];
    let misclassified = outputs.iter().filter(|(.., kind)| *kind != 0).count();
    metrics.insert("photos_taken_for_others".to_owned(), misclassified as f64 / outputs.len() as f64);
    let drawn: Vec<usize> = set.drawn(true).iter().map(|(kind, number)| set.index.drawn(*kind, *number)).collect();
    let recognised = answers(mini, set, &drawn)?.iter().filter(|(.., kind)| *kind != 0).count();
    metrics.insert("drawn_found".to_owned(), recognised as f64 / drawn.len().max(1) as f64);
    let takes: Vec<usize> = (0..set.takes.len()).filter(|i| set.takes[*i].held_out).collect();
    if !takes.is_empty() {
        let rows: Vec<usize> = takes.iter().map(|take| set.index.take(*take)).collect();
        let outputs = answers(mini, set, &rows)?;
        let ranked = |predicted: &dyn Fn(usize) -> f64| {
            let judged = takes.iter().enumerate().map(|(i, take)| ScoredPhoto {
                group: set.takes[*take].group,
                truth: f64::from(set.takes[*take].score),
                predicted: predicted(i),
            });
            ranking::total(&ranking::by_group(&judged.collect::<Vec<_>>(), MIN_SCORE_GAP))
        };
        let preference = ranked(&|i| outputs[i].1);
        metrics.insert("pairwise".to_owned(), preference.pairwise());
        metrics.insert("top1".to_owned(), preference.top1());
        metrics.insert("pairwise_opinion".to_owned(), ranked(&|i| outputs[i].0).pairwise());
        figure += preference.pairwise();
    }
    metrics.insert("figure".to_owned(), figure);
    Ok(metrics)
}

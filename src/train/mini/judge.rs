//! How good the small network is on the photos held out.

use std::collections::BTreeMap;

use candle_core::Device;
use rayon::prelude::*;

use super::MARGIN;
use super::batch::TrainingSet;
use crate::TrainError;
use crate::eval::ranking::{self, Judged};
use crate::eval::scores;
use networks::mini::{Heads, Mini, answer};

/// Rows that go through the heads together.
const GROUP: usize = 512;

/// Opinion, preference and the likeliest kind of each row.
fn answers(mini: &Mini, set: &TrainingSet<'_>, rows: &[usize]) -> Result<Vec<(f64, f64, usize)>, TrainError> {
    let mut all = Vec::new();
    for rows in rows.chunks(GROUP) {
        let said = mini.heads(&set.seen(rows, &Device::Cpu)?, None)?;
        let (opinions, preferences) = (said.opinion.to_vec1::<f32>()?, said.preference.to_vec1::<f32>()?);
        let kinds = said.kind.argmax(1)?.to_vec1::<u32>()?;
        let each = opinions.into_iter().zip(preferences).zip(kinds);
        all.extend(
            each.map(|((opinion, preference), kind)| (f64::from(opinion), f64::from(preference), kind as usize)),
        );
    }
    Ok(all)
}

/// How far the photos to learn from are from being taken for something else, but for a share of them.
pub fn margin(heads: &Heads, set: &TrainingSet<'_>, share: f64) -> f32 {
    let learned: Vec<usize> = (0..set.photos.len()).filter(|photo| !set.photos[*photo].held).collect();
    let margin = |photo: &usize| {
        let row = set.places.view(*photo, 0, false);
        let said = heads.answer(&set.looks.pooled(row), &set.looks.measured(row).whole);
        let kinds = &said[answer::KIND];
        let other = kinds[1..].iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        (kinds[0].max(f32::MIN_POSITIVE) / other).ln()
    };
    let mut margins: Vec<f32> = learned.par_iter().map(margin).collect();
    margins.sort_unstable_by(f32::total_cmp);
    margins.get((margins.len() as f64 * share) as usize).map_or(0.0, |margin| margin.max(0.0))
}

/// Figures on what was held out, if anything was.
pub fn judge(mini: &Mini, set: &TrainingSet<'_>) -> Result<BTreeMap<String, f64>, TrainError> {
    let mut metrics = BTreeMap::new();
    let held: Vec<usize> = (0..set.photos.len()).filter(|i| set.photos[*i].held).collect();
    if held.is_empty() {
        return Ok(metrics);
    }
    let rows: Vec<usize> = held.iter().map(|photo| set.places.view(*photo, 0, false)).collect();
    let said = answers(mini, set, &rows)?;
    let pick = |which: &dyn Fn(bool) -> bool| -> (Vec<f64>, Vec<f64>) {
        let photos = held.iter().map(|photo| &set.photos[*photo]);
        let kept = said.iter().zip(photos).filter(|(_, photo)| which(photo.place.is_some()));
        kept.map(|((opinion, ..), photo)| (*opinion, f64::from(photo.score))).unzip()
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
    let strange = said.iter().filter(|(.., kind)| *kind != 0).count();
    metrics.insert("photos_taken_for_others".to_owned(), strange as f64 / said.len() as f64);
    let drawn: Vec<usize> = set.drawn(true);
    let told = answers(mini, set, &drawn)?.iter().filter(|(.., kind)| *kind != 0).count();
    metrics.insert("drawn_found".to_owned(), told as f64 / drawn.len().max(1) as f64);
    let takes: Vec<usize> = (0..set.takes.len()).filter(|i| set.takes[*i].held).collect();
    if !takes.is_empty() {
        let rows: Vec<usize> = takes.iter().map(|take| set.places.take(*take)).collect();
        let said = answers(mini, set, &rows)?;
        let ranked = |predicted: &dyn Fn(usize) -> f64| {
            let judged = takes.iter().enumerate().map(|(i, take)| Judged {
                group: set.takes[*take].group,
                truth: f64::from(set.takes[*take].score),
                predicted: predicted(i),
            });
            ranking::total(&ranking::by_group(&judged.collect::<Vec<_>>(), MARGIN))
        };
        let preference = ranked(&|i| said[i].1);
        metrics.insert("pairwise".to_owned(), preference.pairwise());
        metrics.insert("top1".to_owned(), preference.top1());
        metrics.insert("pairwise_opinion".to_owned(), ranked(&|i| said[i].0).pairwise());
        figure += preference.pairwise();
    }
    metrics.insert("figure".to_owned(), figure);
    Ok(metrics)
}

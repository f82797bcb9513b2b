//! How good the small network is on the photos held out.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::MARGIN;
use super::data::Held;
use crate::TrainError;
use crate::batch::normalised;
use crate::eval::ranking::{self, Judged};
use crate::eval::scores;
use crate::photos;
use base::pixels::Pixels;
use judge::quality::{self, Weights};
use networks::fused::{Batch, Runner};
use networks::mini::{GROUP, SIDE, answer};

/// The answers for photos of the size that the network judges.
pub fn answers(runner: &Runner, photos: &[&Pixels]) -> Result<Vec<Vec<f32>>, TrainError> {
    let group = |photos: &[&Pixels]| -> Result<Vec<Vec<f32>>, TrainError> {
        let data = photos.iter().flat_map(|photo| normalised(photo)).collect();
        let batch = Batch::new(photos.len(), SIDE, SIDE, data);
        let batch = batch.ok_or_else(|| candle_core::Error::Msg("photos of another size".into()))?;
        let rows = runner.run(&batch).map_err(candle_core::Error::wrap)?;
        Ok(rows.chunks_exact(answer::LEN).map(<[f32]>::to_vec).collect())
    };
    let groups: Result<Vec<_>, _> = photos.chunks(4 * GROUP).map(group).collect();
    Ok(groups?.concat())
}

/// Figures on what was held out, if anything was.
pub fn judge(runner: &Runner, held: &Held) -> Result<BTreeMap<String, f64>, TrainError> {
    if held.photos.is_empty() {
        return Ok(BTreeMap::new());
    }
    let photos: Vec<&Pixels> = held.photos.iter().map(|(pixels, ..)| pixels).collect();
    let said = answers(runner, &photos)?;
    let mut metrics = BTreeMap::new();
    let truth: Vec<(f64, bool)> = held.photos.iter().map(|(_, score, series)| (f64::from(*score), *series)).collect();
    let pick = |which: &dyn Fn(bool) -> bool| -> (Vec<f64>, Vec<f64>) {
        let kept = said.iter().zip(&truth).filter(|(_, (_, series))| which(*series));
        kept.map(|(row, (score, _))| (f64::from(row[answer::OPINION]), *score)).unzip()
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
    if !held.bursts.is_empty() {
        let small: Vec<Pixels> =
            held.bursts.par_iter().map(|take| photos::squared(&take.pixels, SIDE as u32)).collect();
        let said = answers(runner, &small.iter().collect::<Vec<_>>())?;
        let sharp: Vec<f64> = held
            .bursts
            .par_iter()
            .map(|take| quality::measure(&take.pixels, &Weights::default()).sharpness_raw)
            .collect();
        let ranked = |predicted: &dyn Fn(usize) -> f64| {
            let judged = held.bursts.iter().enumerate().map(|(i, take)| Judged {
                group: take.group,
                truth: f64::from(take.score),
                predicted: predicted(i),
            });
            ranking::total(&ranking::by_group(&judged.collect::<Vec<_>>(), MARGIN))
        };
        let preference = ranked(&|i| f64::from(said[i][answer::PREFERENCE]));
        metrics.insert("pairwise".to_owned(), preference.pairwise());
        metrics.insert("top1".to_owned(), preference.top1());
        metrics.insert("pairwise_opinion".to_owned(), ranked(&|i| f64::from(said[i][answer::OPINION])).pairwise());
        metrics.insert("pairwise_sharpness".to_owned(), ranked(&|i| sharp[i]).pairwise());
        figure += preference.pairwise();
    }
    metrics.insert("figure".to_owned(), figure);
    Ok(metrics)
}

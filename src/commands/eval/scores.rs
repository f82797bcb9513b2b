//! Comparing ratings with given scores.

use super::baselines::{Baseline, SHARPNESS, each, rule_based};
use super::{DRAWS, DataArgs, Judgement, figure, medium};
use crate::commands::open_models::Networks;
use crate::context::Context;
use crate::error::CommandError;
use crate::library::model_selection::{AESTHETIC_MODEL, RATES};
use base::pixels::Pixels;
use hub::{Aesthetic, TaskNetwork as _};
use train::eval::{bootstrap, scores};
use train::photos::Label;
use train::plot;

pub fn judge(
    data: &DataArgs,
    labels: &[Label],
    networks: &Networks<'_>,
    context: &Context,
) -> Result<Judgement, CommandError> {
    let file = context.settings().quality_assessment.ava_checkpoint.as_deref();
    let model: Aesthetic = data.model(data.network.which(file, AESTHETIC_MODEL), RATES, networks)?;
    let photos: Vec<Pixels> = data.decoded(labels)?.iter().map(|photo| medium(photo, context)).collect();
    let rate = |photo: &Pixels| {
        let rated = model.score(std::slice::from_ref(photo))?;
        // Scaled to that of the labels, for the mean error.
        Ok((f64::from(rated[0]) - 1.0) / 9.0)
    };
    let mut raters: Vec<Baseline<'_>> = vec![(model.reference(), Box::new(rate))];
    raters.extend(rule_based(context));
    let mut judgement = Judgement::default();
    let in_series = |label: &Label| label.file.starts_with(&data.series);
    for rater in &raters {
        let predicted = each(&photos, rater)?;
        let rows: Vec<(f64, f64, bool)> = labels
            .iter()
            .zip(&predicted)
            .map(|(label, predicted)| (*predicted, f64::from(label.score), in_series(label)))
            .collect();
        for (part, keep) in [("all", None), ("series", Some(true)), ("singles", Some(false))] {
            let rows: Vec<(f64, f64)> = (rows.iter())
                .filter(|row| keep.is_none_or(|keep| row.2 == keep))
                .map(|(predicted, truth, _)| (*predicted, *truth))
                .collect();
            if rows.len() < 3 {
                continue;
            }
            let split = |rows: &[&(f64, f64)]| -> (Vec<f64>, Vec<f64>) { rows.iter().copied().copied().unzip() };
            let metrics: [(&str, fn(&[f64], &[f64]) -> f64); 3] =
                [("srcc", scores::spearman), ("plcc", scores::pearson), ("mae", scores::mean_absolute_error)];
            for (name, metric) in metrics {
                // Raw sharpness has another scale than the scores.
                if name == "mae" && rater.0 == SHARPNESS {
                    continue;
                }
                let value = |rows: &[&(f64, f64)]| {
                    let (predicted, truth) = split(rows);
                    metric(&predicted, &truth)
                };
                let [low, high] = bootstrap::interval(&rows, DRAWS / 2, 1, value);
                let mut row = figure("scores", &rater.0, part, name);
                row.value = value(&rows.iter().collect::<Vec<_>>());
                (row.low, row.high, row.count) = (Some(low), Some(high), rows.len());
                judgement.figures.push(row);
            }
        }
        if rater.0 == model.reference() {
            let points: Vec<(f64, f64)> = rows.iter().map(|(predicted, truth, _)| (*truth, *predicted)).collect();
            let title = format!("scores: {} against what people said", rater.0);
            judgement.pictures.push(("scatter.svg".to_owned(), plot::scatter(&title, ["given", "predicted"], &points)));
        }
    }
    Ok(judgement)
}

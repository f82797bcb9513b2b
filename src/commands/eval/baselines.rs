//! Baselines without trained models.

use rayon::prelude::*;

use super::DataArgs;
use crate::context::Context;
use crate::error::CommandError;
use base::pixels::Pixels;
use judge::quality;
use train::photos::Label;

/// The name of the baseline that rates by the variance of the Laplacian.
pub const SHARPNESS: &str = "sharpness";

pub type Judge<'a> = (String, Box<dyn Fn(&Pixels) -> Result<f64, CommandError> + Sync + 'a>);

/// The baselines that rate a single photo.
pub fn rule_based(context: &Context) -> Vec<Judge<'_>> {
    let weights = context.settings().quality_assessment.weights;
    vec![
        (SHARPNESS.into(), Box::new(move |photo| Ok(quality::measure(photo, &weights).sharpness_raw))),
        ("rule-based".into(), Box::new(move |photo| Ok(quality::measure(photo, &weights).overall))),
    ]
}

pub fn each(photos: &[Pixels], judge: &Judge<'_>) -> Result<Vec<f64>, CommandError> {
    photos.par_iter().map(|photo| (judge.1)(photo)).collect()
}

/// All baselines that order photos: those that rate them, and those that do not look at the content.
pub fn orders(
    data: &DataArgs,
    labels: &[Label],
    photos: &[Pixels],
    context: &Context,
) -> Result<Vec<(String, Vec<f64>)>, CommandError> {
    let mut orders = Vec::new();
    for judge in rule_based(context) {
        let predictions = each(photos, &judge)?;
        orders.push((judge.0, predictions));
    }
    let size = |label: &Label| std::fs::metadata(data.folder().join(&label.file)).map_or(0.0, |file| file.len() as f64);
    orders.push(("largest file".into(), labels.iter().map(size).collect()));
    orders.push(("first".into(), (0..labels.len()).map(|i| -(i as f64)).collect()));
    // Equal values share their places, which gives the expectation of a random order.
    orders.push(("random".into(), vec![0.0; labels.len()]));
    Ok(orders)
}

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

/// A name, and a rating of a photo.
pub type Baseline<'a> = (String, Box<dyn Fn(&Pixels) -> Result<f64, CommandError> + Sync + 'a>);

/// The baselines that rate a single photo.
pub fn rule_based(context: &Context) -> Vec<Baseline<'_>> {
    let weights = context.settings().quality_assessment.weights;
    vec![
        (SHARPNESS.into(), Box::new(move |photo| Ok(quality::measure(photo, &weights).sharpness_raw))),
        ("rule-based".into(), Box::new(move |photo| Ok(quality::measure(photo, &weights).overall))),
    ]
}

pub fn each(photos: &[Pixels], baseline: &Baseline<'_>) -> Result<Vec<f64>, CommandError> {
    photos.par_iter().map(|photo| (baseline.1)(photo)).collect()
}

/// All baselines that order photos: those that rate them, and those that do not look at the content.
pub fn orders(
    data: &DataArgs,
    labels: &[Label],
    photos: &[Pixels],
    context: &Context,
) -> Result<Vec<(String, Vec<f64>)>, CommandError> {
    let mut orders = Vec::new();
    for baseline in rule_based(context) {
        let predictions = each(photos, &baseline)?;
        orders.push((baseline.0, predictions));
    }
    let size = |label: &Label| std::fs::metadata(data.folder().join(&label.file)).map_or(0.0, |file| file.len() as f64);
    orders.push(("largest file".into(), labels.iter().map(size).collect()));
    orders.push(("first".into(), (0..labels.len()).map(|i| -(i as f64)).collect()));
    // Equal values get their average rank, which a random order has on average.
    orders.push(("random".into(), vec![0.0; labels.len()]));
    Ok(orders)
}

//! The order of takes inside groups.

use rayon::prelude::*;

use super::{DataArgs, Judgement, baselines, comparator, groups_of, medium, order};
use crate::analyses::ComparisonAnalysis;
use crate::commands::open_models::Networks;
use crate::context::Context;
use crate::error::CommandError;
use base::pixels::Pixels;
use hub::TaskNetwork as _;
use train::photos::Label;

pub fn judge(
    data: &DataArgs,
    labels: &[Label],
    networks: &Networks<'_>,
    context: &Context,
) -> Result<Judgement, CommandError> {
    let groups = groups_of(labels)?;
    let comparison = ComparisonAnalysis::new(comparator(data, networks, context)?)?;
    let photos: Vec<Pixels> = data.decoded(labels)?.iter().map(|photo| medium(photo, context)).collect();
    let features: Vec<Vec<f32>> = photos
        .par_iter()
        .map(|photo| {
            let features = comparison.network.features(std::slice::from_ref(photo))?;
            Ok(features.concat())
        })
        .collect::<Result<_, CommandError>>()?;
    // The model compares pairs, so a photo is ranked by the sum of its probabilities against its group.
    let mut predictions = vec![0.0; labels.len()];
    for (i, own) in features.iter().enumerate() {
        for (j, other) in features.iter().enumerate() {
            if i != j && groups[i] == groups[j] {
                let ahead = comparison.network.prefer(own, other)?;
                predictions[i] += f64::from(ahead);
            }
        }
    }
    let mut subjects = vec![(comparison.network.reference(), predictions)];
    subjects.extend(baselines::orders(data, labels, &photos, context)?);
    Ok(order::judge("bursts", &subjects, labels, &groups, data.margin))
}

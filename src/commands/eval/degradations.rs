//! Comparing photos with degraded copies of themselves, in both orders.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{DRAWS, DataArgs, Judgement, comparator, figure, medium};
use crate::commands::open_models::Networks;
use crate::context::Context;
use crate::error::CommandError;
use crate::library::ModelHubError;
use base::pixels::Pixels;
use hub::{Comparator, Degradations, HubError, TaskNetwork as _};
use judge::quality;
use train::degrade;
use train::eval::bootstrap;
use train::eval::variants::{self, Fault, Variant};
use train::photos::Label;

/// The JPEG quality of both photos of a pair, so that compression does not reveal the original. A copy degraded by JPEG
/// compression has its own quality.
const PAIR_QUALITY: u8 = 95;

/// A model that decides which of two photos is better.
enum PairModel {
    Comparison(Comparator),
    /// Compares the predicted quality of each photo.
    Quality(Degradations),
}

impl PairModel {
    fn of(data: &DataArgs, networks: &Networks<'_>, context: &Context) -> Result<Self, CommandError> {
        // A named model that is no comparison model is treated as a quality model.
        if data.network.model.is_some() {
            let which = data.network.which(None, "");
            if let Err(ModelHubError::Hub(HubError::WrongTask { .. } | HubError::Unrecognised { .. })) =
                networks.hub.network::<Comparator>(which)
            {
                return networks.open(which).map(Self::Quality);
            }
        }
        comparator(data, networks, context).map(Self::Comparison)
    }

    fn reference(&self) -> String {
        match self {
            Self::Comparison(model) => model.reference(),
            Self::Quality(model) => model.reference(),
        }
    }

    fn features(&self, photo: &Pixels) -> Result<Vec<f32>, HubError> {
        let photos = std::slice::from_ref(photo);
        match self {
            Self::Comparison(model) => Ok(model.features(photos)?.concat()),
            // The overall quality is the last output.
            Self::Quality(model) => Ok(model.strengths(photos)?.concat().pop().into_iter().collect()),
        }
    }

    /// The probability that the first is better; for quality models 1, 0, or 0.5 if equal.
    fn prefer(&self, first: &[f32], second: &[f32]) -> Result<f64, HubError> {
        match self {
            Self::Comparison(model) => model.prefer(first, second).map(f64::from),
            Self::Quality(_) => Ok(win(f64::from(first[0]), f64::from(second[0]))),
        }
    }
}

/// 1 if the first is larger, 0 if it is smaller, 0.5 if they are equal.
fn win(first: f64, second: f64) -> f64 {
    match first.partial_cmp(&second) {
        Some(Ordering::Greater) => 1.0,
        Some(Ordering::Less) => 0.0,
        _ => 0.5,
    }
}

pub fn judge(
    data: &DataArgs,
    labels: &[Label],
    networks: &Networks<'_>,
    context: &Context,
) -> Result<Judgement, CommandError> {
    let model = PairModel::of(data, networks, context)?;
    let step = (labels.len() / data.sample.max(1)).max(1);
    let chosen: Vec<Label> = labels.iter().step_by(step).take(data.sample).cloned().collect();
    let originals: Vec<Pixels> = data.decoded(&chosen)?.iter().map(|photo| medium(photo, context)).collect();
    let variants = variants::all();
    let weights = context.settings().quality_assessment.weights;
    let features = |photo: &Pixels| model.features(photo);
    let prefer = |a: &[f32], b: &[f32]| model.prefer(a, b);
    // For each photo, first against itself and then against each variant, whether the original won: by the model in first
    // and in second place, by the rule-based measure, and by sharpness.
    let compare = |original: &Pixels| -> Result<Vec<[f64; 4]>, CommandError> {
        let whole = degrade::encoded(original, PAIR_QUALITY);
        let (own, own_rules) = (features(&whole)?, quality::measure(&whole, &weights));
        let itself = prefer(&own, &own)?;
        let mut rows = vec![[itself; 4]];
        for variant in &variants {
            let worse = match variant.fault {
                Fault::Jpeg(quality) => degrade::encoded(original, quality),
                fault => degrade::encoded(&fault.apply(original).unwrap_or_else(|| original.clone()), PAIR_QUALITY),
            };
            let (other, rules) = (features(&worse)?, quality::measure(&worse, &weights));
            rows.push([
                win(prefer(&own, &other)?, 0.5),
                win(0.5, prefer(&other, &own)?),
                win(own_rules.overall, rules.overall),
                win(own_rules.sharpness_raw, rules.sharpness_raw),
            ]);
        }
        Ok(rows)
    };
    let rows: Vec<Vec<[f64; 4]>> = originals.par_iter().map(compare).collect::<Result<_, _>>()?;
    let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut add = |kind, at| kinds.entry(kind).or_default().push(at);
    for (at, Variant { kind, technical, .. }) in variants.iter().enumerate() {
        add(kind, at + 1);
        add(if *technical { "technical" } else { "crops" }, at + 1);
    }
    let mut figures = Vec::new();
    let reference = model.reference();
    let subjects: [(&str, &[usize]); 3] = [(&reference, &[0, 1]), ("rule-based", &[2]), ("sharpness", &[3])];
    for (subject, columns) in subjects {
        for (kind, at) in &kinds {
            let mean = |photos: &[&Vec<[f64; 4]>]| {
                let mut values = Vec::new();
                for rows in photos {
                    at.iter().for_each(|&v| values.extend(columns.iter().map(|&c| rows[v][c])));
                }
                values.iter().sum::<f64>() / values.len().max(1) as f64
            };
            let [low, high] = bootstrap::interval(&rows, DRAWS, 1, mean);
            let mut row = figure("degradations", subject, kind, "original_preferred");
            row.value = mean(&rows.iter().collect::<Vec<_>>());
            (row.low, row.high, row.count) = (Some(low), Some(high), rows.len() * at.len());
            figures.push(row);
        }
    }
    // The share of pairs in which the first photo won, over both orders; it reveals a model that ignores its input.
    let firsts = rows.iter().flat_map(|rows| &rows[1..]).map(|row| f64::midpoint(row[0], 1.0 - row[1]));
    let count = rows.len() * variants.len() * 2;
    let mut row = figure("degradations", &reference, "all", "first_preferred");
    (row.value, row.count) = (firsts.sum::<f64>() / (count / 2).max(1) as f64, count);
    figures.push(row);
    let mut row = figure("degradations", &reference, "identity", "confidence");
    (row.value, row.count) = (rows.iter().map(|rows| rows[0][0]).sum::<f64>() / rows.len().max(1) as f64, rows.len());
    figures.push(row);
    Ok(Judgement { figures, ..Judgement::default() })
}

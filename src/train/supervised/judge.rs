//! Metrics on the validation and test sets.

use std::collections::BTreeMap;

use candle_core::Device;

use super::batch::batch;
use super::network::Network;
use super::predictions::Predictions;
use super::recipe::{LargeRecipe, OutputMode};
use crate::TrainError;
use crate::eval::scores;
use crate::flaws;
use crate::labels::Item;
use networks::multihead::{self, DEGRADATIONS};
use networks::rating::Output;

/// Returns the metrics on some items, and the prediction for each.
pub fn judge(
    network: &Network,
    items: &[Item],
    items_to_judge: &[usize],
    recipe: &LargeRecipe,
    device: &Device,
) -> Result<(BTreeMap<String, f64>, Predictions), TrainError> {
    let mut predictions = Predictions::default();
    let (mut predicted, mut truth) = (Vec::new(), Vec::new());
    let mut choices = Choices::default();
    let mut flaws: Vec<[[f64; 2]; DEGRADATIONS.len()]> = Vec::new();
    for chosen in items_to_judge.chunks(recipe.batch) {
        let (photos, targets) = batch(items, chosen, recipe, None, device)?;
        let outputs = network.forward(&photos, false)?.to_vec2::<f32>()?;
        for (at, row) in outputs.iter().enumerate() {
            let item = &items[chosen[at]];
            if let Some(class) = targets.classes.get(at) {
                choices.add(row, *class as usize, item, &mut predictions);
                continue;
            }
            predictions.text("image_id", item.name());
            if let Some(quality) = targets.qualities.get(at) {
                predicted.push(logistic(row[0]));
                truth.push(f64::from(*quality));
            } else if targets.strengths.is_empty() {
                predicted.push(f64::from(output(recipe).rating(row)));
                truth.push(f64::from(targets.ratings[at]));
            } else {
                let own = &targets.strengths[at * DEGRADATIONS.len()..];
                flaws.push(std::array::from_fn(|head| [logistic(row[head]), f64::from(own[head])]));
                for (head, flaw) in DEGRADATIONS.iter().enumerate() {
                    predictions.number(&format!("pred_{flaw}"), logistic(row[head]));
                    predictions.number(&format!("gt_{flaw}"), f64::from(own[head]));
                }
                continue;
            }
            predictions.number("pred_mean", predicted[predicted.len() - 1]);
            predictions.number("gt_mean", truth[truth.len() - 1]);
            if targets.qualities.is_empty() {
                add_distribution(row, &targets.votes[at * 10..][..10], recipe, &mut predictions);
            }
        }
    }
    let mut metrics = BTreeMap::new();
    if !flaws.is_empty() {
        flaw_metrics(&flaws, &mut metrics);
    } else if predicted.is_empty() {
        choices.figures(&mut metrics);
    } else {
        metrics.insert("srcc".to_owned(), scores::spearman(&predicted, &truth));
        metrics.insert("plcc".to_owned(), scores::pearson(&predicted, &truth));
        metrics.insert("mae".to_owned(), scores::mean_absolute_error(&predicted, &truth));
        metrics.insert("mse".to_owned(), scores::mean_squared_error(&predicted, &truth));
        metrics.insert("figure".to_owned(), metrics["srcc"]);
    }
    Ok((metrics, predictions))
}

fn output(recipe: &LargeRecipe) -> Output {
    match recipe.output_mode {
        OutputMode::Regression => Output::Regression,
        OutputMode::Distribution => Output::Distribution,
    }
}

/// Adds the shares of the votes for 1 to 10; a network with one output gets zeros, as the original system writes them.
fn add_distribution(row: &[f32], votes: &[f32], recipe: &LargeRecipe, predictions: &mut Predictions) {
    let outputs = match recipe.output_mode {
        OutputMode::Regression => vec![0.0; votes.len()],
        OutputMode::Distribution => softmax(row),
    };
    for (k, (outputs, vote)) in (1..).zip(outputs.iter().zip(votes)) {
        predictions.number(&format!("pred_dist_{k}"), *outputs);
        predictions.number(&format!("gt_dist_{k}"), f64::from(*vote));
    }
}

/// Accuracy and confidence for classes and pairs.
#[derive(Default)]
struct Choices {
    /// Confidences of the right and of the wrong predictions.
    right: Vec<f64>,
    wrong: Vec<f64>,
}

impl Choices {
    fn add(&mut self, row: &[f32], class: usize, item: &Item, predictions: &mut Predictions) {
        let probabilities = softmax(row);
        let best = (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap_or(0);
        if best == class { &mut self.right } else { &mut self.wrong }.push(probabilities[best]);
        if let [first, second] = item.files.as_slice() {
            predictions.text("image1", first.display().to_string());
            predictions.text("image2", second.display().to_string());
        } else {
            predictions.text("image_id", item.name());
        }
        predictions.text("series_id", item.series.clone());
        predictions.number("winner", class as f64);
        predictions.number("pred", best as f64);
        for (k, (logit, share)) in row.iter().zip(&probabilities).enumerate() {
            predictions.number(&format!("logit{k}"), f64::from(*logit));
            predictions.number(&format!("p{k}"), *share);
        }
    }

    fn figures(&self, metrics: &mut BTreeMap<String, f64>) {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let all = [self.right.as_slice(), self.wrong.as_slice()].concat();
        let accuracy = self.right.len() as f64 / all.len().max(1) as f64;
        let mean_confidence = mean(&all);
        let spread = (all.iter().map(|v| (v - mean_confidence).powi(2)).sum::<f64>() / all.len().max(1) as f64).sqrt();
        metrics.insert("accuracy".to_owned(), accuracy);
        metrics.insert("figure".to_owned(), accuracy);
        metrics.insert("confidence".to_owned(), mean_confidence);
        metrics.insert("confidence_deviation".to_owned(), spread);
        for (name, confidences) in [("confidence_right", &self.right), ("confidence_wrong", &self.wrong)] {
            if !confidences.is_empty() {
                metrics.insert(name.to_owned(), mean(confidences));
            }
        }
    }
}

fn softmax(row: &[f32]) -> Vec<f64> {
    let most = row.iter().copied().fold(f32::MIN, f32::max);
    let shares: Vec<f64> = row.iter().map(|v| f64::from(v - most).exp()).collect();
    let total: f64 = shares.iter().sum();
    shares.into_iter().map(|share| share / total).collect()
}

fn logistic(v: f32) -> f64 {
    f64::from(1.0 / (1.0 + (-v).exp()))
}

/// Mean errors of each head and of the overall quality; `figure` is one minus the loss.
fn flaw_metrics(rows: &[[[f64; 2]; DEGRADATIONS.len()]], metrics: &mut BTreeMap<String, f64>) {
    let count = rows.len() as f64;
    let mut loss = 0.0;
    for (at, head) in DEGRADATIONS.iter().enumerate() {
        let error = |row: &[[f64; 2]; DEGRADATIONS.len()]| row[at][0] - row[at][1];
        metrics.insert(format!("mae_{head}"), rows.iter().map(|row| error(row).abs()).sum::<f64>() / count);
        let square = rows.iter().map(|row| error(row).powi(2)).sum::<f64>() / count;
        loss += f64::from(flaws::LOSS_WEIGHTS[at]) * square / DEGRADATIONS.len() as f64;
    }
    let overall = |row: &[[f64; 2]; DEGRADATIONS.len()], side: usize| {
        let found: [f32; DEGRADATIONS.len()] = std::array::from_fn(|at| row[at][side] as f32);
        f64::from(multihead::overall(&found, &multihead::WEIGHTS))
    };
    let error = rows.iter().map(|row| (overall(row, 0) - overall(row, 1)).abs()).sum::<f64>() / count;
    metrics.insert("mae_overall".to_owned(), error);
    metrics.insert("figure".to_owned(), 1.0 - loss);
}

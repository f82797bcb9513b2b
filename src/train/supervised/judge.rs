//! Figures on what is held out.

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
use networks::multihead::{self, FLAWS};
use networks::rating::Output;

/// Figures on items that were not learned from, and what the network said of each.
pub fn judge(
    network: &Network,
    items: &[Item],
    held: &[usize],
    recipe: &LargeRecipe,
    device: &Device,
) -> Result<(BTreeMap<String, f64>, Predictions), TrainError> {
    let mut said_of = Predictions::default();
    let (mut predicted, mut truth) = (Vec::new(), Vec::new());
    let mut choices = Choices::default();
    let mut flaws: Vec<[[f64; 2]; FLAWS.len()]> = Vec::new();
    for chosen in held.chunks(recipe.batch) {
        let (photos, targets) = batch(items, chosen, recipe, None, device)?;
        let said = network.forward(&photos, false)?.to_vec2::<f32>()?;
        for (at, row) in said.iter().enumerate() {
            let item = &items[chosen[at]];
            if let Some(class) = targets.classes.get(at) {
                choices.add(row, *class as usize, item, &mut said_of);
                continue;
            }
            said_of.text("image_id", item.name());
            if let Some(quality) = targets.qualities.get(at) {
                predicted.push(logistic(row[0]));
                truth.push(f64::from(*quality));
            } else if targets.strengths.is_empty() {
                predicted.push(f64::from(output(recipe).rating(row)));
                truth.push(f64::from(targets.ratings[at]));
            } else {
                let own = &targets.strengths[at * FLAWS.len()..];
                flaws.push(std::array::from_fn(|head| [logistic(row[head]), f64::from(own[head])]));
                for (head, flaw) in FLAWS.iter().enumerate() {
                    said_of.number(&format!("pred_{flaw}"), logistic(row[head]));
                    said_of.number(&format!("gt_{flaw}"), f64::from(own[head]));
                }
                continue;
            }
            said_of.number("pred_mean", predicted[predicted.len() - 1]);
            said_of.number("gt_mean", truth[truth.len() - 1]);
            if targets.qualities.is_empty() {
                shares(row, &targets.votes[at * 10..][..10], recipe, &mut said_of);
            }
        }
    }
    let mut metrics = BTreeMap::new();
    if !flaws.is_empty() {
        of_flaws(&flaws, &mut metrics);
    } else if predicted.is_empty() {
        choices.figures(&mut metrics);
    } else {
        metrics.insert("srcc".to_owned(), scores::spearman(&predicted, &truth));
        metrics.insert("plcc".to_owned(), scores::pearson(&predicted, &truth));
        metrics.insert("mae".to_owned(), scores::mean_absolute_error(&predicted, &truth));
        metrics.insert("mse".to_owned(), scores::mean_squared_error(&predicted, &truth));
        metrics.insert("figure".to_owned(), metrics["srcc"]);
    }
    Ok((metrics, said_of))
}

fn output(recipe: &LargeRecipe) -> Output {
    match recipe.output_mode {
        OutputMode::Regression => Output::Regression,
        OutputMode::Distribution => Output::Distribution,
    }
}

/// The votes for 1 to 10; of a network that says one number, zeros, as the original writes them.
fn shares(row: &[f32], votes: &[f32], recipe: &LargeRecipe, said_of: &mut Predictions) {
    let said = match recipe.output_mode {
        OutputMode::Regression => vec![0.0; votes.len()],
        OutputMode::Distribution => softmax(row),
    };
    for (k, (said, vote)) in (1..).zip(said.iter().zip(votes)) {
        said_of.number(&format!("pred_dist_{k}"), *said);
        said_of.number(&format!("gt_dist_{k}"), f64::from(*vote));
    }
}

/// Classes, or which of two: how often right, and how sure.
#[derive(Default)]
struct Choices {
    /// How sure, where right and where wrong.
    right: Vec<f64>,
    wrong: Vec<f64>,
}

impl Choices {
    fn add(&mut self, row: &[f32], class: usize, item: &Item, said_of: &mut Predictions) {
        let likely = softmax(row);
        let best = (0..likely.len()).max_by(|a, b| likely[*a].total_cmp(&likely[*b])).unwrap_or(0);
        if best == class { &mut self.right } else { &mut self.wrong }.push(likely[best]);
        if let [first, second] = item.files.as_slice() {
            said_of.text("image1", first.display().to_string());
            said_of.text("image2", second.display().to_string());
        } else {
            said_of.text("image_id", item.name());
        }
        said_of.text("series_id", item.series.clone());
        said_of.number("winner", class as f64);
        said_of.number("pred", best as f64);
        for (k, (logit, share)) in row.iter().zip(&likely).enumerate() {
            said_of.number(&format!("logit{k}"), f64::from(*logit));
            said_of.number(&format!("p{k}"), *share);
        }
    }

    fn figures(&self, metrics: &mut BTreeMap<String, f64>) {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let all = [self.right.as_slice(), self.wrong.as_slice()].concat();
        let accuracy = self.right.len() as f64 / all.len().max(1) as f64;
        let middle = mean(&all);
        let spread = (all.iter().map(|v| (v - middle).powi(2)).sum::<f64>() / all.len().max(1) as f64).sqrt();
        metrics.insert("accuracy".to_owned(), accuracy);
        metrics.insert("figure".to_owned(), accuracy);
        metrics.insert("confidence".to_owned(), middle);
        metrics.insert("confidence_deviation".to_owned(), spread);
        for (name, some) in [("confidence_right", &self.right), ("confidence_wrong", &self.wrong)] {
            if !some.is_empty() {
                metrics.insert(name.to_owned(), mean(some));
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

/// Mean error of each head and of the quality over all; the figure falls with the loss.
fn of_flaws(rows: &[[[f64; 2]; FLAWS.len()]], metrics: &mut BTreeMap<String, f64>) {
    let count = rows.len() as f64;
    let mut loss = 0.0;
    for (at, head) in FLAWS.iter().enumerate() {
        let apart = |row: &[[f64; 2]; FLAWS.len()]| row[at][0] - row[at][1];
        metrics.insert(format!("mae_{head}"), rows.iter().map(|row| apart(row).abs()).sum::<f64>() / count);
        let square = rows.iter().map(|row| apart(row).powi(2)).sum::<f64>() / count;
        loss += f64::from(flaws::LOSS_WEIGHTS[at]) * square / FLAWS.len() as f64;
    }
    let overall = |row: &[[f64; 2]; FLAWS.len()], side: usize| {
        let found: [f32; FLAWS.len()] = std::array::from_fn(|at| row[at][side] as f32);
        f64::from(multihead::overall(&found, &multihead::WEIGHTS))
    };
    let apart = rows.iter().map(|row| (overall(row, 0) - overall(row, 1)).abs()).sum::<f64>() / count;
    metrics.insert("mae_overall".to_owned(), apart);
    metrics.insert("figure".to_owned(), 1.0 - loss);
}

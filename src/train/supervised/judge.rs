//! Figures on what is held out.

use std::collections::BTreeMap;

use candle_core::Device;

use super::batch::batch;
use super::network::Network;
use super::recipe::{LargeRecipe, OutputMode};
use crate::TrainError;
use crate::eval::scores;
use crate::flaws;
use crate::labels::Item;
use networks::multihead::{self, FLAWS};

/// Figures on what is held out.
pub fn judge(
    network: &Network,
    items: &[Item],
    held: &[usize],
    recipe: &LargeRecipe,
    device: &Device,
) -> Result<BTreeMap<String, f64>, TrainError> {
    let (mut predicted, mut truth) = (Vec::new(), Vec::new());
    let mut right = 0usize;
    let mut flaws: Vec<[[f64; 2]; FLAWS.len()]> = Vec::new();
    for chosen in held.chunks(recipe.batch) {
        let (photos, targets) = batch(items, chosen, recipe, None, device)?;
        let said = network.forward(&photos, false)?.to_vec2::<f32>()?;
        for (at, row) in said.iter().enumerate() {
            if let Some(class) = targets.classes.get(at) {
                let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class as u32);
                right += usize::from(best == Some(*class));
            } else if targets.strengths.is_empty() {
                let output = match recipe.output_mode {
                    OutputMode::Regression => networks::rating::Output::Regression,
                    OutputMode::Distribution => networks::rating::Output::Distribution,
                };
                predicted.push(f64::from(output.rating(row)));
                truth.push(f64::from(targets.ratings[at]));
            } else {
                let own = &targets.strengths[at * FLAWS.len()..];
                let logistic = |v: f32| f64::from(1.0 / (1.0 + (-v).exp()));
                flaws.push(std::array::from_fn(|head| [logistic(row[head]), f64::from(own[head])]));
            }
        }
    }
    let mut metrics = BTreeMap::new();
    if !flaws.is_empty() {
        of_flaws(&flaws, &mut metrics);
    } else if predicted.is_empty() {
        let accuracy = right as f64 / held.len().max(1) as f64;
        metrics.insert("accuracy".to_owned(), accuracy);
        metrics.insert("figure".to_owned(), accuracy);
    } else {
        metrics.insert("srcc".to_owned(), scores::spearman(&predicted, &truth));
        metrics.insert("plcc".to_owned(), scores::pearson(&predicted, &truth));
        metrics.insert("mae".to_owned(), scores::mean_absolute_error(&predicted, &truth));
        metrics.insert("figure".to_owned(), metrics["srcc"]);
    }
    Ok(metrics)
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

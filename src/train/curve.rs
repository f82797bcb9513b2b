//! Training curves as an SVG chart.

use super::epoch::Epoch;
use crate::plot::{self, Line};

/// One chart of the training loss, and one of all metrics measured after each epoch.
pub fn svg(title: &str, history: &[Epoch]) -> String {
    let along = |pick: &dyn Fn(&Epoch) -> Option<f64>| -> Vec<(f64, f64)> {
        history.iter().filter_map(|epoch| Some((epoch.epoch as f64, pick(epoch)?))).collect()
    };
    let loss = Line { name: "train loss".to_owned(), points: along(&|epoch| Some(epoch.train_loss)) };
    let mut names: Vec<&String> = history.iter().flat_map(|epoch| epoch.metrics.keys()).collect();
    names.sort();
    names.dedup();
    let figure = |name: &&String| {
        let points = along(&|epoch| epoch.metrics.get(*name).copied());
        Line { name: (*name).clone(), points }
    };
    let figures = names.iter().map(figure).collect();
    plot::charts(&[(title, vec![loss]), ("measured after each epoch", figures)], "epoch")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_gets_a_line_and_a_name() {
        let epoch = |epoch| Epoch {
            epoch,
            steps: epoch * 10,
            learning_rate: 1e-3,
            train_loss: 1.0 / epoch as f64,
            gradient: 1.0,
            seconds: 1.0,
            best: false,
            metrics: [("srcc".to_owned(), 0.1 * epoch as f64)].into(),
        };
        let picture = svg("a run", &[epoch(1), epoch(2), epoch(3)]);
        assert_eq!(picture.matches("<polyline").count(), 2);
        assert!(picture.contains(">srcc<") && picture.contains(">epoch 3<"), "{picture}");
        assert!(!svg("nothing yet", &[]).contains("polyline"));
    }
}

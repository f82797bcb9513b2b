//! Figures for orders of photos within groups.

use super::{DRAWS, Judgement, figure};
use train::eval::bootstrap;
use train::eval::ranking::{self, Ranking, ScoredPhoto};
use train::photos::Label;
use train::plot::{self, Bar};

/// The number of places in the plot; the last one includes all later places.
const PLACES: usize = 8;

/// Evaluates the orders. `subjects` are names with a prediction for every photo, higher is better.
pub fn judge(
    task: &str,
    subjects: &[(String, Vec<f64>)],
    labels: &[Label],
    groups: &[usize],
    margin: f64,
) -> Judgement {
    let mut judgement = Judgement::default();
    for (at, (subject, said)) in subjects.iter().enumerate() {
        let judged: Vec<ScoredPhoto> = (labels.iter().zip(groups).zip(said))
            .map(|((label, &group), &predicted)| ScoredPhoto { group, truth: f64::from(label.score), predicted })
            .collect();
        let rankings = ranking::by_group(&judged, margin);
        let sum = |groups: &[&Ranking]| ranking::total(&groups.iter().copied().copied().collect::<Vec<_>>());
        let whole = ranking::total(&rankings);
        let metrics: [(&str, fn(&Ranking) -> f64, usize); 3] = [
            ("pairwise", Ranking::pairwise, whole.pairs),
            ("top1", Ranking::top1, whole.groups),
            ("mrr", Ranking::mean_reciprocal_rank, whole.groups),
        ];
        for (name, metric, count) in metrics.into_iter().filter(|(_, _, count)| *count > 0) {
            let [low, high] = bootstrap::interval(&rankings, DRAWS, 1, |groups| metric(&sum(groups)));
            let mut row = figure(task, subject, "all", name);
            (row.value, row.low, row.high, row.count) = (metric(&whole), Some(low), Some(high), count);
            judgement.figures.push(row);
        }
        // Only the model has this plot; baselines appear in the bar charts.
        if at == 0 {
            let title = format!("{task}: place that {subject} gives the best take of a group");
            judgement.pictures.push(("ranks.svg".to_owned(), plot::bars(&title, &places(&rankings))));
        }
    }
    judgement
}

/// The number of groups in which the best take comes first, second, and so on.
fn places(rankings: &[Ranking]) -> Vec<Bar> {
    let mut counts = [0.0; PLACES];
    for ranking in rankings.iter().filter(|ranking| ranking.reciprocal > 0.0) {
        counts[((1.0 / ranking.reciprocal).round() as usize).clamp(1, PLACES) - 1] += 1.0;
    }
    let label = |place: usize| if place == PLACES { format!("{place}th or later") } else { format!("place {place}") };
    counts.iter().enumerate().map(|(i, &value)| Bar { label: label(i + 1), value, range: None }).collect()
}

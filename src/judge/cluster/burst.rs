//! Takes of one moment: near in time **and** alike. Time alone stacks strangers, likeness alone stacks another day.

use serde::Serialize;

use super::agglomerative;
use super::embeddings::Embeddings;
use super::forest::Forest;
use super::moments::Moment;
use super::{ClusterError, Found};

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// Takes are at most this far apart in time, in milliseconds.
    pub gap_ms: i64,
    /// Cosine two takes reach at least.
    pub similarity: f64,
    /// Average cosine asked of photos that do not say when they were taken: likeness is all the evidence there is.
    pub untimed_similarity: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { gap_ms: 10_000, similarity: 0.5, untimed_similarity: 0.6 }
    }
}

/// A photo that only tells the day it was taken is of no moment.
pub(super) fn run(rows: &Embeddings, times: &[Option<Moment>], params: &Params) -> Result<Found, ClusterError> {
    if params.gap_ms < 0 {
        return Err(ClusterError::Parameter { parameter: "gap_ms", wanted: "at least 0" });
    }
    let cosine = |value: f64| (-1.0..=1.0).contains(&value);
    if !cosine(params.similarity) || !cosine(params.untimed_similarity) {
        return Err(ClusterError::Parameter { parameter: "similarity", wanted: "a cosine, −1 to 1" });
    }
    let times: Vec<Option<i64>> = times.iter().map(|time| time.and_then(Moment::exact)).collect();
    let mut forest = Forest::new(rows.len());
    join_takes(rows, &times, params, &mut forest);
    join_untimed(rows, &times, params, &mut forest)?;
    let (labels, _) = forest.numbered();
    Ok(Found { labels: labels.into_iter().map(|label| label as i32).collect(), ..Found::default() })
}

/// Every photo meets all that follow it within the gap, so one odd frame (a hand before the lens) splits no burst.
fn join_takes(rows: &Embeddings, times: &[Option<i64>], params: &Params, forest: &mut Forest) {
    let mut timed: Vec<(i64, usize)> = times.iter().enumerate().filter_map(|(i, time)| Some(((*time)?, i))).collect();
    timed.sort_unstable();
    for (at, &(time, i)) in timed.iter().enumerate() {
        let within = timed[at + 1..].iter().take_while(|(later, _)| later.saturating_sub(time) <= params.gap_ms);
        for &(_, j) in within {
            if rows.cosine(i, j) >= params.similarity {
                forest.join(i, j);
            }
        }
    }
}

/// Photos without a time group among themselves by average likeness; each such group then joins the one moment that is
/// most like it. One only: a photo without a time must not tie two moments of different days together.
fn join_untimed(
    rows: &Embeddings,
    times: &[Option<i64>],
    params: &Params,
    forest: &mut Forest,
) -> Result<(), ClusterError> {
    let untimed: Vec<usize> = (0..rows.len()).filter(|&i| times[i].is_none()).collect();
    if untimed.is_empty() {
        return Ok(());
    }
    // `agglomerative` merges below its threshold; the nudge lets the bound itself count as alike.
    let distance_threshold = 1.0 - params.untimed_similarity + 1e-9;
    let threshold = agglomerative::Params { distance_threshold, ..agglomerative::Params::default() };
    let labels = agglomerative::run(&rows.subset(&untimed), threshold)?.labels;
    let groups = labels.iter().copied().max().map_or(0, |highest| highest as usize + 1);
    let (moments, _) = forest.numbered();
    let mut members_of = vec![Vec::new(); rows.len()];
    for i in (0..rows.len()).filter(|&i| times[i].is_some()) {
        members_of[moments[i] as usize].push(i);
    }
    members_of.retain(|members| !members.is_empty());
    for group in 0..groups {
        let own: Vec<usize> =
            untimed.iter().zip(&labels).filter(|(_, label)| **label as usize == group).map(|(&i, _)| i).collect();
        own.windows(2).for_each(|pair| _ = forest.join(pair[0], pair[1]));
        let likeness = |moment: &Vec<usize>| average_cosine(rows, &own, moment);
        let best = members_of
            .iter()
            .map(|moment| (likeness(moment), moment[0]))
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        if let Some((_, first)) = best.filter(|best| best.0 >= params.untimed_similarity) {
            forest.join(own[0], first);
        }
    }
    Ok(())
}

fn average_cosine(rows: &Embeddings, a: &[usize], b: &[usize]) -> f64 {
    let sum: f64 = a.iter().flat_map(|&i| b.iter().map(move |&j| rows.cosine(i, j))).sum();
    sum / (a.len() * b.len()) as f64
}

//! Groups takes of one moment, which are near in time **and** similar. Time alone would join different scenes, and
//! similarity alone takes of different days.

use serde::Serialize;

use super::agglomerative;
use super::disjoint_sets::DisjointSets;
use super::embeddings::Embeddings;
use super::moments::Moment;
use super::{ClusterError, MethodOutput};

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// The largest time between two takes, in milliseconds.
    pub gap_ms: i64,
    /// The smallest cosine of two takes.
    pub similarity: f64,
    /// The smallest average cosine of photos without a capture time, for which similarity is the only evidence.
    pub untimed_similarity: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { gap_ms: 10_000, similarity: 0.5, untimed_similarity: 0.6 }
    }
}

/// Photos with only a day as capture time are treated as photos without a time.
pub(super) fn run(rows: &Embeddings, times: &[Option<Moment>], params: &Params) -> Result<MethodOutput, ClusterError> {
    if params.gap_ms < 0 {
        return Err(ClusterError::Parameter { parameter: "gap_ms", wanted: "at least 0" });
    }
    let cosine = |value: f64| (-1.0..=1.0).contains(&value);
    if !cosine(params.similarity) || !cosine(params.untimed_similarity) {
        return Err(ClusterError::Parameter { parameter: "similarity", wanted: "a cosine, −1 to 1" });
    }
    let times: Vec<Option<i64>> = times.iter().map(|time| time.and_then(Moment::exact)).collect();
    let mut sets = DisjointSets::new(rows.len());
    join_takes(rows, &times, params, &mut sets);
    join_untimed(rows, &times, params, &mut sets)?;
    let (labels, _) = sets.numbered();
    Ok(MethodOutput { labels: labels.into_iter().map(|label| label as i32).collect(), ..MethodOutput::default() })
}

/// Compares every photo with all that follow it within the gap, so that a single odd frame does not split a burst.
fn join_takes(rows: &Embeddings, times: &[Option<i64>], params: &Params, sets: &mut DisjointSets) {
    let mut timed: Vec<(i64, usize)> = times.iter().enumerate().filter_map(|(i, time)| Some(((*time)?, i))).collect();
    timed.sort_unstable();
    for (at, &(time, i)) in timed.iter().enumerate() {
        let within = timed[at + 1..].iter().take_while(|(later, _)| later.saturating_sub(time) <= params.gap_ms);
        for &(_, j) in within {
            if rows.cosine(i, j) >= params.similarity {
                sets.join(i, j);
            }
        }
    }
}

/// Groups photos without a time by average similarity, then joins each such group to the single most similar moment. It
/// must not join two moments of different days.
fn join_untimed(
    rows: &Embeddings,
    times: &[Option<i64>],
    params: &Params,
    sets: &mut DisjointSets,
) -> Result<(), ClusterError> {
    let untimed: Vec<usize> = (0..rows.len()).filter(|&i| times[i].is_none()).collect();
    if untimed.is_empty() {
        return Ok(());
    }
    // `agglomerative` merges strictly below its threshold; the small addition makes the bound inclusive.
    let distance_threshold = 1.0 - params.untimed_similarity + 1e-9;
    let threshold = agglomerative::Params { distance_threshold, ..agglomerative::Params::default() };
    let labels = agglomerative::run(&rows.subset(&untimed), &vec![None; untimed.len()], None, threshold)?.labels;
    let groups = labels.iter().copied().max().map_or(0, |highest| highest as usize + 1);
    let (moments, _) = sets.numbered();
    let mut members_of = vec![Vec::new(); rows.len()];
    for i in (0..rows.len()).filter(|&i| times[i].is_some()) {
        members_of[moments[i] as usize].push(i);
    }
    members_of.retain(|members| !members.is_empty());
    for group in 0..groups {
        let own: Vec<usize> =
            untimed.iter().zip(&labels).filter(|(_, label)| **label as usize == group).map(|(&i, _)| i).collect();
        own.windows(2).for_each(|pair| _ = sets.join(pair[0], pair[1]));
        let similarity = |moment: &Vec<usize>| average_cosine(rows, &own, moment);
        let best = members_of
            .iter()
            .map(|moment| (similarity(moment), moment[0]))
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        if let Some((_, first)) = best.filter(|best| best.0 >= params.untimed_similarity) {
            sets.join(own[0], first);
        }
    }
    Ok(())
}

fn average_cosine(rows: &Embeddings, a: &[usize], b: &[usize]) -> f64 {
    let sum: f64 = a.iter().flat_map(|&i| b.iter().map(move |&j| rows.cosine(i, j))).sum();
    sum / (a.len() * b.len()) as f64
}

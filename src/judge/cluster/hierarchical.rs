//! Clustering in two levels: finds scenes, then divides each scene of at least two photos again.

use serde::Serialize;
use serde_json::{Value, json};

use super::moments::Moment;
use super::{ClusterError, Input, Method, MethodOutput, NOISE};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Params {
    pub level1: Box<Method>,
    pub level2: Box<Method>,
}

pub(super) fn run(input: &Input, params: &Params) -> Result<MethodOutput, ClusterError> {
    let first = params.level1.run(input)?;
    let scenes = first.labels.iter().copied().max().map_or(0, |highest| (highest + 1) as usize);
    let mut output = MethodOutput { labels: vec![NOISE; first.labels.len()], ..MethodOutput::default() };
    let mut next = 0;
    let mut second_sizes = Vec::with_capacity(scenes);
    for scene in 0..scenes {
        let members: Vec<usize> = (0..first.labels.len()).filter(|&i| first.labels[i] == scene as i32).collect();
        let (labels, groups) = divide(input, &members, &params.level2)?;
        for (&member, label) in members.iter().zip(labels) {
            output.labels[member] = if label == NOISE { NOISE } else { next + label };
        }
        next += groups;
        second_sizes.push(groups);
    }
    let extra = &mut output.details.extra;
    extra.insert("level1_stats".into(), level_stats(&params.level1, &first.labels));
    extra.insert("level2_stats".into(), json!({ "algorithm": params.level2.name(), "n_clusters": second_sizes }));
    extra.insert("n_clusters_level1".into(), json!(scenes));
    let average = if scenes == 0 { 0.0 } else { f64::from(next) / scenes as f64 };
    extra.insert("avg_clusters_per_level1".into(), json!(average));
    Ok(output)
}

/// Returns the second level's labels of one scene, numbered from 0 without gaps, and the number of groups.
fn divide(input: &Input, members: &[usize], method: &Method) -> Result<(Vec<i32>, i32), ClusterError> {
    if members.len() < 2 {
        return Ok((vec![0; members.len()], members.len() as i32));
    }
    let rows = input.fine.unwrap_or(input.embeddings).subset(members);
    let times: Vec<Option<Moment>> = members.iter().map(|&i| input.times[i]).collect();
    let mut labels = method.run(&Input::new(&rows, &times))?.labels;
    let mut ids: Vec<i32> = labels.iter().copied().filter(|&label| label != NOISE).collect();
    ids.sort_unstable();
    ids.dedup();
    for label in labels.iter_mut().filter(|label| **label != NOISE) {
        *label = ids.binary_search(label).map_or(NOISE, |at| at as i32);
    }
    Ok((labels, ids.len() as i32))
}

fn level_stats(method: &Method, labels: &[i32]) -> Value {
    let noise = labels.iter().filter(|&&label| label == NOISE).count();
    let groups = labels.iter().copied().max().map_or(0, |highest| highest + 1);
    json!({ "algorithm": method.name(), "n_clusters": groups, "n_noise": noise })
}

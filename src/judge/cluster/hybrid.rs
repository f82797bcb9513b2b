//! HDBSCAN followed by corrections: merges groups whose exemplars are near each other, and attaches photos without a
//! group to the nearest group (`hybrid_hdbscan_knn` of the original, made there for faces). All distances are
//! Euclidean.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::disjoint_sets::DisjointSets;
use super::embeddings::Embeddings;
use super::{ClusterError, MethodOutput, NOISE, hdbscan};

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    pub min_cluster_size: usize,
    pub min_samples: usize,
    pub cluster_selection_epsilon: f64,
    /// The neighbour within the group whose distance measures how loose the group is, from 1.
    pub knn_k: usize,
    pub threshold_floor: f64,
    pub threshold_ceiling: f64,
    pub max_exemplars: usize,
    pub attach_min_exemplars: usize,
    pub merge_min_pairs: usize,
    pub merge_min_distinct: usize,
    pub max_iterations: usize,
    /// Whether to list every decision in the statistics.
    #[serde(skip)]
    pub debug: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            min_cluster_size: 2,
            min_samples: 2,
            cluster_selection_epsilon: 0.3,
            knn_k: 3,
            threshold_floor: 0.50,
            threshold_ceiling: 0.90,
            max_exemplars: 10,
            attach_min_exemplars: 2,
            merge_min_pairs: 3,
            merge_min_distinct: 2,
            max_iterations: 10,
            debug: false,
        }
    }
}

pub(super) fn run(rows: &Embeddings, params: &Params) -> Result<MethodOutput, ClusterError> {
    if rows.len() == 1 {
        return Ok(MethodOutput { labels: vec![0], ..MethodOutput::default() });
    }
    let start = hdbscan::Params {
        min_cluster_size: params.min_cluster_size,
        min_samples: Some(params.min_samples),
        epsilon: params.cluster_selection_epsilon,
    };
    let mut labels = hdbscan::run(rows, &start)?.labels;
    let first = json!({ "n_clusters": groups_of(&labels).len(), "n_noise": noise_in(&labels) });
    let mut log = Log::default();
    for _ in 0..params.max_iterations {
        let mut states = states(rows, &labels, params);
        if states.is_empty() {
            break;
        }
        let merged = merge(rows, &mut labels, &states, params, &mut log);
        if merged > 0 {
            states = self::states(rows, &labels, params);
        }
        let attached = attach(rows, &mut labels, &states, params, &mut log);
        log.merges += merged;
        log.attached += attached;
        if merged + attached == 0 {
            break;
        }
    }
    let mut output = MethodOutput { labels, ..MethodOutput::default() };
    let extra = &mut output.details.extra;
    extra.insert("hdbscan".into(), first);
    extra.insert("total_merges".into(), json!(log.merges));
    extra.insert("total_attached".into(), json!(log.attached));
    if params.debug {
        extra.insert("debug".into(), log.into_json(&states(rows, &output.labels, params)));
    }
    Ok(output)
}

#[derive(Default)]
struct Log {
    merges: usize,
    attached: usize,
    merge_decisions: Vec<Value>,
    attach_decisions: Vec<Value>,
}

impl Log {
    fn into_json(self, states: &[GroupState]) -> Value {
        let by_label = |value: &dyn Fn(&GroupState) -> Value| -> Map<String, Value> {
            states.iter().map(|state| (state.label.to_string(), value(state))).collect()
        };
        json!({
            "cluster_thresholds": by_label(&|state| json!(state.threshold)),
            "cluster_exemplars": by_label(&|state| json!(state.exemplars)),
            "cluster_d3_stats": by_label(&|state| json!({
                "q1": state.q1,
                "q3": state.q3,
                "iqr": state.q3 - state.q1,
                "raw_threshold": state.raw_threshold,
                "clamped_threshold": state.threshold,
            })),
            "merge_decisions": self.merge_decisions,
            "attach_decisions": self.attach_decisions,
        })
    }
}

/// A group's exemplars and its distance threshold.
struct GroupState {
    label: i32,
    exemplars: Vec<usize>,
    threshold: f64,
    raw_threshold: f64,
    q1: f64,
    q3: f64,
}

fn noise_in(labels: &[i32]) -> usize {
    labels.iter().filter(|&&label| label == NOISE).count()
}

/// The labels in use, ascending.
fn groups_of(labels: &[i32]) -> Vec<i32> {
    let mut groups: Vec<i32> = labels.iter().copied().filter(|&label| label != NOISE).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn states(rows: &Embeddings, labels: &[i32], params: &Params) -> Vec<GroupState> {
    groups_of(labels)
        .into_iter()
        .map(|label| {
            let members = (0..labels.len()).filter(|&i| labels[i] == label).collect();
            state(rows, label, members, params)
        })
        .collect()
}

/// Computes the threshold as Tukey's upper fence of the distances to the k-th nearest member, clamped. The members with
/// the smallest such distances are the exemplars.
fn state(rows: &Embeddings, label: i32, members: Vec<usize>, params: &Params) -> GroupState {
    if members.len() < 2 {
        let floor = params.threshold_floor;
        return GroupState { label, exemplars: members, threshold: floor, raw_threshold: floor, q1: 0.0, q3: 0.0 };
    }
    let k = params.knn_k.clamp(1, members.len() - 1);
    let mut by_density: Vec<(f64, usize)> = members
        .iter()
        .map(|&i| {
            let mut distances: Vec<f64> = members.iter().filter(|&&j| j != i).map(|&j| rows.distance(i, j)).collect();
            distances.sort_unstable_by(f64::total_cmp);
            (distances[k - 1], i)
        })
        .collect();
    by_density.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (q1, q3) = (quantile(&by_density, 0.25), quantile(&by_density, 0.75));
    let raw_threshold = q3 + 1.5 * (q3 - q1);
    GroupState {
        label,
        exemplars: by_density.iter().take(params.max_exemplars).map(|&(_, i)| i).collect(),
        threshold: raw_threshold.max(params.threshold_floor).min(params.threshold_ceiling),
        raw_threshold,
        q1,
        q3,
    }
}

/// A quantile with linear interpolation, like numpy's `percentile`.
fn quantile(ascending: &[(f64, usize)], share: f64) -> f64 {
    let at = share * (ascending.len() - 1) as f64;
    let (below, above) = (ascending[at.floor() as usize].0, ascending[at.ceil() as usize].0);
    below + (above - below) * at.fract()
}

/// Merges groups of which enough exemplars are near each other; returns the number of merges.
fn merge(rows: &Embeddings, labels: &mut [i32], states: &[GroupState], params: &Params, log: &mut Log) -> usize {
    let mut sets = DisjointSets::new(states.len());
    let mut merged = 0;
    for i in 0..states.len() {
        for j in i + 1..states.len() {
            if sets.root(i) == sets.root(j) {
                continue;
            }
            let exemplars = ExemplarDistances::between(rows, &states[i], &states[j]);
            let refusal = exemplars.refusal(params);
            if params.debug {
                log.merge_decisions.push(exemplars.to_json(&states[i], &states[j], refusal));
            }
            if refusal.is_none() {
                sets.join(i, j);
                merged += 1;
            }
        }
    }
    if merged > 0 {
        let (number, _) = sets.numbered();
        for label in labels.iter_mut().filter(|label| **label != NOISE) {
            if let Ok(at) = states.binary_search_by_key(label, |state| state.label) {
                *label = number[at] as i32;
            }
        }
    }
    merged
}

/// The distances between the exemplars of two groups.
struct ExemplarDistances {
    threshold: f64,
    distances: Vec<Vec<f64>>,
}

impl ExemplarDistances {
    fn between(rows: &Embeddings, a: &GroupState, b: &GroupState) -> Self {
        let to_b = |&i: &usize| b.exemplars.iter().map(|&j| rows.distance(i, j)).collect();
        Self { threshold: a.threshold.min(b.threshold), distances: a.exemplars.iter().map(to_b).collect() }
    }

    fn near(&self, distance: f64) -> bool {
        distance <= self.threshold
    }

    fn pairs(&self) -> usize {
        self.distances.iter().flatten().filter(|&&distance| self.near(distance)).count()
    }

    fn involved_a(&self) -> usize {
        self.distances.iter().filter(|line| line.iter().any(|&distance| self.near(distance))).count()
    }

    fn involved_b(&self) -> usize {
        let width = self.distances.first().map_or(0, Vec::len);
        (0..width).filter(|&j| self.distances.iter().any(|line| self.near(line[j]))).count()
    }

    /// Why the two stay apart; `None` where they become one.
    fn refusal(&self, params: &Params) -> Option<&'static str> {
        if self.pairs() < params.merge_min_pairs {
            Some("not_enough_pairs")
        } else if self.involved_a() < params.merge_min_distinct {
            Some("not_enough_distinct_a")
        } else if self.involved_b() < params.merge_min_distinct {
            Some("not_enough_distinct_b")
        } else {
            None
        }
    }

    fn to_json(&self, a: &GroupState, b: &GroupState, refusal: Option<&str>) -> Value {
        json!({
            "cluster_a": a.label,
            "cluster_b": b.label,
            "threshold": self.threshold,
            "n_pairs_within": self.pairs(),
            "exemplars_a_involved": self.involved_a(),
            "exemplars_b_involved": self.involved_b(),
            "min_distance": self.distances.iter().flatten().copied().fold(f64::INFINITY, f64::min),
            "merged": refusal.is_none(),
            "reason": refusal.unwrap_or("merged"),
            "cross_distances": self.distances,
        })
    }
}

/// A group that a photo could be attached to.
struct Candidate {
    label: i32,
    threshold: f64,
    required: usize,
    distances: Vec<f64>,
}

impl Candidate {
    fn matches(&self) -> usize {
        self.distances.iter().filter(|&&distance| distance <= self.threshold).count()
    }

    fn nearest(&self) -> f64 {
        self.distances.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn qualifies(&self) -> bool {
        self.matches() >= self.required
    }

    fn to_json(&self) -> Value {
        json!({
            "cluster": self.label,
            "threshold": self.threshold,
            "matches": self.matches(),
            "required": self.required,
            "min_dist": self.nearest(),
            "qualifies": self.qualifies(),
            "exemplar_distances": self.distances,
        })
    }
}

/// Attaches photos without a group to the group with the most and nearest exemplars within its threshold; returns their
/// number.
fn attach(rows: &Embeddings, labels: &mut [i32], states: &[GroupState], params: &Params, log: &mut Log) -> usize {
    let mut attached = 0;
    for photo in (0..labels.len()).filter(|&i| labels[i] == NOISE).collect::<Vec<_>>() {
        let candidates: Vec<Candidate> = states
            .iter()
            .map(|state| Candidate {
                label: state.label,
                threshold: state.threshold,
                required: if state.exemplars.len() < params.attach_min_exemplars {
                    1
                } else {
                    params.attach_min_exemplars
                },
                distances: state.exemplars.iter().map(|&exemplar| rows.distance(photo, exemplar)).collect(),
            })
            .collect();
        let best = candidates.iter().filter(|candidate| candidate.qualifies()).min_by(|a, b| {
            b.matches().cmp(&a.matches()).then(a.nearest().total_cmp(&b.nearest())).then(a.label.cmp(&b.label))
        });
        if params.debug {
            log.attach_decisions.push(json!({
                "face_idx": photo,
                "attached_to": best.map(|candidate| candidate.label),
                "candidates": candidates.iter().map(Candidate::to_json).collect::<Vec<_>>(),
            }));
        }
        if let Some(candidate) = best {
            labels[photo] = candidate.label;
            attached += 1;
        }
    }
    attached
}

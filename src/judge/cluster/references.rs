//! Compares HDBSCAN with scikit-learn, the Python package and the Rust crate, and with its definition.

use ::hdbscan::{Hdbscan, HdbscanHyperParams};
use serde::Deserialize;

use base::random::SplitMix;

use super::agreement::adjusted_rand;
use super::tests::{labels_of, same_grouping};
use super::*;

/// The generator of `tests/reference/hdbscan_labels.py`.
fn bell(chance: &mut SplitMix) -> f64 {
    (0..12).fold(0.0, |sum, _| sum + chance.fraction()) - 6.0
}

#[derive(Deserialize)]
struct Case {
    seed: u64,
    n: usize,
    dim: usize,
    blobs: usize,
    spread: f64,
    noise: f64,
    min_cluster_size: usize,
    min_samples: usize,
    epsilon: f64,
    scikit_learn: Vec<i64>,
    package: Vec<i64>,
}

impl Case {
    fn points(&self) -> Embeddings {
        let mut chance = SplitMix(self.seed);
        let centres: Vec<Vec<f64>> =
            (0..self.blobs).map(|_| (0..self.dim).map(|_| bell(&mut chance)).collect()).collect();
        let spreads: Vec<f64> = (0..self.blobs).map(|_| self.spread * (0.5 + chance.fraction())).collect();
        let mut rows = Vec::new();
        for i in 0..self.n {
            if chance.fraction() < self.noise {
                rows.extend((0..self.dim).map(|_| bell(&mut chance) as f32));
            } else {
                let blob = i % self.blobs;
                rows.extend(centres[blob].iter().map(|centre| (centre + spreads[blob] * bell(&mut chance)) as f32));
            }
        }
        Embeddings::new(&rows, self.dim).unwrap()
    }

    fn method(&self) -> Method {
        Method::Hdbscan(hdbscan::Params {
            min_cluster_size: self.min_cluster_size,
            min_samples: Some(self.min_samples),
            epsilon: self.epsilon,
        })
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../tests/reference/hdbscan_labels.json")).unwrap()
}

pub(super) fn blobs(groups: usize, each: usize, dim: usize, spread: f64, seed: u64) -> Embeddings {
    Case {
        seed,
        n: groups * each,
        dim,
        blobs: groups,
        spread,
        noise: 0.0,
        min_cluster_size: 2,
        min_samples: 2,
        epsilon: 0.0,
        scikit_learn: Vec::new(),
        package: Vec::new(),
    }
    .points()
}

/// With two or more samples, many reachability distances are equal, since one core distance counts for many pairs. The
/// references process equal edges in an unspecified order, which can change the group of a photo; ours merges them at
/// once.
#[test]
fn hdbscan_labels_as_scikit_learn_the_python_package_and_the_crate_do() {
    let cases = cases();
    let (mut untied, mut tied, mut tied_and_equal) = (0, 0, 0);
    for case in &cases {
        let rows = case.points();
        let ours = labels_of(&rows, &case.method(), Noise::Exclude);
        let crates = labels_of_the_crate(&rows, case);
        let references =
            [&case.scikit_learn, &case.package, &crates].map(|labels| (labels, adjusted_rand(&ours, labels)));
        if case.min_samples == 1 {
            for (labels, _) in &references {
                same_grouping(&ours, labels, &format!("case {}", case.seed));
            }
            untied += 1;
        } else {
            let best = references.iter().map(|(_, rand)| *rand).fold(0.0, f64::max);
            assert!(best > 0.95, "case {}: {best} is more than ties explain", case.seed);
            tied_and_equal += usize::from(best > 1.0 - 1e-9);
            tied += 1;
        }
    }
    assert!(untied >= 20 && tied >= 20 && tied_and_equal * 3 >= tied * 2, "{tied_and_equal} of {tied} equal");
}

fn labels_of_the_crate(rows: &Embeddings, case: &Case) -> Vec<i64> {
    let nested: Vec<Vec<f64>> =
        (0..rows.len()).map(|i| rows.row(i).iter().map(|&value| f64::from(value)).collect()).collect();
    // The crate counts the point itself, like scikit-learn.
    let params = HdbscanHyperParams::builder()
        .min_cluster_size(case.min_cluster_size)
        .min_samples(case.min_samples + 1)
        .epsilon(case.epsilon)
        .build();
    Hdbscan::new(&nested, params).cluster().unwrap().into_iter().map(i64::from).collect()
}

#[test]
fn hdbscan_groups_depend_neither_on_the_order_of_photos_nor_on_which_minimal_tree_was_found() {
    for case in cases() {
        let rows = case.points();
        let ours = labels_of(&rows, &case.method(), Noise::Exclude);
        let backwards: Vec<usize> = (0..rows.len()).rev().collect();
        let mut turned = labels_of(&rows.subset(&backwards), &case.method(), Noise::Exclude);
        turned.reverse();
        same_grouping(&ours, &turned, &format!("case {} backwards", case.seed));
        let mut labels = vec![-1; rows.len()];
        let edges = prim(&rows, case.min_samples);
        let groups = hdbscan::internals::groups(rows.len(), &edges, case.min_cluster_size, case.epsilon);
        for (label, group) in groups.iter().enumerate() {
            for &member in &group.members {
                labels[member as usize] = label as i64;
            }
        }
        same_grouping(&ours, &labels, &format!("case {} on the tree by Prim's algorithm", case.seed));
    }
}

/// The inputs are large enough for joins by lists, by component pairs and by scanning.
#[test]
fn hdbscan_tree_is_minimal_on_even_and_on_clumped_points() {
    for (groups, each, spread) in [(1, 2600, 1.0), (40, 30, 0.02), (2, 700, 0.3)] {
        let rows = blobs(groups, each, 12, spread, 5);
        let (ours, mut theirs) = (hdbscan::internals::minimum_tree(&rows, 4), prim(&rows, 4));
        theirs.sort_by(|x, y| x.weight.total_cmp(&y.weight));
        assert_eq!(ours.len(), theirs.len());
        for (x, y) in ours.iter().zip(&theirs) {
            assert!((x.weight - y.weight).abs() < 1e-5 * y.weight, "{groups} x {each}: {x:?} and {y:?}");
        }
    }
}

/// The minimum spanning tree by Prim's algorithm over all pairs in f64, starting at photo 0, like the references. Ties
/// go to the lower number; edges are sorted by weight.
fn prim(rows: &Embeddings, samples: usize) -> Vec<hdbscan::Edge> {
    let len = rows.len();
    let core: Vec<f64> = (0..len)
        .map(|i| {
            let mut all: Vec<f64> = (0..len).filter(|&j| j != i).map(|j| rows.distance(i, j)).collect();
            *all.select_nth_unstable_by(samples - 1, f64::total_cmp).1
        })
        .collect();
    let (mut best, mut inside) = (vec![(f64::INFINITY, 0); len], vec![false; len]);
    let (mut at, mut edges) = (0, Vec::new());
    for _ in 1..len {
        inside[at] = true;
        let mut next = (f64::INFINITY, 0);
        for j in (0..len).filter(|&j| !inside[j]) {
            let reach = rows.distance(at, j).max(core[at]).max(core[j]);
            if reach < best[j].0 {
                best[j] = (reach, at);
            }
            if best[j].0 < next.0 {
                next = (best[j].0, j);
            }
        }
        edges.push(hdbscan::Edge { a: best[next.1].1 as u32, b: next.1 as u32, weight: next.0 });
        at = next.1;
    }
    edges.sort_by(|x, y| x.weight.total_cmp(&y.weight));
    edges
}

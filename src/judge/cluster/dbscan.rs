//! DBSCAN over cosine distance, with the same labels as scikit-learn.

use serde::Serialize;

use super::disjoint_sets::DisjointSets;
use super::distances::{for_each_block, for_each_row};
use super::embeddings::Embeddings;
use super::{ClusterError, MethodOutput, NOISE};

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// The largest cosine distance (1 − cos) of neighbours, inclusive.
    pub eps: f64,
    /// The smallest number of neighbours of a core photo, counting the photo itself.
    pub min_samples: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { eps: 0.25, min_samples: 2 }
    }
}

pub(super) fn run(rows: &Embeddings, params: &Params) -> Result<MethodOutput, ClusterError> {
    if !(params.eps >= 0.0 && params.eps.is_finite()) {
        return Err(ClusterError::Parameter { parameter: "eps", wanted: "a cosine distance of at least 0" });
    }
    if params.min_samples == 0 {
        return Err(ClusterError::Parameter { parameter: "min_samples", wanted: "at least 1" });
    }
    let neighbourhoods = Neighbourhoods::new(rows, params.eps);
    let is_core = for_each_row(rows, |i, line| 1 + neighbourhoods.of(i, line).count() >= params.min_samples);
    Ok(MethodOutput { labels: label(rows, &neighbourhoods, &is_core), ..MethodOutput::default() })
}

/// The test for neighbours.
struct Neighbourhoods {
    eps: f64,
    /// Marks zero rows, which have no direction and are at cosine distance 1 from all.
    is_zero: Vec<bool>,
}

impl Neighbourhoods {
    fn new(rows: &Embeddings, eps: f64) -> Self {
        Self { eps, is_zero: (0..rows.len()).map(|i| rows.row(i).iter().all(|&value| value == 0.0)).collect() }
    }

    /// The neighbours of photo `i`, without itself, by its squared distances: for unit rows d² = 2 · (1 − cos).
    fn of<'a>(&'a self, i: usize, line: &'a [f32]) -> impl Iterator<Item = usize> + 'a {
        line.iter().enumerate().filter_map(move |(j, &squared)| {
            let distance = if self.is_zero[i] || self.is_zero[j] { 1.0 } else { f64::from(squared) / 2.0 };
            (j != i && distance <= self.eps).then_some(j)
        })
    }
}

/// Labels photos: neighbouring core photos form groups; every other photo joins the lowest-numbered group among its
/// core neighbours, or none.
fn label(rows: &Embeddings, neighbourhoods: &Neighbourhoods, is_core: &[bool]) -> Vec<i32> {
    let len = rows.len();
    // Each block has its own sets, joined afterwards, so that the result does not depend on the order in which blocks
    // finish. Photos that are not core have few neighbours by definition.
    let of_blocks = for_each_block(rows, |block, lines| {
        let (mut sets, mut border) = (DisjointSets::new(len), Vec::new());
        for (i, line) in block.zip(lines.chunks_exact(len)) {
            let neighbours = neighbourhoods.of(i, line).filter(|&j| is_core[j]);
            if is_core[i] {
                neighbours.for_each(|j| _ = sets.join(i, j));
            } else {
                border.push((i, neighbours.collect::<Vec<_>>()));
            }
        }
        (sets, border)
    });
    let mut sets = DisjointSets::new(len);
    for (mut part, _) in of_blocks.iter().map(|(sets, border)| (sets.clone(), border)) {
        (0..len).for_each(|i| _ = sets.join(i, part.root(i)));
    }
    let mut labels = number_cores(&mut sets, is_core);
    for (i, neighbours) in of_blocks.iter().flat_map(|(_, border)| border) {
        labels[*i] = neighbours.iter().map(|&j| labels[j]).min().unwrap_or(NOISE);
    }
    labels
}

/// Numbers groups in the order of their first core photo.
fn number_cores(sets: &mut DisjointSets, is_core: &[bool]) -> Vec<i32> {
    let mut number = vec![NOISE; is_core.len()];
    let mut next = 0;
    let mut labels = vec![NOISE; is_core.len()];
    for i in (0..is_core.len()).filter(|&i| is_core[i]) {
        let root = sets.root(i);
        if number[root] == NOISE {
            number[root] = next;
            next += 1;
        }
        labels[i] = number[root];
    }
    labels
}

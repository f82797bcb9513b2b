//! DBSCAN over cosine distance: photos with enough company within `eps` grow into groups. As scikit-learn labels them.

use serde::Serialize;

use super::distances::{for_each_block, for_each_row};
use super::embeddings::Embeddings;
use super::forest::Forest;
use super::{ClusterError, Found, NOISE};

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// Cosine distance (1 − cos) up to which photos are company, inclusive.
    pub eps: f64,
    /// Company needed, counting the photo itself.
    pub min_samples: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { eps: 0.25, min_samples: 2 }
    }
}

pub(super) fn run(rows: &Embeddings, params: &Params) -> Result<Found, ClusterError> {
    if !(params.eps >= 0.0 && params.eps.is_finite()) {
        return Err(ClusterError::Parameter { parameter: "eps", wanted: "a cosine distance of at least 0" });
    }
    if params.min_samples == 0 {
        return Err(ClusterError::Parameter { parameter: "min_samples", wanted: "at least 1" });
    }
    let reach = Reach::new(rows, params.eps);
    let is_core = for_each_row(rows, |i, line| 1 + reach.of(i, line).count() >= params.min_samples);
    Ok(Found { labels: label(rows, &reach, &is_core), ..Found::default() })
}

/// Who counts as company of whom.
struct Reach {
    eps: f64,
    /// A zero row has no direction: it is at cosine distance 1 from all.
    is_zero: Vec<bool>,
}

impl Reach {
    fn new(rows: &Embeddings, eps: f64) -> Self {
        Self { eps, is_zero: (0..rows.len()).map(|i| rows.row(i).iter().all(|&value| value == 0.0)).collect() }
    }

    /// The company of photo `i`, without itself, from its squared distances: for unit rows d² = 2 · (1 − cos).
    fn of<'a>(&'a self, i: usize, line: &'a [f32]) -> impl Iterator<Item = usize> + 'a {
        line.iter().enumerate().filter_map(move |(j, &squared)| {
            let distance = if self.is_zero[i] || self.is_zero[j] { 1.0 } else { f64::from(squared) / 2.0 };
            (j != i && distance <= self.eps).then_some(j)
        })
    }
}

/// Core photos hang together; the others join the group of their lowest-numbered core company, or none.
fn label(rows: &Embeddings, reach: &Reach, is_core: &[bool]) -> Vec<i32> {
    let len = rows.len();
    // A forest a block, joined afterwards: the same trees in whatever order blocks finish. The company of a photo that
    // is no core is short by definition.
    let of_blocks = for_each_block(rows, |block, lines| {
        let (mut forest, mut edge) = (Forest::new(len), Vec::new());
        for (i, line) in block.zip(lines.chunks_exact(len)) {
            let company = reach.of(i, line).filter(|&j| is_core[j]);
            if is_core[i] {
                company.for_each(|j| _ = forest.join(i, j));
            } else {
                edge.push((i, company.collect::<Vec<_>>()));
            }
        }
        (forest, edge)
    });
    let mut forest = Forest::new(len);
    for (mut part, _) in of_blocks.iter().map(|(forest, edge)| (forest.clone(), edge)) {
        (0..len).for_each(|i| _ = forest.join(i, part.root(i)));
    }
    let mut labels = number_cores(&mut forest, is_core);
    for (i, company) in of_blocks.iter().flat_map(|(_, edge)| edge) {
        labels[*i] = company.iter().map(|&j| labels[j]).min().unwrap_or(NOISE);
    }
    labels
}

/// Groups in the order of their first core photo.
fn number_cores(forest: &mut Forest, is_core: &[bool]) -> Vec<i32> {
    let mut number = vec![NOISE; is_core.len()];
    let mut next = 0;
    let mut labels = vec![NOISE; is_core.len()];
    for i in (0..is_core.len()).filter(|&i| is_core[i]) {
        let root = forest.root(i);
        if number[root] == NOISE {
            number[root] = next;
            next += 1;
        }
        labels[i] = number[root];
    }
    labels
}

//! Merges units of photos by average similarity, where each pair asks for a similarity of its own.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use rayon::prelude::*;

use super::disjoint_sets::DisjointSets;
use super::embeddings::Embeddings;

/// Pairs of units that may be merged, and the average similarity required for that.
pub type Pairs = BTreeMap<(usize, usize), f64>;

/// Merges units. Those that no pair connects are independent of each other, and sums are in memory for one connected set
/// of units at a time.
pub fn merged(units: Vec<Vec<usize>>, pairs: Pairs, rows: &Embeddings) -> Vec<Vec<usize>> {
    let mut sets = DisjointSets::new(units.len());
    pairs.keys().for_each(|&(a, b)| _ = sets.join(a, b));
    let (set_of, count) = sets.numbered();
    let mut places = Vec::with_capacity(units.len());
    let mut connected: Vec<(Vec<Vec<usize>>, Pairs)> = (0..count).map(|_| (Vec::new(), Pairs::new())).collect();
    for (unit, &set) in units.into_iter().zip(&set_of) {
        places.push(connected[set as usize].0.len());
        connected[set as usize].0.push(unit);
    }
    for ((a, b), least) in pairs {
        connected[set_of[a] as usize].1.insert((places[a], places[b]), least);
    }
    let merge = |(units, pairs): (Vec<Vec<usize>>, Pairs)| {
        if pairs.is_empty() { units } else { GroupMerging::new(units, rows).run(pairs) }
    };
    connected.into_par_iter().flat_map_iter(merge).collect()
}

/// Merges units, the most similar first, as long as their average similarity suffices.
pub struct GroupMerging<'a> {
    rows: &'a Embeddings,
    /// `None` once a unit was merged into another one.
    units: Vec<Option<Vec<usize>>>,
    /// Sums of the rows of each unit, computed on demand.
    sums: BTreeMap<usize, Vec<f64>>,
}

#[derive(PartialEq)]
struct MergeCandidate {
    similarity: f64,
    a: usize,
    b: usize,
}

impl Eq for MergeCandidate {}

impl Ord for MergeCandidate {
    /// Compares by similarity; ties go to the units that come first.
    fn cmp(&self, other: &Self) -> Ordering {
        self.similarity.total_cmp(&other.similarity).then((other.a, other.b).cmp(&(self.a, self.b)))
    }
}

impl PartialOrd for MergeCandidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> GroupMerging<'a> {
    pub fn new(units: Vec<Vec<usize>>, rows: &'a Embeddings) -> Self {
        Self { rows, units: units.into_iter().map(Some).collect(), sums: BTreeMap::new() }
    }

    pub fn run(mut self, pairs: Pairs) -> Vec<Vec<usize>> {
        let mut neighbour_pairs: BTreeMap<usize, BTreeMap<usize, f64>> = BTreeMap::new();
        let mut candidates = BinaryHeap::new();
        for ((a, b), least) in pairs {
            neighbour_pairs.entry(a).or_default().insert(b, least);
            neighbour_pairs.entry(b).or_default().insert(a, least);
            candidates.extend(self.candidate(a, b, least));
        }
        while let Some(MergeCandidate { a, b, .. }) = candidates.pop() {
            if self.units[a].is_none() || self.units[b].is_none() {
                continue;
            }
            let (first, second) = (self.units[a].take(), self.units[b].take());
            let whole: Vec<usize> = first.into_iter().chain(second).flatten().collect();
            let sums = self.sums.remove(&a).zip(self.sums.remove(&b));
            let c = self.units.len();
            self.units.push(Some(whole));
            self.sums.extend(sums.map(|(x, y)| (c, x.iter().zip(&y).map(|(x, y)| x + y).collect())));
            let mut around: BTreeMap<usize, f64> = neighbour_pairs.remove(&a).unwrap_or_default();
            for (other, least) in neighbour_pairs.remove(&b).unwrap_or_default() {
                around.entry(other).and_modify(|asked| *asked = asked.min(least)).or_insert(least);
            }
            around.retain(|&other, _| self.units[other].is_some());
            for (&other, &least) in &around {
                neighbour_pairs.entry(other).or_default().insert(c, least);
                candidates.extend(self.candidate(other, c, least));
            }
            neighbour_pairs.insert(c, around);
        }
        self.units.into_iter().flatten().collect()
    }

    fn candidate(&mut self, a: usize, b: usize, least: f64) -> Option<MergeCandidate> {
        for unit in [a, b] {
            let photos = self.units[unit].as_deref().unwrap_or_default();
            self.sums.entry(unit).or_insert_with(|| sum(photos, self.rows));
        }
        let size = |unit: usize| self.units[unit].as_ref().map_or(1, Vec::len) as f64;
        let similarity = dot(&self.sums[&a], &self.sums[&b]) / (size(a) * size(b));
        (similarity >= least).then_some(MergeCandidate { similarity, a, b })
    }
}

pub fn sum(photos: &[usize], rows: &Embeddings) -> Vec<f64> {
    let mut sum = vec![0.0; rows.dim()];
    for &photo in photos {
        sum.iter_mut().zip(rows.row(photo)).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    sum
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

//! The minimum spanning tree of the mutual reachability distance, max(core_a, core_b, d), with memory linear in N.
//!
//! One pass over blocks of distances lists the nearest neighbours of every photo. Rounds of Borůvka's algorithm on
//! these lists make all joins that the lists can prove. The few distant components that remain are joined by Prim's
//! algorithm, with their nearest pairs from a second pass over half the blocks. Neighbours are found with f32 products;
//! the weights of the result are computed again in f64.

use rayon::prelude::*;

use crate::cluster::disjoint_sets::DisjointSets;
use crate::cluster::distances::{blocks, for_each_row, squared, squared_norms};
use crate::cluster::embeddings::Embeddings;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    pub a: u32,
    pub b: u32,
    pub weight: f64,
}

/// The number of listed neighbours beyond the one of the core distance, enough to prove most joins from the lists.
const SPARE_NEIGHBOURS: usize = 24;

/// The largest number of components whose nearest pairs are kept as a triangle: 2,048² / 2 x 12 bytes are 24 MB.
const MAX_COMPONENTS: usize = 2048;

/// A candidate edge, ordered by squared reachability distance, then by the pair, so that ties have a unique result.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Join {
    squared: f32,
    a: u32,
    b: u32,
}

impl Join {
    const NONE: Self = Self { squared: f32::INFINITY, a: u32::MAX, b: u32::MAX };

    fn new(squared: f32, a: usize, b: usize) -> Self {
        Self { squared, a: a.min(b) as u32, b: a.max(b) as u32 }
    }

    fn beats(&self, other: &Self) -> bool {
        self.squared.total_cmp(&other.squared).then((self.a, self.b).cmp(&(other.a, other.b))).is_lt()
    }

    fn improve(&mut self, other: Self) {
        if other.beats(self) {
            *self = other;
        }
    }
}

/// Returns the edges of the tree, ascending. Like in the `hdbscan` package, `samples` does not count the photo itself.
pub fn minimum_tree(rows: &Embeddings, samples: usize) -> Vec<Edge> {
    let len = rows.len();
    if len < 2 {
        return Vec::new();
    }
    let samples = samples.clamp(1, len - 1);
    let near = Neighbours::find(rows, (samples + SPARE_NEIGHBOURS).min(len - 1));
    let core: Vec<f32> = (0..len).map(|i| near.of(i)[samples - 1].0).collect();
    let mut tree = Tree { sets: DisjointSets::new(len), joins: Vec::with_capacity(len - 1) };
    tree.join_by_lists(&near, &core);
    while let (component, count) = tree.sets.numbered()
        && count > 1
    {
        if count <= MAX_COMPONENTS {
            join_components(rows, &core, &component, count, &mut tree);
        } else {
            join_by_scanning(rows, &core, &component, count, &mut tree);
        }
    }
    weigh(rows, &near, samples, &tree.joins)
}

/// Computes the weights in f64 from the embeddings.
fn weigh(rows: &Embeddings, near: &Neighbours, samples: usize, joins: &[Join]) -> Vec<Edge> {
    let core: Vec<f64> = (0..rows.len()).map(|i| rows.distance(i, near.of(i)[samples - 1].1 as usize)).collect();
    let mut edges: Vec<Edge> = joins
        .iter()
        .map(|&Join { a, b, .. }| {
            let (i, j) = (a as usize, b as usize);
            Edge { a, b, weight: rows.distance(i, j).max(core[i]).max(core[j]) }
        })
        .collect();
    edges.sort_by(|x, y| x.weight.total_cmp(&y.weight).then((x.a, x.b).cmp(&(y.a, y.b))));
    edges
}

struct Tree {
    sets: DisjointSets,
    joins: Vec<Join>,
}

impl Tree {
    fn join(&mut self, join: Join) -> bool {
        let joined = join.a != u32::MAX && self.sets.join(join.a as usize, join.b as usize);
        if joined {
            self.joins.push(join);
        }
        joined
    }

    /// Runs Borůvka's rounds as long as the lists prove that no unlisted photo is nearer.
    fn join_by_lists(&mut self, near: &Neighbours, core: &[f32]) {
        loop {
            let (component, count) = self.sets.numbered();
            let mut best = vec![Join::NONE; count];
            // The smallest possible reachability distance of photos outside the lists of a component.
            let mut unseen = vec![f32::INFINITY; count];
            for i in 0..component.len() {
                let own = component[i] as usize;
                unseen[own] = unseen[own].min(near.horizon(i).max(core[i]));
                for &(squared, j) in near.of(i) {
                    if squared > best[own].squared {
                        break;
                    }
                    let j = j as usize;
                    if component[j] != component[i] {
                        best[own].improve(Join::new(squared.max(core[i]).max(core[j]), i, j));
                    }
                }
            }
            let proven = best.iter().zip(&unseen).filter(|(best, unseen)| best.squared <= **unseen);
            let mut joined = false;
            for (&join, _) in proven {
                joined |= self.join(join);
            }
            if !joined {
                return;
            }
        }
    }
}

/// The nearest neighbours of every photo, ordered by squared distance, then by number.
struct Neighbours {
    each: usize,
    /// Whether the lists contain all other photos.
    complete: bool,
    list: Vec<(f32, u32)>,
}

impl Neighbours {
    fn find(rows: &Embeddings, each: usize) -> Self {
        let lists = for_each_row(rows, |_, line| nearest(line, each));
        Self { each, complete: each + 1 == rows.len(), list: lists.concat() }
    }

    fn of(&self, i: usize) -> &[(f32, u32)] {
        &self.list[i * self.each..(i + 1) * self.each]
    }

    /// The smallest possible squared distance of a photo that is not listed.
    fn horizon(&self, i: usize) -> f32 {
        if self.complete { f32::INFINITY } else { self.of(i)[self.each - 1].0 }
    }
}

/// Returns the `each` smallest values of a line with their columns, ascending.
fn nearest(line: &[f32], each: usize) -> Vec<(f32, u32)> {
    let ascending = |x: &(f32, u32), y: &(f32, u32)| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1));
    let mut kept = Vec::with_capacity(each * 4 + 16);
    let mut limit = f32::INFINITY;
    for (column, &value) in line.iter().enumerate() {
        if value < limit {
            kept.push((value, column as u32));
            if kept.len() == kept.capacity() {
                kept.select_nth_unstable_by(each - 1, ascending);
                kept.truncate(each);
                limit = kept[each - 1].0;
            }
        }
    }
    kept.sort_unstable_by(ascending);
    kept.truncate(each);
    kept
}

/// One round of Borůvka's algorithm over all distances, for evenly distributed data, for which the lists prove little.
/// The largest component is skipped, because its nearest pair is found from the other side.
fn join_by_scanning(rows: &Embeddings, core: &[f32], component: &[u32], count: usize, tree: &mut Tree) {
    let mut sizes = vec![0_u32; count];
    for &id in component {
        sizes[id as usize] += 1;
    }
    let largest = (0..count).max_by_key(|&id| (sizes[id], std::cmp::Reverse(id))).unwrap_or(0) as u32;
    let of_rows = for_each_row(rows, |i, line| {
        let mut best = Join::NONE;
        if component[i] == largest {
            return best;
        }
        for (j, &squared) in line.iter().enumerate() {
            if squared <= best.squared && component[j] != component[i] {
                best.improve(Join::new(squared.max(core[i]).max(core[j]), i, j));
            }
        }
        best
    });
    let mut best = vec![Join::NONE; count];
    for (&id, join) in component.iter().zip(of_rows) {
        best[id as usize].improve(join);
    }
    for join in best {
        tree.join(join);
    }
}

/// Joins all components by Prim's algorithm, with the nearest pair of every two from one pass over the distances.
fn join_components(rows: &Embeddings, core: &[f32], component: &[u32], count: usize, tree: &mut Tree) {
    let pairs = NearestPairs::find(rows, core, component, count);
    let mut best: Vec<Join> = (0..count).map(|other| pairs.between(0, other)).collect();
    let mut inside = vec![false; count];
    inside[0] = true;
    for _ in 1..count {
        let mut next = None;
        for other in (0..count).filter(|&other| !inside[other]) {
            if next.is_none_or(|chosen: usize| best[other].beats(&best[chosen])) {
                next = Some(other);
            }
        }
        let Some(next) = next else { return };
        tree.join(best[next]);
        inside[next] = true;
        for other in (0..count).filter(|&other| !inside[other]) {
            best[other].improve(pairs.between(next, other));
        }
    }
}

/// The nearest pair of every two components, as an upper triangle.
struct NearestPairs {
    count: usize,
    triangle: Vec<Join>,
}

impl NearestPairs {
    fn at(count: usize, a: usize, b: usize) -> usize {
        let (a, b) = (a.min(b), a.max(b));
        a * (2 * count - a - 1) / 2 + b - a - 1
    }

    fn between(&self, a: usize, b: usize) -> Join {
        if a == b { Join::NONE } else { self.triangle[Self::at(self.count, a, b)] }
    }

    fn find(rows: &Embeddings, core: &[f32], component: &[u32], count: usize) -> Self {
        // After sorting by component, each component is a contiguous range of columns.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&i| component[i]);
        let sorted = rows.subset(&order);
        let core: Vec<f32> = order.iter().map(|&i| core[i]).collect();
        let runs = Runs::new(order.iter().map(|&i| component[i]), count);
        let norms = squared_norms(&sorted);
        let len = rows.len();
        let partial: Vec<(usize, Vec<Join>)> = blocks(len)
            .into_par_iter()
            .map_init(Vec::new, |buffer, block| {
                squared(&sorted, &norms, &block, &(block.start..len), buffer);
                let first = runs.of[block.start] as usize;
                let last = runs.of[block.end - 1] as usize;
                let from = Self::at(count, first, first + 1).min(count * (count - 1) / 2);
                let to = if last + 1 < count { Self::at(count, last, count - 1) + 1 } else { count * (count - 1) / 2 };
                let mut found = vec![Join::NONE; to - from];
                for (i, line) in block.clone().zip(buffer.chunks_exact_mut(len - block.start)) {
                    let own = runs.of[i] as usize;
                    for other in own + 1..count {
                        let run = runs.start[other]..runs.start[other + 1];
                        let line = &mut line[run.start - block.start..run.end - block.start];
                        let slot = &mut found[Self::at(count, own, other) - from];
                        slot.improve(nearest_in(line, &core[run.clone()], core[i], i, run.start));
                    }
                }
                (from, found)
            })
            .collect();
        let mut triangle = vec![Join::NONE; count * (count - 1) / 2];
        for (from, found) in partial {
            for (slot, join) in triangle[from..].iter_mut().zip(found) {
                slot.improve(join);
            }
        }
        for join in triangle.iter_mut().filter(|join| join.a != u32::MAX) {
            *join = Join::new(join.squared, order[join.a as usize], order[join.b as usize]);
        }
        Self { count, triangle }
    }
}

/// The column ranges of the components after sorting.
struct Runs {
    of: Vec<u32>,
    start: Vec<usize>,
}

impl Runs {
    fn new(sorted: impl Iterator<Item = u32>, count: usize) -> Self {
        let of: Vec<u32> = sorted.collect();
        let mut start = vec![0; count + 1];
        for &id in &of {
            start[id as usize + 1] += 1;
        }
        for id in 0..count {
            start[id + 1] += start[id];
        }
        Self { of, start }
    }
}

/// Returns the nearest of a range of columns to photo `i`. `line` holds squared distances and is overwritten.
fn nearest_in(line: &mut [f32], core: &[f32], own_core: f32, i: usize, first: usize) -> Join {
    let mut least = f32::INFINITY;
    for (value, &core) in line.iter_mut().zip(core) {
        *value = value.max(core).max(own_core);
        least = least.min(*value);
    }
    let at = line.iter().position(|&value| value <= least).unwrap_or(0);
    Join::new(least, i, first + at)
}

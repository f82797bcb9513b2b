//! Extracts groups from the spanning tree: single linkage, condensed tree, excess of mass.

use std::collections::VecDeque;

use super::Edge;
use crate::cluster::disjoint_sets::DisjointSets;

/// The density (1 / distance) used for distance 0 between identical photos, to keep the arithmetic finite.
const DENSEST: f64 = 1e12;

#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub members: Vec<u32>,
    /// How long the group persists as density rises, from 0 to 1: stability / (size · highest lambda).
    pub persistence: f64,
}

/// A merge of the single-linkage tree. Children below the number of photos are photos, all others are merges.
struct Merge {
    left: usize,
    right: usize,
    distance: f64,
    size: usize,
}

/// A cluster of the condensed tree; number 0 is the root. Children come after their parent.
struct Cluster {
    parent: Option<usize>,
    /// The density (1 / distance) at which it split off.
    birth: f64,
    size: usize,
    stability: f64,
    highest: f64,
    children: Vec<usize>,
    /// Photos that left it one by one or in parts too small for a cluster.
    points: Vec<u32>,
}

/// Returns the groups of `points` photos joined by `edges` (ascending by weight), in the order of the condensed tree.
pub fn groups(points: usize, edges: &[Edge], min_size: usize, epsilon: f64) -> Vec<Group> {
    if points < 2 {
        return Vec::new();
    }
    let tree = condense(points, &single_linkage(points, edges), min_size);
    let mut chosen = excess_of_mass(&tree);
    if epsilon > 0.0 {
        chosen = merge_below(&tree, &chosen, epsilon);
    }
    chosen.iter().map(|&id| group(&tree, id)).collect()
}

fn single_linkage(points: usize, edges: &[Edge]) -> Vec<Merge> {
    let mut sets = DisjointSets::new(points);
    // The merge or photo at the root of each set.
    let mut merge_of_root: Vec<usize> = (0..points).collect();
    let mut merges = Vec::with_capacity(edges.len());
    for edge in edges {
        let (a, b) = (sets.root(edge.a as usize), sets.root(edge.b as usize));
        let (left, right) = (merge_of_root[a], merge_of_root[b]);
        let size = sets.size_of(a) + sets.size_of(b);
        sets.join(a, b);
        merge_of_root[sets.root(a)] = points + merges.len();
        merges.push(Merge { left, right, distance: edge.weight, size });
    }
    merges
}

fn condense(points: usize, merges: &[Merge], min_size: usize) -> Vec<Cluster> {
    let size_of = |node: usize| if node < points { 1 } else { merges[node - points].size };
    let mut tree = vec![Cluster::new(None, 0.0, points)];
    let mut queue = VecDeque::from([(points + merges.len() - 1, 0)]);
    while let Some((node, cluster)) = queue.pop_front() {
        let distance = merges[node - points].distance;
        let lambda = if distance > 0.0 { (1.0 / distance).min(DENSEST) } else { DENSEST };
        let parts = parts(points, merges, node);
        let is_split = parts.iter().filter(|&&part| size_of(part) >= min_size).count() > 1;
        for part in parts {
            let size = size_of(part);
            if size < min_size {
                tree[cluster].lose(size, lambda);
                tree[cluster].points.extend(leaves(points, merges, part));
            } else if is_split {
                let child = tree.len();
                tree.push(Cluster::new(Some(cluster), lambda, size));
                tree[cluster].children.push(child);
                tree[cluster].lose(size, lambda);
                queue.push_back((part, child));
            } else {
                queue.push_back((part, cluster));
            }
        }
    }
    tree
}

/// The parts that a node splits into. Merges at the same distance are undone together: many reachability distances are
/// equal, since one core distance counts for many pairs, and one by one the result would depend on the order of photos.
fn parts(points: usize, merges: &[Merge], node: usize) -> Vec<usize> {
    let distance = merges[node - points].distance;
    let (mut found, mut stack) = (Vec::new(), vec![node]);
    while let Some(at) = stack.pop() {
        match at.checked_sub(points).map(|merge| &merges[merge]) {
            Some(merge) if merge.distance >= distance => stack.extend([merge.right, merge.left]),
            _ => found.push(at),
        }
    }
    found
}

impl Cluster {
    fn new(parent: Option<usize>, birth: f64, size: usize) -> Self {
        Self { parent, birth, size, stability: 0.0, highest: 0.0, children: Vec::new(), points: Vec::new() }
    }

    /// Records that `count` photos leave at density `lambda`.
    fn lose(&mut self, count: usize, lambda: f64) {
        self.stability += (lambda - self.birth) * count as f64;
        self.highest = self.highest.max(lambda);
    }
}

/// The photos below a node.
fn leaves(points: usize, merges: &[Merge], node: usize) -> Vec<u32> {
    let (mut found, mut stack) = (Vec::new(), vec![node]);
    while let Some(node) = stack.pop() {
        if node < points {
            found.push(node as u32);
        } else {
            let merge = &merges[node - points];
            stack.extend([merge.right, merge.left]);
        }
    }
    found
}

/// Selects the clusters that are more stable than all their descendants together, never the root. Ascending.
fn excess_of_mass(tree: &[Cluster]) -> Vec<usize> {
    let mut best: Vec<f64> = tree.iter().map(|cluster| cluster.stability).collect();
    let mut selected = vec![true; tree.len()];
    selected[0] = false;
    for id in (1..tree.len()).rev() {
        let below: f64 = tree[id].children.iter().map(|&child| best[child]).sum();
        if !tree[id].children.is_empty() && below > best[id] {
            selected[id] = false;
            best[id] = below;
        }
    }
    outermost(tree, &selected)
}

/// The marked clusters without a marked ancestor.
fn outermost(tree: &[Cluster], marked: &[bool]) -> Vec<usize> {
    let mut covered = vec![false; tree.len()];
    let mut kept = Vec::new();
    for id in 1..tree.len() {
        let above = tree[id].parent.is_some_and(|parent| covered[parent]);
        covered[id] = above || marked[id];
        if marked[id] && !above {
            kept.push(id);
        }
    }
    kept
}

/// Replaces clusters that split off at a distance below `epsilon` by their nearest ancestor that did not, except the
/// root.
fn merge_below(tree: &[Cluster], chosen: &[usize], epsilon: f64) -> Vec<usize> {
    let born_at = |id: usize| 1.0 / tree[id].birth;
    let mut marked = vec![false; tree.len()];
    for &id in chosen {
        let mut at = id;
        if born_at(at) < epsilon {
            while let Some(parent) = tree[at].parent.filter(|&parent| parent != 0) {
                at = parent;
                if born_at(at) > epsilon {
                    break;
                }
            }
        }
        marked[at] = true;
    }
    outermost(tree, &marked)
}

fn group(tree: &[Cluster], id: usize) -> Group {
    let (mut members, mut stack) = (Vec::new(), vec![id]);
    while let Some(at) = stack.pop() {
        members.extend(&tree[at].points);
        stack.extend(&tree[at].children);
    }
    let cluster = &tree[id];
    let lifetime = cluster.size as f64 * cluster.highest;
    let persistence = if cluster.highest >= DENSEST || lifetime <= 0.0 { 1.0 } else { cluster.stability / lifetime };
    Group { members, persistence }
}

//! From the spanning tree to groups: single linkage, condensed tree, excess of mass.

use std::collections::VecDeque;

use super::Edge;
use crate::cluster::forest::Forest;

/// 1 / 0: photos that are bytes of each other have no distance, and arithmetic wants a number.
const DENSEST: f64 = 1e12;

#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub members: Vec<u32>,
    /// How long the group lasts while the density rises: stability / (size · highest lambda), 0–1.
    pub persistence: f64,
}

/// A merge of the single-linkage tree. Children below `points` are photos, the others merges.
struct Merge {
    left: usize,
    right: usize,
    distance: f64,
    size: usize,
}

/// A cluster of the condensed tree; number 0 is the root. Children come after their parent.
struct Cluster {
    parent: Option<usize>,
    /// 1 / distance at which it split off.
    birth: f64,
    size: usize,
    stability: f64,
    highest: f64,
    children: Vec<usize>,
    /// Photos that fell out of it on their own.
    points: Vec<u32>,
}

/// The groups of `points` photos joined by `edges` (ascending), in the order in which the condensed tree met them.
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
    let mut forest = Forest::new(points);
    // The merge (or photo) that stands for each tree of the forest.
    let mut standing: Vec<usize> = (0..points).collect();
    let mut merges = Vec::with_capacity(edges.len());
    for edge in edges {
        let (a, b) = (forest.root(edge.a as usize), forest.root(edge.b as usize));
        let (left, right) = (standing[a], standing[b]);
        let size = forest.size_of(a) + forest.size_of(b);
        forest.join(a, b);
        standing[forest.root(a)] = points + merges.len();
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

/// What a node falls into. Merges at the very same distance happen at once: reachability ties by construction (one core
/// distance counts for many pairs), and taking tied merges one by one would let the order of the photos decide.
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

    /// `count` photos leave at density `lambda`.
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

/// The clusters that last longer than all that splits off below them; never the root. Ascending.
fn excess_of_mass(tree: &[Cluster]) -> Vec<usize> {
    let mut best: Vec<f64> = tree.iter().map(|cluster| cluster.stability).collect();
    let mut stands = vec![true; tree.len()];
    stands[0] = false;
    for id in (1..tree.len()).rev() {
        let below: f64 = tree[id].children.iter().map(|&child| best[child]).sum();
        if !tree[id].children.is_empty() && below > best[id] {
            stands[id] = false;
            best[id] = below;
        }
    }
    outermost(tree, &stands)
}

/// The marked clusters that have no marked one above them.
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

/// Replaces clusters born nearer than `epsilon` by their first ancestor that was not; the root is never reached.
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

//! Average links along a sparse graph: always merges the two nearest of the groups that a link connects.
//!
//! This gives the merges that comparing all groups would, because the average distance of two groups cannot be below the
//! threshold unless that of some of their parts is.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::embeddings::{Embeddings, dot};
use super::links::Part;

/// Two groups within the threshold; the heap gives the nearest first, of equal ones those made first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    distance: f64,
    a: u32,
    b: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.distance.total_cmp(&self.distance).then((other.a, other.b).cmp(&(self.a, self.b)))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A group that was not merged into another one.
struct Group {
    /// A photo of the group, by its place in the part.
    photo: u32,
    size: f64,
    /// The mean of its rows; `None` for a photo alone.
    mean: Option<Vec<f32>>,
    /// The groups near it, among them some that were merged since.
    near: Vec<u32>,
}

impl Group {
    fn mean<'a>(&'a self, rows: &'a Embeddings, part: &Part) -> &'a [f32] {
        self.mean.as_deref().unwrap_or_else(|| rows.row(part.photos[self.photo as usize]))
    }
}

/// Returns pairs of photos that merge the groups of a part, as places in it.
pub fn merges(rows: &Embeddings, part: &Part, threshold: f64) -> Vec<(u32, u32)> {
    let mut groups: Vec<Option<Group>> = (0..part.photos.len() as u32)
        .map(|photo| Some(Group { photo, size: 1.0, mean: None, near: Vec::new() }))
        .collect();
    let measured = |&(a, b): &(u32, u32)| {
        let distance = 1.0 - dot(rows.row(part.photos[a as usize]), rows.row(part.photos[b as usize]));
        (distance < threshold).then_some(Candidate { distance, a, b })
    };
    let candidates: Vec<Candidate> = part.links.par_iter().filter_map(measured).collect();
    for &Candidate { a, b, .. } in &candidates {
        for (group, other) in [(a, b), (b, a)] {
            groups[group as usize].iter_mut().for_each(|group| group.near.push(other));
        }
    }
    let mut heap = BinaryHeap::from(candidates);
    let mut found = Vec::new();
    while let Some(Candidate { a, b, .. }) = heap.pop() {
        let (Some(_), Some(_)) = (&groups[a as usize], &groups[b as usize]) else { continue };
        let (Some(a), Some(b)) = (groups[a as usize].take(), groups[b as usize].take()) else { continue };
        found.push((a.photo, b.photo));
        let size = a.size + b.size;
        let both = a.mean(rows, part).iter().zip(b.mean(rows, part));
        let mean: Vec<f32> =
            both.map(|(x, y)| ((f64::from(*x) * a.size + f64::from(*y) * b.size) / size) as f32).collect();
        let mut near = a.near;
        near.extend(b.near);
        near.sort_unstable();
        near.dedup();
        let whole = groups.len() as u32;
        near.retain(|&other| {
            let Some(group) = &mut groups[other as usize] else { return false };
            let distance = 1.0 - dot(&mean, group.mean(rows, part));
            let is_near = distance < threshold;
            if is_near {
                heap.push(Candidate { distance, a: other, b: whole });
                group.near.push(whole);
            }
            is_near
        });
        groups.push(Some(Group { photo: a.photo, size, mean: Some(mean), near }));
    }
    found
}

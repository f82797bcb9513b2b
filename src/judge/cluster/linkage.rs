//! Average links along a sparse graph: merges, all at once, the pairs of groups that are nearest to each other among those
//! that links connect.
//!
//! On average no group is nearer to a merged one than to the nearer of its parts. So two groups that are nearest to each
//! other stay so whatever is merged elsewhere, and rounds give the merges of always taking the nearest pair of all. Those
//! are the merges that comparing all groups would give, because the average distance of two groups cannot be below the
//! threshold unless that of some of their parts is.

use rayon::prelude::*;

use super::embeddings::{Embeddings, dot};
use super::links::Component;

/// A group within the threshold of another one.
#[derive(Debug, Clone, Copy)]
struct Neighbour {
    group: u32,
    cosine: f32,
}

/// A group, numbered by its first photo.
#[derive(Debug, Clone, Default)]
struct Group {
    size: f64,
    /// The mean of its rows; `None` for a photo alone, and for a group that has no neighbours left.
    mean: Option<Vec<f32>>,
    /// By number.
    near: Vec<Neighbour>,
    /// The nearest of them, of equal ones the first.
    nearest: Option<u32>,
}

struct Groups<'a> {
    rows: &'a Embeddings,
    component: &'a Component,
    threshold: f64,
    groups: Vec<Group>,
    /// The group that took in each one that is gone; itself for the others.
    into: Vec<u32>,
    /// The round in which each group was last merged.
    merged: Vec<u32>,
}

/// Returns pairs of photos that merge the groups of a component, as places in it.
pub fn merges(rows: &Embeddings, component: &Component, threshold: f64) -> Vec<(u32, u32)> {
    let count = component.photos.len() as u32;
    let alone = Group { size: 1.0, ..Group::default() };
    let (groups, into) = (vec![alone; count as usize], (0..count).collect());
    let mut groups = Groups { rows, component, threshold, groups, into, merged: vec![0; count as usize] };
    groups.link();
    let mut found = Vec::new();
    // The groups of which the nearest may be another one than in the round before.
    let mut stirred: Vec<u32> = (0..count).collect();
    for round in 1.. {
        let pairs = groups.nearest_to_each_other(&stirred);
        if pairs.is_empty() {
            break;
        }
        stirred = groups.merge(&pairs, round);
        found.extend(pairs);
    }
    found
}

impl Groups<'_> {
    fn mean(&self, group: u32) -> &[f32] {
        let of_photo = || self.rows.row(self.component.photos[group as usize]);
        self.groups[group as usize].mean.as_deref().unwrap_or_else(of_photo)
    }

    /// `None` unless two groups are within the threshold.
    fn cosine(&self, a: u32, b: u32) -> Option<f32> {
        let cosine = dot(self.mean(a), self.mean(b));
        (1.0 - cosine < self.threshold).then_some(cosine as f32)
    }

    /// Makes neighbours of the photos that are linked.
    fn link(&mut self) {
        let measured = |&(a, b): &(u32, u32)| Some((a, b, self.cosine(a, b)?));
        let links: Vec<(u32, u32, f32)> = self.component.links.par_iter().filter_map(measured).collect();
        for (a, b, cosine) in links {
            self.groups[a as usize].near.push(Neighbour { group: b, cosine });
            self.groups[b as usize].near.push(Neighbour { group: a, cosine });
        }
        self.groups.par_iter_mut().for_each(|group| {
            let near = std::mem::take(&mut group.near);
            group.near_are(near);
        });
    }

    fn nearest_to_each_other(&self, among: &[u32]) -> Vec<(u32, u32)> {
        let nearest = |group: u32| self.groups[group as usize].nearest;
        let pair = |&group: &u32| {
            let other = nearest(group).filter(|&other| nearest(other) == Some(group))?;
            Some((group.min(other), group.max(other)))
        };
        let mut pairs: Vec<(u32, u32)> = among.iter().filter_map(pair).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// Merges the second group of each pair into the first. Returns the groups whose neighbours changed.
    fn merge(&mut self, pairs: &[(u32, u32)], round: u32) -> Vec<u32> {
        let means: Vec<Vec<f32>> = pairs.par_iter().map(|&(a, b)| self.mean_of_both(a, b)).collect();
        for (&(a, b), mean) in pairs.iter().zip(means) {
            let gone = std::mem::take(&mut self.groups[b as usize]);
            let whole = &mut self.groups[a as usize];
            whole.size += gone.size;
            whole.mean = Some(mean);
            whole.near.extend(gone.near);
            self.into[b as usize] = a;
            self.merged[a as usize] = round;
        }
        let around: Vec<Vec<u32>> = pairs.par_iter().map(|&(a, _)| self.around(a)).collect();
        let near: Vec<Vec<Neighbour>> = pairs.par_iter().zip(&around).map(|(&(a, _), of)| self.near(a, of)).collect();
        for (&(a, _), near) in pairs.iter().zip(near) {
            self.groups[a as usize].near_are(near);
        }
        let mut beside: Vec<u32> = around.concat();
        beside.retain(|&group| self.merged[group as usize] < round);
        beside.par_sort_unstable();
        beside.dedup();
        let near: Vec<Vec<Neighbour>> = beside.par_iter().map(|&group| self.near_after(group, round)).collect();
        for (&group, near) in beside.iter().zip(near) {
            self.groups[group as usize].near_are(near);
        }
        beside.extend(pairs.iter().map(|&(a, _)| a));
        beside
    }

    fn mean_of_both(&self, a: u32, b: u32) -> Vec<f32> {
        let [of_a, of_b] = [a, b].map(|group| self.groups[group as usize].size);
        let of_both = |(x, y): (&f32, &f32)| ((f64::from(*x) * of_a + f64::from(*y) * of_b) / (of_a + of_b)) as f32;
        self.mean(a).iter().zip(self.mean(b)).map(of_both).collect()
    }

    /// The groups that were near the parts of a merged one.
    fn around(&self, whole: u32) -> Vec<u32> {
        let near = &self.groups[whole as usize].near;
        let mut around: Vec<u32> = near.iter().map(|near| self.into[near.group as usize]).collect();
        around.sort_unstable();
        around.dedup();
        around.retain(|&group| group != whole);
        around
    }

    fn near(&self, whole: u32, around: &[u32]) -> Vec<Neighbour> {
        around.iter().filter_map(|&group| Some(Neighbour { group, cosine: self.cosine(whole, group)? })).collect()
    }

    /// The neighbours of a group beside merged ones, which know how near it is.
    fn near_after(&self, group: u32, round: u32) -> Vec<Neighbour> {
        let after = |&near: &Neighbour| {
            let now = self.into[near.group as usize];
            if self.merged[now as usize] < round {
                return Some(near);
            }
            let of_whole = &self.groups[now as usize].near;
            let at = of_whole.binary_search_by_key(&group, |near| near.group).ok()?;
            Some(Neighbour { group: now, cosine: of_whole[at].cosine })
        };
        self.groups[group as usize].near.iter().filter_map(after).collect()
    }
}

impl Group {
    fn near_are(&mut self, mut near: Vec<Neighbour>) {
        near.sort_unstable_by_key(|near| near.group);
        near.dedup_by_key(|near| near.group);
        let nearer = |a: &Neighbour, b: &Neighbour| a.cosine.total_cmp(&b.cosine).then(b.group.cmp(&a.group));
        self.nearest = near.iter().copied().max_by(nearer).map(|near| near.group);
        if near.is_empty() {
            self.mean = None;
        }
        self.near = near;
    }
}

//! Picks photos so that all requested people are in the album.

use std::collections::BTreeMap;

use super::pick::ScoredPhotos;
use super::picks::Picks;
use super::reason::Covering;
use super::{Comparator, Decision};

/// The minimum number of photos of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The name, or the number such as `p3`.
    pub person: String,
    pub least: usize,
}

impl ScoredPhotos<'_> {
    /// Chooses photos until every quota is met or no photo helps: always the one with the most people still missing, and of
    /// these the best. Photos that the user kept count.
    pub(super) fn covering(&self, orders: &BTreeMap<usize, Vec<usize>>, comparator: Comparator) -> Covering {
        if self.rules.coverage.is_empty() {
            return Covering::new();
        }
        let shows = |photo: usize, person: &str| self.photos[photo].people.iter().any(|one| one == person);
        let kept = self.kept();
        let mut lacking: Vec<(&str, usize)> = Vec::new();
        for Quota { person, least } in &self.rules.coverage {
            let there = kept.iter().filter(|&&photo| shows(photo, person)).count();
            lacking.push((person, least.saturating_sub(there)));
        }
        let mut candidates: Vec<usize> = orders.values().flatten().copied().collect();
        candidates.retain(|&photo| !self.is(photo, Decision::Keep) && self.comes_last(photo).is_none());
        candidates.sort_by(|&a, &b| self.better_first(a, b));
        let (mut picked, mut covering) = (Picks::of(self.photos, kept), Covering::new());
        while picked.all.len() < self.rules.top.unwrap_or(usize::MAX) {
            let helps = |photo: usize| lacking.iter().filter(|(who, left)| *left > 0 && shows(photo, who)).count();
            let may = |&photo: &usize| {
                helps(photo) > 0
                    && !self.day_is_full(photo, &picked)
                    && self.nearest_similar_pick(photo, &picked, comparator).is_none()
            };
            // The first of the best: candidates are in the order of their scores.
            let best = candidates.iter().copied().filter(may).rev().max_by_key(|&photo| helps(photo));
            let Some(best) = best else { break };
            let mut for_whom = Vec::new();
            for (person, left) in lacking.iter_mut().filter(|(who, left)| *left > 0 && shows(best, who)) {
                *left -= 1;
                for_whom.push((*person).to_owned());
            }
            candidates.retain(|&photo| photo != best);
            picked.push(best);
            covering.insert(best, for_whom);
        }
        covering
    }
}

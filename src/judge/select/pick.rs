//! Picks photos from groups: orders each group, then takes photos from all groups in rounds.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use super::filter::FailedFilter;
use super::reason::{self, GroupContext, Outcome};
use super::tournament::{self, Entrant, Tiebreak};
use super::{Comparator, Decision, Photo, Rules, ScoreParts, SelectError, Verdict};

/// Returns the photos in a tie-break.
pub(super) fn needs_comparison(photos: &[Photo], rules: &Rules) -> Result<Vec<usize>, SelectError> {
    rules.check()?;
    let scored = ScoredPhotos::new(photos, rules);
    let mut needed: Vec<usize> = scored.groups().into_values().flat_map(|members| scored.close(&members)).collect();
    needed.sort_unstable();
    Ok(needed)
}

/// Returns a verdict for every photo: the picks by rank, then the others from best to worst.
pub(super) fn select(photos: &[Photo], rules: &Rules, comparator: Comparator) -> Result<Vec<Verdict>, SelectError> {
    rules.check()?;
    let scored = ScoredPhotos::new(photos, rules);
    let groups = scored.groups();
    let mut orders: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut tiebreaks: Vec<Option<Tiebreak>> = vec![None; photos.len()];
    for (&group, members) in &groups {
        orders.insert(group, scored.order(members, comparator, &mut tiebreaks));
    }
    let (picked, too_similar) = scored.pick(&orders, comparator);
    Ok(scored.verdicts(&groups, &orders, &picked, &too_similar, tiebreaks, comparator))
}

/// All photos with their computed scores.
struct ScoredPhotos<'a> {
    photos: &'a [Photo],
    rules: &'a Rules,
    parts: Vec<ScoreParts>,
    composite: Vec<Option<f64>>,
    failed: Vec<Option<FailedFilter>>,
    /// For each additional file of a picture, the file that represents the picture.
    duplicate_of: Vec<Option<usize>>,
}

/// Finds, for each additional file of a picture, the representative: the file with the simplest path.
fn duplicate_of(photos: &[Photo]) -> Vec<Option<usize>> {
    let simplicity = |photo: usize| {
        let Photo { path, group, .. } = &photos[photo];
        (group.is_none(), path.components().count(), path.as_os_str().len(), path)
    };
    let mut first: HashMap<[u8; 32], usize> = HashMap::new();
    for (photo, given) in photos.iter().enumerate() {
        let Some(content) = given.content else { continue };
        let current = first.entry(content).or_insert(photo);
        if simplicity(photo) < simplicity(*current) {
            *current = photo;
        }
    }
    let representative = |(photo, given): (usize, &Photo)| {
        given.content.and_then(|content| first.get(&content).copied()).filter(|&first| first != photo)
    };
    photos.iter().enumerate().map(representative).collect()
}

/// Photos passed over as too similar to a pick, each with that pick and the distance.
pub(super) type TooSimilar = BTreeMap<usize, (usize, f64)>;

impl<'a> ScoredPhotos<'a> {
    fn new(photos: &'a [Photo], rules: &'a Rules) -> Self {
        let parts: Vec<ScoreParts> = photos.iter().map(|photo| ScoreParts::of(photo, &rules.weights)).collect();
        let with_taste = |(photo, parts): (&Photo, &ScoreParts)| match photo.taste {
            Some(adds) => parts.composite().map(|composite| (composite + adds).clamp(0.0, 1.0)),
            None => parts.composite(),
        };
        let composite = photos.iter().zip(&parts).map(with_taste).collect();
        let failed = photos.iter().map(|photo| rules.filters.failed(photo)).collect();
        Self { photos, rules, parts, composite, failed, duplicate_of: duplicate_of(photos) }
    }

    fn is(&self, photo: usize, decision: Decision) -> bool {
        self.photos[photo].decision == Some(decision)
    }

    /// Whether a photo may be picked. A person's decision overrides filters and groups.
    fn eligible(&self, photo: usize) -> bool {
        let given = &self.photos[photo];
        match given.decision {
            _ if self.duplicate_of[photo].is_some() => false,
            Some(Decision::Keep) => true,
            Some(Decision::Reject) => false,
            None => given.group.is_some() && self.failed[photo].is_none(),
        }
    }

    /// The members of each group, best first. A picture is one member, however many files of it there are.
    fn groups(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (photo, given) in self.photos.iter().enumerate() {
            if let (Some(group), None) = (given.group, self.duplicate_of[photo]) {
                groups.entry(group).or_default().push(photo);
            }
        }
        for members in groups.values_mut() {
            members.sort_by(|&a, &b| self.better_first(a, b));
        }
        groups
    }

    /// Orders by composite, then sharpness, then path. Missing numbers come last.
    fn better_first(&self, a: usize, b: usize) -> Ordering {
        let descending = |x: Option<f64>, y: Option<f64>| {
            let value = |v: Option<f64>| v.filter(|v| v.is_finite()).unwrap_or(f64::NEG_INFINITY);
            value(y).total_cmp(&value(x))
        };
        descending(self.composite[a], self.composite[b])
            .then(descending(self.photos[a].sharpness, self.photos[b].sharpness))
            .then_with(|| self.photos[a].path.cmp(&self.photos[b].path))
            .then(a.cmp(&b))
    }

    fn blink(&self, photo: usize) -> Option<bool> {
        self.photos[photo].portrait.as_ref().ok()?.has_blink()
    }

    /// The eligible members, best first, and the handicap of each: the blink margin for a photo with a blink, if the
    /// group has a photo without one.
    fn contenders(&self, members: &[usize]) -> (Vec<usize>, impl Fn(usize) -> f64) {
        let mut eligible: Vec<usize> = members.iter().copied().filter(|&photo| self.eligible(photo)).collect();
        let some_without_blink = eligible.iter().any(|&photo| self.blink(photo) == Some(false));
        let margin = if some_without_blink { self.rules.blink_margin } else { 0.0 };
        let handicap = move |photo: usize| if self.blink(photo) == Some(true) { margin } else { 0.0 };
        let score_with_handicap =
            |photo: usize| self.composite[photo].map_or(f64::NEG_INFINITY, |own| own - handicap(photo));
        // A stable sort: ties stay in the order of the group.
        eligible.sort_by(|&a, &b| score_with_handicap(b).total_cmp(&score_with_handicap(a)));
        (eligible, handicap)
    }

    /// The photos in the tie-break of a group, best first: all within the margin of the best, if there are at least
    /// two. There is no tie-break in a group where a person kept a photo.
    fn close(&self, members: &[usize]) -> Vec<usize> {
        if members.iter().any(|&photo| self.is(photo, Decision::Keep)) {
            return Vec::new();
        }
        let (eligible, handicap) = self.contenders(members);
        let score_with_handicap = |photo: usize| Some(self.composite[photo]? - handicap(photo));
        let Some(best) = eligible.first().and_then(|&photo| score_with_handicap(photo)) else { return Vec::new() };
        let near =
            |&photo: &usize| score_with_handicap(photo).is_some_and(|own| best - own <= self.rules.tiebreak_margin);
        let mut close: Vec<usize> = eligible.iter().copied().take_while(near).collect();
        // The blink margin has already decided between photos with and without a blink.
        if self.rules.blink_margin > 0.0 {
            let first = close.iter().find_map(|&photo| self.blink(photo));
            close.retain(|&photo| self.blink(photo).is_none_or(|blink| Some(blink) == first));
        }
        if close.len() > 1 { close } else { Vec::new() }
    }

    /// The eligible members in the order in which the group contributes them.
    fn order(&self, members: &[usize], comparator: Comparator, tiebreaks: &mut [Option<Tiebreak>]) -> Vec<usize> {
        let (contenders, _) = self.contenders(members);
        let (kept, open): (Vec<usize>, Vec<usize>) =
            contenders.into_iter().partition(|&photo| self.is(photo, Decision::Keep));
        let close = self.close(members);
        let mut order = kept;
        if let Some(better) = comparator.better.filter(|_| !close.is_empty()) {
            let entrants = close
                .iter()
                .map(|&photo| Entrant {
                    photo,
                    composite: self.composite[photo].unwrap_or(0.0),
                    path: self.photos[photo].path.clone(),
                })
                .collect();
            for (entrant, tiebreak) in tournament::play(entrants, better) {
                order.push(entrant.photo);
                tiebreaks[entrant.photo] = Some(tiebreak);
            }
            order.extend(open.iter().filter(|photo| !close.contains(photo)));
        } else {
            order.extend(open);
        }
        order
    }

    /// Returns the picks in rank order, and the photos passed over as too similar.
    fn pick(&self, orders: &BTreeMap<usize, Vec<usize>>, comparator: Comparator) -> (Vec<usize>, TooSimilar) {
        let top = self.rules.top.unwrap_or(usize::MAX);
        let is_kept = |&photo: &usize| self.is(photo, Decision::Keep) && self.duplicate_of[photo].is_none();
        let mut picked: Vec<usize> = (0..self.photos.len()).filter(is_kept).collect();
        picked.sort_by(|&a, &b| self.better_first(a, b));
        let mut too_similar = TooSimilar::new();
        let rounds = orders.values().map(Vec::len).max().unwrap_or(0);
        for round in 0..rounds {
            let beyond = round >= self.rules.per_group;
            if picked.len() >= top || (beyond && !(self.rules.fill && self.rules.top.is_some())) {
                break;
            }
            let mut offered: Vec<usize> = orders.values().filter_map(|order| order.get(round)).copied().collect();
            offered.retain(|&photo| !self.is(photo, Decision::Keep));
            offered.sort_by(|&a, &b| self.better_first(a, b));
            for photo in offered {
                if picked.len() >= top {
                    break;
                }
                match self.nearest_similar_pick(photo, &picked, comparator).filter(|_| beyond) {
                    Some(like) => _ = too_similar.insert(photo, like),
                    None => picked.push(photo),
                }
            }
        }
        (picked, too_similar)
    }

    /// The nearest pick of the same group, if it is nearer than the diversity threshold.
    fn nearest_similar_pick(&self, photo: usize, picked: &[usize], comparator: Comparator) -> Option<(usize, f64)> {
        let group = self.photos[photo].group;
        picked
            .iter()
            .filter(|&&other| self.photos[other].group == group)
            .filter_map(|&other| Some((other, (comparator.distance)(photo, other).filter(|d| d.is_finite())?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .filter(|(_, distance)| *distance < self.rules.diversity)
    }

    fn verdicts(
        &self,
        groups: &BTreeMap<usize, Vec<usize>>,
        orders: &BTreeMap<usize, Vec<usize>>,
        picked: &[usize],
        too_similar: &TooSimilar,
        mut tiebreaks: Vec<Option<Tiebreak>>,
        comparator: Comparator,
    ) -> Vec<Verdict> {
        let mut sequence = picked.to_vec();
        let mut is_picked = vec![false; self.photos.len()];
        for &photo in picked {
            is_picked[photo] = true;
        }
        let mut others: Vec<usize> = (0..self.photos.len()).filter(|&photo| !is_picked[photo]).collect();
        others.sort_by(|&a, &b| self.better_first(a, b));
        sequence.extend(others);
        let none: Vec<usize> = Vec::new();
        let any_kept = (0..self.photos.len()).any(|photo| self.is(photo, Decision::Keep));
        let context = |members, order| {
            let group = GroupContext {
                photos: self.photos,
                composite: &self.composite,
                tiebreaks: &tiebreaks,
                members,
                order,
                is_picked: &is_picked,
                has_model: comparator.better.is_some(),
                any_kept,
                all: String::new(),
                close_call: None,
            };
            group.with_shared_facts()
        };
        let alone = context(&none, &none);
        let contexts: BTreeMap<usize, GroupContext> = groups
            .iter()
            .map(|(group, members)| (*group, context(members, orders.get(group).unwrap_or(&none))))
            .collect();
        let verdicts: Vec<Verdict> = sequence
            .into_iter()
            .enumerate()
            .map(|(at, photo)| {
                let context = self.photos[photo].group.and_then(|group| contexts.get(&group)).unwrap_or(&alone);
                let reason = reason::sentence(
                    photo,
                    self.outcome(photo, at, at < picked.len(), too_similar),
                    context,
                    self.rules,
                );
                Verdict {
                    photo,
                    rank: (at < picked.len()).then_some(at + 1),
                    composite: self.composite[photo],
                    parts: self.parts[photo],
                    group_size: context.members.len().max(1),
                    tiebreak: None,
                    close_call: context.is_close_call(photo),
                    reason,
                }
            })
            .collect();
        verdicts.into_iter().map(|verdict| Verdict { tiebreak: tiebreaks[verdict.photo].take(), ..verdict }).collect()
    }

    fn outcome(&self, photo: usize, at: usize, picked: bool, too_similar: &TooSimilar) -> Outcome {
        if let (Some(other), None | Some(Decision::Keep)) = (self.duplicate_of[photo], self.photos[photo].decision) {
            return Outcome::Same { other };
        }
        match (self.photos[photo].decision, picked, self.failed[photo]) {
            (Some(Decision::Keep), ..) => Outcome::Kept { beyond: self.rules.top.filter(|&top| at >= top) },
            (Some(Decision::Reject), ..) => Outcome::Rejected,
            (None, true, _) => Outcome::Picked,
            (None, false, Some(failed)) => Outcome::Filtered(failed),
            (None, false, None) if self.photos[photo].group.is_none() => Outcome::NoGroup,
            (None, false, None) => too_similar
                .get(&photo)
                .map_or(Outcome::PassedOver, |&(other, distance)| Outcome::TooAlike { other, distance }),
        }
    }
}

//! From groups to picks: the order within each group, then rounds over the groups.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use super::filter::Failed;
use super::reason::{self, Fate, Scene};
use super::tournament::{self, Entrant, Tiebreak};
use super::{Between, Decision, Parts, Photo, Rules, SelectError, Verdict};

/// The photos whose features a comparison model must provide: those in a tie-break. Empty means no model is needed.
pub fn needs_comparison(photos: &[Photo], rules: &Rules) -> Result<Vec<usize>, SelectError> {
    rules.check()?;
    let field = Field::new(photos, rules);
    let mut needed: Vec<usize> = field.groups().into_values().flat_map(|members| field.close(&members)).collect();
    needed.sort_unstable();
    Ok(needed)
}

/// Every photo's verdict: the picks by rank, then the others from best to worst.
pub fn select(photos: &[Photo], rules: &Rules, between: Between) -> Result<Vec<Verdict>, SelectError> {
    rules.check()?;
    let field = Field::new(photos, rules);
    let groups = field.groups();
    let mut table: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut tiebreaks: Vec<Option<Tiebreak>> = vec![None; photos.len()];
    for (&group, members) in &groups {
        table.insert(group, field.order(members, between, &mut tiebreaks));
    }
    let (taken, alike) = field.take(&table, between);
    Ok(field.verdicts(&groups, &table, &taken, &alike, tiebreaks, between))
}

/// The photos with what was computed of each.
struct Field<'a> {
    photos: &'a [Photo],
    rules: &'a Rules,
    parts: Vec<Parts>,
    composite: Vec<Option<f64>>,
    failed: Vec<Option<Failed>>,
    /// The photo that stands for a picture of which there are several files, for each of the others.
    same_as: Vec<Option<usize>>,
}

/// For each further file of a picture, the one that stands for it: the one with the plainest path.
fn same_as(photos: &[Photo]) -> Vec<Option<usize>> {
    let plainness = |photo: usize| {
        let Photo { path, group, .. } = &photos[photo];
        (group.is_none(), path.components().count(), path.as_os_str().len(), path)
    };
    let mut first: HashMap<[u8; 32], usize> = HashMap::new();
    for (photo, given) in photos.iter().enumerate() {
        let Some(content) = given.content else { continue };
        let standing = first.entry(content).or_insert(photo);
        if plainness(photo) < plainness(*standing) {
            *standing = photo;
        }
    }
    let standing = |(photo, given): (usize, &Photo)| {
        given.content.and_then(|content| first.get(&content).copied()).filter(|&standing| standing != photo)
    };
    photos.iter().enumerate().map(standing).collect()
}

/// A photo passed over because it is too much like one taken: which, and how far it is.
pub(super) type Alike = BTreeMap<usize, (usize, f64)>;

impl<'a> Field<'a> {
    fn new(photos: &'a [Photo], rules: &'a Rules) -> Self {
        let parts: Vec<Parts> = photos.iter().map(|photo| Parts::of(photo, &rules.weights)).collect();
        let composite = parts.iter().map(Parts::composite).collect();
        let failed = photos.iter().map(|photo| rules.filters.failed(photo)).collect();
        Self { photos, rules, parts, composite, failed, same_as: same_as(photos) }
    }

    fn is(&self, photo: usize, decision: Decision) -> bool {
        self.photos[photo].decision == Some(decision)
    }

    /// A person's keep opens every bar, a person's reject closes the door.
    fn eligible(&self, photo: usize) -> bool {
        let given = &self.photos[photo];
        match given.decision {
            _ if self.same_as[photo].is_some() => false,
            Some(Decision::Keep) => true,
            Some(Decision::Reject) => false,
            None => given.group.is_some() && self.failed[photo].is_none(),
        }
    }

    /// Members of each group, best first; a picture is one member, however many files of it there are.
    fn groups(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (photo, given) in self.photos.iter().enumerate() {
            if let (Some(group), None) = (given.group, self.same_as[photo]) {
                groups.entry(group).or_default().push(photo);
            }
        }
        for members in groups.values_mut() {
            members.sort_by(|&a, &b| self.better_first(a, b));
        }
        groups
    }

    /// Composite, then sharpness, then path; what has no number comes after what has.
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

    /// The eligible members, best first, and what each is set back by: who blinks, where somebody else does not.
    fn contenders(&self, members: &[usize]) -> (Vec<usize>, impl Fn(usize) -> f64) {
        let mut eligible: Vec<usize> = members.iter().copied().filter(|&photo| self.eligible(photo)).collect();
        let someone_does_not = eligible.iter().any(|&photo| self.blink(photo) == Some(false));
        let margin = if someone_does_not { self.rules.blink_margin } else { 0.0 };
        let handicap = move |photo: usize| if self.blink(photo) == Some(true) { margin } else { 0.0 };
        let standing = |photo: usize| self.composite[photo].map_or(f64::NEG_INFINITY, |own| own - handicap(photo));
        // Stable: what stands alike stays in the order of the group.
        eligible.sort_by(|&a, &b| standing(b).total_cmp(&standing(a)));
        (eligible, handicap)
    }

    /// Who enters the tie-break of a group (best first): all within the margin of the best, if there are two. Nobody
    /// where a person has chosen already.
    fn close(&self, members: &[usize]) -> Vec<usize> {
        if members.iter().any(|&photo| self.is(photo, Decision::Keep)) {
            return Vec::new();
        }
        let (eligible, handicap) = self.contenders(members);
        let standing = |photo: usize| Some(self.composite[photo]? - handicap(photo));
        let Some(best) = eligible.first().and_then(|&photo| standing(photo)) else { return Vec::new() };
        let near = |&photo: &usize| standing(photo).is_some_and(|own| best - own <= self.rules.tiebreak_margin);
        let mut close: Vec<usize> = eligible.iter().copied().take_while(near).collect();
        // Between a blink and open eyes the margin has decided already.
        if self.rules.blink_margin > 0.0 {
            let first = close.iter().find_map(|&photo| self.blink(photo));
            close.retain(|&photo| self.blink(photo).is_none_or(|blink| Some(blink) == first));
        }
        if close.len() > 1 { close } else { Vec::new() }
    }

    /// The eligible members in the order in which the group gives them.
    fn order(&self, members: &[usize], between: Between, tiebreaks: &mut [Option<Tiebreak>]) -> Vec<usize> {
        let (contenders, _) = self.contenders(members);
        let (kept, open): (Vec<usize>, Vec<usize>) =
            contenders.into_iter().partition(|&photo| self.is(photo, Decision::Keep));
        let close = self.close(members);
        let mut order = kept;
        if let Some(better) = between.better.filter(|_| !close.is_empty()) {
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

    /// The picks in rank order, and who was passed over for likeness.
    fn take(&self, table: &BTreeMap<usize, Vec<usize>>, between: Between) -> (Vec<usize>, Alike) {
        let top = self.rules.top.unwrap_or(usize::MAX);
        let is_kept = |&photo: &usize| self.is(photo, Decision::Keep) && self.same_as[photo].is_none();
        let mut taken: Vec<usize> = (0..self.photos.len()).filter(is_kept).collect();
        taken.sort_by(|&a, &b| self.better_first(a, b));
        let mut alike = Alike::new();
        let rounds = table.values().map(Vec::len).max().unwrap_or(0);
        for round in 0..rounds {
            let beyond = round >= self.rules.per_group;
            if taken.len() >= top || (beyond && !(self.rules.fill && self.rules.top.is_some())) {
                break;
            }
            let mut offered: Vec<usize> = table.values().filter_map(|order| order.get(round)).copied().collect();
            offered.retain(|&photo| !self.is(photo, Decision::Keep));
            offered.sort_by(|&a, &b| self.better_first(a, b));
            for photo in offered {
                if taken.len() >= top {
                    break;
                }
                match self.too_alike(photo, &taken, between).filter(|_| beyond) {
                    Some(like) => _ = alike.insert(photo, like),
                    None => taken.push(photo),
                }
            }
        }
        (taken, alike)
    }

    /// The nearest pick of the same group, if it is nearer than diversity allows.
    fn too_alike(&self, photo: usize, taken: &[usize], between: Between) -> Option<(usize, f64)> {
        let group = self.photos[photo].group;
        taken
            .iter()
            .filter(|&&other| self.photos[other].group == group)
            .filter_map(|&other| Some((other, (between.distance)(photo, other).filter(|d| d.is_finite())?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .filter(|(_, distance)| *distance < self.rules.diversity)
    }

    fn verdicts(
        &self,
        groups: &BTreeMap<usize, Vec<usize>>,
        table: &BTreeMap<usize, Vec<usize>>,
        taken: &[usize],
        alike: &Alike,
        mut tiebreaks: Vec<Option<Tiebreak>>,
        between: Between,
    ) -> Vec<Verdict> {
        let mut sequence = taken.to_vec();
        let mut is_taken = vec![false; self.photos.len()];
        for &photo in taken {
            is_taken[photo] = true;
        }
        let mut passed: Vec<usize> = (0..self.photos.len()).filter(|&photo| !is_taken[photo]).collect();
        passed.sort_by(|&a, &b| self.better_first(a, b));
        sequence.extend(passed);
        let none: Vec<usize> = Vec::new();
        let kept = (0..self.photos.len()).any(|photo| self.is(photo, Decision::Keep));
        sequence
            .into_iter()
            .enumerate()
            .map(|(at, photo)| {
                let group = self.photos[photo].group;
                let members = group.and_then(|group| groups.get(&group)).unwrap_or(&none);
                let order = group.and_then(|group| table.get(&group)).unwrap_or(&none);
                let scene = Scene {
                    photos: self.photos,
                    composite: &self.composite,
                    tiebreaks: &tiebreaks,
                    members,
                    order,
                    taken: &is_taken,
                    model: between.better.is_some(),
                    kept,
                };
                let reason = reason::sentence(photo, self.fate(photo, at, at < taken.len(), alike), &scene, self.rules);
                Verdict {
                    photo,
                    rank: (at < taken.len()).then_some(at + 1),
                    composite: self.composite[photo],
                    parts: self.parts[photo],
                    group_size: members.len().max(1),
                    tiebreak: None,
                    close_call: scene.is_close_call(photo),
                    reason,
                }
            })
            .collect::<Vec<_>>()
            .into_iter()
            .map(|verdict| Verdict { tiebreak: tiebreaks[verdict.photo].take(), ..verdict })
            .collect()
    }

    fn fate(&self, photo: usize, at: usize, picked: bool, alike: &Alike) -> Fate {
        if let (Some(other), None | Some(Decision::Keep)) = (self.same_as[photo], self.photos[photo].decision) {
            return Fate::Same { other };
        }
        match (self.photos[photo].decision, picked, self.failed[photo]) {
            (Some(Decision::Keep), ..) => Fate::Kept { beyond: self.rules.top.filter(|&top| at >= top) },
            (Some(Decision::Reject), ..) => Fate::Rejected,
            (None, true, _) => Fate::Picked,
            (None, false, Some(failed)) => Fate::Filtered(failed),
            (None, false, None) if self.photos[photo].group.is_none() => Fate::NoGroup,
            (None, false, None) => {
                alike.get(&photo).map_or(Fate::PassedOver, |&(other, distance)| Fate::TooAlike { other, distance })
            }
        }
    }
}

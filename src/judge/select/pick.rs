//! Picks photos from groups: orders each group, then takes photos from all groups in rounds.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rayon::prelude::*;

use super::filter::FailedFilter;
use super::lids::half_closed;
use super::picks::Picks;
use super::reason::{self, Covering, GroupContext, Outcome};
use super::representatives::{Representative, duplicates, sequences};
use super::tournament::{self, Entrant, Tiebreak};
use super::{Comparator, Decision, Junk, LikelyKind, Photo, Rules, ScoreParts, SelectError, Verdict};

/// The photos of an input in their groups, before any two are compared.
#[derive(Debug)]
pub(super) struct GroupedPhotos<'a> {
    scored: ScoredPhotos<'a>,
    groups: BTreeMap<usize, Group>,
}

/// A group, each list best first.
#[derive(Debug)]
struct Group {
    /// A picture is one member, however many files of it there are.
    members: Vec<usize>,
    /// The members that may be picked.
    contenders: Vec<usize>,
    /// See [`ScoredPhotos::front`].
    front: Vec<usize>,
}

impl<'a> GroupedPhotos<'a> {
    pub fn new(photos: &'a [Photo], rules: &'a Rules, with_taste: bool) -> Result<Self, SelectError> {
        rules.check()?;
        let scored = ScoredPhotos::new(photos, rules, with_taste);
        let grouped = |members: Vec<usize>| {
            let (contenders, handicap) = scored.contenders(&members);
            let front = scored.front(&members, &contenders, handicap);
            Group { members, contenders, front }
        };
        let groups = scored.groups().into_par_iter().map(|(group, members)| (group, grouped(members))).collect();
        Ok(Self { scored, groups })
    }

    /// The photos in a tie-break.
    pub fn close(&self) -> impl Iterator<Item = usize> {
        self.groups.values().filter(|group| group.front.len() > 1).flat_map(|group| group.front.iter().copied())
    }

    /// The photos whose distances may be asked for: those of groups from which several may be picked. That is never so
    /// where all groups together fill the album with what each may contribute anyway.
    pub fn compared_by_distance(&self) -> impl Iterator<Item = usize> {
        let rules = self.scored.rules;
        let sure = |group: &Group| {
            group
                .contenders
                .iter()
                .filter(|&&photo| self.scored.comes_last(photo).is_none())
                .take(rules.per_group)
                .count()
        };
        let has_room = |top: usize| rules.per_day.is_some() || self.groups.values().map(sure).sum::<usize>() < top;
        let are_compared = !rules.coverage.is_empty() || (rules.fill && rules.top.is_some_and(has_room));
        let several = self.groups.values().filter(move |group| are_compared && group.contenders.len() > 1);
        several.flat_map(|group| group.contenders.iter().copied())
    }

    /// A verdict for every photo: the picks by rank, then the others from best to worst.
    pub fn select(&self, comparator: Comparator) -> Vec<Verdict> {
        let Self { scored, groups } = self;
        let mut tiebreaks: Vec<Option<Tiebreak>> = vec![None; scored.photos.len()];
        let order = |(&number, group)| (number, scored.order(group, comparator, &mut tiebreaks));
        let orders: BTreeMap<usize, Vec<usize>> = groups.iter().map(order).collect();
        let covering = scored.covering(&orders, comparator);
        let (picked, passed) = scored.pick(&orders, &covering, comparator);
        scored.verdicts(groups, &orders, &Picked { picked, passed, covering }, tiebreaks, comparator)
    }
}

/// All photos with their computed scores.
#[derive(Debug)]
pub(super) struct ScoredPhotos<'a> {
    pub(super) photos: &'a [Photo],
    pub(super) rules: &'a Rules,
    parts: Vec<ScoreParts>,
    composite: Vec<Option<f64>>,
    failed: Vec<Option<FailedFilter>>,
    /// See [`half_closed`].
    half_closed: Vec<Option<usize>>,
    /// For each additional file of a picture, and for each other frame of a sequence, the photo that stands for it.
    pub(super) represented_by: Vec<Option<Representative>>,
}

/// The picks in rank order, the photos passed over in their turn, and the picks made for people.
struct Picked {
    picked: Vec<usize>,
    passed: BTreeMap<usize, Passed>,
    covering: Covering,
}

/// Why a photo was passed over when its turn came.
#[derive(Debug, Clone, Copy)]
enum Passed {
    /// Too similar to a pick, at this distance.
    TooAlike { other: usize, distance: f64 },
    /// As many of its day as wanted were picked before.
    DayIsFull,
}

/// For each photo the first face whose eyes are half closed compared with others of its group.
fn half_closed_eyes(photos: &[Photo]) -> Vec<Option<usize>> {
    let mut groups: BTreeMap<usize, Vec<&Photo>> = BTreeMap::new();
    for photo in photos.iter().filter(|photo| !photo.eyes.is_empty()) {
        photo.group.into_iter().for_each(|group| groups.entry(group).or_default().push(photo));
    }
    photos.iter().map(|photo| half_closed(photo, groups.get(&photo.group?)?)).collect()
}

impl<'a> ScoredPhotos<'a> {
    fn new(photos: &'a [Photo], rules: &'a Rules, with_taste: bool) -> Self {
        let parts: Vec<ScoreParts> = photos.iter().map(|photo| ScoreParts::of(photo, &rules.weights)).collect();
        let composite = |(photo, parts): (&Photo, &ScoreParts)| match photo.taste.filter(|_| with_taste) {
            Some(adds) => parts.composite().map(|composite| (composite + adds).clamp(0.0, 1.0)),
            None => parts.composite(),
        };
        let composite = photos.iter().zip(&parts).map(composite).collect();
        let junk = |photo: &Photo| {
            Some(FailedFilter::Junk(photo.kind.filter(|kind| rules.junk == Junk::Drop && !kind.is_photo())?))
        };
        let failed = photos.iter().map(|photo| junk(photo).or_else(|| rules.filters.failed(photo))).collect();
        let half_closed = if rules.blink_margin > 0.0 { half_closed_eyes(photos) } else { vec![None; photos.len()] };
        let represented_by = duplicates(photos);
        let mut scored = Self { photos, rules, parts, composite, failed, half_closed, represented_by };
        scored.represented_by = sequences(photos, &scored.represented_by, rules.best_of_sequences, |&a, &b| {
            let passes = |photo: usize| scored.failed[photo].is_none();
            passes(b).cmp(&passes(a)).then_with(|| scored.better_first(a, b))
        });
        scored
    }

    /// The photos that a person keeps and that no other photo stands for.
    pub(super) fn kept(&self) -> Vec<usize> {
        let is_kept = |&photo: &usize| self.is(photo, Decision::Keep) && self.represented_by[photo].is_none();
        (0..self.photos.len()).filter(is_kept).collect()
    }

    pub(super) fn is(&self, photo: usize, decision: Decision) -> bool {
        self.photos[photo].decision == Some(decision)
    }

    /// The kind of a picture that is picked only when photographs leave places.
    pub(super) fn comes_last(&self, photo: usize) -> Option<LikelyKind> {
        let given = &self.photos[photo];
        given
            .kind
            .filter(|kind| self.rules.junk == Junk::Last && !kind.is_photo() && given.decision != Some(Decision::Keep))
    }

    /// Whether a photo may be picked. A person's decision overrides filters and groups.
    fn eligible(&self, photo: usize) -> bool {
        let given = &self.photos[photo];
        match given.decision {
            _ if self.represented_by[photo].is_some() => false,
            Some(Decision::Keep) => true,
            Some(Decision::Reject) => false,
            None => given.group.is_some() && self.failed[photo].is_none(),
        }
    }

    /// The members of each group, best first.
    fn groups(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (photo, given) in self.photos.iter().enumerate() {
            if let (Some(group), None) = (given.group, self.represented_by[photo]) {
                groups.entry(group).or_default().push(photo);
            }
        }
        for members in groups.values_mut() {
            members.sort_by(|&a, &b| self.better_first(a, b));
        }
        groups
    }

    /// Orders by composite, then sharpness, then path. Missing numbers come last.
    pub(super) fn better_first(&self, a: usize, b: usize) -> Ordering {
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
        let own = self.photos[photo].portrait.as_ref().ok()?.has_blink()?;
        Some(own || self.half_closed[photo].is_some())
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
        let last = |photo: usize| self.comes_last(photo).is_some();
        eligible
            .sort_by(|&a, &b| last(a).cmp(&last(b)).then(score_with_handicap(b).total_cmp(&score_with_handicap(a))));
        (eligible, handicap)
    }

    /// The photos that may be the first of a group, best first: all within the tie-break margin of the best, except those
    /// behind another because of a blink or of less sharp faces. Empty in a group where a person kept a photo.
    fn front(&self, members: &[usize], contenders: &[usize], handicap: impl Fn(usize) -> f64) -> Vec<usize> {
        if members.iter().any(|&photo| self.is(photo, Decision::Keep)) {
            return Vec::new();
        }
        let mut eligible = contenders.to_vec();
        if let Some(&first) = eligible.first() {
            let is_last = self.comes_last(first).is_some();
            eligible.retain(|&photo| self.comes_last(photo).is_some() == is_last);
        }
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
        let has_faces = |photo: usize| !self.photos[photo].face_sharpness.is_empty();
        let is_behind =
            |&photo: &usize| has_faces(photo) && close.iter().any(|&other| self.has_sharper_faces(other, photo));
        let behind: Vec<usize> = close.iter().copied().filter(is_behind).collect();
        close.retain(|photo| !behind.contains(photo));
        close
    }

    /// Whether the faces of one photo are sharper than the same number of faces of another by more than the margin.
    fn has_sharper_faces(&self, photo: usize, other: usize) -> bool {
        let margin = self.rules.face_sharpness_margin;
        self.photos[photo].sharper_faces_than(&self.photos[other]).is_some_and(|lead| margin > 0.0 && lead > margin)
    }

    /// The eligible members in the order in which the group contributes them.
    fn order(&self, group: &Group, comparator: Comparator, tiebreaks: &mut [Option<Tiebreak>]) -> Vec<usize> {
        let Group { contenders, front, .. } = group;
        let (kept, open): (Vec<usize>, Vec<usize>) =
            contenders.iter().partition(|photo| self.is(**photo, Decision::Keep));
        let mut order = kept;
        if let Some(better) = comparator.better.filter(|_| front.len() > 1) {
            let entrants = front
                .iter()
                .map(|&photo| Entrant {
                    photo,
                    composite: self.composite[photo].unwrap_or(0.0),
                    path: &self.photos[photo].path,
                })
                .collect();
            for (entrant, tiebreak) in tournament::play(entrants, better) {
                order.push(entrant.photo);
                tiebreaks[entrant.photo] = Some(tiebreak);
            }
        } else {
            order.extend(front);
        }
        order.extend(open.iter().filter(|photo| !front.contains(photo)));
        order
    }

    /// Returns the picks in rank order, and the photos passed over in their turn. Photographs take their places before the
    /// pictures that come last.
    fn pick(
        &self,
        orders: &BTreeMap<usize, Vec<usize>>,
        covering: &Covering,
        comparator: Comparator,
    ) -> (Vec<usize>, BTreeMap<usize, Passed>) {
        let top = self.rules.top.unwrap_or(usize::MAX);
        let mut kept = self.kept();
        kept.sort_by(|&a, &b| self.better_first(a, b));
        let mut picked = Picks::of(self.photos, kept);
        let mut passed = BTreeMap::new();
        // Who was picked for people is the first that its group offers.
        let first = |order: &Vec<usize>| {
            let mut order = order.clone();
            order.sort_by_key(|photo| (!self.is(*photo, Decision::Keep), !covering.contains_key(photo)));
            order
        };
        let offers: Vec<Vec<usize>> = orders.values().map(first).collect();
        let mut reserved = covering.len();
        let rounds = offers.iter().map(Vec::len).max().unwrap_or(0);
        for (last, round) in [false, true].into_iter().flat_map(|last| (0..rounds).map(move |round| (last, round))) {
            let beyond = round >= self.rules.per_group;
            let is_closed = beyond && !(self.rules.fill && self.rules.top.is_some());
            if picked.all.len() >= top || (is_closed && reserved == 0) {
                continue;
            }
            let mut offered: Vec<usize> = offers.iter().filter_map(|order| order.get(round)).copied().collect();
            offered.retain(|&photo| !self.is(photo, Decision::Keep) && self.comes_last(photo).is_some() == last);
            offered.par_sort_by(|&a, &b| self.better_first(a, b));
            for photo in offered {
                if covering.contains_key(&photo) {
                    reserved -= 1;
                    picked.push(photo);
                    continue;
                }
                if is_closed || picked.all.len() + reserved >= top {
                    continue;
                }
                let too_alike = || self.nearest_similar_pick(photo, &picked, comparator);
                if self.day_is_full(photo, &picked) {
                    passed.insert(photo, Passed::DayIsFull);
                } else if let Some((other, distance)) = beyond.then(too_alike).flatten() {
                    passed.insert(photo, Passed::TooAlike { other, distance });
                } else {
                    picked.push(photo);
                }
            }
        }
        // The others of a group whose turn was passed over for its day have had no turn of their own.
        let in_album = |group: usize| !picked.of_group(Some(group)).is_empty();
        for (_, order) in orders.iter().filter(|(group, _)| !in_album(**group)) {
            let full = order.iter().copied().filter(|&photo| self.day_is_full(photo, &picked));
            full.for_each(|photo| _ = passed.entry(photo).or_insert(Passed::DayIsFull));
        }
        (picked.all, passed)
    }

    pub(super) fn day_is_full(&self, photo: usize, picked: &Picks) -> bool {
        let (Some(most), Some(day)) = (self.rules.per_day, &self.photos[photo].day) else { return false };
        picked.on_day(day) >= most
    }

    /// The nearest pick of the same group, if it is nearer than the diversity threshold.
    pub(super) fn nearest_similar_pick(
        &self,
        photo: usize,
        picked: &Picks,
        comparator: Comparator,
    ) -> Option<(usize, f64)> {
        let distance = |other: usize| {
            let of_features = (comparator.distance)(photo, other).filter(|distance| distance.is_finite())?;
            let differ = self.differ_in_category(photo, other);
            Some(of_features + if differ { self.rules.category_distance } else { 0.0 })
        };
        let of_group = picked.of_group(self.photos[photo].group).iter();
        of_group
            .filter_map(|&other| Some((other, distance(other)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .filter(|(_, distance)| *distance < self.rules.diversity)
    }

    /// Whether two pictures are known to be of different kinds, or of different subjects.
    fn differ_in_category(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.photos[a], &self.photos[b]);
        let kinds = a.kind.zip(b.kind).is_some_and(|(a, b)| a.what != b.what);
        kinds || a.subject.as_ref().zip(b.subject.as_ref()).is_some_and(|(a, b)| a != b)
    }

    fn verdicts(
        &self,
        groups: &BTreeMap<usize, Group>,
        orders: &BTreeMap<usize, Vec<usize>>,
        chosen: &Picked,
        mut tiebreaks: Vec<Option<Tiebreak>>,
        comparator: Comparator,
    ) -> Vec<Verdict> {
        let Picked { picked, passed, covering } = chosen;
        let mut sequence = picked.clone();
        let mut is_picked = vec![false; self.photos.len()];
        for &photo in picked {
            is_picked[photo] = true;
        }
        let mut others: Vec<usize> = (0..self.photos.len()).filter(|&photo| !is_picked[photo]).collect();
        others.par_sort_by(|&a, &b| self.better_first(a, b));
        sequence.extend(others);
        let none: Vec<usize> = Vec::new();
        let any_kept = (0..self.photos.len()).any(|photo| self.is(photo, Decision::Keep));
        let has_model = comparator.better.is_some();
        let context = |members, order| {
            let group = GroupContext {
                photos: self.photos,
                composite: &self.composite,
                tiebreaks: &tiebreaks,
                half_closed: &self.half_closed,
                members,
                order,
                is_picked: &is_picked,
                has_model,
                any_kept,
                face_sharpness_margin: self.rules.face_sharpness_margin,
                covering,
                all: String::new(),
                close_call: None,
            };
            group.with_shared_facts()
        };
        let alone = context(&none, &none);
        let contexts: BTreeMap<usize, GroupContext> = groups
            .par_iter()
            .map(|(number, group)| (*number, context(&group.members, orders.get(number).unwrap_or(&none))))
            .collect();
        // Sentences take a quarter of the time of a choice, so all cores write them.
        let verdicts: Vec<Verdict> = sequence
            .into_par_iter()
            .enumerate()
            .map(|(at, photo)| {
                let context = self.photos[photo].group.and_then(|group| contexts.get(&group)).unwrap_or(&alone);
                let reason =
                    reason::sentence(photo, self.outcome(photo, at, at < picked.len(), passed), context, self.rules);
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

    fn outcome(&self, photo: usize, at: usize, picked: bool, passed: &BTreeMap<usize, Passed>) -> Outcome {
        if let (Some(by), None | Some(Decision::Keep)) = (self.represented_by[photo], self.photos[photo].decision) {
            return match by {
                Representative::File(other) => Outcome::Same { other },
                Representative::Frame(other) => Outcome::Frame { other },
            };
        }
        match (self.photos[photo].decision, picked, self.failed[photo]) {
            (Some(Decision::Keep), ..) => Outcome::Kept { beyond: self.rules.top.filter(|&top| at >= top) },
            (Some(Decision::Reject), ..) => Outcome::Rejected,
            (None, true, _) => Outcome::Picked { last: self.comes_last(photo) },
            (None, false, Some(failed)) => Outcome::Filtered(failed),
            (None, false, None) if self.photos[photo].group.is_none() => Outcome::NoGroup,
            (None, false, None) => match passed.get(&photo) {
                Some(&Passed::TooAlike { other, distance }) => Outcome::TooAlike { other, distance },
                Some(Passed::DayIsFull) => Outcome::DayIsFull,
                None => Outcome::PassedOver { last: self.comes_last(photo) },
            },
        }
    }
}

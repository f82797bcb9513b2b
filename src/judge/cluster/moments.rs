//! What the clock says about groups that were found by likeness alone: takes of one burst belong together even when one
//! of them is tilted or cut off, and takes of another hour do not unless they are much alike.
//!
//! Clocks of two cameras may show different hours, and two people may stand side by side and look at different things. So
//! nearness in time alone joins nothing: the photos near in time must be alike, and so must the groups on average.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use rayon::prelude::*;
use serde::Serialize;

use super::NOISE;
use super::embeddings::Embeddings;

/// When a photo was taken, in milliseconds since any fixed moment: at a moment, or at some time of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    earliest: i64,
    latest: i64,
}

impl Moment {
    pub fn at(ms: i64) -> Self {
        Self { earliest: ms, latest: ms }
    }

    /// Some time of the day that begins then.
    pub fn of_day(begins_ms: i64) -> Self {
        Self { earliest: begins_ms, latest: begins_ms.saturating_add(86_399_999) }
    }

    /// The moment, where it is known as exactly as that.
    pub fn exact(self) -> Option<i64> {
        (self.earliest == self.latest).then_some(self.earliest)
    }

    /// How far apart the two are at least.
    fn apart(self, other: Self) -> i64 {
        let after = |a: Self, b: Self| b.earliest.saturating_sub(a.latest);
        after(self, other).max(after(other, self)).max(0)
    }
}

/// How near in time weighs against how alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Clock {
    /// From the nearest to the farthest: takes so near are of one scene if they are at least so alike.
    pub near: [Near; 3],
    /// Takes with a pause this long between them are of one scene only if they are on average this alike.
    pub far_ms: i64,
    pub far_similarity: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Near {
    pub within_ms: i64,
    pub similarity: f64,
}

impl Clock {
    /// How alike takes so far apart must be; `None` where time speaks for nothing.
    fn asks(&self, apart_ms: i64) -> Option<f64> {
        self.near.iter().find(|near| apart_ms <= near.within_ms).map(|near| near.similarity)
    }
}

/// The labels with groups parted at long pauses and joined within bursts. What becomes smaller than `smallest` is no
/// group; groups that stay as they were keep their label.
pub(super) fn heed(
    labels: &[i32],
    rows: &Embeddings,
    times: &[Option<Moment>],
    clock: &Clock,
    smallest: usize,
) -> Vec<i32> {
    let mut groups: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    let mut units: Vec<Vec<usize>> = Vec::new();
    for (photo, &label) in labels.iter().enumerate() {
        if label == NOISE {
            units.push(vec![photo]);
        } else {
            groups.entry(label).or_default().push(photo);
        }
    }
    for members in groups.values() {
        units.extend(parted(members, rows, times, clock));
    }
    let near = neighbours(&units, rows, times, clock);
    let mut fresh = groups.keys().next_back().map_or(0, |last| last + 1);
    let mut told = vec![NOISE; labels.len()];
    for mut unit in Merging::new(units, rows).run(near) {
        unit.sort_unstable();
        let standing = labels[unit[0]];
        let unchanged = groups.get(&standing) == Some(&unit);
        if !unchanged && unit.len() < smallest.max(2) {
            continue;
        }
        let label = if unchanged { standing } else { fresh };
        fresh += i32::from(!unchanged);
        unit.into_iter().for_each(|photo| told[photo] = label);
    }
    told
}

/// A group by sittings: cut at long pauses, and sittings much alike put together again. Photos that may be of several
/// stay with the one they are most like.
fn parted(members: &[usize], rows: &Embeddings, times: &[Option<Moment>], clock: &Clock) -> Vec<Vec<usize>> {
    let exact = |photo: &usize| times[*photo].is_some_and(|time| time.exact().is_some());
    let mut sittings = sat(members.iter().copied().filter(exact), times, clock);
    let near = |photo: usize, sitting: &[usize]| match times[photo] {
        None => true,
        Some(time) => sitting.iter().filter_map(|&other| times[other]).any(|other| time.apart(other) <= clock.far_ms),
    };
    let (loose, own): (Vec<usize>, Vec<usize>) = members
        .iter()
        .filter(|photo| !exact(photo))
        .partition(|&&photo| times[photo].is_none() || sittings.iter().any(|sitting| near(photo, sitting)));
    sittings.extend(sat(own.into_iter(), times, clock));
    if sittings.len() < 2 {
        return vec![members.to_vec()];
    }
    let all = (0..sittings.len()).flat_map(|a| (0..a).map(move |b| ((b, a), clock.far_similarity))).collect();
    let mut parts = Merging::new(sittings, rows).run(all);
    let sums: Vec<Vec<f64>> = parts.iter().map(|part| sum(part, rows)).collect();
    let places: Vec<usize> = loose
        .iter()
        .map(|&photo| {
            let own = sum(&[photo], rows);
            let like = |at: &usize| dot(&sums[*at], &own) / parts[*at].len() as f64;
            let best = (0..parts.len()).filter(|&at| near(photo, &parts[at]));
            best.max_by(|a, b| like(a).total_cmp(&like(b)).then(b.cmp(a))).unwrap_or(0)
        })
        .collect();
    loose.into_iter().zip(places).for_each(|(photo, at)| parts[at].push(photo));
    parts
}

/// Photos with times, cut where nothing was taken for long.
fn sat(photos: impl Iterator<Item = usize>, times: &[Option<Moment>], clock: &Clock) -> Vec<Vec<usize>> {
    let mut timed: Vec<(i64, i64, usize)> =
        photos.filter_map(|photo| times[photo].map(|time| (time.earliest, time.latest, photo))).collect();
    timed.sort_unstable();
    let mut sittings: Vec<Vec<usize>> = Vec::new();
    let mut until = i64::MIN;
    for (earliest, latest, photo) in timed {
        match sittings.last_mut() {
            Some(sitting) if earliest.saturating_sub(until) <= clock.far_ms => sitting.push(photo),
            _ => sittings.push(vec![photo]),
        }
        until = until.max(latest);
    }
    sittings
}

/// How much of what is asked of two takes near in time is asked of their groups on average: an odd take of a burst is like
/// the one before it and hardly like the first, and two takes of different scenes that happen to be alike must not join all
/// others.
const WHOLE: f64 = 0.5;

/// Pairs of units that hold takes alike and near each other in time, and how alike they must be on average.
type Pairs = BTreeMap<(usize, usize), f64>;

fn neighbours(units: &[Vec<usize>], rows: &Embeddings, times: &[Option<Moment>], clock: &Clock) -> Pairs {
    let exact = |photo: usize| times[photo].and_then(Moment::exact);
    let mut timed: Vec<(i64, usize, usize)> = units
        .iter()
        .enumerate()
        .flat_map(|(unit, photos)| photos.iter().filter_map(move |&photo| Some((exact(photo)?, photo, unit))))
        .collect();
    timed.sort_unstable();
    let of_take = |at: usize| -> Vec<((usize, usize), f64)> {
        let (time, photo, a) = timed[at];
        let later = timed[at + 1..]
            .iter()
            .map_while(|&(later, other, b)| clock.asks(later.saturating_sub(time)).map(|asked| (other, b, asked)));
        let alike = later.filter(|&(other, b, asked)| a != b && rows.cosine(photo, other) >= asked);
        alike.map(|(_, b, asked)| ((a.min(b), a.max(b)), asked)).collect()
    };
    let mut pairs = Pairs::new();
    for (pair, asked) in (0..timed.len()).into_par_iter().flat_map_iter(of_take).collect::<Vec<_>>() {
        let least = pairs.entry(pair).or_insert(asked * WHOLE);
        *least = least.min(asked * WHOLE);
    }
    pairs
}

/// Units that are put together, the most alike first, as long as they are alike on average.
struct Merging<'a> {
    rows: &'a Embeddings,
    /// `None` once a unit has gone into another one.
    units: Vec<Option<Vec<usize>>>,
    /// Of those that have been asked about.
    sums: BTreeMap<usize, Vec<f64>>,
}

#[derive(PartialEq)]
struct Offer {
    similarity: f64,
    a: usize,
    b: usize,
}

impl Eq for Offer {}

impl Ord for Offer {
    /// Ties go to the units that came first.
    fn cmp(&self, other: &Self) -> Ordering {
        self.similarity.total_cmp(&other.similarity).then((other.a, other.b).cmp(&(self.a, self.b)))
    }
}

impl PartialOrd for Offer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> Merging<'a> {
    fn new(units: Vec<Vec<usize>>, rows: &'a Embeddings) -> Self {
        Self { rows, units: units.into_iter().map(Some).collect(), sums: BTreeMap::new() }
    }

    fn run(mut self, pairs: Pairs) -> Vec<Vec<usize>> {
        let mut beside: BTreeMap<usize, BTreeMap<usize, f64>> = BTreeMap::new();
        let mut offers = BinaryHeap::new();
        for ((a, b), least) in pairs {
            beside.entry(a).or_default().insert(b, least);
            beside.entry(b).or_default().insert(a, least);
            offers.extend(self.offer(a, b, least));
        }
        while let Some(Offer { a, b, .. }) = offers.pop() {
            if self.units[a].is_none() || self.units[b].is_none() {
                continue;
            }
            let (first, second) = (self.units[a].take(), self.units[b].take());
            let whole: Vec<usize> = first.into_iter().chain(second).flatten().collect();
            let sums = self.sums.remove(&a).zip(self.sums.remove(&b));
            let c = self.units.len();
            self.units.push(Some(whole));
            self.sums.extend(sums.map(|(x, y)| (c, x.iter().zip(&y).map(|(x, y)| x + y).collect())));
            let mut around: BTreeMap<usize, f64> = beside.remove(&a).unwrap_or_default();
            for (other, least) in beside.remove(&b).unwrap_or_default() {
                around.entry(other).and_modify(|asked| *asked = asked.min(least)).or_insert(least);
            }
            around.retain(|&other, _| self.units[other].is_some());
            for (&other, &least) in &around {
                beside.entry(other).or_default().insert(c, least);
                offers.extend(self.offer(other, c, least));
            }
            beside.insert(c, around);
        }
        self.units.into_iter().flatten().collect()
    }

    fn offer(&mut self, a: usize, b: usize, least: f64) -> Option<Offer> {
        for unit in [a, b] {
            let photos = self.units[unit].as_deref().unwrap_or_default();
            self.sums.entry(unit).or_insert_with(|| sum(photos, self.rows));
        }
        let size = |unit: usize| self.units[unit].as_ref().map_or(1, Vec::len) as f64;
        let similarity = dot(&self.sums[&a], &self.sums[&b]) / (size(a) * size(b));
        (similarity >= least).then_some(Offer { similarity, a, b })
    }
}

fn sum(photos: &[usize], rows: &Embeddings) -> Vec<f64> {
    let mut sum = vec![0.0; rows.dim()];
    for &photo in photos {
        sum.iter_mut().zip(rows.row(photo)).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    sum
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    const CLOCK: Clock = Clock {
        near: [
            Near { within_ms: 1_000, similarity: 0.2 },
            Near { within_ms: 3_000, similarity: 0.3 },
            Near { within_ms: 60_000, similarity: 0.4 },
        ],
        far_ms: HOUR / 2,
        far_similarity: 0.6,
    };

    /// Unit vectors in a plane, by angle in degrees: their cosine is that of the difference.
    fn fan(angles: &[f64]) -> Embeddings {
        let rows: Vec<f32> =
            angles.iter().flat_map(|a| [a.to_radians().cos() as f32, a.to_radians().sin() as f32]).collect();
        Embeddings::new(&rows, 2).unwrap()
    }

    fn told(labels: &[i32], angles: &[f64], times: &[Option<Moment>]) -> Vec<i32> {
        heed(labels, &fan(angles), times, &CLOCK, 2)
    }

    fn at(times: &[i64]) -> Vec<Option<Moment>> {
        times.iter().map(|ms| Some(Moment::at(*ms))).collect()
    }

    #[test]
    fn a_tilted_take_of_a_burst_joins_it_and_a_stranger_does_not() {
        // 70 degrees: cosine 0.34, near in time. 80 degrees to the other side: 0.17 at most.
        let times = at(&[0, 1000, 2500, 3000]);
        assert_eq!(told(&[0, 0, NOISE, NOISE], &[0.0, 5.0, 70.0, -80.0], &times), [1, 1, 1, NOISE]);
        // 76 degrees: cosine 0.24, too little after a second and a half, enough at one go.
        let angles = [0.0, 0.0, 76.0];
        assert_eq!(told(&[0, 0, NOISE], &angles, &at(&[0, 300, 1800])), [0, 0, NOISE]);
        assert_eq!(told(&[0, 0, NOISE], &angles, &at(&[0, 300, 1300])), [1, 1, 1]);
        // 60 degrees: cosine 0.5, enough within a minute, not later, and not for a photo without a time.
        let mut times = at(&[0, 1000, 60_500, 62_000]);
        times.push(None);
        let angles = [0.0, 5.0, 60.0, -60.0, 60.0];
        assert_eq!(told(&[0, 0, NOISE, NOISE, NOISE], &angles, &times), [1, 1, 1, NOISE, NOISE]);
    }

    #[test]
    fn another_hour_is_another_scene_unless_it_is_much_alike() {
        let mut times = at(&[0, 1000, 2 * HOUR, 2 * HOUR + 1000]);
        times.push(None);
        assert_eq!(told(&[3; 5], &[0.0, 5.0, 60.0, 65.0, 55.0], &times), [4, 4, 5, 5, 5]);
        assert_eq!(told(&[3; 5], &[0.0, 5.0, 30.0, 35.0, 20.0], &times), [3; 5]);
        // A part too small to be a group is none.
        assert_eq!(told(&[3; 3], &[0.0, 5.0, 60.0], &times[..3]), [4, 4, NOISE]);
    }

    #[test]
    fn a_day_parts_from_other_days_and_says_nothing_within_its_own() {
        let day = |n: i64| Some(Moment::of_day(n * DAY));
        // The two of the fifth day part from the two of the first; midnight alone is no pause.
        assert_eq!(told(&[0; 4], &[0.0, 5.0, 60.0, 65.0], &[day(1), day(1), day(5), day(5)]), [1, 1, 2, 2]);
        assert_eq!(told(&[0; 4], &[0.0, 5.0, 60.0, 65.0], &[day(1), day(1), day(2), day(2)]), [0; 4]);
        // A photo of some time of the first day goes to the sitting of that day it is most like, never to another day.
        let mut times = at(&[DAY, DAY + 5 * HOUR, 9 * DAY]);
        times.push(day(1));
        assert_eq!(told(&[0; 4], &[0.0, 60.0, 120.0, 110.0], &times), [NOISE, 1, NOISE, 1]);
        // Days join nothing.
        assert_eq!(told(&[NOISE; 2], &[0.0, 30.0], &[day(1), day(1)]), [NOISE; 2]);
    }

    #[test]
    fn two_people_side_by_side_keep_their_scenes_apart() {
        // One looks at 0 and then at 30 degrees, the other at -100 and then at 150, all within the same seconds.
        let angles = [0.0, -100.0, 5.0, -95.0, 30.0, 150.0, 35.0, 155.0];
        let times = at(&[0, 100, 500, 600, 4_000, 4_100, 4_500, 4_600]);
        let labels = told(&[NOISE; 8], &angles, &times);
        assert!([2, 4, 6].iter().all(|take| labels[*take] == labels[0]), "{labels:?}");
        assert!(labels[1] == labels[3] && labels[5] == labels[7], "{labels:?}");
        assert!(labels[0] != labels[1] && labels[1] != labels[5] && labels[0] != labels[5], "{labels:?}");
        // A take that is half like two scenes ties them not together.
        let angles = [0.0, 0.0, 0.0, 60.0, 120.0, 120.0, 120.0];
        let labels = told(&[0, 0, 0, NOISE, 1, 1, 1], &angles, &at(&[0, 100, 200, 300, 400, 500, 600]));
        assert_ne!(labels[0], labels[6], "{labels:?}");
    }

    #[test]
    fn a_clock_an_hour_ahead_neither_joins_strangers_nor_parts_what_is_much_alike() {
        // The same two scenes by two cameras, of which the second shows an hour more.
        let angles = [0.0, 5.0, 90.0, 95.0, 8.0, 12.0, 98.0, 102.0];
        let ahead = |ms: i64| ms + HOUR;
        let times = at(&[0, 800, HOUR, HOUR + 800, ahead(0), ahead(800), ahead(HOUR), ahead(HOUR + 800)]);
        // By likeness each scene is one group, whatever the clocks say; the first camera's second scene and the second
        // camera's first one bear the same time and stay apart.
        let labels = told(&[0, 0, 1, 1, 0, 0, 1, 1], &angles, &times);
        assert_eq!(labels, [0, 0, 1, 1, 0, 0, 1, 1]);
    }

    #[test]
    fn without_times_nothing_changes() {
        let labels = [2, NOISE, 0, 2, 0];
        assert_eq!(told(&labels, &[0.0, 1.0, 2.0, 3.0, 90.0], &[None; 5]), labels);
    }

    #[test]
    fn many_photos_of_one_second_are_done_at_once() {
        let count = 3000;
        let angles: Vec<f64> = (0..count).map(|i| f64::from(i) * 0.06).collect();
        let times: Vec<i64> = (0..count).map(|i| i64::from(i) * 20).collect();
        let labels = told(&vec![NOISE; count as usize], &angles, &at(&times));
        assert!(labels.iter().all(|label| *label >= 0));
        assert_ne!(labels[0], labels[2999]);
    }
}

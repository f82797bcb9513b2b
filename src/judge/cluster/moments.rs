//! What the clock says about groups that were found by likeness alone: takes of one burst belong together even when one
//! of them is tilted or cut off, and takes of another hour do not unless they are much alike.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use serde::Serialize;

use super::NOISE;
use super::embeddings::Embeddings;

/// How near in time weighs against how alike. The values are for `scene_layout`: on the bursts of BIQ2021 the odds of two
/// photos being of one scene are even at cosine 0.44 and grow by e¹⁶ a unit. To say 20 to 1 for takes within three
/// seconds, and 20 to 1 against for takes half an hour apart, moves this by 0.19 down or up; 60 to 1 for takes within a
/// second, in which nobody turns to something else, by 0.26.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Clock {
    /// Takes this near in time, in milliseconds, are of one burst if they are on average at least this alike.
    pub near_ms: i64,
    pub near_similarity: f64,
    /// The same for takes at one go.
    pub burst_ms: i64,
    pub burst_similarity: f64,
    /// Takes with a pause this long between them are of one scene only if they are on average this alike.
    pub far_ms: i64,
    pub far_similarity: f64,
}

impl Clock {
    /// How alike takes so far apart must be, at most [`Self::near_ms`].
    fn asks(&self, apart_ms: i64) -> f64 {
        if apart_ms <= self.burst_ms { self.burst_similarity } else { self.near_similarity }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            near_ms: 3_000,
            near_similarity: 0.25,
            burst_ms: 1_000,
            burst_similarity: 0.18,
            far_ms: 1_800_000,
            far_similarity: 0.63,
        }
    }
}

/// The labels with groups parted at long pauses and joined within bursts. What becomes smaller than `smallest` is no
/// group; groups that stay as they were keep their label.
pub(super) fn heed(
    labels: &[i32],
    rows: &Embeddings,
    times: &[Option<i64>],
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
    let near = neighbours(&units, times, clock);
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

/// A group by sittings: cut at long pauses, and sittings much alike put together again. Photos without a time stay with
/// the part they are most like.
fn parted(members: &[usize], rows: &Embeddings, times: &[Option<i64>], clock: &Clock) -> Vec<Vec<usize>> {
    let mut timed: Vec<(i64, usize)> = members.iter().filter_map(|&photo| Some((times[photo]?, photo))).collect();
    timed.sort_unstable();
    let sittings = timed.chunk_by(|(earlier, _), (later, _)| later.saturating_sub(*earlier) <= clock.far_ms);
    let sittings: Vec<Vec<usize>> = sittings.map(|sitting| sitting.iter().map(|&(_, photo)| photo).collect()).collect();
    if sittings.len() < 2 {
        return vec![members.to_vec()];
    }
    let all = (0..sittings.len()).flat_map(|a| (0..a).map(move |b| ((b, a), clock.far_similarity))).collect();
    let mut parts = Merging::new(sittings, rows).run(all);
    let sums: Vec<Vec<f64>> = parts.iter().map(|part| sum(part, rows)).collect();
    for &photo in members.iter().filter(|&&photo| times[photo].is_none()) {
        let own = sum(&[photo], rows);
        let like = |at: &usize| dot(&sums[*at], &own) / parts[*at].len() as f64;
        let best = (0..parts.len()).max_by(|a, b| like(a).total_cmp(&like(b)).then(b.cmp(a)));
        parts[best.unwrap_or(0)].push(photo);
    }
    parts
}

/// Pairs of units that hold takes near each other in time, and how alike they must be.
type Pairs = BTreeMap<(usize, usize), f64>;

fn neighbours(units: &[Vec<usize>], times: &[Option<i64>], clock: &Clock) -> Pairs {
    let mut timed: Vec<(i64, usize)> = units
        .iter()
        .enumerate()
        .flat_map(|(unit, photos)| photos.iter().filter_map(move |&photo| Some((times[photo]?, unit))))
        .collect();
    timed.sort_unstable();
    let mut pairs = Pairs::new();
    for (at, &(time, a)) in timed.iter().enumerate() {
        // The next take of every other unit is enough: the rest of it is no nearer.
        let mut met = BTreeSet::from([a]);
        let within = timed[at + 1..].iter().take_while(|(later, _)| later.saturating_sub(time) <= clock.near_ms);
        for &(later, b) in within {
            if met.insert(b) {
                let asked = clock.asks(later.saturating_sub(time));
                let least = pairs.entry((a.min(b), a.max(b))).or_insert(asked);
                *least = least.min(asked);
            }
        }
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

    /// Unit vectors in a plane, by angle in degrees: their cosine is that of the difference.
    fn fan(angles: &[f64]) -> Embeddings {
        let rows: Vec<f32> =
            angles.iter().flat_map(|a| [a.to_radians().cos() as f32, a.to_radians().sin() as f32]).collect();
        Embeddings::new(&rows, 2).unwrap()
    }

    fn told(labels: &[i32], angles: &[f64], times: &[Option<i64>], smallest: usize) -> Vec<i32> {
        heed(labels, &fan(angles), times, &Clock::default(), smallest)
    }

    #[test]
    fn a_tilted_take_of_a_burst_joins_it_and_a_stranger_does_not() {
        let times = [Some(0), Some(1000), Some(2500), Some(3000)];
        // 60 degrees: cosine 0.5, near in time. 80 degrees to the other side: 0.05 on average.
        assert_eq!(told(&[0, 0, NOISE, NOISE], &[0.0, 5.0, 60.0, -80.0], &times, 2), [1, 1, 1, NOISE]);
        // 78 degrees: cosine 0.21 to the first, too little after a second and a half, enough at one go.
        let angles = [0.0, 0.0, 78.0];
        assert_eq!(told(&[0, 0, NOISE], &angles, &[Some(0), Some(300), Some(1800)], 2), [0, 0, NOISE]);
        assert_eq!(told(&[0, 0, NOISE], &angles, &[Some(0), Some(300), Some(1300)], 2), [1, 1, 1]);
        let later = [Some(0), Some(1000), Some(4500), None];
        assert_eq!(told(&[0, 0, NOISE, NOISE], &[0.0, 5.0, 60.0, 60.0], &later, 2), [0, 0, NOISE, NOISE]);
    }

    #[test]
    fn another_hour_is_another_scene_unless_it_is_much_alike() {
        let times = [Some(0), Some(1000), Some(2 * HOUR), Some(2 * HOUR + 1000), None];
        assert_eq!(told(&[3; 5], &[0.0, 5.0, 60.0, 65.0, 55.0], &times, 2), [4, 4, 5, 5, 5]);
        assert_eq!(told(&[3; 5], &[0.0, 5.0, 30.0, 35.0, 20.0], &times, 2), [3; 5]);
        // A part too small to be a group is none.
        assert_eq!(told(&[3; 3], &[0.0, 5.0, 60.0], &times[..3], 2), [4, 4, NOISE]);
    }

    #[test]
    fn without_times_nothing_changes() {
        let labels = [2, NOISE, 0, 2, 0];
        assert_eq!(told(&labels, &[0.0, 1.0, 2.0, 3.0, 90.0], &[None; 5], 2), labels);
    }

    #[test]
    fn many_photos_of_one_second_are_done_at_once() {
        let count = 3000;
        let angles: Vec<f64> = (0..count).map(|i| f64::from(i) * 0.06).collect();
        let times: Vec<_> = (0..count).map(|i| Some(i64::from(i) * 20)).collect();
        let labels = told(&vec![NOISE; count as usize], &angles, &times, 2);
        assert!(labels.iter().all(|label| *label >= 0));
        assert_ne!(labels[0], labels[2999]);
    }
}

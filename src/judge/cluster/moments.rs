//! Corrects groups found by similarity alone with capture times. Takes of one burst belong together even if one of them
//! is tilted or cropped; takes with a long pause between them do not, unless they are very similar.
//!
//! Two cameras may show different times, and two photographers may stand together and photograph different things.
//! Nearness in time alone therefore never joins groups: the photos near in time must be similar, and so must the groups
//! on average.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::NOISE;
use super::embeddings::Embeddings;
use super::unit_merging::{GroupMerging, Pairs, dot, merged, sum};

/// The capture time of a photo, in milliseconds from any fixed origin: a moment, or a whole day if only that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    earliest: i64,
    latest: i64,
}

impl Moment {
    pub fn at(ms: i64) -> Self {
        Self { earliest: ms, latest: ms }
    }

    /// An unknown time of the day that begins at `begins_ms`.
    pub fn of_day(begins_ms: i64) -> Self {
        Self { earliest: begins_ms, latest: begins_ms.saturating_add(86_399_999) }
    }

    /// The time in milliseconds, if it is known exactly.
    pub fn exact(self) -> Option<i64> {
        (self.earliest == self.latest).then_some(self.earliest)
    }

    /// The earliest and the latest possible time.
    pub fn bounds(self) -> [i64; 2] {
        [self.earliest, self.latest]
    }

    /// The smallest possible difference of the two times.
    fn min_difference(self, other: Self) -> i64 {
        let after = |a: Self, b: Self| b.earliest.saturating_sub(a.latest);
        after(self, other).max(after(other, self)).max(0)
    }
}

/// The similarity required for photos to be in one group, depending on the time between them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Clock {
    /// Rules for takes near in time, from the shortest time to the longest.
    pub near: [NearRule; 3],
    /// The pause at which a group is split unless its parts reach `far_similarity` on average.
    pub far_ms: i64,
    pub far_similarity: f64,
}

/// Joins takes at most `within_ms` apart if their similarity reaches `similarity`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NearRule {
    pub within_ms: i64,
    pub similarity: f64,
}

impl Clock {
    /// Whether there is a long pause between two photos whose times are known.
    pub(super) fn is_far(&self, a: Moment, b: Moment) -> bool {
        a.min_difference(b) > self.far_ms
    }

    /// The similarity required of takes this far apart; `None` if they are too far apart to be joined.
    fn required_similarity(&self, apart_ms: i64) -> Option<f64> {
        self.near.iter().find(|near| apart_ms <= near.within_ms).map(|near| near.similarity)
    }
}

/// Splits groups at long pauses and joins takes within bursts. Changed groups smaller than `smallest` become noise;
/// unchanged groups keep their label.
pub(super) fn apply_clock(
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
    let split = |members: &Vec<usize>| split_at_pauses(members, rows, times, clock);
    units.par_extend(groups.values().collect::<Vec<_>>().into_par_iter().flat_map_iter(split));
    let near = neighbours(&units, rows, times, clock);
    let mut next_label = groups.keys().next_back().map_or(0, |last| last + 1);
    let mut corrected = vec![NOISE; labels.len()];
    for mut unit in merged(units, near, rows) {
        unit.sort_unstable();
        let current = labels[unit[0]];
        let unchanged = groups.get(&current) == Some(&unit);
        if !unchanged && unit.len() < smallest.max(2) {
            continue;
        }
        let label = if unchanged { current } else { next_label };
        next_label += i32::from(!unchanged);
        unit.into_iter().for_each(|photo| corrected[photo] = label);
    }
    corrected
}

/// Splits a group into sessions at long pauses, and merges very similar sessions again. Photos that could belong to
/// several sessions go to the most similar one.
fn split_at_pauses(members: &[usize], rows: &Embeddings, times: &[Option<Moment>], clock: &Clock) -> Vec<Vec<usize>> {
    let exact = |photo: &usize| times[*photo].is_some_and(|time| time.exact().is_some());
    let mut sessions = sessions_of(members.iter().copied().filter(exact), times, clock);
    let near = |photo: usize, session: &[usize]| match times[photo] {
        None => true,
        Some(time) => {
            session.iter().filter_map(|&other| times[other]).any(|other| time.min_difference(other) <= clock.far_ms)
        }
    };
    let (ambiguous, own): (Vec<usize>, Vec<usize>) = members
        .iter()
        .filter(|photo| !exact(photo))
        .partition(|&&photo| times[photo].is_none() || sessions.iter().any(|session| near(photo, session)));
    sessions.extend(sessions_of(own.into_iter(), times, clock));
    if sessions.len() < 2 {
        return vec![members.to_vec()];
    }
    let similar = similar_pairs(&sessions, rows, clock.far_similarity);
    let mut parts = GroupMerging::new(sessions, rows).run(similar);
    let sums: Vec<Vec<f64>> = parts.iter().map(|part| sum(part, rows)).collect();
    let places: Vec<usize> = ambiguous
        .iter()
        .map(|&photo| {
            let own = sum(&[photo], rows);
            let similarity = |at: &usize| dot(&sums[*at], &own) / parts[*at].len() as f64;
            let possible = (0..parts.len()).filter(|&at| near(photo, &parts[at]));
            possible.max_by(|a, b| similarity(a).total_cmp(&similarity(b)).then(b.cmp(a))).unwrap_or(0)
        })
        .collect();
    ambiguous.into_iter().zip(places).for_each(|(photo, at)| parts[at].push(photo));
    parts
}

/// The pairs of sessions whose average similarity suffices. Sessions that are merged reach it only if some of their parts
/// do, so no other pairs are needed.
fn similar_pairs(sessions: &[Vec<usize>], rows: &Embeddings, least: f64) -> Pairs {
    let sums: Vec<Vec<f64>> = sessions.iter().map(|session| sum(session, rows)).collect();
    let similarity = |a: usize, b: usize| dot(&sums[a], &sums[b]) / (sessions[a].len() * sessions[b].len()) as f64;
    let of_session =
        |a: usize| (0..a).filter(move |&b| similarity(a, b) >= least).map(move |b| ((b, a), least)).collect::<Vec<_>>();
    (0..sessions.len()).into_par_iter().flat_map_iter(of_session).collect::<Vec<_>>().into_iter().collect()
}

/// Divides photos with times into sessions, at pauses longer than `far_ms`.
fn sessions_of(photos: impl Iterator<Item = usize>, times: &[Option<Moment>], clock: &Clock) -> Vec<Vec<usize>> {
    let mut timed: Vec<(i64, i64, usize)> =
        photos.filter_map(|photo| times[photo].map(|time| (time.earliest, time.latest, photo))).collect();
    timed.sort_unstable();
    let mut sessions: Vec<Vec<usize>> = Vec::new();
    let mut until = i64::MIN;
    for (earliest, latest, photo) in timed {
        match sessions.last_mut() {
            Some(session) if earliest.saturating_sub(until) <= clock.far_ms => session.push(photo),
            _ => sessions.push(vec![photo]),
        }
        until = until.max(latest);
    }
    sessions
}

/// The average similarity required of two groups, as a share of that required of two takes near in time. It is smaller,
/// since an odd take of a burst resembles the one before it but hardly the first. It is not zero, since two takes of
/// different scenes that happen to be similar must not join all others.
const GROUP_SHARE: f64 = 0.5;

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
        let later = timed[at + 1..].iter().map_while(|&(later, other, b)| {
            clock.required_similarity(later.saturating_sub(time)).map(|asked| (other, b, asked))
        });
        let similar = later.filter(|&(other, b, asked)| a != b && rows.cosine(photo, other) >= asked);
        similar.map(|(_, b, asked)| ((a.min(b), a.max(b)), asked)).collect()
    };
    let mut pairs = Pairs::new();
    for (pair, asked) in (0..timed.len()).into_par_iter().flat_map_iter(of_take).collect::<Vec<_>>() {
        let least = pairs.entry(pair).or_insert(asked * GROUP_SHARE);
        *least = least.min(asked * GROUP_SHARE);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    const CLOCK: Clock = Clock {
        near: [
            NearRule { within_ms: 1_000, similarity: 0.2 },
            NearRule { within_ms: 3_000, similarity: 0.3 },
            NearRule { within_ms: 60_000, similarity: 0.4 },
        ],
        far_ms: HOUR / 2,
        far_similarity: 0.6,
    };

    /// Unit vectors in a plane by angle in degrees: the cosine of two is that of the difference of their angles.
    fn fan(angles: &[f64]) -> Embeddings {
        let rows: Vec<f32> =
            angles.iter().flat_map(|a| [a.to_radians().cos() as f32, a.to_radians().sin() as f32]).collect();
        Embeddings::new(&rows, 2).unwrap()
    }

    fn corrected(labels: &[i32], angles: &[f64], times: &[Option<Moment>]) -> Vec<i32> {
        apply_clock(labels, &fan(angles), times, &CLOCK, 2)
    }

    fn at(times: &[i64]) -> Vec<Option<Moment>> {
        times.iter().map(|ms| Some(Moment::at(*ms))).collect()
    }

    #[test]
    fn a_tilted_take_of_a_burst_joins_it_and_a_stranger_does_not() {
        // 70 degrees: cosine 0.34, near in time. 80 degrees to the other side: 0.17 at most.
        let times = at(&[0, 1000, 2500, 3000]);
        assert_eq!(corrected(&[0, 0, NOISE, NOISE], &[0.0, 5.0, 70.0, -80.0], &times), [1, 1, 1, NOISE]);
        // 76 degrees: cosine 0.24, too little after a second and a half, enough within a second.
        let angles = [0.0, 0.0, 76.0];
        assert_eq!(corrected(&[0, 0, NOISE], &angles, &at(&[0, 300, 1800])), [0, 0, NOISE]);
        assert_eq!(corrected(&[0, 0, NOISE], &angles, &at(&[0, 300, 1300])), [1, 1, 1]);
        // 60 degrees: cosine 0.5, enough within a minute, but not later, nor for a photo without a time.
        let mut times = at(&[0, 1000, 60_500, 62_000]);
        times.push(None);
        let angles = [0.0, 5.0, 60.0, -60.0, 60.0];
        assert_eq!(corrected(&[0, 0, NOISE, NOISE, NOISE], &angles, &times), [1, 1, 1, NOISE, NOISE]);
    }

    #[test]
    fn another_hour_is_another_scene_unless_it_is_very_similar() {
        let mut times = at(&[0, 1000, 2 * HOUR, 2 * HOUR + 1000]);
        times.push(None);
        assert_eq!(corrected(&[3; 5], &[0.0, 5.0, 60.0, 65.0, 55.0], &times), [4, 4, 5, 5, 5]);
        assert_eq!(corrected(&[3; 5], &[0.0, 5.0, 30.0, 35.0, 20.0], &times), [3; 5]);
        // A part that is too small for a group becomes noise.
        assert_eq!(corrected(&[3; 3], &[0.0, 5.0, 60.0], &times[..3]), [4, 4, NOISE]);
    }

    #[test]
    fn a_known_day_separates_from_other_days_but_not_within_its_own() {
        let day = |n: i64| Some(Moment::of_day(n * DAY));
        // The two of the fifth day are separated from the two of the first; midnight alone is no pause.
        assert_eq!(corrected(&[0; 4], &[0.0, 5.0, 60.0, 65.0], &[day(1), day(1), day(5), day(5)]), [1, 1, 2, 2]);
        assert_eq!(corrected(&[0; 4], &[0.0, 5.0, 60.0, 65.0], &[day(1), day(1), day(2), day(2)]), [0; 4]);
        // A photo of unknown time on the first day goes to the most similar session of that day, never to another day.
        let mut times = at(&[DAY, DAY + 5 * HOUR, 9 * DAY]);
        times.push(day(1));
        assert_eq!(corrected(&[0; 4], &[0.0, 60.0, 120.0, 110.0], &times), [NOISE, 1, NOISE, 1]);
        // Times known only to the day join no photos.
        assert_eq!(corrected(&[NOISE; 2], &[0.0, 30.0], &[day(1), day(1)]), [NOISE; 2]);
    }

    #[test]
    fn scenes_of_two_photographers_at_the_same_time_stay_separate() {
        // One photographs at 0 and then at 30 degrees, the other at -100 and then at 150, within the same seconds.
        let angles = [0.0, -100.0, 5.0, -95.0, 30.0, 150.0, 35.0, 155.0];
        let times = at(&[0, 100, 500, 600, 4_000, 4_100, 4_500, 4_600]);
        let labels = corrected(&[NOISE; 8], &angles, &times);
        assert!([2, 4, 6].iter().all(|take| labels[*take] == labels[0]), "{labels:?}");
        assert!(labels[1] == labels[3] && labels[5] == labels[7], "{labels:?}");
        assert!(labels[0] != labels[1] && labels[1] != labels[5] && labels[0] != labels[5], "{labels:?}");
        // A take halfway between two scenes does not join them.
        let angles = [0.0, 0.0, 0.0, 60.0, 120.0, 120.0, 120.0];
        let labels = corrected(&[0, 0, 0, NOISE, 1, 1, 1], &angles, &at(&[0, 100, 200, 300, 400, 500, 600]));
        assert_ne!(labels[0], labels[6], "{labels:?}");
    }

    #[test]
    fn a_clock_an_hour_ahead_neither_joins_different_scenes_nor_splits_similar_ones() {
        // The same two scenes by two cameras; the second one's clock is an hour ahead.
        let angles = [0.0, 5.0, 90.0, 95.0, 8.0, 12.0, 98.0, 102.0];
        let ahead = |ms: i64| ms + HOUR;
        let times = at(&[0, 800, HOUR, HOUR + 800, ahead(0), ahead(800), ahead(HOUR), ahead(HOUR + 800)]);
        // By similarity each scene is one group, whatever the clocks show. The first camera's second scene and the
        // second camera's first one have the same times and stay separate.
        let labels = corrected(&[0, 0, 1, 1, 0, 0, 1, 1], &angles, &times);
        assert_eq!(labels, [0, 0, 1, 1, 0, 0, 1, 1]);
    }

    #[test]
    fn without_times_nothing_changes() {
        let labels = [2, NOISE, 0, 2, 0];
        assert_eq!(corrected(&labels, &[0.0, 1.0, 2.0, 3.0, 90.0], &[None; 5]), labels);
    }

    #[test]
    fn thousands_of_photos_taken_within_a_minute_are_clustered_quickly() {
        let count = 3000;
        let angles: Vec<f64> = (0..count).map(|i| f64::from(i) * 0.06).collect();
        let times: Vec<i64> = (0..count).map(|i| i64::from(i) * 20).collect();
        let labels = corrected(&vec![NOISE; count as usize], &angles, &at(&times));
        assert!(labels.iter().all(|label| *label >= 0));
        assert_ne!(labels[0], labels[2999]);
    }
}

//! Groups of drawn libraries: merging along links beside comparing all groups, and likely links beside all links.

use base::random::SplitMix;

use super::agreement::adjusted_rand;
use super::links::{self, Component};
use super::tests::same_grouping;
use super::*;

const DAY: i64 = 86_400_000;

/// Takes of scenes in time order, each take within seconds of the one before, and a tenth of the scenes without times.
struct Library {
    rows: Embeddings,
    times: Vec<Option<Moment>>,
}

/// `alike` is about the cosine of two takes of a scene; a scene in twenty is visited again another day.
fn library(photos: usize, dim: usize, alike: f64, seed: u64) -> Library {
    let mut chance = SplitMix(seed);
    let bell = |chance: &mut SplitMix| (0..12).fold(-6.0, |sum, _| sum + chance.fraction());
    let own = (1.0 / alike - 1.0).sqrt();
    let (mut rows, mut times, mut centres) = (Vec::new(), Vec::new(), Vec::<Vec<f64>>::new());
    let mut clock = 0;
    while times.len() < photos {
        if centres.is_empty() || !chance.draw().is_multiple_of(20) {
            centres.push((0..dim).map(|_| bell(&mut chance)).collect());
            clock += 20_000 + (chance.fraction() * 3_600_000.0) as i64;
        } else {
            let again = chance.draw() as usize % centres.len();
            let centre = centres.swap_remove(again);
            centres.push(centre);
            clock += DAY;
        }
        let centre = centres.last().unwrap().clone();
        let is_timed = !chance.draw().is_multiple_of(10);
        for _ in 0..=chance.draw() % 6 {
            clock += 1_500;
            rows.extend(centre.iter().map(|value| (value + own * bell(&mut chance)) as f32));
            times.push(is_timed.then_some(Moment::at(clock)));
        }
    }
    rows.truncate(photos * dim);
    times.truncate(photos);
    Library { rows: Embeddings::new(&rows, dim).unwrap(), times }
}

/// The default method of albums on components found one way or another.
fn labels(library: &Library, components: &[Component], clock: bool) -> Vec<i64> {
    let calibration = Calibration::of("album-mini@5");
    let output = agglomerative::merged(&library.rows, components, calibration.agglomerative);
    let labels = match calibration.clock.filter(|_| clock) {
        Some(clock) => moments::apply_clock(&output.labels, &library.rows, &library.times, &clock, 1),
        None => output.labels,
    };
    // Each photo without a group is a group of its own.
    labels.into_iter().zip(1..).map(|(label, photo)| if label == NOISE { -photo } else { i64::from(label) }).collect()
}

fn clock() -> Clock {
    Calibration::of("album-mini@5").clock.unwrap()
}

fn threshold() -> f64 {
    Calibration::of("album-mini@5").agglomerative.distance_threshold
}

/// Strangers link most photos of a library of 96 numbers a row into one component.
#[test]
fn merging_along_links_gives_the_groups_of_comparing_all() {
    for seed in 1..4 {
        let library = library(2_500, 96, 0.6, seed);
        let components = links::all(&library.rows, threshold());
        let largest = components.iter().map(|component| component.photos.len()).max().unwrap();
        assert!(largest > 1_500 && components.iter().all(|component| component.is_complete), "{largest}");
        let compared: Vec<Component> = components
            .iter()
            .map(|component| Component { photos: component.photos.clone(), links: Vec::new(), is_complete: false })
            .collect();
        for clock in [false, true] {
            let (along, compared) = (labels(&library, &components, clock), labels(&library, &compared, clock));
            same_grouping(&along, &compared, &format!("seed {seed}, clock {clock}"));
        }
    }
}

#[test]
fn likely_links_give_the_groups_of_all_links() {
    for (alike, with_times, least) in [(0.7, true, 1.0), (0.7, false, 1.0), (0.5, true, 0.99), (0.5, false, 0.98)] {
        let mut library = library(6_000, 256, alike, 7);
        if !with_times {
            library.times.fill(None);
        }
        let all = labels(&library, &links::all(&library.rows, threshold()), with_times);
        let likely =
            labels(&library, &links::likely(&library.rows, &library.times, threshold(), Some(&clock())), with_times);
        let rand = adjusted_rand(&all, &likely);
        assert!(rand >= least - 1e-9, "takes with a cosine of {alike}, times {with_times}: {rand}");
    }
}

/// Five thousand frames of a time lapse have twelve million links, of which not all are listed.
#[test]
fn a_crowd_is_one_group_however_its_links_are_found() {
    let mut chance = SplitMix(5);
    let rows: Vec<f32> =
        (0..5_000).flat_map(|_| [1.0, chance.fraction() as f32 * 0.2, chance.fraction() as f32]).collect();
    let rows = Embeddings::new(&rows, 3).unwrap();
    let library = Library { times: (0..5_000).map(|at| Some(Moment::at(at * 1_000))).collect(), rows };
    for components in [
        links::all(&library.rows, threshold()),
        links::likely(&library.rows, &library.times, threshold(), Some(&clock())),
    ] {
        let links: usize = components.iter().map(|component| component.links.len()).sum();
        assert!(links < 4_000_000, "{links}");
        assert!(labels(&library, &components, true).iter().all(|&label| label == 0));
    }
}

//! Every call to the system fails, one after the other: once, and from then on.
//!
//! `failing_calls.c` runs the binary and refuses the call it was told. A run in which nothing fails tells how many calls
//! of each class there are; each of them is a point, twice. `make faults` takes them all, `cargo test` a sample.
//! `ALBUMCTL_FAULTS` chooses: `all`, or words each of which must be in `NAME CLASS NUMBER once|always`, or with a minus
//! must not.

mod cases;
mod injector;
mod judge;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use self::cases::Case;
use self::injector::{Injector, Mode, Point, run_alone};
use self::judge::Reference;
use crate::world::{World, report, skipped};

/// Points of each command where not all are asked for.
const SAMPLE: usize = 7;

#[test]
fn failing_calls() {
    let Some(injector) = Injector::build() else { return skipped("system calls cannot be watched here") };
    let wish = std::env::var("ALBUMCTL_FAULTS").unwrap_or_default();
    let words: Vec<&str> = wish.split(' ').filter(|word| !word.is_empty() && *word != "all").collect();
    let is_wanted = |case: &Case, point: &Point| {
        let said = format!("{} {point}", case.name);
        let says = |word: &str| said.split(' ').any(|has| has == word);
        words.iter().all(|word| word.strip_prefix('-').map_or_else(|| says(word), |absent| !says(absent)))
    };
    let named: Vec<Case> = cases::all().into_iter().filter(|case| words.contains(&case.name)).collect();
    let cases = if named.is_empty() { cases::all() } else { named };
    let cases = Mutex::new(cases.into_iter());
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(case) = cases.lock().unwrap().next() else { break };
                    let outcome = disturb(&case, &injector, |mut points| {
                        points.retain(|point| is_wanted(&case, point));
                        if wish.is_empty() { sample(points, case.name) } else { points }
                    });
                    tell(case.name, &outcome);
                    told.lock().unwrap().push((case.name, outcome));
                }
            });
        }
    });
    summarise(&told.into_inner().unwrap());
}

#[test]
fn no_locks_to_be_had() {
    let Some(injector) = Injector::build() else { return skipped("system calls cannot be watched here") };
    let world = World::new();
    world.many_photos(4);
    let reference = run_alone(&world, &["score", "photos", "--no-cache"]).stdout;
    let point = Point { class: "lock".into(), number: 1, mode: Mode::Always };
    let without_locks = |args: &[&str]| {
        let started = Instant::now();
        let ended = injector.run(&world, args, Some(&point));
        assert!(ended.refused().count() > 0, "nothing was locked: {}", ended.stderr);
        assert!(started.elapsed() < Duration::from_secs(30), "{args:?}: {:?}", started.elapsed());
        ended
    };
    let scored = without_locks(&["score", "photos"]);
    assert_eq!((scored.how.as_str(), &scored.stdout), ("exit 0", &reference), "{}", scored.stderr);
    assert_eq!(scored.stderr.matches("warning: ").count(), 1, "{}", scored.stderr);
    assert!(scored.stderr.contains("where files cannot be locked"), "{}", scored.stderr);
    let decided = without_locks(&["decide", "keep", "photos", "--no-cache"]);
    assert_eq!((decided.how.as_str(), decided.stdout.as_str()), ("exit 1", ""), "{}", decided.stderr);
    assert!(decided.stderr.contains("journal.sqlite") && decided.stderr.contains("no locks"), "{}", decided.stderr);
    assert_eq!(run_alone(&world, &["decide", "list"]).stdout, "");
}

/// A point, and what did not hold there.
type Outcome = Vec<(Point, Vec<String>)>;

fn disturb(case: &Case, injector: &Injector, choose: impl FnOnce(Vec<Point>) -> Vec<Point>) -> Outcome {
    let reference = Reference::of(case, injector);
    let points = choose(reference.points(case.at_most));
    let judged = points.into_iter().map(|point| {
        let violations = reference.judge(injector, &point);
        (point, violations)
    });
    judged.collect()
}

/// One of each class, as far as they go, then any; the same every time.
fn sample(mut points: Vec<Point>, name: &str) -> Vec<Point> {
    let order = |point: &Point| *blake3::hash(format!("{name} {point}").as_bytes()).as_bytes();
    points.sort_by_key(order);
    let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rounds: Vec<(usize, usize)> = Vec::new();
    for (at, point) in points.iter().enumerate() {
        let turn = turns.entry(&point.class).or_default();
        rounds.push((*turn, at));
        *turn += 1;
    }
    rounds.sort_unstable();
    rounds.truncate(SAMPLE);
    rounds.iter().map(|(_, at)| points[*at].clone()).collect()
}

/// As it comes: all of them take long.
fn tell(name: &str, outcome: &Outcome) {
    let with = outcome.iter().filter(|(_, broken)| !broken.is_empty()).count();
    report(&format!("{name:24} {:6} points {with:6} broken", outcome.len()));
    for (point, broken) in outcome {
        broken.iter().for_each(|promise| report(&format!("    {name} {point}: {promise}")));
    }
}

fn summarise(told: &[(&str, Outcome)]) {
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for (point, _) in told.iter().flat_map(|(_, outcome)| outcome) {
        *classes.entry(&point.class).or_default() += 1;
    }
    for (class, count) in &classes {
        report(&format!("{class:24} {count:6} points"));
    }
    let points: usize = classes.values().sum();
    report(&format!("{points} calls failed, each in a run of its own"));
    assert!(points > 0, "nothing was chosen");
    let broken = told.iter().flat_map(|(_, outcome)| outcome).filter(|(_, broken)| !broken.is_empty()).count();
    assert_eq!(broken, 0, "promises were broken; they stand above");
}

/// How a call fails once, or from then on; both are points.
const MODES: [Mode; 2] = [Mode::Once, Mode::Always];

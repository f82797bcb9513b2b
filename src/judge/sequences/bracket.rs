//! Exposure brackets: frames taken at once whose exposures are evenly spaced, in any order.

use super::{BRACKET_PAUSE_MS, Frame, Sequence, SequenceKind, around_the_middle, follows};

/// The numbers of frames of a bracket, the longest first.
const LENGTHS: [usize; 4] = [9, 7, 5, 3];
/// The steps between exposures that cameras offer, in stops.
const STEPS: std::ops::RangeInclusive<f64> = 0.28..=3.2;
/// How far a step may be off. Exposure times are rounded to thirds of a stop.
const UNEVEN: f64 = 0.2;
/// How far the exposures may be off where the compensation itself is even: light changes between frames.
const ROUGH: f64 = 0.6;

/// The longest bracket that begins with the first photo of the order.
pub fn at(frames: &[Frame], order: &[usize]) -> Option<Sequence> {
    LENGTHS.iter().find_map(|&length| {
        let run = order.get(..length)?;
        let is_one = run.windows(2).all(|pair| follows(&frames[pair[0]], &frames[pair[1]], BRACKET_PAUSE_MS));
        let sorted = is_one.then(|| by_exposure(frames, run))??;
        Some(around_the_middle(SequenceKind::Bracket, &sorted))
    })
}

/// The frames from the darkest to the brightest, if their exposures are those of a bracket.
fn by_exposure(frames: &[Frame], run: &[usize]) -> Option<Vec<usize>> {
    let exposure = |index: usize| &frames[index].exposure;
    let values = |of: &dyn Fn(usize) -> Option<f64>| -> Option<Vec<(f64, usize)>> {
        let mut values: Vec<_> = run.iter().map(|&index| Some((of(index)?, index))).collect::<Option<_>>()?;
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some(values)
    };
    let biases = values(&|index| exposure(index).bias).filter(|values| step(values).is_some());
    let stops = values(&|index| exposure(index).stops());
    let sorted = match (biases, stops) {
        // The exposures must follow what was asked for; a person who turns the dial is slower than this.
        (Some(biases), Some(_)) => {
            let followed = biases.windows(2).all(|pair| {
                let (asked, [Some(a), Some(b)]) =
                    (pair[1].0 - pair[0].0, [pair[0].1, pair[1].1].map(|index| exposure(index).stops()))
                else {
                    return false;
                };
                (b - a - asked).abs() <= ROUGH && b > a
            });
            followed.then_some(biases)
        }
        (Some(biases), None) => Some(biases),
        // With exposures set by hand, cameras write no compensation, but that it is a bracket.
        (None, Some(stops)) => {
            let is_said = run.iter().all(|&index| exposure(index).is_bracketed);
            Some(stops).filter(|stops| is_said && step(stops).is_some())
        }
        (None, None) => None,
    };
    sorted.map(|sorted| sorted.into_iter().map(|(_, index)| index).collect())
}

/// The step between sorted values, if it is the same between all.
fn step(values: &[(f64, usize)]) -> Option<f64> {
    let (first, last) = (values.first()?.0, values.last()?.0);
    let step = (last - first) / (values.len() - 1) as f64;
    let is_even = values.windows(2).all(|pair| (pair[1].0 - pair[0].0 - step).abs() <= UNEVEN);
    (STEPS.contains(&step) && is_even).then_some(step)
}

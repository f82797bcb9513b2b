//! Sequences: exposure brackets, focus stacks and panorama sweeps. They are recognised by the camera's metadata; stacks and
//! sweeps also by small pictures of the frames.

mod bracket;
mod picture;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use picture::FrameSketch;

/// The camera's metadata about the exposure of a photo.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Exposure {
    /// The exposure compensation in stops.
    pub bias: Option<f64>,
    /// The exposure time in seconds.
    pub seconds: Option<f64>,
    /// The f-number.
    pub aperture: Option<f64>,
    pub iso: Option<f64>,
    /// The distance that was focused on, in metres.
    pub focus_distance: Option<f64>,
    /// Whether the camera says that it took the photo for a bracket.
    pub is_bracketed: bool,
}

impl Exposure {
    /// The exposure in stops, up to a constant; `None` without a time.
    fn stops(&self) -> Option<f64> {
        let seconds = self.seconds.filter(|seconds| *seconds > 0.0)?;
        let of = |value: Option<f64>| value.filter(|value| *value > 0.0).map_or(0.0, f64::log2);
        Some(seconds.log2() + of(self.iso) - 2.0 * of(self.aperture))
    }

    /// Whether another photo was exposed in the same way, as frames of a stack or a sweep are.
    fn is_same(&self, other: &Self) -> bool {
        let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 0.02 * a.abs().max(b.abs()),
            (a, b) => a.is_none() && b.is_none(),
        };
        self.seconds.is_some()
            && near(self.seconds, other.seconds)
            && near(self.aperture, other.aperture)
            && near(self.iso, other.iso)
            && near(self.bias, other.bias)
    }
}

/// A photo that may be a frame of a sequence.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    pub path: PathBuf,
    /// Capture time by the camera's clock, in milliseconds.
    pub taken_ms: Option<i64>,
    pub width: u32,
    pub height: u32,
    pub exposure: Exposure,
    pub sketch: Option<&'a FrameSketch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SequenceKind {
    /// The same picture at several exposures.
    Bracket,
    /// The same picture at several focus distances.
    Stack,
    /// Neighbouring pictures for a panorama.
    Sweep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    pub kind: SequenceKind,
    /// Indices of the frames. The first stands for all: of a bracket the middle exposure, else the middle one. The others
    /// follow by their distance from it.
    pub frames: Vec<usize>,
}

/// The fewest frames of a sequence.
const SHORTEST: usize = 3;
/// The longest pause between frames, in milliseconds, besides the exposure itself.
const BRACKET_PAUSE_MS: i64 = 2_000;
const STACK_PAUSE_MS: i64 = 3_000;
const SWEEP_PAUSE_MS: i64 = 10_000;
/// Frames of a sweep are not taken faster than this; a camera that follows something in a burst is faster.
const SWEEP_LEAST_MS: i64 = 400;
/// A longer run of photos of one exposure is not looked at.
const MAX_RUN: usize = 100;

/// Finds the sequences among photos. Photos without a capture time belong to none.
pub fn find(frames: &[Frame]) -> Vec<Sequence> {
    let order = in_order(frames);
    // No frames of a sequence are farther apart than this.
    let runs: Vec<&[usize]> = order
        .chunk_by(|&a, &b| follows(&frames[a], &frames[b], SWEEP_PAUSE_MS))
        .filter(|run| run.len() >= SHORTEST)
        .collect();
    let of_run = |run: &[usize]| {
        let mut found = Vec::new();
        let mut at = 0;
        while at < run.len() {
            let sequence = [bracket::at, stack_at, sweep_at].into_iter().find_map(|look| look(frames, &run[at..]));
            at += sequence.as_ref().map_or(1, |sequence| sequence.frames.len());
            found.extend(sequence);
        }
        found
    };
    runs.into_par_iter().flat_map_iter(of_run).collect()
}

/// The photos that may be frames of a stack or a sweep by what the camera wrote. Sketches of others decide nothing.
pub fn may_be_frames(frames: &[Frame]) -> Vec<usize> {
    let order = in_order(frames);
    let runs = order.chunk_by(|&a, &b| may_be_of_one_run(&frames[a], &frames[b], SWEEP_PAUSE_MS));
    let mut may_be: Vec<usize> = runs.filter(|run| run.len() >= SHORTEST).flatten().copied().collect();
    may_be.sort_unstable();
    may_be
}

/// The photos with a capture time, in its order; folders and sizes apart, so that two cameras do not mix.
fn in_order(frames: &[Frame]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..frames.len()).filter(|&index| frames[index].taken_ms.is_some()).collect();
    let key = |index: usize| {
        let Frame { path, width, height, taken_ms, .. } = &frames[index];
        (path.parent(), width, height, taken_ms, path)
    };
    order.sort_by(|&a, &b| key(a).cmp(&key(b)));
    order
}

/// Whether two successive photos are exposed alike and follow within a pause.
fn may_be_of_one_run(first: &Frame, second: &Frame, pause_ms: i64) -> bool {
    follows(first, second, pause_ms) && first.exposure.is_same(&second.exposure)
}

/// Whether two successive photos may be frames of one sequence: from one folder, of one size, and within a pause and
/// the longer of the two exposures.
fn follows(first: &Frame, second: &Frame, pause_ms: i64) -> bool {
    // Some cameras write when the shutter opened, others when the file was made.
    let seconds = [first, second].map(|frame| frame.exposure.seconds.unwrap_or(0.0));
    let exposed_ms = (seconds[0].max(seconds[1]) * 1000.0) as i64;
    let gap = second.taken_ms.zip(first.taken_ms).map(|(later, earlier)| later - earlier);
    first.path.parent() == second.path.parent()
        && (first.width, first.height) == (second.width, second.height)
        && gap.is_some_and(|gap| (0..=pause_ms.saturating_add(exposed_ms)).contains(&gap))
}

/// The length of the run of photos of one exposure that begins here.
fn run_of_one_exposure(frames: &[Frame], order: &[usize], pause_ms: i64) -> usize {
    let continues = |pair: &&[usize]| {
        let (first, second) = (&frames[pair[0]], &frames[pair[1]]);
        may_be_of_one_run(first, second, pause_ms) && second.sketch.is_some()
    };
    let begins = order.first().is_some_and(|&first| frames[first].sketch.is_some());
    if begins { 1 + order.windows(2).take_while(continues).take(MAX_RUN).count() } else { 0 }
}

/// A sequence of sorted frames: the middle one first, then those beside it.
fn around_the_middle(kind: SequenceKind, sorted: &[usize]) -> Sequence {
    let middle = sorted.len() / 2;
    let mut places: Vec<usize> = (0..sorted.len()).collect();
    places.sort_by_key(|&place| place.abs_diff(middle));
    Sequence { kind, frames: places.into_iter().map(|place| sorted[place]).collect() }
}

/// The longest focus stack that begins here.
fn stack_at(frames: &[Frame], order: &[usize]) -> Option<Sequence> {
    let run = run_of_one_exposure(frames, order, STACK_PAUSE_MS);
    let sketches: Vec<&FrameSketch> = order[..run].iter().filter_map(|&index| frames[index].sketch).collect();
    let distances: Vec<Option<f64>> = order[..run].iter().map(|&index| frames[index].exposure.focus_distance).collect();
    let is_stack = |&length: &usize| {
        let steps = || distances[..length].windows(2).map(|pair| pair[0].zip(pair[1]));
        let nears = steps().all(|step| step.is_some_and(|(before, after)| before > after));
        let recedes = steps().all(|step| step.is_some_and(|(before, after)| before < after));
        nears || recedes || picture::focus_moves(&sketches[..length])
    };
    let still = if run < SHORTEST { 0 } else { picture::standing_still(&sketches) };
    (SHORTEST..=still).rev().find(is_stack).map(|length| around_the_middle(SequenceKind::Stack, &order[..length]))
}

/// The longest sweep that begins here.
fn sweep_at(frames: &[Frame], order: &[usize]) -> Option<Sequence> {
    let run = run_of_one_exposure(frames, order, SWEEP_PAUSE_MS);
    let run = if run < SHORTEST { 0 } else { run };
    let mut shifts: Vec<[f64; 2]> = Vec::new();
    for pair in order[..run].windows(2) {
        let (first, second) = (&frames[pair[0]], &frames[pair[1]]);
        let gap = second.taken_ms? - first.taken_ms?;
        let shift = picture::shift(first.sketch?, second.sketch?).filter(|_| gap >= SWEEP_LEAST_MS);
        let Some(shift) = shift else { break };
        shifts.push(shift);
        if !picture::are_steady(&shifts) {
            shifts.pop();
            break;
        }
    }
    (shifts.len() + 1 >= SHORTEST).then(|| around_the_middle(SequenceKind::Sweep, &order[..=shifts.len()]))
}

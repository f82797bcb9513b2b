//! The run over many photos in parallel. Outcomes come in scan order, and memory does not grow with the number of photos.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

use super::AnalysedPhoto;
use super::isolation::PhotoDecoder;
use super::job::Job;
use super::lookup::Lookups;
use super::one_photo::{FinishedPhoto, StoreKeys, contained, process};
use crate::failure::Failure;
use crate::store::StoreEntry;
use crate::telemetry::{ANALYSIS, is_part_of_analysis};
use photo::MemoryBudget;
use photo::scan::Photo;

/// The number of photos per thread that may be ahead of the next one in scan order. Bounds the outcomes held in memory.
const AHEAD_PER_THREAD: usize = 32;

/// The number of photos from the store that a thread hands over together: waking the receiver takes longer than one of them.
const TOGETHER: usize = 16;

type Outcome = Result<AnalysedPhoto, Failure>;

/// Calls `each` with the outcome of every photo, in scan order, until all are done, the stop flag is set, or `each`
/// returns `Break`. Every outcome handed to `each` is in the store by then.
pub fn run(job: &Job<'_>, each: impl FnMut(&Photo, Outcome) -> ControlFlow<()>) {
    let (keys, budget) = (StoreKeys::of(job), MemoryBudget::new(job.limits.max_alloc));
    let queue = Queue::new(job.photos.len(), AHEAD_PER_THREAD * job.threads.max(1));
    let threads = job.threads.clamp(1, job.photos.len().max(1));
    // Every analysis is listed in the telemetry even where all findings come from the store.
    job.analyses.iter().for_each(|analysis| job.telemetry.add(analysis.name(), Duration::ZERO, 0));
    let counts_as_analysis = job.analyses.iter().any(|analysis| is_part_of_analysis(analysis.name()));
    let waiting = VecDeque::new();
    let mut outcomes = InScanOrder { job, keys: &keys, queue: &queue, each, waiting, next: 0, counts_as_analysis };
    let lookups = Lookups::new(job, keys.needed(job));
    let one = |index: usize, decoder: &mut PhotoDecoder| {
        let photo = || process(job, &keys, &budget, decoder, &job.photos[index].path, lookups.take(index));
        (index, contained(&job.photos[index].path, photo))
    };
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, queue, one) = (sender.clone(), &queue, &one);
            let work = move || {
                let (mut decoder, mut done) = (PhotoDecoder::new(job.isolation), Vec::new());
                let hand_over = |done: &mut Vec<Arrived>| done.is_empty() || sender.send(std::mem::take(done)).is_ok();
                while let Some(index) = queue.claim(job.stop, || _ = hand_over(&mut done)) {
                    done.push(one(index, &mut decoder));
                    // What was computed is handed over at once, for the receiver stores it.
                    let is_computed =
                        |(_, finished): &Arrived| !finished.as_ref().is_ok_and(|it| it.analysed.from_store);
                    if (done.len() == TOGETHER || done.last().is_some_and(is_computed)) && !hand_over(&mut done) {
                        return;
                    }
                }
                hand_over(&mut done);
            };
            // The threads that could be started do all the work.
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        drop(sender);
        while let Ok(mut arrived) = receiver.recv() {
            arrived.extend(receiver.try_iter().flatten());
            if outcomes.take(arrived).is_break() {
                queue.close();
                // Photos that other threads still finish are stored, though not handed to `each`.
                let rest: Vec<_> = receiver.iter().flatten().collect();
                return store(job, &keys, &rest);
            }
        }
        // Where no thread could be started, this one processes all photos; otherwise the queue is empty here.
        let mut decoder = PhotoDecoder::new(job.isolation);
        while let Some(index) = queue.claim(job.stop, || ()) {
            if outcomes.take(vec![one(index, &mut decoder)]).is_break() {
                return;
            }
        }
    });
}

/// Hands outcomes, which arrive in any order, to `each` in scan order.
struct InScanOrder<'a, E> {
    job: &'a Job<'a>,
    keys: &'a StoreKeys,
    queue: &'a Queue,
    each: E,
    waiting: VecDeque<Option<Outcome>>,
    next: usize,
    /// Whether the photos count as analysed in the telemetry.
    counts_as_analysis: bool,
}

type Arrived = (usize, Result<FinishedPhoto, Failure>);

impl<E: FnMut(&Photo, Outcome) -> ControlFlow<()>> InScanOrder<'_, E> {
    /// Stores what has arrived in one transaction, then hands over the outcomes that are next in scan order.
    fn take(&mut self, arrived: Vec<Arrived>) -> ControlFlow<()> {
        store(self.job, self.keys, &arrived);
        for (index, finished) in arrived {
            let slot = index - self.next;
            if self.waiting.len() <= slot {
                self.waiting.resize_with(slot + 1, || None);
            }
            self.waiting[slot] = Some(finished.map(|finished| finished.analysed));
        }
        while let Some(Some(_)) = self.waiting.front() {
            let Some(Some(outcome)) = self.waiting.pop_front() else { break };
            if self.counts_as_analysis {
                self.job.telemetry.add(ANALYSIS, Duration::ZERO, 1);
            }
            self.next += 1;
            (self.each)(&self.job.photos[self.next - 1], outcome)?;
        }
        self.queue.advance(self.next);
        ControlFlow::Continue(())
    }
}

fn store(job: &Job<'_>, keys: &StoreKeys, arrived: &[Arrived]) {
    let entries: Vec<_> = arrived.iter().filter_map(|(index, finished)| entry(job, keys, *index, finished)).collect();
    if !entries.is_empty() {
        job.telemetry.time("store", || job.store.keep(&entries));
    }
}

fn entry<'a>(
    job: &'a Job<'_>,
    keys: &StoreKeys,
    index: usize,
    finished: &'a Result<FinishedPhoto, Failure>,
) -> Option<StoreEntry<'a>> {
    let finished = finished.as_ref().ok()?;
    let facts = finished.facts_payload.iter().map(|payload| (keys.facts, payload.as_slice()));
    let computed = finished.computed.iter().map(|(at, finding)| (keys.analyses[*at], finding.as_slice()));
    let findings: Vec<_> = facts.chain(computed).collect();
    let is_new = finished.stamp.is_some() || !findings.is_empty();
    let path = job.photos[index].path.as_path();
    let content = finished.analysed.report.content?;
    is_new.then_some(StoreEntry { path, stamp: finished.stamp, content, findings })
}

/// Hands out photo indices in order, at most `window` ahead of the next one in scan order.
#[derive(Debug)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
    length: usize,
    window: usize,
}

#[derive(Debug)]
struct QueueState {
    next: usize,
    due: usize,
    closed: bool,
}

impl Queue {
    fn new(length: usize, window: usize) -> Self {
        let state = QueueState { next: 0, due: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), length, window }
    }

    /// Waits while the window is full, after calling `before_waiting`.
    fn claim(&self, stop: &AtomicBool, mut before_waiting: impl FnMut()) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.closed || state.next == self.length || stop.load(Ordering::Relaxed) {
                return None;
            }
            if state.next < state.due + self.window {
                state.next += 1;
                return Some(state.next - 1);
            }
            before_waiting();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn advance(&self, due: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).due = due;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_thread_claims_an_index_beyond_the_window() {
        let (queue, stop) = (Queue::new(10, 2), AtomicBool::new(false));
        assert_eq!([queue.claim(&stop, || ()), queue.claim(&stop, || ())], [Some(0), Some(1)]);
        std::thread::scope(|scope| {
            let third = scope.spawn(|| queue.claim(&stop, || ()));
            std::thread::sleep(Duration::from_millis(30));
            assert!(!third.is_finished(), "claimed past the window");
            queue.advance(1);
            assert_eq!(third.join().unwrap(), Some(2));
        });
        queue.close();
        assert_eq!(queue.claim(&stop, || ()), None);
    }
}

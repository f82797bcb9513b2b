//! Many photos at once, answers in the order of the scan, memory that does not grow with their number.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

use super::Analysed;
use super::isolation::Decoding;
use super::job::Job;
use super::one_photo::{Finished, Keys, isolated};
use crate::failure::Failure;
use crate::store::Entry;
use crate::telemetry::{ANALYSIS, is_part_of_analysis};
use photo::MemoryBudget;
use photo::scan::Photo;

/// How many photos a thread may be ahead of the one whose answer is due next. Bounds what waits in memory.
const AHEAD_PER_THREAD: usize = 32;

type Outcome = Result<Analysed, Failure>;

/// Calls `each` with the outcome of every photo, in scan order, until all are done, the stop flag is raised, or `each`
/// says so. Everything finished by then has been kept in the store and handed over.
pub fn run(job: &Job<'_>, each: impl FnMut(&Photo, Outcome) -> ControlFlow<()>) {
    let (keys, budget) = (Keys::of(job), MemoryBudget::new(job.limits.max_alloc));
    let queue = Queue::new(job.photos.len(), AHEAD_PER_THREAD * job.threads.max(1));
    let threads = job.threads.clamp(1, job.photos.len().max(1));
    // What is asked has its place in the report even where all answers are in the store.
    job.analyses.iter().for_each(|analysis| job.telemetry.add(analysis.name(), Duration::ZERO, 0));
    let counts = job.analyses.iter().any(|analysis| is_part_of_analysis(analysis.name()));
    let mut due = Due { job, keys: &keys, queue: &queue, each, waiting: VecDeque::new(), next: 0, counts };
    let one = |index: usize, decoding: &mut Decoding| {
        (index, isolated(job, &keys, &budget, decoding, &job.photos[index].path))
    };
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, queue, one) = (sender.clone(), &queue, &one);
            let work = move || {
                let mut decoding = Decoding::new(job.isolation);
                while let Some(index) = queue.claim(job.stop) {
                    if sender.send(one(index, &mut decoding)).is_err() {
                        return;
                    }
                }
            };
            // Those that are there do the work of the others.
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        drop(sender);
        while let Ok(first) = receiver.recv() {
            let mut arrived = vec![first];
            arrived.extend(receiver.try_iter());
            if due.take(arrived).is_break() {
                queue.close();
                // What other threads still finish is worth keeping, though nobody will hear of it.
                let rest: Vec<_> = receiver.iter().collect();
                return keep(job, &keys, &rest);
            }
        }
        // Without a thread to be had, one photo after the other; otherwise nothing is left.
        let mut decoding = Decoding::new(job.isolation);
        while let Some(index) = queue.claim(job.stop) {
            if due.take(vec![one(index, &mut decoding)]).is_break() {
                return;
            }
        }
    });
}

/// Puts outcomes, which arrive in any order, into that of the scan.
struct Due<'a, E> {
    job: &'a Job<'a>,
    keys: &'a Keys,
    queue: &'a Queue,
    each: E,
    waiting: VecDeque<Option<Outcome>>,
    next: usize,
    /// Whether photos are analysed, and not only compared or described.
    counts: bool,
}

type Arrived = (usize, Result<Finished, Failure>);

impl<E: FnMut(&Photo, Outcome) -> ControlFlow<()>> Due<'_, E> {
    /// Keeps what has arrived in one transaction, then hands over whatever is due.
    fn take(&mut self, arrived: Vec<Arrived>) -> ControlFlow<()> {
        keep(self.job, self.keys, &arrived);
        for (index, finished) in arrived {
            let slot = index - self.next;
            if self.waiting.len() <= slot {
                self.waiting.resize_with(slot + 1, || None);
            }
            self.waiting[slot] = Some(finished.map(|finished| finished.analysed));
        }
        while let Some(Some(_)) = self.waiting.front() {
            let Some(Some(outcome)) = self.waiting.pop_front() else { break };
            if self.counts {
                self.job.telemetry.add(ANALYSIS, Duration::ZERO, 1);
            }
            self.next += 1;
            (self.each)(&self.job.photos[self.next - 1], outcome)?;
        }
        self.queue.advance(self.next);
        ControlFlow::Continue(())
    }
}

fn keep(job: &Job<'_>, keys: &Keys, arrived: &[Arrived]) {
    let entries: Vec<_> = arrived.iter().filter_map(|(index, finished)| entry(job, keys, *index, finished)).collect();
    if !entries.is_empty() {
        job.telemetry.time("store", || job.store.keep(&entries));
    }
}

fn entry<'a>(
    job: &'a Job<'_>,
    keys: &Keys,
    index: usize,
    finished: &'a Result<Finished, Failure>,
) -> Option<Entry<'a>> {
    let finished = finished.as_ref().ok()?;
    let facts = finished.facts_payload.iter().map(|payload| (keys.facts, payload.as_slice()));
    let computed = finished.computed.iter().map(|(at, finding)| (keys.analyses[*at], finding.as_slice()));
    let findings: Vec<_> = facts.chain(computed).collect();
    let news = finished.stamp.is_some() || !findings.is_empty();
    let path = job.photos[index].path.as_path();
    let content = finished.analysed.report.content?;
    news.then_some(Entry { path, stamp: finished.stamp, content, findings })
}

/// Hands out indices in order, never further ahead of the due one than the window.
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

    fn claim(&self, stop: &AtomicBool) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.closed || state.next == self.length || stop.load(Ordering::Relaxed) {
                return None;
            }
            if state.next < state.due + self.window {
                state.next += 1;
                return Some(state.next - 1);
            }
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
    fn nobody_runs_further_ahead_than_the_window() {
        let (queue, stop) = (Queue::new(10, 2), AtomicBool::new(false));
        assert_eq!([queue.claim(&stop), queue.claim(&stop)], [Some(0), Some(1)]);
        std::thread::scope(|scope| {
            let third = scope.spawn(|| queue.claim(&stop));
            std::thread::sleep(Duration::from_millis(30));
            assert!(!third.is_finished(), "claimed past the window");
            queue.advance(1);
            assert_eq!(third.join().unwrap(), Some(2));
        });
        queue.close();
        assert_eq!(queue.claim(&stop), None);
    }
}

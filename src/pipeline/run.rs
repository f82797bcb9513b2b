//! Many photos at once, answers in the order of the scan, memory that does not grow with their number.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};

use super::one_photo::{Finished, Keys, isolated};
use super::{Analysed, Analysis};
use crate::failure::Failure;
use crate::photo::identity::Files;
use crate::photo::scan::Photo;
use crate::photo::{Limits, Room, Scale};
use crate::store::{Entry, Store};
use crate::telemetry::Telemetry;

/// How many photos a thread may be ahead of the one whose answer is due next. Bounds what waits in memory.
const AHEAD_PER_THREAD: usize = 32;

#[expect(missing_debug_implementations, reason = "analyses need not be printable")]
pub struct Job<'a> {
    pub photos: &'a [Photo],
    pub files: &'a dyn Files,
    pub analyses: &'a [&'a dyn Analysis],
    pub store: &'a Store,
    pub telemetry: &'a Telemetry,
    pub limits: Limits,
    /// Long side at which photos are measured; `None` measures originals.
    pub medium: Option<u32>,
    pub threads: usize,
    pub stop: &'a AtomicBool,
}

impl Job<'_> {
    pub(super) fn scale(&self) -> Scale {
        self.medium.map_or(Scale::Full, Scale::AtLeast)
    }
}

type Outcome = Result<Analysed, Failure>;

/// Calls `each` with the outcome of every photo, in scan order, until all are done, the stop flag is raised, or `each`
/// says so. Everything finished by then has been kept in the store and handed over.
pub fn run(job: &Job<'_>, mut each: impl FnMut(&Photo, Outcome) -> ControlFlow<()>) {
    let (keys, room) = (Keys::of(job), Room::new(job.limits.max_alloc));
    let queue = Queue::new(job.photos.len(), AHEAD_PER_THREAD * job.threads.max(1));
    let threads = job.threads.clamp(1, job.photos.len().max(1));
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, queue, keys, room) = (sender.clone(), &queue, &keys, &room);
            scope.spawn(move || {
                while let Some(index) = queue.claim(job.stop) {
                    let finished = isolated(job, keys, room, &job.photos[index].path);
                    if sender.send((index, finished)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        collect(job, &keys, &queue, &receiver, &mut each);
        queue.close();
    });
}

/// Keeps what has arrived in one transaction, then hands over whatever is due.
fn collect(
    job: &Job<'_>,
    keys: &Keys,
    queue: &Queue,
    receiver: &mpsc::Receiver<(usize, Result<Finished, Failure>)>,
    each: &mut impl FnMut(&Photo, Outcome) -> ControlFlow<()>,
) {
    let mut waiting: VecDeque<Option<Outcome>> = VecDeque::new();
    let mut due = 0;
    while let Ok(first) = receiver.recv() {
        let mut arrived = vec![first];
        arrived.extend(receiver.try_iter());
        keep(job, keys, &arrived);
        for (index, finished) in arrived {
            let slot = index - due;
            if waiting.len() <= slot {
                waiting.resize_with(slot + 1, || None);
            }
            waiting[slot] = Some(finished.map(|finished| finished.analysed));
        }
        while let Some(Some(_)) = waiting.front() {
            let Some(Some(outcome)) = waiting.pop_front() else { break };
            let flow = each(&job.photos[due], outcome);
            due += 1;
            if flow.is_break() {
                queue.close();
                // What other threads still finish is worth keeping, though nobody will hear of it.
                let rest: Vec<_> = receiver.iter().collect();
                return keep(job, keys, &rest);
            }
        }
        queue.advance(due);
    }
}

fn keep(job: &Job<'_>, keys: &Keys, arrived: &[(usize, Result<Finished, Failure>)]) {
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
    let computed = finished.computed.iter().map(|&at| (keys.analyses[at], finished.analysed.findings[at].as_slice()));
    let findings: Vec<_> = facts.chain(computed).collect();
    let news = finished.stamp.is_some() || !findings.is_empty();
    let path = job.photos[index].path.as_path();
    news.then_some(Entry { path, stamp: finished.stamp, content: finished.analysed.content, findings })
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
            std::thread::sleep(std::time::Duration::from_millis(30));
            assert!(!third.is_finished(), "claimed past the window");
            queue.advance(1);
            assert_eq!(third.join().unwrap(), Some(2));
        });
        queue.close();
        assert_eq!(queue.claim(&stop), None);
    }
}

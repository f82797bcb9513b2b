//! The memory budget shared by all photos that are decoded concurrently. A photo waits until enough of it is free.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    size: u64,
}

#[derive(Debug)]
struct State {
    /// Negative after a photo was admitted beyond the budget because all others were waiting.
    free: i64,
    /// Number of photos that hold memory, and of those among them that wait for more.
    holders: usize,
    waiting: usize,
}

impl MemoryBudget {
    pub fn new(size: u64) -> Self {
        let size = size.min(i64::MAX as u64);
        let state = Mutex::new(State { free: size as i64, holders: 0, waiting: 0 });
        Self(Arc::new(Shared { state, changed: Condvar::new(), size }))
    }

    /// A new reservation of 0 bytes.
    pub fn reserve(&self) -> Reservation {
        Reservation(Arc::new(SharedReservation { budget: self.0.clone(), taken: AtomicU64::new(0) }))
    }
}

impl Shared {
    /// Reserves `more` bytes for a photo that holds `had`.
    fn take(&self, had: u64, more: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = usize::from(had > 0);
        state.waiting += holds;
        // If every holder waits for more, none would ever free its memory, so one of them is admitted.
        while state.free < more as i64 && !(holds == 1 && state.waiting == state.holders) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= holds;
        state.holders += 1 - holds;
        state.free -= more as i64;
    }

    fn give_back(&self, bytes: u64, all: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.free += bytes as i64;
        state.holders -= usize::from(all && bytes > 0);
        self.changed.notify_all();
    }
}

/// A source of memory reservations.
pub trait Budget: fmt::Debug + Send + Sync {
    /// Grows the reservation to at least this size; returns the time spent waiting.
    fn grow(&self, bytes: u64) -> Duration;

    fn shrink(&self, bytes: u64);
}

/// The memory reservation of one photo, which is released when its last clone is dropped.
#[derive(Clone, Debug)]
pub struct Reservation(Arc<dyn Budget>);

impl Reservation {
    pub fn of(budget: Arc<dyn Budget>) -> Self {
        Self(budget)
    }

    /// Grows the reservation to at least this size; returns the time spent waiting.
    pub fn grow(&self, bytes: u64) -> Duration {
        self.0.grow(bytes)
    }

    /// Reduces the reservation once the buffers of decoding are freed.
    pub fn shrink(&self, bytes: u64) {
        self.0.shrink(bytes);
    }
}

/// A reservation in a [`MemoryBudget`].
#[derive(Debug)]
struct SharedReservation {
    budget: Arc<Shared>,
    taken: AtomicU64,
}

impl Budget for SharedReservation {
    /// While waiting, the current reservation is kept, because its memory is still in use. A photo that needs more than
    /// the whole budget waits for all of it.
    fn grow(&self, bytes: u64) -> Duration {
        let bytes = bytes.min(self.budget.size);
        let had = self.taken.load(Ordering::Relaxed);
        if bytes <= had {
            return Duration::ZERO;
        }
        let began = Instant::now();
        self.budget.take(had, bytes - had);
        self.taken.store(bytes, Ordering::Relaxed);
        began.elapsed()
    }

    fn shrink(&self, bytes: u64) {
        let bytes = bytes.max(1);
        let had = self.taken.load(Ordering::Relaxed);
        if bytes < had {
            self.taken.store(bytes, Ordering::Relaxed);
            self.budget.give_back(had - bytes, false);
        }
    }
}

impl Drop for SharedReservation {
    fn drop(&mut self) {
        self.budget.give_back(self.taken.load(Ordering::Relaxed), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grows eight reservations concurrently, each in two steps to at most `most`; returns the peak of their sum.
    fn peak(budget: &MemoryBudget, first: u64, most: u64) -> u64 {
        let (held, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (held, peak) = (&held, &peak);
                scope.spawn(move || {
                    for round in 0..50 {
                        let reservation = budget.reserve();
                        let mut mine = 0;
                        for bytes in [first + thread, (most - (round % 7) * 5).max(first + thread)] {
                            reservation.grow(bytes);
                            let now = held.fetch_add(bytes - mine, Ordering::SeqCst) + bytes - mine;
                            peak.fetch_max(now, Ordering::SeqCst);
                            mine = bytes;
                        }
                        held.fetch_sub(mine, Ordering::SeqCst);
                    }
                });
            }
        });
        let state = budget.0.state.lock().unwrap();
        assert_eq!((state.free, state.holders, state.waiting), (100, 0, 0));
        peak.into_inner()
    }

    #[test]
    fn together_they_hold_what_the_room_has_and_one_photo_more() {
        assert!(peak(&MemoryBudget::new(100), 40, 48) <= 100);
        // All admitted photos wait for more again and again, so this deadlocks unless one is admitted.
        assert!(peak(&MemoryBudget::new(100), 10, 90) <= 190);
    }

    #[test]
    fn what_is_larger_than_the_room_waits_for_all_of_it() {
        let budget = MemoryBudget::new(100);
        let small = budget.reserve();
        small.grow(1);
        std::thread::scope(|scope| {
            let large = scope.spawn(|| budget.reserve().grow(1000));
            std::thread::sleep(Duration::from_millis(30));
            assert!(!large.is_finished(), "did not wait");
            drop(small);
            assert!(large.join().unwrap() >= Duration::from_millis(20));
        });
    }
}

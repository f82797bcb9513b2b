//! The memory that all photos being decoded at one time may hold together. A photo waits until there is room for it.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Room {
    free: Mutex<u64>,
    changed: Condvar,
    size: u64,
}

impl Room {
    pub fn new(size: u64) -> Self {
        Self { free: Mutex::new(size), changed: Condvar::new(), size }
    }

    /// A place in the room that takes nothing yet.
    pub fn place(&self) -> Place<'_> {
        Place { room: self, taken: Cell::new(0) }
    }

    fn take(&self, bytes: u64) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            free = self.changed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= bytes;
    }

    fn give_back(&self, bytes: u64) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
        self.changed.notify_all();
    }
}

/// What one photo holds of a [`Room`]; given back when dropped.
#[derive(Debug)]
pub struct Place<'a> {
    room: &'a Room,
    taken: Cell<u64>,
}

impl Place<'_> {
    /// Makes it at least this large and says how long that took. Whoever has to wait lets go of what it has, so that two
    /// never wait for each other; whatever needs more than the whole room has it to itself.
    pub fn grow(&self, bytes: u64) -> Duration {
        let bytes = bytes.min(self.room.size);
        let had = self.taken.get();
        if bytes <= had {
            return Duration::ZERO;
        }
        let began = Instant::now();
        self.room.give_back(had);
        self.taken.set(0);
        self.room.take(bytes);
        self.taken.set(bytes);
        began.elapsed()
    }

    /// What is still held once the decoder's own buffers are gone.
    pub fn shrink(&self, bytes: u64) {
        let had = self.taken.get();
        if bytes < had {
            self.taken.set(bytes);
            self.room.give_back(had - bytes);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.room.give_back(self.taken.get());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn together_they_never_hold_more_than_the_room_has() {
        let (room, held, most) = (Room::new(100), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (room, held, most) = (&room, &held, &most);
                scope.spawn(move || {
                    for round in 0..50 {
                        let place = room.place();
                        let mut mine = 0;
                        for bytes in [10 + thread, 45 + (round % 7) * 10] {
                            held.fetch_sub(mine, Ordering::SeqCst);
                            place.grow(bytes);
                            most.fetch_max(held.fetch_add(bytes, Ordering::SeqCst) + bytes, Ordering::SeqCst);
                            mine = bytes;
                        }
                        held.fetch_sub(mine, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 105, "{most:?} of 100");
        assert_eq!(*room.free.lock().unwrap(), 100);
    }

    #[test]
    fn what_is_larger_than_the_room_waits_for_all_of_it() {
        let room = Room::new(100);
        let small = room.place();
        small.grow(1);
        std::thread::scope(|scope| {
            let large = scope.spawn(|| room.place().grow(1000));
            std::thread::sleep(Duration::from_millis(30));
            assert!(!large.is_finished(), "did not wait");
            small.shrink(0);
            assert!(large.join().unwrap() >= Duration::from_millis(20));
        });
    }
}

//! Scans row groups with all threads. A thread takes an open row group, decodes a batch, returns the group and processes the
//! batch. So even one huge row group keeps all threads busy, and memory holds one batch per thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::error::{DataLocation, RowError, ScaleError};
use super::features::{Batch, GroupReader, Reading};
use super::nearest::{Nearest, NearestScratch};
use super::output::Output;
use super::pass::{Engine, Pass};
use super::source::{Group, Source};
use base::contain::contained;
use base::threads::pool;

/// The threads of this machine and their data.
pub struct ScanPool<'a> {
    pub source: &'a Source,
    pub reading: Reading,
    pub stop: &'a AtomicBool,
    pool: rayon::ThreadPool,
}

struct OpenGroups<'a> {
    /// Started row groups that no thread is decoding: index and reader.
    idle: Vec<(usize, GroupReader<'a>)>,
    /// The next group to start.
    next: usize,
    /// The number of row groups that threads are decoding.
    out: usize,
    /// The first error in the order of the data, not of time: groups before it are still read completely.
    failed: Option<(usize, ScaleError)>,
}

impl<'a> ScanPool<'a> {
    pub fn new(source: &'a Source, reading: Reading, threads: usize, stop: &'a AtomicBool) -> Result<Self, ScaleError> {
        let pool = pool(threads).map_err(|error| ScaleError::Threads { cause: error.to_string() })?;
        Ok(Self { source, reading, stop, pool })
    }

    /// Runs `work` in the thread pool.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Calls `work` with every batch of `groups` and a state per thread; returns the states in no particular order.
    pub fn scan<S: Send>(
        &self,
        groups: &[Group],
        state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, &mut Batch) -> Result<(), ScaleError> + Sync,
    ) -> Result<Vec<S>, ScaleError> {
        let open_groups = Mutex::new(OpenGroups { idle: Vec::new(), next: 0, out: 0, failed: None });
        let returned = Condvar::new();
        let states = Mutex::new(Vec::new());
        self.pool.scope(|scope| {
            for _ in 0..self.pool.current_num_threads() {
                scope.spawn(|_| {
                    let mut own = state();
                    let mut batch = Batch::default();
                    while let Some(number) = self.take_batch(groups, &open_groups, &returned, &mut batch) {
                        if let Err(error) = work(&mut own, &mut batch) {
                            lock(&open_groups).fail(number, error);
                        }
                    }
                    lock(&states).push(own);
                });
            }
        });
        match open_groups.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
            Some((_, error)) => Err(error),
            None if self.stop.load(Ordering::Relaxed) => Err(ScaleError::Stopped),
            None => Ok(states.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Decodes the next batch and returns the index of its row group; `None` at the end.
    fn take_batch<'s>(
        &'s self,
        groups: &[Group],
        open_groups: &Mutex<OpenGroups<'s>>,
        returned: &Condvar,
        batch: &mut Batch,
    ) -> Option<usize> {
        loop {
            let (number, reader) = self.take_group(groups, open_groups, returned)?;
            let group = groups[number];
            // The Parquet reader may panic on damaged files.
            let decoded = contained(|| {
                let mut reader = match reader {
                    Some(reader) => reader,
                    None => GroupReader::open(self.source, group, self.reading)?,
                };
                reader.next(batch).map(|more| (reader, more))
            })
            .unwrap_or_else(|cause| {
                let place =
                    DataLocation { file: self.source.files[group.file].path.clone(), group: group.group, row: None };
                Err(ScaleError::Row { place, cause: RowError::Unreadable { cause } })
            });
            let mut open_groups = lock(open_groups);
            open_groups.out -= 1;
            returned.notify_all();
            match decoded {
                Ok((reader, true)) => {
                    open_groups.idle.push((number, reader));
                    return Some(number);
                }
                Ok((_, false)) => {}
                Err(error) => open_groups.fail(number, error),
            }
        }
    }

    fn take_group<'s>(
        &self,
        groups: &[Group],
        open_groups: &Mutex<OpenGroups<'s>>,
        returned: &Condvar,
    ) -> Option<(usize, Option<GroupReader<'s>>)> {
        let mut open_groups = lock(open_groups);
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let wanted = open_groups.failed.as_ref().map_or(groups.len(), |(number, _)| *number);
            open_groups.idle.retain(|(number, _)| *number < wanted);
            if let Some((number, reader)) = open_groups.idle.pop() {
                open_groups.out += 1;
                return Some((number, Some(reader)));
            }
            if open_groups.next < wanted {
                open_groups.next += 1;
                open_groups.out += 1;
                return Some((open_groups.next - 1, None));
            }
            if open_groups.out == 0 {
                returned.notify_all();
                return None;
            }
            open_groups = returned.wait(open_groups).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl OpenGroups<'_> {
    fn fail(&mut self, number: usize, error: ScaleError) {
        if self.failed.as_ref().is_none_or(|(first, _)| number < *first) {
            self.failed = Some((number, error));
        }
    }
}

impl Engine for ScanPool<'_> {
    fn source(&self) -> &Source {
        self.source
    }

    fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    fn run(&self, pass: &Pass<&Nearest>, groups: &[Group]) -> Result<Output, ScaleError> {
        let dim = self.source.dim;
        let outputs = self.scan(
            groups,
            || (pass.begin(dim), NearestScratch::default()),
            |(output, scratch), batch| {
                pass.take(output, dim, &batch.values, &batch.norms, scratch);
                Ok(())
            },
        )?;
        let mut whole = pass.begin(dim);
        for (output, _) in outputs {
            if !whole.merge(output) {
                return Err(whole.unexpected());
            }
        }
        Ok(whole)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

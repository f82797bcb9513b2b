//! Pulls files into the cache, several at a time: existing files stay, incomplete ones are resumed, wrong ones are replaced.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use super::client::{Client, Trouble};
use super::pip::PipWheels;
use super::transfer::Transfer;
use super::turn::Turn;
use super::wheel::{self, Got, Link, Wheels};
use super::{Event, ExpectedFile, PullError, Pulled, SourceError};
use crate::cache::{Cache, CacheError, Origin, PartialFile};
use crate::digest::Digest;
use crate::sources::{Source, Url, Wheel, WheelEntry};

#[derive(Debug)]
pub struct Puller<'a> {
    client: &'a Client,
    cache: &'a Cache,
    stop: &'a AtomicBool,
    wheels: Wheels,
    pip_wheels: PipWheels,
    /// Whole wheels that were fetched only to extract an entry.
    borrowed: Mutex<Vec<Digest>>,
}

/// Ends the watcher thread, also if the watched work panics.
struct Watched<'a> {
    done: &'a AtomicBool,
    watcher: Option<Thread>,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(watcher) = &self.watcher {
            watcher.unpark();
        }
    }
}

impl<'a> Puller<'a> {
    /// When `stop` becomes true, connections are closed and received bytes are kept.
    pub fn new(client: &'a Client, cache: &'a Cache, stop: &'a AtomicBool) -> Self {
        Self {
            client,
            cache,
            stop,
            wheels: Wheels::default(),
            pip_wheels: PipWheels::default(),
            borrowed: Mutex::default(),
        }
    }

    /// Pulls files; returns the outcome of each in order.
    pub fn pull(
        &self,
        wanted: &[ExpectedFile],
        tell: &(dyn Fn(usize, Event) + Sync),
    ) -> Vec<Result<Pulled, PullError>> {
        let next = AtomicUsize::new(0);
        let done = AtomicBool::new(false);
        let outcomes = Mutex::new(Vec::new());
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(file) = wanted.get(index) else { return };
                let outcome = self.pull_one(file, &|event| tell(index, event));
                outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((index, outcome));
            }
        };
        thread::scope(|scope| {
            // Without threads, files are fetched one after the other, and a stop is noticed between chunks.
            let watcher = thread::Builder::new().spawn_scoped(scope, || self.hang_up_when_stopped(&done)).ok();
            let watched = Watched { done: &done, watcher: watcher.as_ref().map(|watcher| watcher.thread().clone()) };
            let parallel = self.client.settings().parallel_files.clamp(1, wanted.len().max(1));
            let workers: Vec<_> =
                (1..parallel).map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
            work();
            for worker in workers {
                let _ = worker.join();
            }
            drop(watched);
        });
        for wheel in self.borrowed.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = self.cache.remove(&wheel);
        }
        let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcomes.sort_by_key(|(index, _)| *index);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    fn hang_up_when_stopped(&self, done: &AtomicBool) {
        while !done.load(Ordering::Relaxed) {
            if self.stop.load(Ordering::Relaxed) {
                self.client.hang_up();
            }
            thread::park_timeout(Duration::from_millis(50));
        }
    }

    fn pull_one(&self, wanted: &ExpectedFile, tell: &dyn Fn(Event)) -> Result<Pulled, PullError> {
        if let Some(found) = self.in_cache(wanted, tell)? {
            return Ok(found);
        }
        let name = || wanted.name.clone();
        let settings = self.client.settings();
        if settings.offline {
            return Err(PullError::Offline { name: name() });
        }
        if wanted.sha256.is_none() && !settings.trust_first {
            return Err(PullError::NotTrusted { name: name() });
        }
        if wanted.sources.is_empty() {
            return Err(PullError::NoSource { name: name() });
        }
        let (client, cache, stop) = (self.client, self.cache, self.stop);
        let mut transfer = Transfer { client, cache, wanted, stop, tell, transferred: 0, overtaken: false };
        let key = wanted.key();
        let _turn = Turn::wait(&transfer, &key).map_err(fatal)?;
        // It may have arrived while we waited.
        if let Some(found) = self.in_cache(wanted, tell)? {
            return Ok(found);
        }
        let mut part = self.cache.take_part(&key)?;
        let room = wanted.size.map_or(Ok(()), |size| transfer.check_room(&part, size)).map_err(fatal);
        match room.and_then(|()| self.try_sources(&mut transfer, &mut part)) {
            Ok(()) if transfer.overtaken => {
                part.remove();
                self.in_cache(wanted, tell)?.ok_or(PullError::NoSource { name: name() })
            }
            Ok(()) => {
                let (digest, bytes) = (part.digest(), part.bytes());
                let path = self.cache.adopt(part, &digest)?;
                tell(Event::Done);
                let transferred = transfer.transferred;
                Ok(Pulled { path, digest, bytes, transferred, already_there: false })
            }
            Err(error) => {
                // Received bytes are kept for the next pull, unless they fill the disk.
                if part.bytes() == 0 || matches!(error, PullError::DiskFull { .. }) {
                    part.remove();
                }
                Err(error)
            }
        }
    }

    fn in_cache(&self, wanted: &ExpectedFile, tell: &dyn Fn(Event)) -> Result<Option<Pulled>, PullError> {
        let Some(digest) = wanted.sha256 else { return Ok(None) };
        match self.cache.ready(&digest) {
            Ok(Some(path)) => {
                let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
                tell(Event::Done);
                Ok(Some(Pulled { path, digest, bytes, transferred: 0, already_there: true }))
            }
            Ok(None) => Ok(None),
            Err(error @ CacheError::Corrupt { .. }) => {
                tell(Event::SetAside { cause: error.to_string() });
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tries source after source until the part is complete and verified.
    fn try_sources(&self, transfer: &mut Transfer<'_>, part: &mut PartialFile) -> Result<(), PullError> {
        let mut tried: Vec<(String, SourceError)> = Vec::new();
        for source in &transfer.wanted.sources {
            match self.try_source(transfer, source, part) {
                Ok(()) => return Ok(()),
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::Never(cause) | Trouble::Again { cause, .. }) => {
                    let (failed, said) = (source.to_string(), cause.to_string());
                    tried.push((source.to_string(), cause));
                    if tried.len() < transfer.wanted.sources.len() {
                        (transfer.tell)(Event::NextSource { failed, cause: said });
                    }
                }
            }
        }
        Err(PullError::NoGoodSource { name: transfer.wanted.name.clone(), tried })
    }

    fn try_source(&self, transfer: &mut Transfer<'_>, source: &Source, part: &mut PartialFile) -> Result<(), Trouble> {
        let mut in_one_piece = false;
        loop {
            match source {
                Source::Address(address) | Source::Url(Url { url: address }) => transfer.fetch(address, part)?,
                Source::Wheel(Wheel { wheel }) => self.try_wheel(transfer, wheel, part)?,
            }
            if transfer.overtaken {
                return Ok(());
            }
            let Err(wrong) = transfer.wanted.judge(&part.digest()) else { return Ok(()) };
            // One of several pieces may stem from a file that has changed since, so it is fetched once more in one piece.
            let once_more = part.pieced && !in_one_piece;
            part.start_over(Origin::default())?;
            if !once_more {
                return Err(wrong.into());
            }
            in_one_piece = true;
            (transfer.tell)(Event::SetAside { cause: wrong.to_string() });
        }
    }

    fn try_wheel(
        &self,
        transfer: &mut Transfer<'_>,
        wheel: &WheelEntry,
        part: &mut PartialFile,
    ) -> Result<(), Trouble> {
        if self.client.network().indexes.is_empty() {
            let whole = self.pip_wheels.bring(transfer, wheel)?;
            return wheel::from_file(transfer, &whole, wheel, part);
        }
        match self.wheels.fetch(transfer, wheel, part)? {
            Got::Entry => Ok(()),
            Got::NeedsWhole(link) => {
                let whole = self.whole_wheel(transfer, wheel, link)?;
                wheel::from_file(transfer, &whole, wheel, part)
            }
        }
    }

    /// Fetches the whole wheel through the cache, like any file: resumed, verified, and once for all entries.
    fn whole_wheel(&self, transfer: &mut Transfer<'_>, wheel: &WheelEntry, link: Link) -> Result<PathBuf, Trouble> {
        let Some(sha256) = link.sha256 else {
            return Err(SourceError::NotListed(format!("{} with a sha256", wheel.file)).into());
        };
        let sources = vec![Source::Address(link.address)];
        let (name, size) = (wheel.file.clone(), link.bytes);
        let whole = ExpectedFile { name, size, sha256: Some(sha256), sha256_starts: None, sources };
        match self.pull_one(&whole, transfer.tell) {
            Ok(pulled) => {
                transfer.transferred += pulled.transferred;
                if !pulled.already_there {
                    self.borrowed.lock().unwrap_or_else(PoisonError::into_inner).push(sha256);
                }
                Ok(pulled.path)
            }
            Err(PullError::NoGoodSource { mut tried, .. }) if tried.len() == 1 => Err(tried.remove(0).1.into()),
            Err(error) => Err(Trouble::Fatal(error)),
        }
    }
}

impl ExpectedFile {
    /// Checks whether a file with this hash is the wanted one.
    pub fn judge(&self, found: &Digest) -> Result<(), SourceError> {
        let found = *found;
        match (&self.sha256, &self.sha256_starts) {
            (Some(expected), _) if *expected != found => Err(SourceError::Hash { expected: *expected, found }),
            (None, Some(start)) if !found.hex().starts_with(&start.to_ascii_lowercase()) => {
                Err(SourceError::HashStart { expected: start.clone(), found })
            }
            _ => Ok(()),
        }
    }

    /// The key of the part: the content hash where known, else the source.
    fn key(&self) -> String {
        self.sha256.map_or_else(
            || {
                let from = self.sources.first().map(|source| format!("{source:?}")).unwrap_or_default();
                format!("unknown-{}", Digest::of(format!("{}\n{from}", self.name).as_bytes()))
            },
            |digest| digest.hex(),
        )
    }
}

fn fatal(trouble: Trouble) -> PullError {
    match trouble {
        Trouble::Fatal(error) => error,
        Trouble::Never(cause) | Trouble::Again { cause, .. } => {
            PullError::NoGoodSource { name: String::new(), tried: vec![(String::new(), cause)] }
        }
    }
}

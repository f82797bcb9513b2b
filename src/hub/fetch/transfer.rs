//! The transfer of one file from one address into its part, resumed if the file is still the same.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ureq::http::header;

use super::client::{Client, Request, Response, Trouble};
use super::patience::Patience;
use super::{Event, ExpectedFile, PullError, SourceError};
use crate::cache::{Cache, CacheError, Origin, PartialFile, Presence};

/// A broken connection that transferred less than this made no progress.
const PROGRESS: u64 = 1024;
/// Bytes that stay free on the disk.
const MARGIN: u64 = 16 << 20;

pub struct Transfer<'a> {
    pub client: &'a Client,
    pub cache: &'a Cache,
    pub wanted: &'a ExpectedFile,
    pub stop: &'a AtomicBool,
    pub tell: &'a dyn Fn(Event),
    /// Bytes transferred over the network.
    pub transferred: u64,
    /// Another process finished first.
    pub overtaken: bool,
}

impl Transfer<'_> {
    /// Fetches until the part has its full length; the caller checks the hash.
    pub fn fetch(&mut self, address: &str, part: &mut PartialFile) -> Result<(), Trouble> {
        self.persist(part, true, |transfer, part| transfer.attempt(address, part))
    }

    /// Retries until it succeeds, attempts run out, or the failure is permanent. With `resumes`, an attempt that got further
    /// than any before does not count as a failure.
    pub fn persist(
        &mut self,
        part: &mut PartialFile,
        resumes: bool,
        mut attempt: impl FnMut(&mut Self, &mut PartialFile) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let settings = self.client.settings();
        let mut patience = Patience::new(settings);
        let mut furthest = part.bytes();
        loop {
            self.check_stop()?;
            let (cause, wait) = match attempt(self, part) {
                Err(Trouble::Again { cause, wait }) => (cause, wait),
                ended => return ended,
            };
            // An interrupt closes connections, which looks like a failure.
            self.check_stop()?;
            if let Some(wait) = wait.filter(|wait| *wait > settings.longest_pause) {
                return Err(SourceError::AsksTooMuch(wait).into());
            }
            let pause = if resumes && part.bytes() >= furthest + PROGRESS {
                furthest = part.bytes();
                patience.after_progress()
            } else if let Some(pause) = patience.after_failure(wait) {
                pause
            } else {
                return Err(SourceError::GivenUp { attempts: patience.failures(), last: Box::new(cause) }.into());
            };
            (self.tell)(Event::Retry { cause: cause.to_string(), after: pause });
            self.sleep(pause)?;
        }
    }

    fn attempt(&mut self, address: &str, part: &mut PartialFile) -> Result<(), Trouble> {
        if part.bytes() > 0 && !self.may_continue(address, part) {
            part.start_over(Origin::default())?;
        }
        if part.bytes() > 0 {
            if self.wanted.size.or(part.origin.total) == Some(part.bytes()) {
                return Ok(());
            }
            let same = part.origin.address == address;
            let strong = part.origin.etag.clone().filter(|etag| same && !etag.starts_with("W/"));
            let range = Some(format!("bytes={}-", part.bytes()));
            let request = Request { address, range, if_range: strong.as_deref(), ..Request::default() };
            let response = self.client.get(&request)?;
            match response.status {
                206 if continues(&response, address, part) => return self.receive(response, address, part),
                // The server does not support ranges, or the file has changed: this response has all of it.
                200 => return self.receive(response, address, part),
                // The file has changed, or is shorter than our part.
                _ => part.start_over(Origin::default())?,
            }
        }
        let response = self.client.get(&Request { address, ..Request::default() })?;
        match response.status {
            200 => self.receive(response, address, part),
            status => Err(SourceError::Status { status }.into()),
        }
    }

    /// Without a known hash, a part is only continued if the server confirms that the file is the same.
    fn may_continue(&self, address: &str, part: &PartialFile) -> bool {
        let too_long = self.wanted.size.is_some_and(|size| part.bytes() > size);
        let Origin { address: from, etag, last_modified, .. } = &part.origin;
        let judged = self.wanted.sha256.is_some() || (from == address && (etag.is_some() || last_modified.is_some()));
        judged && !too_long
    }

    fn receive(&mut self, response: Response, address: &str, part: &mut PartialFile) -> Result<(), Trouble> {
        let total = match (response.status, response.content_range()) {
            (206, Some((_, _, total))) => total,
            (206, None) => None,
            _ => response.content_length(),
        };
        self.check_kind(&response, total)?;
        if let (Some(expected), Some(found)) = (self.wanted.size, total)
            && expected != found
        {
            return Err(SourceError::Size { expected, found }.into());
        }
        // For such a file, a broken connection looks like its end.
        let chunked = response.header(header::TRANSFER_ENCODING).is_some_and(|how| how.eq_ignore_ascii_case("chunked"));
        if self.wanted.sha256.is_none() && self.wanted.size.or(total).is_none() && !chunked {
            return Err(SourceError::Endless.into());
        }
        let text = |name| response.header(name).map(str::to_owned);
        let (etag, last_modified) = (text(header::ETAG), text(header::LAST_MODIFIED));
        let total = self.wanted.size.or(total);
        let origin = Origin { address: address.to_owned(), etag, last_modified, total };
        if response.status == 206 {
            part.pieced = true;
            part.come_from(origin);
        } else if part.bytes() > 0 {
            part.start_over(origin)?;
        } else {
            part.come_from(origin);
        }
        if let Some(total) = total {
            self.check_room(part, total)?;
        }
        (self.tell)(Event::Begun { from: part.bytes(), total });
        self.stream(response.into_reader(), part, total, true)
    }

    /// An error page with status 200 is not the file.
    fn check_kind(&self, response: &Response, total: Option<u64>) -> Result<(), Trouble> {
        let encoding =
            response.header(header::CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"));
        if let Some(encoding) = encoding {
            return Err(SourceError::Encoded(encoding.to_owned()).into());
        }
        let html = response.header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        if html && (self.wanted.size.is_none() || self.wanted.size != total) {
            return Err(SourceError::WebPage.into());
        }
        Ok(())
    }

    pub fn check_room(&self, part: &PartialFile, total: u64) -> Result<(), Trouble> {
        let needed = total.saturating_sub(part.bytes()).saturating_add(MARGIN);
        let short = self.cache.free_bytes().filter(|free| *free < needed);
        let refused = part.reserve(total).is_err().then(|| self.cache.free_bytes().unwrap_or(0));
        match short.or(refused) {
            None => Ok(()),
            Some(free) => {
                let (name, folder) = (self.wanted.name.clone(), self.cache.root().to_owned());
                Err(Trouble::Fatal(PullError::NoRoom { name, needed, free, folder }))
            }
        }
    }

    /// Copies a stream into the part and hashes it. `counts` tells whether its bytes count as network traffic.
    pub fn stream(
        &mut self,
        mut reader: impl Read,
        part: &mut PartialFile,
        total: Option<u64>,
        counts: bool,
    ) -> Result<(), Trouble> {
        let mut pace = Pace::new(self.client);
        let mut told = Instant::now();
        let mut looked = Instant::now();
        loop {
            self.check_stop()?;
            let mut buffer = part.buffer()?;
            // Received bytes are written at once, so a kill loses at most one buffer.
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.client.broken(&error)),
            };
            if let Some(expected) = total.filter(|total| part.bytes() + count as u64 > *total) {
                let found = part.bytes() + count as u64;
                part.start_over(Origin::default())?;
                return Err(SourceError::Size { expected, found }.into());
            }
            part.append_buffer(buffer, count).map_err(|error| self.full_disk(error, part))?;
            if counts {
                self.transferred += count as u64;
            }
            if told.elapsed() > Duration::from_millis(100) {
                told = Instant::now();
                (self.tell)(Event::Bytes { have: part.bytes(), total });
            }
            if looked.elapsed() > Duration::from_millis(500) {
                looked = Instant::now();
                if self.is_there() {
                    self.overtaken = true;
                    return Ok(());
                }
            }
            pace.check(count)?;
        }
        (self.tell)(Event::Bytes { have: part.bytes(), total });
        match total {
            Some(total) if part.bytes() < total => {
                Err(Trouble::Again { cause: SourceError::CutShort { have: part.bytes(), total }, wait: None })
            }
            _ => Ok(()),
        }
    }

    fn is_there(&self) -> bool {
        self.wanted.sha256.is_some_and(|digest| self.cache.presence(&digest, self.wanted.size) == Presence::Ready)
    }

    fn full_disk(&self, error: CacheError, part: &PartialFile) -> Trouble {
        let full = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            )
        };
        Trouble::Fatal(match error {
            CacheError::Io { source, .. } if full(&source) => {
                PullError::DiskFull { name: self.wanted.name.clone(), bytes: part.bytes() }
            }
            other => other.into(),
        })
    }

    pub fn check_stop(&self) -> Result<(), Trouble> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Trouble::Fatal(PullError::Interrupted { name: self.wanted.name.clone() }));
        }
        Ok(())
    }

    pub fn sleep(&self, pause: Duration) -> Result<(), Trouble> {
        let until = Instant::now() + pause;
        loop {
            self.check_stop()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

/// Whether the response continues the part.
fn continues(response: &Response, address: &str, part: &PartialFile) -> bool {
    let Some((first, _, total)) = response.content_range() else { return false };
    let origin = &part.origin;
    let unchanged = |name, then: &Option<String>| match (response.header(name), then) {
        (Some(now), Some(then)) => now == then,
        _ => true,
    };
    let same_total = match (total, origin.total) {
        (Some(now), Some(then)) => now == then,
        _ => true,
    };
    let same_file = origin.address != address
        || (unchanged(header::ETAG, &origin.etag) && unchanged(header::LAST_MODIFIED, &origin.last_modified));
    first == part.bytes() && same_total && same_file
}

/// Detects a server that keeps sending but makes hardly any progress.
struct Pace {
    slowest: u64,
    span: Duration,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(client: &Client) -> Self {
        let settings = client.settings();
        Self { slowest: settings.slowest, span: settings.slow_span, since: Instant::now(), bytes: 0 }
    }

    fn check(&mut self, count: usize) -> Result<(), Trouble> {
        self.bytes += count as u64;
        let elapsed = self.since.elapsed();
        if elapsed < self.span {
            return Ok(());
        }
        if (self.bytes as f64) < self.slowest as f64 * elapsed.as_secs_f64() {
            return Err(Trouble::Again { cause: SourceError::TooSlow(self.slowest), wait: None });
        }
        (self.since, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}

//! The parent's side of a worker process: one worker at a time, and a new one when it dies.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::COMMAND;
use super::exchange::Exchange;
use super::message::{Granted, Reply, Request, receive, send};
use crate::pipeline::Picture;
use crate::pipeline::decode::{DecodeFailure, DecodeOptions, DecodedPhoto, Regions};
use base::pixels::Pixels;
use photo::{Region, Reservation, sniff};

/// The extra time after a photo's time limit in which the worker can report the timeout itself.
const GRACE: Duration = Duration::from_millis(500);
/// The values of `DecodeError::code`.
const CODES: [&str; 8] =
    ["empty", "truncated", "corrupt", "unsupported", "too_large", "timeout", "panicked", "not_a_photo"];

/// Has photos decoded by a worker process.
#[derive(Debug)]
pub struct Client {
    exchange: Exchange,
    /// `None` after a worker has died, until the next photo.
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    control: UnixStream,
}

/// Why a worker gave no reply.
enum NoReply {
    /// It ended, or sent an invalid message.
    Died,
    TimedOut,
}

impl From<io::Error> for NoReply {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Died,
        }
    }
}

impl Client {
    pub fn new() -> io::Result<Self> {
        let exchange = Exchange::new()?;
        let worker = Some(Worker::start(&exchange)?);
        Ok(Self { exchange, worker })
    }

    pub fn decode(
        &mut self,
        reservation: &Reservation,
        bytes: &[u8],
        options: &DecodeOptions,
    ) -> Result<DecodedPhoto, DecodeFailure> {
        self.ask(
            reservation,
            bytes,
            &Request { length: bytes.len() as u64, options: *options, regions: None },
            read_photo,
        )
    }

    pub fn decode_regions(
        &mut self,
        reservation: &Reservation,
        bytes: &[u8],
        regions: &[Region],
        options: &DecodeOptions,
    ) -> Result<Regions, DecodeFailure> {
        let regions = Some(regions.to_vec());
        self.ask(reservation, bytes, &Request { length: bytes.len() as u64, options: *options, regions }, read_regions)
    }

    /// Has a photo decoded. If the worker dies, the cause may be another one, such as a lack of memory, so the photo is
    /// tried once more with the whole memory budget. If that worker dies, too, the photo has failed.
    fn ask<T>(
        &mut self,
        reservation: &Reservation,
        bytes: &[u8],
        request: &Request,
        read: fn(&Exchange, u64, Reply) -> Result<T, NoReply>,
    ) -> Result<T, DecodeFailure> {
        let failed = |error: io::Error| DecodeFailure { code: "io", cause: format!("its decoder process: {error}") };
        let kind = sniff(bytes);
        self.exchange.write(0, bytes).map_err(failed)?;
        let kind_name = kind.map_or_else(|| "photo".to_owned(), |kind| kind.to_string());
        let mut tried = false;
        loop {
            let mut worker = self.worker.take().map_or_else(|| Worker::start(&self.exchange), Ok).map_err(failed)?;
            match worker.decode(&self.exchange, reservation, request, read) {
                Ok(outcome) => {
                    self.exchange.shrink().map_err(failed)?;
                    // After a timeout the worker may still be decoding, so it is not used again.
                    let usable = !matches!(&outcome, Err(DecodeFailure { code: "timeout", .. }));
                    self.worker = usable.then_some(worker);
                    return outcome;
                }
                Err(NoReply::TimedOut) => {
                    let cause =
                        format!("decoding the {kind_name} was given up after {} s", request.options.limits.max_seconds);
                    return Err(DecodeFailure { code: "timeout", cause });
                }
                Err(NoReply::Died) if tried => {
                    let cause =
                        format!("the {kind_name} decoder's process died of this file, twice ({})", worker.end());
                    return Err(DecodeFailure { code: "crashed", cause });
                }
                Err(NoReply::Died) => tried = true,
            }
            reservation.grow(u64::MAX);
        }
    }
}

impl Worker {
    fn start(exchange: &Exchange) -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        // The running binary, even if its file has been replaced since.
        #[cfg(target_os = "linux")]
        let mut command = Command::new("/proc/self/exe");
        #[cfg(not(target_os = "linux"))]
        let mut command = Command::new(std::env::current_exe()?);
        command.arg0("albumctl").arg(COMMAND);
        command.stdin(OwnedFd::from(theirs)).stdout(exchange.file()?).stderr(Stdio::null());
        Ok(Self { child: command.spawn()?, control })
    }

    fn decode<T>(
        &mut self,
        exchange: &Exchange,
        reservation: &Reservation,
        request: &Request,
        read: fn(&Exchange, u64, Reply) -> Result<T, NoReply>,
    ) -> Result<Result<T, DecodeFailure>, NoReply> {
        let (length, allowed) = (request.length, Duration::try_from_secs_f64(request.options.limits.max_seconds).ok());
        let mut until = allowed.and_then(|allowed| Instant::now().checked_add(allowed + GRACE));
        send(&self.control, request)?;
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(NoReply::TimedOut);
            }
            self.control.set_read_timeout(left)?;
            match receive(&self.control)? {
                Reply::Needs(bytes) => {
                    // `bytes` includes the worker's copy of the file, but not ours and the one in the exchange.
                    let waited = reservation.grow(bytes.saturating_add(2 * length));
                    until = until.and_then(|until| until.checked_add(waited));
                    send(&self.control, &Granted { waited_ns: waited.as_nanos() as u64 })?;
                }
                Reply::DecodeFailure { code, cause } => {
                    let code = CODES.into_iter().find(|known| *known == code).ok_or(NoReply::Died)?;
                    return Ok(Err(DecodeFailure { code, cause }));
                }
                pictures => return read(exchange, length, pictures).map(Ok),
            }
        }
    }

    fn end(&mut self) -> ExitReason {
        // This has no effect on a worker that has already died.
        let _ = self.child.kill();
        ExitReason(self.child.wait().ok())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// The next pixels in the exchange.
fn next_pixels(exchange: &Exchange, at: &mut u64, (width, height): (u32, u32)) -> Result<Pixels, NoReply> {
    let pixels = exchange.pixels(*at, width, height)?.ok_or(NoReply::Died)?;
    *at += pixels.data().len() as u64;
    Ok(pixels)
}

fn read_photo(exchange: &Exchange, mut at: u64, reply: Reply) -> Result<DecodedPhoto, NoReply> {
    let Reply::Decoded(sizes) = reply else { return Err(NoReply::Died) };
    let mut next = |size| next_pixels(exchange, &mut at, size);
    let decoded = next(sizes.decoded)?;
    let reduced = sizes.reduced.map(&mut next).transpose()?;
    let as_stored = sizes.as_stored.map(&mut next).transpose()?;
    let picture = Picture { decoded, reduced, as_stored };
    Ok(DecodedPhoto { facts: sizes.facts, picture, resizing: Duration::from_nanos(sizes.resizing_ns) })
}

fn read_regions(exchange: &Exchange, mut at: u64, reply: Reply) -> Result<Regions, NoReply> {
    let Reply::Regions(sizes) = reply else { return Err(NoReply::Died) };
    sizes.into_iter().map(|size| size.map(|size| next_pixels(exchange, &mut at, size)).transpose()).collect()
}

/// How a process ended.
struct ExitReason(Option<ExitStatus>);

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|status| (status.signal(), status.code())) {
            Some((Some(signal), _)) => write!(f, "signal {signal}"),
            Some((_, Some(code))) => write!(f, "exit {code}"),
            _ => f.write_str("for an unknown reason"),
        }
    }
}

//! The asking side: one worker at a time, a new one when it dies.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::COMMAND;
use super::exchange::Exchange;
use super::message::{Ask, Granted, Reply, Shown, receive, send};
use crate::pipeline::Picture;
use crate::pipeline::seen::{Refused, Seen, Wanted};
use photo::{Place, sniff};

/// What a worker gets beyond a photo's time to say itself that the time is over.
const GRACE: Duration = Duration::from_millis(500);
/// The words of `DecodeError::code`.
const CODES: [&str; 8] =
    ["empty", "truncated", "corrupt", "unsupported", "too_large", "timeout", "panicked", "not_a_photo"];

/// Where one thread has its photos decoded.
#[derive(Debug)]
pub struct Seat {
    exchange: Exchange,
    /// None is there after one has died, until the next photo.
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    control: UnixStream,
}

/// Why a worker gave no answer.
enum Lost {
    /// It ended, or says what makes no sense.
    Died,
    Late,
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            _ => Self::Died,
        }
    }
}

impl Seat {
    pub fn new() -> io::Result<Self> {
        let exchange = Exchange::new()?;
        let worker = Some(Worker::start(&exchange)?);
        Ok(Self { exchange, worker })
    }

    /// Has a photo decoded. When the worker dies, which may be the photo's fault or that of something else that went on,
    /// the photo is tried once more, alone; when that one dies too, it is the photo's.
    pub fn see(&mut self, place: &Place, bytes: Vec<u8>, wanted: &Wanted) -> Result<Seen, Refused> {
        let failed = |error: io::Error| Refused { code: "io", cause: format!("its decoder's process: {error}") };
        let (length, kind) = (bytes.len() as u64, sniff(&bytes));
        self.exchange.write(0, &bytes).map_err(failed)?;
        drop(bytes);
        let named = kind.map_or_else(|| "photo".to_owned(), |kind| kind.to_string());
        let mut tried = false;
        loop {
            let mut worker = self.worker.take().map_or_else(|| Worker::start(&self.exchange), Ok).map_err(failed)?;
            match worker.see(&self.exchange, place, length, wanted) {
                Ok(outcome) => {
                    self.exchange.tidy().map_err(failed)?;
                    // After its time is over a decoder may go on in there: that worker is not asked again.
                    let usable = !matches!(&outcome, Err(Refused { code: "timeout", .. }));
                    self.worker = usable.then_some(worker);
                    return outcome;
                }
                Err(Lost::Late) => {
                    let cause = format!("decoding the {named} was given up after {} s", wanted.limits.max_seconds);
                    return Err(Refused { code: "timeout", cause });
                }
                Err(Lost::Died) if tried => {
                    let cause = format!("the {named} decoder's process died of this file, twice ({})", worker.end());
                    return Err(Refused { code: "crashed", cause });
                }
                Err(Lost::Died) => tried = true,
            }
            place.grow(u64::MAX);
        }
    }
}

impl Worker {
    fn start(exchange: &Exchange) -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        // What runs now, also when the file it came from has been replaced.
        #[cfg(target_os = "linux")]
        let mut command = Command::new("/proc/self/exe");
        #[cfg(not(target_os = "linux"))]
        let mut command = Command::new(std::env::current_exe()?);
        command.arg0("albumctl").arg(COMMAND);
        command.stdin(OwnedFd::from(theirs)).stdout(exchange.file()?).stderr(Stdio::null());
        Ok(Self { child: command.spawn()?, control })
    }

    fn see(
        &mut self,
        exchange: &Exchange,
        place: &Place,
        length: u64,
        wanted: &Wanted,
    ) -> Result<Result<Seen, Refused>, Lost> {
        let allowed = Duration::try_from_secs_f64(wanted.limits.max_seconds).ok();
        let mut until = allowed.and_then(|allowed| Instant::now().checked_add(allowed + GRACE));
        send(&self.control, &Ask { length, wanted: *wanted })?;
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(Lost::Late);
            }
            self.control.set_read_timeout(left)?;
            match receive(&self.control)? {
                Reply::Needs(bytes) => {
                    // The worker's copy of the file is among it, the exchange's is not.
                    let waited = place.grow(bytes.saturating_add(length));
                    until = until.and_then(|until| until.checked_add(waited));
                    send(&self.control, &Granted { waited_ns: waited.as_nanos() as u64 })?;
                }
                Reply::Seen(shown) => return fetch(exchange, length, shown).map(Ok),
                Reply::Refused { code, cause } => {
                    let code = CODES.into_iter().find(|known| *known == code).ok_or(Lost::Died)?;
                    return Ok(Err(Refused { code, cause }));
                }
            }
        }
    }

    fn end(&mut self) -> Ending {
        // On one that has died already this has no effect.
        let _ = self.child.kill();
        Ending(self.child.wait().ok())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

fn fetch(exchange: &Exchange, mut at: u64, shown: Shown) -> Result<Seen, Lost> {
    let mut next = |(width, height)| {
        let pixels = exchange.pixels(at, width, height)?.ok_or(Lost::Died)?;
        at += pixels.data().len() as u64;
        Ok::<_, Lost>(pixels)
    };
    let decoded = next(shown.decoded)?;
    let reduced = shown.reduced.map(&mut next).transpose()?;
    let as_stored = shown.as_stored.map(&mut next).transpose()?;
    let picture = Picture { decoded, reduced, as_stored };
    Ok(Seen { facts: shown.facts, picture, resizing: Duration::from_nanos(shown.resizing_ns) })
}

/// How a process ended.
struct Ending(Option<ExitStatus>);

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|status| (status.signal(), status.code())) {
            Some((Some(signal), _)) => write!(f, "signal {signal}"),
            Some((_, Some(code))) => write!(f, "exit {code}"),
            _ => f.write_str("nobody knows how"),
        }
    }
}

//! The worker's side: decodes what it is asked to until nobody is there to ask.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::exchange::Exchange;
use super::message::{Ask, Granted, Reply, Shown, receive, send};
use crate::pipeline::Picture;
use crate::pipeline::seen::{Seen, see};
use photo::{Budget, Place};

/// The process's own memory, beside that of the photo.
const OWN: u64 = 256 << 20;

/// Standard input is the socket, standard output the exchange.
pub fn serve() -> ExitCode {
    // Whoever started it says when it is over: an interrupt ends its run in good order.
    let signals = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
    let heard = Arc::new(AtomicBool::new(false));
    let listens = signals.into_iter().all(|signal| signal_hook::flag::register(signal, Arc::clone(&heard)).is_ok());
    let served = listens && serve_until_left().is_ok();
    if served { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

fn serve_until_left() -> io::Result<()> {
    let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let exchange = Exchange::of(File::from(io::stdout().as_fd().try_clone_to_owned()?));
    let place = Place::of(Arc::new(Remote { control: control.try_clone()? }));
    loop {
        let ask: Ask = match receive(&control) {
            Ok(ask) => ask,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        limit(OWN.saturating_add(ask.wanted.limits.max_alloc).saturating_add(ask.length));
        let bytes = exchange.read(0, ask.length)?.ok_or(io::ErrorKind::InvalidData)?;
        let seen = base::contain::contained(|| see(&place, &bytes, &ask.wanted));
        drop(bytes);
        let reply = match seen {
            Ok(Ok(seen)) => show(&exchange, ask.length, seen)?,
            Ok(Err(refused)) => Reply::Refused { code: refused.code.to_owned(), cause: refused.cause },
            Err(message) => Reply::Refused { code: "panicked".to_owned(), cause: format!("a defect: {message}") },
        };
        send(&control, &reply)?;
    }
}

fn show(exchange: &Exchange, mut at: u64, seen: Seen) -> io::Result<Reply> {
    let Seen { facts, picture: Picture { decoded, reduced, as_stored }, resizing } = seen;
    let size = |pixels: &base::pixels::Pixels| (pixels.width(), pixels.height());
    let shown = Shown {
        facts,
        decoded: size(&decoded),
        reduced: reduced.as_ref().map(size),
        as_stored: as_stored.as_ref().map(size),
        resizing_ns: resizing.as_nanos() as u64,
    };
    for pixels in [Some(decoded), reduced, as_stored].into_iter().flatten() {
        exchange.write(at, pixels.data())?;
        at += pixels.data().len() as u64;
    }
    Ok(Reply::Seen(shown))
}

/// Past this the system gives no more memory, and the process ends instead of the machine.
fn limit(bytes: u64) {
    let resource = if cfg!(target_os = "linux") { Resource::Data } else { Resource::As };
    let maximum = getrlimit(resource).maximum;
    let current = Some(maximum.map_or(bytes, |most| bytes.min(most)));
    // Without it a photo is bounded by the budget alone, as it is without workers.
    let _ = setrlimit(resource, Rlimit { current, maximum });
}

/// Memory is asked for where all photos share it.
#[derive(Debug)]
struct Remote {
    control: UnixStream,
}

impl Budget for Remote {
    fn grow(&self, bytes: u64) -> Duration {
        let granted = send(&self.control, &Reply::Needs(bytes)).and_then(|()| receive::<Granted>(&self.control));
        // Nobody is there any more; the next message ends the process.
        granted.map_or(Duration::ZERO, |granted| Duration::from_nanos(granted.waited_ns))
    }

    fn shrink(&self, _: u64) {}
}

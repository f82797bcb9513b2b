//! The worker process: decodes photos on request until its parent closes the socket.

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
use super::message::{DecodedSizes, Granted, Reply, Request, receive, send};
use crate::pipeline::Picture;
use crate::pipeline::decode::{DecodedPhoto, Regions, decode, decode_regions};
use base::pixels::Pixels;
use photo::{Budget, Reservation};

/// The memory that the process needs besides that of the photo.
const BASE_MEMORY: u64 = 256 << 20;

/// Runs the worker. Standard input is the socket, standard output the exchange.
pub fn serve() -> ExitCode {
    // Ctrl-C also reaches the worker; it is ignored here, since the parent ends its workers in an orderly way.
    let signals = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
    let ignored = Arc::new(AtomicBool::new(false));
    let registered =
        signals.into_iter().all(|signal| signal_hook::flag::register(signal, Arc::clone(&ignored)).is_ok());
    let served = registered && serve_until_closed().is_ok();
    if served { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

fn serve_until_closed() -> io::Result<()> {
    let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let exchange = Exchange::of(File::from(io::stdout().as_fd().try_clone_to_owned()?));
    let reservation = Reservation::of(Arc::new(Remote { control: control.try_clone()? }));
    loop {
        let request: Request = match receive(&control) {
            Ok(request) => request,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        limit(BASE_MEMORY.saturating_add(request.options.limits.max_alloc).saturating_add(request.length));
        let bytes = exchange.read(0, request.length)?.ok_or(io::ErrorKind::InvalidData)?;
        let decoded = base::contain::contained(|| match &request.regions {
            None => decode(&reservation, &bytes, &request.options)
                .map(|photo| write_photo(&exchange, request.length, photo)),
            Some(regions) => decode_regions(&reservation, &bytes, regions, &request.options)
                .map(|regions| write_regions(&exchange, request.length, &regions)),
        });
        drop(bytes);
        let reply = match decoded {
            Ok(Ok(reply)) => reply?,
            Ok(Err(refused)) => Reply::DecodeFailure { code: refused.code.to_owned(), cause: refused.cause },
            Err(message) => Reply::DecodeFailure { code: "panicked".to_owned(), cause: format!("a defect: {message}") },
        };
        send(&control, &reply)?;
    }
}

fn size(pixels: &Pixels) -> (u32, u32) {
    (pixels.width(), pixels.height())
}

fn write_pixels<'a>(exchange: &Exchange, mut at: u64, pictures: impl Iterator<Item = &'a Pixels>) -> io::Result<()> {
    for pixels in pictures {
        exchange.write(at, pixels.data())?;
        at += pixels.data().len() as u64;
    }
    Ok(())
}

fn write_regions(exchange: &Exchange, at: u64, regions: &Regions) -> io::Result<Reply> {
    write_pixels(exchange, at, regions.iter().flatten())?;
    Ok(Reply::Regions(regions.iter().map(|region| region.as_ref().map(size)).collect()))
}

fn write_photo(exchange: &Exchange, at: u64, photo: DecodedPhoto) -> io::Result<Reply> {
    let DecodedPhoto { facts, picture: Picture { decoded, reduced, as_stored }, resizing } = photo;
    let sizes = DecodedSizes {
        facts,
        decoded: size(&decoded),
        reduced: reduced.as_ref().map(size),
        as_stored: as_stored.as_ref().map(size),
        resizing_ns: resizing.as_nanos() as u64,
    };
    write_pixels(exchange, at, [Some(&decoded), reduced.as_ref(), as_stored.as_ref()].into_iter().flatten())?;
    Ok(Reply::Decoded(sizes))
}

/// Limits the process's memory, so that a runaway decoder ends the worker instead of exhausting the machine.
fn limit(bytes: u64) {
    let resource = if cfg!(target_os = "linux") { Resource::Data } else { Resource::As };
    let maximum = getrlimit(resource).maximum;
    let current = Some(maximum.map_or(bytes, |most| bytes.min(most)));
    // Where the limit cannot be set, a photo is bounded by the memory budget alone, as without workers.
    let _ = setrlimit(resource, Rlimit { current, maximum });
}

/// The memory budget of the parent process, which all photos share.
#[derive(Debug)]
struct Remote {
    control: UnixStream,
}

impl Budget for Remote {
    fn grow(&self, bytes: u64) -> Duration {
        let granted = send(&self.control, &Reply::Needs(bytes)).and_then(|()| receive::<Granted>(&self.control));
        // On an error the parent is gone, and the next message ends the process.
        granted.map_or(Duration::ZERO, |granted| Duration::from_nanos(granted.waited_ns))
    }

    fn shrink(&self, _: u64) {}
}

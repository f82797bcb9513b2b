//! Decoding in processes of their own: whatever a file does to its decoder, it does to that process alone.
//!
//! A worker is this binary once more, started with [`COMMAND`]. Its standard input is a socket over which it is asked and
//! answers; its standard output is a file in memory through which the photo's bytes go there and pixels come back. It is
//! held to the memory and the time that a photo may take, and when it dies a new one takes its place.

#[cfg(unix)]
mod exchange;
#[cfg(unix)]
mod message;
#[cfg(unix)]
mod seat;
#[cfg(unix)]
mod worker;

#[cfg(unix)]
pub use worker::serve;

use super::seen::{Refused, Seen, Wanted, see};
use photo::Place;

/// The word that makes the binary a worker; no command for people.
#[cfg(unix)]
pub const COMMAND: &str = "decode-worker";

/// Whether photos are decoded in processes of their own. These need the binary `albumctl`, which other programs are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    Off,
    /// Where a process can be started.
    #[cfg(unix)]
    WherePossible,
    #[cfg(unix)]
    Always,
}

/// How one thread has its photos decoded.
#[derive(Debug)]
pub struct Decoding {
    isolation: Isolation,
    #[cfg(unix)]
    seat: Option<seat::Seat>,
}

impl Decoding {
    pub fn new(isolation: Isolation) -> Self {
        Self {
            isolation,
            #[cfg(unix)]
            seat: None,
        }
    }

    #[cfg(not(unix))]
    pub fn see(&mut self, place: &Place, bytes: Vec<u8>, wanted: &Wanted) -> Result<Seen, Refused> {
        let Isolation::Off = self.isolation;
        see(place, &bytes, wanted)
    }

    #[cfg(unix)]
    pub fn see(&mut self, place: &Place, bytes: Vec<u8>, wanted: &Wanted) -> Result<Seen, Refused> {
        if self.isolation != Isolation::Off && self.seat.is_none() {
            match seat::Seat::new() {
                Ok(seat) => self.seat = Some(seat),
                Err(_) if self.isolation == Isolation::WherePossible => self.isolation = Isolation::Off,
                Err(error) => {
                    let cause = format!("no process to decode it in could be started: {error} (--isolate off)");
                    return Err(Refused { code: "io", cause });
                }
            }
        }
        match &mut self.seat {
            Some(seat) => seat.see(place, bytes, wanted),
            None => see(place, &bytes, wanted),
        }
    }
}

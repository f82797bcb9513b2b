//! PhotoDecoder in worker processes, so that a file that crashes its decoder ends only that process.
//!
//! A worker is this binary, started with [`COMMAND`]. Its standard input is a socket for requests and replies; its
//! standard output is an in-memory file through which the photo's bytes are sent and the pixels returned. Its memory and
//! its time per photo are limited, and when it dies a new one is started.

#[cfg(unix)]
mod client;
#[cfg(unix)]
mod exchange;
#[cfg(unix)]
mod message;
#[cfg(unix)]
mod worker;

#[cfg(unix)]
pub use worker::serve;

use super::decode::{DecodeFailure, DecodeOptions, DecodedPhoto, Regions, decode, decode_regions};
use photo::{Region, Reservation};

/// The argument that makes the binary a worker; it is not a command for people.
#[cfg(unix)]
pub const COMMAND: &str = "decode-worker";

/// Whether photos are decoded in worker processes, which only the binary `albumctl` can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    Off,
    /// Where a process can be started.
    #[cfg(unix)]
    WherePossible,
    #[cfg(unix)]
    Always,
}

/// Decodes the photos of one thread, in this process or in a worker.
#[derive(Debug)]
pub struct PhotoDecoder {
    #[cfg_attr(not(unix), expect(dead_code, reason = "photos are always decoded in this process there"))]
    isolation: Isolation,
    #[cfg(unix)]
    client: Option<client::Client>,
}

impl PhotoDecoder {
    pub fn new(isolation: Isolation) -> Self {
        Self {
            isolation,
            #[cfg(unix)]
            client: None,
        }
    }

    pub fn decode(
        &mut self,
        reservation: &Reservation,
        bytes: &[u8],
        options: &DecodeOptions,
    ) -> Result<DecodedPhoto, DecodeFailure> {
        #[cfg(unix)]
        if let Some(client) = self.client()? {
            return client.decode(reservation, bytes, options);
        }
        decode(reservation, bytes, options)
    }

    /// Decodes regions of the photo at full size.
    pub fn decode_regions(
        &mut self,
        reservation: &Reservation,
        bytes: &[u8],
        regions: &[Region],
        options: &DecodeOptions,
    ) -> Result<Regions, DecodeFailure> {
        #[cfg(unix)]
        if let Some(client) = self.client()? {
            return client.decode_regions(reservation, bytes, regions, options);
        }
        decode_regions(reservation, bytes, regions, options)
    }

    /// The worker process, started when it is needed first; `None` for this process.
    #[cfg(unix)]
    fn client(&mut self) -> Result<Option<&mut client::Client>, DecodeFailure> {
        if self.isolation != Isolation::Off && self.client.is_none() {
            match client::Client::new() {
                Ok(client) => self.client = Some(client),
                Err(_) if self.isolation == Isolation::WherePossible => self.isolation = Isolation::Off,
                Err(error) => {
                    let cause = format!("its decoder process could not be started: {error} (--isolate off)");
                    return Err(DecodeFailure { code: "io", cause });
                }
            }
        }
        Ok(self.client.as_mut())
    }
}

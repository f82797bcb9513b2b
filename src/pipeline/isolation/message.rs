//! The messages between a worker process and its parent: JSON with its length in front.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::pipeline::decode::DecodeOptions;
use crate::pipeline::facts::PhotoFacts;
use photo::Region;

/// To the worker: decode the photo whose bytes are the first `length` of the exchange, or regions of it at full size.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub length: u64,
    pub options: DecodeOptions,
    pub regions: Option<Vec<Region>>,
}

/// To the worker: the memory it asked for is reserved, after a wait for other photos.
#[derive(Debug, Serialize, Deserialize)]
pub struct Granted {
    pub waited_ns: u64,
}

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It needs this many bytes of memory and waits until they are granted.
    Needs(u64),
    /// The pictures follow the photo's bytes in the exchange, one after the other.
    Decoded(DecodedSizes),
    /// The pixels of the regions follow in the same way.
    Regions(Vec<Option<(u32, u32)>>),
    DecodeFailure {
        code: String,
        cause: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct DecodedSizes {
    pub facts: PhotoFacts,
    pub decoded: (u32, u32),
    pub reduced: Option<(u32, u32)>,
    pub as_stored: Option<(u32, u32)>,
    pub resizing_ns: u64,
}

const MAX_MESSAGE_BYTES: u32 = 1 << 20;

pub fn send(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    to.write_all(&[&(text.len() as u32).to_le_bytes()[..], &text].concat())
}

pub fn receive<T: DeserializeOwned>(mut from: impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_MESSAGE_BYTES {
        return Err(io::Error::other("a message is too long"));
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

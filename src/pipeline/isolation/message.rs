//! What a worker and whoever asks it say to each other: JSON behind its length.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::pipeline::facts::PhotoFacts;
use crate::pipeline::seen::Wanted;

/// To the worker: the photo's bytes are the first `length` of the exchange.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ask {
    pub length: u64,
    pub wanted: Wanted,
}

/// To the worker: it may hold the memory it asked for; so long did others need it first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Granted {
    pub waited_ns: u64,
}

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It has to hold this many bytes, and waits.
    Needs(u64),
    /// The pictures lie in the exchange behind the photo's bytes, one after the other.
    Seen(Shown),
    Refused {
        code: String,
        cause: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    pub facts: PhotoFacts,
    pub decoded: (u32, u32),
    pub reduced: Option<(u32, u32)>,
    pub as_stored: Option<(u32, u32)>,
    pub resizing_ns: u64,
}

const LONGEST: u32 = 1 << 20;

pub fn send(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    to.write_all(&[&(text.len() as u32).to_le_bytes()[..], &text].concat())
}

pub fn receive<T: DeserializeOwned>(mut from: impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other("a message without end"));
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

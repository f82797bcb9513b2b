//! Hashing on a thread of its own: while bytes are hashed, the next ones are read and written.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::mpsc::{self, Receiver, Sender};

use super::digest::{Digest, Hasher};

/// Read, written and hashed at once; small enough to stay in the processor's cache from one to the next.
const BUFFER: usize = 1 << 18;
/// Buffers of one file that are under way: how far the hash may lag behind, and what it costs in memory.
const BUFFERS: usize = 16;

/// A hasher that works behind its caller's back.
pub struct Behind {
    /// Until there is something for a thread to do.
    here: Option<Hasher>,
    thread: Option<Sender<Job>>,
    free: Receiver<Vec<u8>>,
    home: Sender<Vec<u8>>,
    made: usize,
}

enum Job {
    From(Hasher),
    Bytes(Buffer, usize),
    Tell(Sender<Digest>),
}

/// Room for bytes; goes back to where it came from when it is dropped.
pub struct Buffer {
    bytes: Vec<u8>,
    home: Sender<Vec<u8>>,
}

impl Default for Behind {
    fn default() -> Self {
        let (home, free) = mpsc::channel();
        Self { here: Some(Hasher::default()), thread: None, free, home, made: 0 }
    }
}

impl Behind {
    /// Room for the next bytes; waits when the hash lags too far behind. Hold no more than one.
    pub fn buffer(&mut self) -> Buffer {
        let fresh = |made: &mut usize| {
            *made += 1;
            vec![0; BUFFER]
        };
        let bytes = match self.free.try_recv() {
            Ok(bytes) => bytes,
            Err(_) if self.made < BUFFERS => fresh(&mut self.made),
            // We hold a sender ourselves, so this only ends with a buffer.
            Err(_) => self.free.recv().unwrap_or_else(|_| fresh(&mut self.made)),
        };
        Buffer { bytes, home: self.home.clone() }
    }

    /// Hashes the first `count` bytes of a buffer.
    pub fn take(&mut self, buffer: Buffer, count: usize) {
        if self.thread.is_none()
            && let Some(thread) = start()
        {
            let hasher = self.here.take().unwrap_or_default();
            let _ = thread.send(Job::From(hasher));
            self.thread = Some(thread);
        }
        match (&self.thread, &mut self.here) {
            (Some(thread), _) => drop(thread.send(Job::Bytes(buffer, count))),
            // No thread is to be had.
            (None, Some(hasher)) => hasher.update(&buffer[..count]),
            (None, None) => {}
        }
    }

    /// A few bytes, hashed at once where no thread runs yet.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.here {
            return hasher.update(bytes);
        }
        for piece in bytes.chunks(BUFFER) {
            let mut buffer = self.buffer();
            buffer[..piece.len()].copy_from_slice(piece);
            self.take(buffer, piece.len());
        }
    }

    /// Of all bytes so far; waits until they are hashed.
    pub fn digest(&self) -> Digest {
        let told = || {
            let (tell, told) = mpsc::channel();
            self.thread.as_ref()?.send(Job::Tell(tell)).ok()?;
            told.recv().ok()
        };
        let here = || self.here.as_ref().map(Hasher::digest);
        // A hash that got lost is none: no file is taken for right by it.
        here().or_else(told).unwrap_or_else(|| Digest::of(b""))
    }
}

fn start() -> Option<Sender<Job>> {
    let (thread, jobs) = mpsc::channel();
    let work = move || {
        let mut hasher = Hasher::default();
        for job in jobs {
            match job {
                Job::From(before) => hasher = before,
                Job::Bytes(buffer, count) => hasher.update(&buffer[..count]),
                Job::Tell(tell) => drop(tell.send(hasher.digest())),
            }
        }
    };
    std::thread::Builder::new().name("hash".into()).spawn(work).ok().map(|_| thread)
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behind").field("made", &self.made).finish_non_exhaustive()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_bytes_in_their_order() {
        let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut behind = Behind::default();
        assert_eq!(behind.digest(), Digest::of(b""));
        let (mut rest, mut step) = (bytes.as_slice(), 1);
        while !rest.is_empty() {
            step = (step * 7 + 3) % BUFFER;
            let (piece, after) = rest.split_at(step.min(rest.len()));
            rest = after;
            if step % 3 == 0 {
                behind.update(piece);
                continue;
            }
            // One that is taken and not used comes back.
            drop(behind.buffer());
            let mut buffer = behind.buffer();
            buffer[..piece.len()].copy_from_slice(piece);
            behind.take(buffer, piece.len());
        }
        assert_eq!(behind.digest(), Digest::of(&bytes));
        behind.update(b"more");
        assert_eq!(behind.digest(), Digest::of(&[&bytes, &b"more"[..]].concat()));
        assert!(behind.made <= BUFFERS);
    }

    #[test]
    fn thousands_of_unused_buffers_block_nobody() {
        let mut behind = Behind::default();
        for _ in 0..5000 {
            drop(behind.buffer());
        }
        assert_eq!(behind.made, 1);
    }
}

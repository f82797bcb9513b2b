//! Hashing on a separate thread, in parallel with reading and writing.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::mpsc::{self, Receiver, Sender};

use super::digest::{Digest, Hasher};

/// Buffer size, small enough to stay in the cache while it is read, written and hashed.
const BUFFER: usize = 1 << 18;
/// Buffers per file; bounds the lag of the hash and the memory.
const BUFFERS: usize = 16;

/// A hasher that runs in the background.
pub struct BackgroundHasher {
    /// The hasher, until a thread is started.
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

/// A buffer that returns to its pool when it is dropped.
pub struct Buffer {
    bytes: Vec<u8>,
    home: Sender<Vec<u8>>,
}

impl Default for BackgroundHasher {
    fn default() -> Self {
        let (home, free) = mpsc::channel();
        Self { here: Some(Hasher::default()), thread: None, free, home, made: 0 }
    }
}

impl BackgroundHasher {
    /// A buffer for the next bytes; waits if the hash lags too far behind. Hold at most one.
    pub fn buffer(&mut self) -> Buffer {
        let fresh = |made: &mut usize| {
            *made += 1;
            vec![0; BUFFER]
        };
        let bytes = match self.free.try_recv() {
            Ok(bytes) => bytes,
            Err(_) if self.made < BUFFERS => fresh(&mut self.made),
            // We hold a sender ourselves, so this always returns a buffer.
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
            // No thread could be started.
            (None, Some(hasher)) => hasher.update(&buffer[..count]),
            (None, None) => {}
        }
    }

    /// Hashes a few bytes, directly if no thread runs yet.
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

    /// The digest of all bytes so far; waits until they are hashed.
    pub fn digest(&self) -> Digest {
        let told = || {
            let (tell, told) = mpsc::channel();
            self.thread.as_ref()?.send(Job::Tell(tell)).ok()?;
            told.recv().ok()
        };
        let here = || self.here.as_ref().map(Hasher::digest);
        // A lost hash becomes that of nothing, which matches no file.
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

impl fmt::Debug for BackgroundHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundHasher").field("made", &self.made).finish_non_exhaustive()
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
        let mut hasher = BackgroundHasher::default();
        assert_eq!(hasher.digest(), Digest::of(b""));
        let (mut rest, mut step) = (bytes.as_slice(), 1);
        while !rest.is_empty() {
            step = (step * 7 + 3) % BUFFER;
            let (piece, after) = rest.split_at(step.min(rest.len()));
            rest = after;
            if step % 3 == 0 {
                hasher.update(piece);
                continue;
            }
            // An unused buffer returns to the pool.
            drop(hasher.buffer());
            let mut buffer = hasher.buffer();
            buffer[..piece.len()].copy_from_slice(piece);
            hasher.take(buffer, piece.len());
        }
        assert_eq!(hasher.digest(), Digest::of(&bytes));
        hasher.update(b"more");
        assert_eq!(hasher.digest(), Digest::of(&[&bytes, &b"more"[..]].concat()));
        assert!(hasher.made <= BUFFERS);
    }

    #[test]
    fn thousands_of_unused_buffers_block_nobody() {
        let mut hasher = BackgroundHasher::default();
        for _ in 0..5000 {
            drop(hasher.buffer());
        }
        assert_eq!(hasher.made, 1);
    }
}

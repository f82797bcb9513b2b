//! Of several processes that want the same file, one fetches and the others wait. An optimisation only: without working
//! locks each fetches its own copy, with the same result.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Event;
use super::client::Trouble;
use super::transfer::Transfer;
use crate::cache::{PartialFile, Presence};

const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Turn {
    lock: Option<(File, PathBuf)>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((file, path)) = self.lock.take() {
            let _ = fs::remove_file(path);
            drop(file);
        }
    }
}

impl Turn {
    /// Waits for the turn of this process, or until the file appears.
    pub fn wait(transfer: &Transfer<'_>, key: &str) -> Result<Self, Trouble> {
        let free = Self { lock: None };
        let folder = transfer.cache.root().join("parts");
        if !transfer.client.settings().take_turns || fs::create_dir_all(&folder).is_err() {
            return Ok(free);
        }
        let path = folder.join(format!("{key}.lock"));
        let mut progress = (Instant::now(), 0);
        let mut told = false;
        loop {
            let Ok(file) = OpenOptions::new().create(true).append(true).open(&path) else { return Ok(free) };
            match file.try_lock() {
                Ok(()) => return Ok(Self { lock: Some((file, path)) }),
                Err(TryLockError::Error(_)) => return Ok(free),
                Err(TryLockError::WouldBlock) => {}
            }
            if !told {
                (transfer.tell)(Event::Waiting);
                told = true;
            }
            transfer.sleep(LOOK)?;
            let digest = transfer.wanted.sha256;
            if digest.is_some_and(|digest| transfer.cache.presence(&digest, None) == Presence::Ready) {
                return Ok(free);
            }
            // A lock holder that makes no progress, or died where locks outlive their holders, is not waited for.
            let bytes = transfer.cache.parts(key).iter().map(PartialFile::bytes).max().unwrap_or(0);
            if bytes != progress.1 {
                progress = (Instant::now(), bytes);
            } else if progress.0.elapsed() > transfer.client.settings().stall_timeout * 2 {
                return Ok(free);
            }
        }
    }
}

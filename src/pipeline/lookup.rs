//! Looking photos up in the store by blocks, so that no photo costs queries of its own.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::job::Job;
use crate::store::Fingerprint;
use photo::identity::{ContentId, ReadError, Stamp};

/// The number of photos looked up at once. What is stored of them is in memory until they are processed.
const BLOCK: usize = 256;
/// The number of blocks that are looked up ahead, by threads that would otherwise wait for another one's block.
const AHEAD: usize = 3;

/// What is known of a photo before its file is read.
pub struct Known {
    pub stamp: Result<Option<Stamp>, ReadError>,
    /// The content, if the file was read before and its stamp is unchanged.
    pub content: Option<ContentId>,
    /// The stored findings of the content.
    pub findings: HashMap<Fingerprint, Vec<u8>>,
}

impl Known {
    pub fn nothing(stamp: Result<Option<Stamp>, ReadError>) -> Self {
        Self { stamp, content: None, findings: HashMap::new() }
    }
}

/// A block that is looked up when the first of its photos is due.
#[derive(Default)]
struct Block {
    is_looked_up: bool,
    photos: Vec<Option<Known>>,
    taken: usize,
}

pub struct Lookups<'a> {
    job: &'a Job<'a>,
    wanted: Vec<Fingerprint>,
    blocks: Vec<Mutex<Block>>,
}

impl<'a> Lookups<'a> {
    /// `wanted`: the findings that are looked up.
    pub fn new(job: &'a Job<'a>, wanted: Vec<Fingerprint>) -> Self {
        let blocks = (0..job.photos.len().div_ceil(BLOCK)).map(|_| Mutex::default()).collect();
        Self { job, wanted, blocks }
    }

    /// What is known of the photo at `index`; nothing where it was taken before.
    pub fn take(&self, index: usize) -> Option<Known> {
        let number = index / BLOCK;
        let mut block = try_lock(&self.blocks[number]).unwrap_or_else(|| {
            let ahead = self.blocks.iter().enumerate().skip(number + 1).take(AHEAD);
            let free = ahead.filter_map(|(number, block)| Some((number, try_lock(block)?)));
            if let Some((number, mut block)) = free.into_iter().find(|(_, block)| !block.is_looked_up) {
                self.fill(&mut block, number);
            }
            self.blocks[number].lock().unwrap_or_else(PoisonError::into_inner)
        });
        if !block.is_looked_up {
            self.fill(&mut block, number);
        }
        let known = block.photos.get_mut(index % BLOCK).and_then(Option::take);
        block.taken += 1;
        if block.taken == block.photos.len() {
            block.photos = Vec::new();
        }
        known
    }

    fn fill(&self, block: &mut Block, number: usize) {
        block.is_looked_up = true;
        block.photos = self.look_up(number);
    }

    fn look_up(&self, block: usize) -> Vec<Option<Known>> {
        let job = self.job;
        let photos = &job.photos[block * BLOCK..job.photos.len().min((block + 1) * BLOCK)];
        let stamps: Vec<_> = photos.iter().map(|photo| job.files.stamp(&photo.path)).collect();
        let stamped: Vec<(&Path, Stamp)> = photos
            .iter()
            .zip(&stamps)
            .filter_map(|(photo, stamp)| Some((photo.path.as_path(), *stamp.as_ref().ok()?.as_ref()?)))
            .collect();
        let contents = job.store.contents(&stamped);
        // In the order of the photos, in which they were stored.
        let in_order: Vec<ContentId> = stamped.iter().filter_map(|(path, _)| contents.get(path).copied()).collect();
        let mut findings = job.store.findings(&in_order, &self.wanted);
        // Of several files with the same bytes the last takes the findings along, the others get copies.
        let mut left: HashMap<ContentId, usize> = HashMap::new();
        in_order.iter().for_each(|content| *left.entry(*content).or_default() += 1);
        let known = |(photo, stamp): (&photo::scan::Photo, Result<Option<Stamp>, ReadError>)| {
            let content = stamp.is_ok().then(|| contents.get(photo.path.as_path()).copied()).flatten();
            let findings = content.map(|content| {
                let left = left.entry(content).or_default();
                *left = left.saturating_sub(1);
                let found = if *left == 0 { findings.remove(&content) } else { findings.get(&content).cloned() };
                found.unwrap_or_default()
            });
            Some(Known { stamp, content, findings: findings.unwrap_or_default() })
        };
        photos.iter().zip(stamps).map(known).collect()
    }
}

/// `None` while another thread holds the lock.
fn try_lock(block: &Mutex<Block>) -> Option<MutexGuard<'_, Block>> {
    match block.try_lock() {
        Ok(block) => Some(block),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

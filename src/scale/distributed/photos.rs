//! Photos divided for embedding: lists of a few hundred, each of which becomes a part, a separate Parquet file.
//!
//! The ends of lists follow from the names of the photos, so adding or removing a photo changes one list only. A part is
//! named by everything that affects it, so an existing part need not be made again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::ScaleError;
use crate::files;

/// The work of an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// The model, by name or path.
    pub model: String,
    /// Its identity: weights, preprocessing and precision.
    pub identity: String,
    /// Whether sums may be fast instead of full.
    pub fast: bool,
    /// The path of the part.
    pub part: PathBuf,
    pub photos: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The photo as named by the user; the `id` of its row.
    pub id: String,
    /// The path on every machine.
    pub path: PathBuf,
    /// Its size and modification time, or its version in a store.
    pub stamp: String,
}

/// An executor's report on a part, stored beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    pub done: usize,
    pub failed: Vec<Unread>,
}

/// A photo that could not be embedded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub id: String,
    /// The stage and cause of the failure.
    pub cause: String,
    /// Whether it was unavailable and may be available next time.
    #[serde(default)]
    pub again: bool,
}

/// Divides photos into lists of about `usual`.
pub fn lists(photos: Vec<Item>, usual: u64) -> Vec<Vec<Item>> {
    let usual = usual.max(1);
    let mut lists: Vec<Vec<Item>> = Vec::new();
    let mut open = false;
    for photo in photos {
        if !open {
            lists.push(Vec::new());
        }
        let Some(list) = lists.last_mut() else { continue };
        let lot = blake3::hash(photo.id.as_bytes());
        let lot = u64::from_le_bytes(*lot.as_bytes().first_chunk().unwrap_or(&[0; 8]));
        list.push(photo);
        open = !lot.is_multiple_of(usual) && (list.len() as u64) < 4 * usual;
    }
    lists
}

/// The name of a list's part, from the state of the photos and the network.
pub fn part_name(photos: &[Item], network: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(text.as_bytes());
        hasher.update(&[0]);
    };
    add(network);
    photos.iter().for_each(|photo| {
        add(&photo.id);
        add(&photo.stamp);
    });
    format!("part-{}.parquet", &hasher.finalize().to_hex()[..20])
}

fn beside(part: &Path) -> PathBuf {
    part.with_extension("json")
}

impl List {
    pub fn read(path: &Path) -> Result<Self, ScaleError> {
        let text = files::read(path)?;
        serde_json::from_slice(&text).map_err(|error| ScaleError::io(path)(error.into()))
    }

    pub fn write(&self, path: &Path) -> Result<(), ScaleError> {
        let text = serde_json::to_vec(self).map_err(|error| ScaleError::io(path)(error.into()))?;
        files::write(path, &text)
    }
}

impl Notes {
    /// The report beside an existing part.
    pub fn beside(part: &Path) -> Self {
        let text = files::read(&beside(part)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Whether a missing photo may be available next time.
    pub fn may_come(&self) -> bool {
        self.failed.iter().any(|unread| unread.again)
    }

    /// Removes a part and its report.
    pub fn forget(part: &Path) {
        files::remove(part);
        files::remove(&beside(part));
    }

    pub fn keep(&self, part: &Path) -> Result<(), ScaleError> {
        let path = beside(part);
        let text = serde_json::to_vec(self).map_err(|error| ScaleError::io(&path)(error.into()))?;
        files::write(&path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(numbers: impl Iterator<Item = usize>) -> Vec<Item> {
        let item = |n| Item { id: format!("photos/{n:05}.jpg"), path: PathBuf::new(), stamp: "1".into() };
        numbers.map(item).collect()
    }

    #[test]
    fn a_photo_more_changes_one_part_and_leaves_the_rest() {
        let all = lists(items(0..5000), 50);
        assert!((40..250).contains(&all.len()) && all.iter().all(|list| list.len() <= 200), "{} lists", all.len());
        assert_eq!(all.concat(), items(0..5000));
        let fewer = lists(items((0..5000).filter(|n| *n != 2500)), 50);
        let names = |lists: &[Vec<Item>]| lists.iter().map(|list| part_name(list, "a")).collect::<Vec<_>>();
        let (all, fewer) = (names(&all), names(&fewer));
        let kept = fewer.iter().filter(|name| all.contains(name)).count();
        assert!(kept + 2 >= all.len(), "{kept} of {}", all.len());
        assert_ne!(part_name(&items(0..3), "a"), part_name(&items(0..3), "b"));
    }
}

//! Representatives: one file for all files of a picture, one frame for a whole sequence.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use super::{Decision, Photo};

/// The photo that stands for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representative {
    /// A file of the same bytes.
    File(usize),
    /// A frame of the same sequence.
    Frame(usize),
}

/// Finds, for each additional file of a picture, the representative: the file with the simplest path.
pub fn duplicates(photos: &[Photo]) -> Vec<Option<Representative>> {
    let simplicity = |photo: usize| {
        let Photo { path, group, .. } = &photos[photo];
        (group.is_none(), path.components().count(), path.as_os_str().len(), path)
    };
    let mut first: HashMap<[u8; 32], usize> = HashMap::new();
    for (photo, given) in photos.iter().enumerate() {
        let Some(content) = given.content else { continue };
        let current = first.entry(content).or_insert(photo);
        if *current != photo && simplicity(photo) < simplicity(*current) {
            *current = photo;
        }
    }
    let representative = |(photo, given): (usize, &Photo)| {
        let first = given.content.and_then(|content| first.get(&content).copied());
        first.filter(|&first| first != photo).map(Representative::File)
    };
    photos.iter().enumerate().map(representative).collect()
}

/// Adds the representatives of sequences: the middle frame, or the first by `better_first` where the best is asked for. A
/// frame that a person keeps stands for itself and for the frames without a decision; a rejected one for nothing.
pub fn sequences(
    photos: &[Photo],
    duplicates: &[Option<Representative>],
    best: bool,
    better_first: impl Fn(&usize, &usize) -> Ordering,
) -> Vec<Option<Representative>> {
    let mut members: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (photo, given) in photos.iter().enumerate() {
        if let (Some(part), None) = (given.sequence, duplicates[photo]) {
            members.entry(part.number).or_default().push((part.from_middle, photo));
        }
    }
    let mut all = duplicates.to_vec();
    for mut frames in members.into_values() {
        frames.sort_unstable();
        let of = |decision: Option<Decision>| {
            let frames = frames.iter().map(|&(_, photo)| photo);
            frames.filter(move |&photo| photos[photo].decision == decision)
        };
        let middle = || of(None).next();
        let undecided = if best { of(None).min_by(&better_first) } else { middle() };
        let Some(first) = of(Some(Decision::Keep)).next().or(undecided) else { continue };
        of(None).filter(|&photo| photo != first).for_each(|photo| all[photo] = Some(Representative::Frame(first)));
    }
    all
}

//! The picks so far, by group and by day, so that no photo is compared with all of them.

use std::collections::HashMap;

use super::Photo;

#[derive(Debug)]
pub(super) struct Picks<'a> {
    photos: &'a [Photo],
    /// In the order in which they were picked.
    pub all: Vec<usize>,
    by_group: HashMap<Option<usize>, Vec<usize>>,
    by_day: HashMap<&'a str, usize>,
}

impl<'a> Picks<'a> {
    pub fn of(photos: &'a [Photo], picked: Vec<usize>) -> Self {
        let mut picks = Self { photos, all: Vec::new(), by_group: HashMap::new(), by_day: HashMap::new() };
        picked.into_iter().for_each(|photo| picks.push(photo));
        picks
    }

    pub fn push(&mut self, photo: usize) {
        let Photo { group, day, .. } = &self.photos[photo];
        self.all.push(photo);
        self.by_group.entry(*group).or_default().push(photo);
        if let Some(day) = day {
            *self.by_day.entry(day).or_default() += 1;
        }
    }

    /// The picks of a group, or those without one, in their order.
    pub fn of_group(&self, group: Option<usize>) -> &[usize] {
        self.by_group.get(&group).map_or(&[], Vec::as_slice)
    }

    pub fn on_day(&self, day: &str) -> usize {
        self.by_day.get(day).copied().unwrap_or_default()
    }
}

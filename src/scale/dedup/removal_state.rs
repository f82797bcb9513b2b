//! The state of each row: removed, or required to stay.

use super::Removed;

/// A bit per row.
#[derive(Debug)]
struct Marks(Vec<u64>);

impl Marks {
    fn new(rows: u64) -> Self {
        Self(vec![0; rows.div_ceil(64) as usize])
    }

    fn set(&mut self, row: u64) {
        self.0[(row / 64) as usize] |= 1 << (row % 64);
    }

    fn has(&self, row: u64) -> bool {
        self.0[(row / 64) as usize] >> (row % 64) & 1 == 1
    }
}

#[derive(Debug)]
pub struct RemovalState {
    gone: Marks,
    required_by: Marks,
}

impl RemovalState {
    pub fn new(rows: u64) -> Self {
        Self { gone: Marks::new(rows), required_by: Marks::new(rows) }
    }

    pub fn remove(&mut self, removed: &Removed) {
        self.gone.set(removed.row);
        self.required_by.set(removed.duplicate_of);
    }

    pub fn is_gone(&self, row: u64) -> bool {
        self.gone.has(row)
    }

    /// Another row was removed as a duplicate of this one.
    pub fn must_stay(&self, row: u64) -> bool {
        self.required_by.has(row)
    }
}

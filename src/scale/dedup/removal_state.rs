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
        self.0.get((row / 64) as usize).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

#[derive(Debug)]
pub struct RemovalState {
    rows: u64,
    gone: Marks,
    required_by: Marks,
}

impl RemovalState {
    pub fn new(rows: u64) -> Self {
        Self { rows, gone: Marks::new(rows), required_by: Marks::new(rows) }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The marks as bytes, for [`Self::read`].
    pub fn write(&self, bytes: &mut Vec<u8>) {
        let words = self.gone.0.iter().chain(&self.required_by.0);
        bytes.extend(words.flat_map(|word| word.to_le_bytes()));
    }

    /// Parses bytes; `None` unless they hold the marks of as many rows.
    pub fn read(rows: u64, bytes: &[u8]) -> Option<Self> {
        let words = usize::try_from(rows.div_ceil(64)).ok()?;
        if Some(bytes.len()) != words.checked_mul(16) {
            return None;
        }
        let mut all = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        let gone = Marks(all.by_ref().take(words).collect());
        Some(Self { rows, gone, required_by: Marks(all.collect()) })
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

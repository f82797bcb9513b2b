//! How much a run may take, by the size of its input.

use super::tensor::MOST_ELEMENTS;

/// Maximum multiplications of a run: a base, more for every input value, and an upper limit. Finding text in four megapixels
/// takes a sixth of the upper limit.
const LEAST_WORK: u64 = 1 << 28;
const WORK_OF_A_NUMBER: u64 = 1 << 17;
const MOST_WORK: u64 = 1 << 38;

/// Maximum live values per input value, and in addition. A picture of 736x992 then needs less than 150 MB.
const GROWTH: usize = 12;
const BESIDE: usize = 1 << 22;

/// The bounds of a run.
pub(super) struct Limits {
    /// Maximum live values.
    pub most: usize,
    pub work: u64,
}

impl Limits {
    /// For an input of so many numbers.
    pub fn of(numbers: usize) -> Self {
        let most = numbers.saturating_mul(GROWTH).saturating_add(BESIDE).min(MOST_ELEMENTS);
        let work = (numbers as u64).saturating_mul(WORK_OF_A_NUMBER).saturating_add(LEAST_WORK).min(MOST_WORK);
        Self { most, work }
    }
}

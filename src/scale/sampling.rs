//! Sampling of rows by their content, not their position: the same rows are sampled for any division into files, any order
//! and any number of threads. Equal rows therefore have equal random keys.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use base::random::SplitMix;
pub use base::random::mixed;

/// A pseudo-random number from a seed and the content of a row.
pub fn lot(seed: u64, row: &[f32]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [seed, seed ^ ODD, seed.rotate_left(32), !seed];
    let chunks = row.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = (*lane ^ u64::from(x.to_bits())).wrapping_mul(ODD).rotate_left(29);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = (*lane ^ u64::from(x.to_bits())).wrapping_mul(ODD).rotate_left(29);
    }
    lanes.into_iter().fold(row.len() as u64, |hash, lane| mixed(hash ^ lane))
}

/// Maps it to a number above 0 and below 1, safe for divisions.
pub fn share(lot: u64) -> f64 {
    ((lot >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Draws(SplitMix);

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self(SplitMix(mixed(seed ^ 0x5851_f42d_4c95_7f2d)))
    }

    fn next_lot(&mut self) -> u64 {
        self.0.draw()
    }

    pub fn next_share(&mut self) -> f64 {
        share(self.next_lot())
    }

    /// Shuffles the items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.next_share() * (last + 1) as f64) as usize);
        }
    }
}

/// A sampled row.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The key; smaller ones are preferred.
    pub key: f64,
    pub row: Vec<f32>,
    /// Its nearest cluster, if requested.
    pub cluster: usize,
}

/// The rows with the smallest keys, without duplicates.
#[derive(Debug, Clone)]
pub struct Smallest {
    wanted: usize,
    heap: BinaryHeap<Drawn>,
}

impl Smallest {
    pub fn new(wanted: usize) -> Self {
        Self { wanted, heap: BinaryHeap::new() }
    }

    pub fn wanted(&self) -> usize {
        self.wanted
    }

    pub fn offer(&mut self, key: f64, row: &[f32], cluster: usize) {
        if self.heap.len() == self.wanted && self.heap.peek().is_none_or(|worst| key > worst.key) {
            return;
        }
        let drawn = Drawn { key, row: row.to_vec(), cluster };
        // Equal rows have equal keys, and few other rows share a key.
        if self.heap.iter().any(|other| other == &drawn) {
            return;
        }
        self.heap.push(drawn);
        if self.heap.len() > self.wanted {
            self.heap.pop();
        }
    }

    pub fn merge(&mut self, other: Self) {
        for drawn in other.heap {
            self.offer(drawn.key, &drawn.row, drawn.cluster);
        }
    }

    /// The numbers of a row; 0 if there are no rows.
    pub fn dim(&self) -> usize {
        self.heap.peek().map_or(0, |drawn| drawn.row.len())
    }

    /// The rows and their keys as bytes, for [`Self::read`].
    pub fn write(&self, bytes: &mut Vec<u8>) {
        for drawn in &self.heap {
            bytes.extend(drawn.key.to_le_bytes());
            bytes.extend((drawn.cluster as u64).to_le_bytes());
            bytes.extend(drawn.row.iter().flat_map(|x| x.to_le_bytes()));
        }
    }

    /// Parses the bytes of rows of `dim` numbers; `None` if they are cut short.
    pub fn read(wanted: usize, dim: usize, bytes: &[u8]) -> Option<Self> {
        let mut smallest = Self::new(wanted);
        let length = dim.checked_mul(4)?.checked_add(16)?;
        let entries = bytes.chunks_exact(length);
        if !entries.remainder().is_empty() {
            return None;
        }
        for entry in entries {
            let key = f64::from_le_bytes(*entry.first_chunk()?);
            let cluster = u64::from_le_bytes(*entry[8..].first_chunk()?) as usize;
            let row: Vec<f32> = entry[16..].as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
            smallest.offer(key, &row, cluster);
        }
        Some(smallest)
    }

    /// The rows, smallest key first.
    pub fn into_rows(self) -> Vec<Drawn> {
        self.heap.into_sorted_vec()
    }
}

impl Eq for Drawn {}

impl Ord for Drawn {
    fn cmp(&self, other: &Self) -> Ordering {
        let bits = |drawn: &Self| drawn.row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        self.key.total_cmp(&other.key).then_with(|| bits(self).cmp(&bits(other)))
    }
}

impl PartialOrd for Drawn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_are_spread_evenly() {
        let mut tenths = [0; 10];
        for i in 0..10_000 {
            let row: Vec<f32> = (0..7).map(|j| (i * 7 + j) as f32).collect();
            tenths[(share(lot(1, &row)) * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|&n| (850..1150).contains(&n)), "{tenths:?}");
    }

    #[test]
    fn the_same_rows_are_drawn_in_any_order_and_equal_rows_once() {
        let rows: Vec<[f32; 2]> = (0..50).map(|i| [(i % 20) as f32, 1.0]).collect();
        let draw = |rows: &[[f32; 2]]| {
            let mut smallest = Smallest::new(8);
            for row in rows {
                smallest.offer(share(lot(3, row)), row, 0);
            }
            smallest.into_rows()
        };
        let mut reversed = rows.clone();
        reversed.reverse();
        let drawn = draw(&rows);
        assert_eq!(drawn, draw(&reversed));
        assert_eq!(drawn.len(), 8);
        assert!(drawn.windows(2).all(|pair| pair[0].row != pair[1].row));
    }
}

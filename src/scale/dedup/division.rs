//! A division of the rows into parts that are compared, here or as a file for other machines.

use serde::{Deserialize, Serialize};

use super::removal_state::RemovalState;
use super::{Keep, Removed, Rows, Rules, part};
use crate::nearest::{Centroids, Nearest};

/// How rows are divided and compared.
#[derive(Debug, Clone, Copy)]
pub struct Division<'a> {
    pub nearest: &'a Nearest,
    /// The number of rows nearest to each centroid.
    pub sizes: &'a [u64],
    /// Maximum rows that are compared together; larger parts are cut.
    pub limit: usize,
    pub rules: &'a Rules,
    pub removal_state: &'a RemovalState,
}

/// A division that was read from a file.
#[derive(Debug)]
pub struct StoredDivision {
    nearest: Nearest,
    limit: usize,
    rules: Rules,
    removal_state: RemovalState,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    dim: usize,
    centroids: usize,
    limit: usize,
    similarity: f64,
    keep: Keep,
    scores: usize,
    rows: u64,
}

const SHORT: &str = "a division of rows cut short";

impl Division<'_> {
    /// The duplicates among rows of a part.
    pub fn duplicates_in(&self, of: usize, rows: &Rows) -> Vec<Removed> {
        part::duplicates(rows, self.nearest.centroids().row(of), self.rules, self.removal_state)
    }

    /// Whether an earlier division removed the row of this number.
    pub fn is_gone(&self, row: u64) -> bool {
        self.removal_state.is_gone(row)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let (centroids, Rules { similarity, keep, scores }) = (self.nearest.centroids(), self.rules);
        let header = Header {
            dim: centroids.dim,
            centroids: centroids.len(),
            limit: self.limit,
            similarity: *similarity,
            keep: *keep,
            scores: scores.len(),
            rows: self.removal_state.rows(),
        };
        let mut bytes = serde_json::to_vec(&header).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend(centroids.values.iter().flat_map(|x| x.to_le_bytes()));
        // A row without a score is put behind all others, as the lowest score there is.
        bytes.extend(scores.iter().flat_map(|score| score.unwrap_or(f32::NEG_INFINITY).to_le_bytes()));
        self.removal_state.write(&mut bytes);
        bytes
    }
}

impl StoredDivision {
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.iter().position(|&byte| byte == b'\n').ok_or("no division of rows")?;
        let header: Header =
            serde_json::from_slice(&bytes[..end]).map_err(|error| format!("no division of rows: {error}"))?;
        let Header { dim, centroids, limit, similarity, keep, scores, rows } = header;
        let mut left = &bytes[end + 1..];
        let mut numbers = |count: Option<usize>| -> Option<Vec<f32>> {
            let (own, rest) = left.split_at_checked(count?.checked_mul(4)?)?;
            left = rest;
            Some(own.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect())
        };
        let values = numbers(centroids.checked_mul(dim)).filter(|values| !values.is_empty()).ok_or(SHORT)?;
        let scores = numbers(Some(scores)).ok_or(SHORT)?.into_iter().map(Some).collect();
        Ok(Self {
            nearest: Nearest::new(Centroids::new(dim, values)),
            limit: limit.max(1),
            rules: Rules { similarity, keep, scores },
            removal_state: RemovalState::read(rows, left).ok_or(SHORT)?,
        })
    }

    pub fn nearest(&self) -> &Nearest {
        &self.nearest
    }

    /// Whether an earlier division removed the row of this number.
    pub fn is_gone(&self, row: u64) -> bool {
        self.removal_state.is_gone(row)
    }

    /// The duplicates among all rows of a part; a part above the limit is cut.
    pub fn duplicates_in(&self, of: usize, rows: &Rows) -> Vec<Removed> {
        let (count, dim) = (rows.numbers.len(), rows.dim);
        let cuts = count.div_ceil(self.limit);
        let piece = |cut: usize| {
            let (first, end) = (count * cut / cuts, count * (cut + 1) / cuts);
            let (numbers, values) = (rows.numbers[first..end].to_vec(), rows.values[first * dim..end * dim].to_vec());
            let rows = Rows { dim, numbers, values };
            part::duplicates(&rows, self.nearest.centroids().row(of), &self.rules, &self.removal_state)
        };
        match cuts {
            1 => part::duplicates(rows, self.nearest.centroids().row(of), &self.rules, &self.removal_state),
            cuts => (0..cuts).flat_map(piece).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_division_survives_its_bytes_and_large_parts_are_cut() {
        let nearest = Nearest::new(Centroids::new(2, vec![1.0, 0.0, 0.0, 1.0]));
        let rules = Rules { similarity: 0.99, keep: Keep::Best, scores: vec![Some(0.2), None, Some(0.4), Some(0.1)] };
        let mut removal_state = RemovalState::new(4);
        removal_state.remove(&Removed { row: 3, duplicate_of: 0, cosine: 1.0 });
        let bytes = |limit: usize| {
            let removal_state = &removal_state;
            Division { nearest: &nearest, sizes: &[4, 0], limit, rules: &rules, removal_state }.to_bytes()
        };
        let rows = || Rows { dim: 2, numbers: vec![0, 1, 2], values: [1.0, 0.0].repeat(3) };
        let removed = |bytes: &[u8]| -> Vec<(u64, u64)> {
            let removed = StoredDivision::read(bytes).unwrap().duplicates_in(0, &rows());
            removed.iter().map(|removed| (removed.row, removed.duplicate_of)).collect()
        };
        // Row 2 has the best score; row 0 has to stay, because row 3 was removed for it.
        assert_eq!(removed(&bytes(10)), [(1, 2)]);
        assert_eq!(removed(&bytes(1)), [], "each is compared with itself alone");
        let stored = StoredDivision::read(&bytes(10)).unwrap();
        assert_eq!([0, 1, 2, 3, 4].map(|row| stored.is_gone(row)), [false, false, false, true, false]);
        let bytes = bytes(10);
        for damaged in [&bytes[..bytes.len() - 1], &[&bytes[..], b"x"].concat(), b"", b"{}\n"] {
            assert!(StoredDivision::read(damaged).is_err());
        }
    }
}

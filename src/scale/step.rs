//! One step of k-means, independent of the engine: rows are summed into partials, partials are merged, and the total gives
//! new centroids. The centroids are bit-identical for any division of the rows.
//!
//! Sums are integers, which add up the same in every order. Each coordinate is rounded once to a fixed-point step, small
//! enough to keep the precision of f32 for the longest rows, and large enough that the sum of all rows fits into 63 bits.
//! The step follows from the number of rows and the longest row alone.

use std::ops::Range;

use super::exact::{dot, squared_norm};
use super::nearest::{Centroids, Nearest, NearestScratch};

/// The fixed-point scale: a coordinate `x` is stored as `round(x · 2^bits)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Scale {
    bits: i32,
}

/// The partial sums of a set of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    dim: usize,
    scale: Scale,
    /// For each cluster, the fixed-point sum of its rows.
    sums: Vec<i64>,
    counts: Vec<u64>,
    /// For each cluster, the sum of the squared lengths of its rows, in fixed point with twice as many bits.
    norms: Vec<i128>,
}

/// The result of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub centroids: Vec<f32>,
    /// The sum of squared distances of the rows to their centroids.
    pub inertia: f64,
    /// Clusters without rows; their centroids do not move.
    pub empty: Vec<usize>,
    pub counts: Vec<u64>,
}

impl Scale {
    /// The scale for `rows` rows of at most length `longest`.
    pub fn new(rows: u64, longest: f64) -> Self {
        // 2^exponent > longest ≥ |any coordinate|.
        let exponent = if longest > 0.0 { longest.log2().floor() as i32 + 1 } else { 0 };
        let count = i32::try_from(u64::BITS - rows.max(1).leading_zeros()).unwrap_or(64);
        // Sums may take 62 bits, which leaves the sign and a spare bit; the rounding allows 50 bits per coordinate.
        Self { bits: (62 - count).min(50) - exponent }
    }

    pub fn bits(self) -> i32 {
        self.bits
    }

    pub fn from_bits(bits: i32) -> Self {
        Self { bits }
    }

    fn factor(self) -> f64 {
        2f64.powi(self.bits)
    }
}

/// Rounds to the nearest integer, ties to even, by adding 1.5 · 2^52 in f64; for |v| < 2^51.
#[inline]
fn whole(v: f64) -> i64 {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    ((v + MAGIC).to_bits() as i64).wrapping_sub(MAGIC.to_bits() as i64)
}

impl Partial {
    pub fn new(clusters: usize, dim: usize, scale: Scale) -> Self {
        Self { dim, scale, sums: vec![0; clusters * dim], counts: vec![0; clusters], norms: vec![0; clusters] }
    }

    /// Adds rows to their nearest clusters.
    pub fn assign(&mut self, nearest: &Nearest, rows: &[f32], norms: &[f64], nearest_scratch: &mut NearestScratch) {
        let dim = self.dim;
        nearest.assign(rows, norms, nearest_scratch, |row, cluster| {
            self.add(cluster, &rows[row * dim..][..dim], norms[row]);
        });
    }

    pub fn add(&mut self, cluster: usize, row: &[f32], norm: f64) {
        let factor = self.scale.factor();
        let sums = &mut self.sums[cluster * self.dim..][..self.dim];
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum = sum.wrapping_add(whole(f64::from(x) * factor))),
        );
        self.counts[cluster] += 1;
        self.norms[cluster] += (norm * factor * factor) as i128;
    }

    /// Moves a row from one cluster to another.
    pub fn move_row(&mut self, from: usize, to: usize, row: &[f32]) {
        let factor = self.scale.factor();
        for (i, &x) in row.iter().enumerate() {
            let x = whole(f64::from(x) * factor);
            self.sums[from * self.dim + i] -= x;
            self.sums[to * self.dim + i] += x;
        }
        self.counts[from] -= 1;
        self.counts[to] += 1;
    }

    /// Merges the partial sums of other rows, in any order.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!((self.dim, self.scale), (other.dim, other.scale));
        add(&mut self.sums, &other.sums);
        add(&mut self.counts, &other.counts);
        add(&mut self.norms, &other.norms);
    }

    /// Whether it sums as many clusters of as many numbers, in the same fixed point.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.dim, self.scale, self.counts.len()) == (other.dim, other.scale, other.counts.len())
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Merges a piece of other sums of the same clusters; `false` if it is none.
    pub fn merge_piece(&mut self, piece: usize, pieces: usize, other: &Self) -> bool {
        let clusters = range(piece, pieces, self.counts.len());
        if piece >= pieces || (other.dim, other.scale, other.counts.len()) != (self.dim, self.scale, clusters.len()) {
            return false;
        }
        let sums = &mut self.sums[clusters.start * self.dim..clusters.end * self.dim];
        add(sums, &other.sums);
        add(&mut self.counts[clusters.clone()], &other.counts);
        add(&mut self.norms[clusters], &other.norms);
        true
    }

    /// Writes one of `pieces` ranges of the clusters as bytes, for [`Self::read`]; returns how many clusters it has.
    pub fn write(&self, piece: usize, pieces: usize, bytes: &mut Vec<u8>) -> usize {
        let clusters = range(piece, pieces, self.counts.len());
        bytes.reserve((8 * self.dim + 24) * clusters.len());
        let sums = &self.sums[clusters.start * self.dim..clusters.end * self.dim];
        bytes.extend(sums.iter().flat_map(|sum| sum.to_le_bytes()));
        bytes.extend(self.counts[clusters.clone()].iter().flat_map(|count| count.to_le_bytes()));
        bytes.extend(self.norms[clusters.clone()].iter().flat_map(|norm| norm.to_le_bytes()));
        clusters.len()
    }

    /// Parses bytes; `None` unless they hold just these clusters, with counts that can be added up.
    pub fn read(clusters: usize, dim: usize, scale: Scale, bytes: &[u8]) -> Option<Self> {
        let length = dim.checked_mul(8)?.checked_add(24)?.checked_mul(clusters)?;
        if bytes.len() != length {
            return None;
        }
        let (sums, rest) = bytes.split_at(8 * dim * clusters);
        let (counts, norms) = rest.split_at(8 * clusters);
        let counts: Vec<u64> = counts.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        counts.iter().try_fold(0_u64, |all, &count| all.checked_add(count))?;
        Some(Self {
            dim,
            scale,
            sums: sums.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word)).collect(),
            counts,
            norms: norms.as_chunks().0.iter().map(|word| i128::from_le_bytes(*word)).collect(),
        })
    }

    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The mean of a cluster's rows.
    pub fn mean(&self, cluster: usize) -> impl Iterator<Item = f64> {
        let divisor = self.counts[cluster] as f64 * self.scale.factor();
        self.sums[cluster * self.dim..][..self.dim].iter().map(move |&sum| sum as f64 / divisor)
    }

    /// Computes new centroids from the sums over all rows.
    pub fn finish(&self, before: &Centroids) -> Update {
        let mut centroids = before.values.clone();
        for (cluster, centroid) in centroids.chunks_exact_mut(self.dim).enumerate() {
            if self.counts[cluster] > 0 {
                centroid.iter_mut().zip(self.mean(cluster)).for_each(|(c, mean)| *c = mean as f32);
            }
        }
        Update {
            centroids,
            inertia: self.inertia(before),
            empty: (0..self.counts.len()).filter(|&cluster| self.counts[cluster] == 0).collect(),
            counts: self.counts.clone(),
        }
    }

    /// Σ|x − c|² = Σ|x|² − 2 Σ c·s + Σ n|c|²: all sums are known, so no distances are needed.
    fn inertia(&self, centroids: &Centroids) -> f64 {
        let factor = self.scale.factor();
        let norms = self.norms.iter().sum::<i128>() as f64 / factor / factor;
        let moved: f64 = centroids
            .rows()
            .zip(self.sums.chunks_exact(self.dim))
            .zip(&self.counts)
            .map(|((c, sums), &count)| {
                let along: f64 = c.iter().zip(sums).map(|(&c, &sum)| f64::from(c) * (sum as f64 / factor)).sum();
                count as f64 * squared_norm(c) - 2.0 * along
            })
            .sum();
        (norms + moved).max(0.0)
    }
}

fn add<T: Copy + std::ops::AddAssign>(own: &mut [T], other: &[T]) {
    own.iter_mut().zip(other).for_each(|(own, &other)| *own += other);
}

/// The clusters of a piece.
fn range(piece: usize, pieces: usize, clusters: usize) -> Range<usize> {
    piece * clusters / pieces..(piece + 1) * clusters / pieces
}

/// The total movement of the centroids, as scikit-learn and the original measure it.
pub fn shift(before: &[f32], after: &[f32]) -> f64 {
    before.iter().zip(after).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}

/// The cosine similarity of two rows; 0 if one is zero.
pub fn cosine(x: &[f32], y: &[f32]) -> f64 {
    let lengths = (squared_norm(x) * squared_norm(y)).sqrt();
    if lengths > 0.0 { (dot(x, y) / lengths).clamp(-1.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partial(rows: &[Vec<f32>], scale: Scale) -> Partial {
        let mut partial = Partial::new(2, 3, scale);
        for row in rows {
            partial.add(usize::from(row[0] > 0.0), row, squared_norm(row));
        }
        partial
    }

    proptest! {
        #[test]
        fn sums_are_the_same_in_any_order_and_any_grouping(
            rows in prop::collection::vec(prop::collection::vec(-1e6f32..1e6, 3), 1..60),
            cut in 0usize..60,
        ) {
            let longest = rows.iter().map(|row| squared_norm(row)).fold(0.0, f64::max).sqrt();
            let scale = Scale::new(rows.len() as u64, longest);
            let whole = partial(&rows, scale);
            let (left, right) = rows.split_at(cut.min(rows.len()));
            let mut merged = partial(right, scale);
            merged.merge(&partial(left, scale));
            let mut told = Partial::new(2, 3, scale);
            for part in [partial(left, scale), partial(right, scale)] {
                let mut bytes = Vec::new();
                part.write(0, 1, &mut bytes);
                told.merge(&Partial::read(2, 3, scale, &bytes).unwrap());
            }
            prop_assert_eq!(&told, &whole);
            let reversed: Vec<_> = rows.iter().rev().cloned().collect();
            prop_assert_eq!(&whole, &merged);
            prop_assert_eq!(&whole, &partial(&reversed, scale));
        }

        #[test]
        fn means_and_inertia_are_those_of_plain_arithmetic(
            rows in prop::collection::vec(prop::collection::vec(-3f32..3.0, 3), 2..60),
        ) {
            let scale = Scale::new(rows.len() as u64, 6.0);
            let before = Centroids::new(3, vec![-1.0, 0.0, 0.5, 1.0, 0.25, 0.0]);
            let update = partial(&rows, scale).finish(&before);
            let mut inertia = 0.0;
            for cluster in 0..2 {
                let of: Vec<_> = rows.iter().filter(|row| usize::from(row[0] > 0.0) == cluster).collect();
                inertia += of.iter().map(|row| crate::exact::squared_distance(row, before.row(cluster))).sum::<f64>();
                for i in 0..3 {
                    let mean = of.iter().map(|row| f64::from(row[i])).sum::<f64>() / of.len() as f64;
                    let expected = if of.is_empty() { f64::from(before.row(cluster)[i]) } else { mean };
                    prop_assert!((f64::from(update.centroids[cluster * 3 + i]) - expected).abs() < 1e-6);
                }
            }
            prop_assert!((update.inertia - inertia).abs() < 1e-9 * (1.0 + inertia));
        }
    }

    #[test]
    fn the_fixed_point_neither_overflows_nor_loses_what_f32_holds() {
        for (rows, longest) in [(1, 1.0), (10, 1e-20), (1_000_000, 1.0), (1_000_000_000, 300.0), (7, 1e30)] {
            let scale = Scale::new(rows, longest);
            let largest = longest * scale.factor();
            assert!(largest < 2f64.powi(51), "{rows} rows of {longest}: rounding");
            assert!(largest * rows as f64 <= 2f64.powi(62), "{rows} rows of {longest}: sum");
            // With a billion rows, 31 bits of the longest row remain, and f32 has 24.
            assert!(largest >= 2f64.powi(30), "{rows} rows of {longest}: precision");
        }
    }

    #[test]
    fn an_empty_cluster_is_told_and_stays() {
        let before = Centroids::new(3, vec![-1.0, 0.0, 0.0, 9.0, 9.0, 9.0]);
        let update = partial(&[vec![-1.0, 2.0, 0.0]], Scale::new(1, 3.0)).finish(&before);
        assert_eq!(update.empty, [1]);
        assert_eq!(update.centroids, [-1.0, 2.0, 0.0, 9.0, 9.0, 9.0]);
        assert_eq!(update.counts, [1, 0]);
    }
}

//! The inputs of few examples in fewer coordinates: distances and angles among the examples stay, so that the most probable
//! weights do too, and a fit takes a fraction of the time.

use super::fit::dot;

#[derive(Debug)]
pub struct Rows {
    full: Vec<Vec<f64>>,
    /// The rows of the Cholesky factor of the matrix of products, or the full rows where those are shorter.
    pub reduced: Vec<Vec<f64>>,
}

impl Rows {
    pub fn of(full: Vec<Vec<f64>>) -> Self {
        let reduced = if full.len() < full.first().map_or(0, Vec::len) { factor(&full) } else { full.clone() };
        Self { full, reduced }
    }

    /// Weights of full rows that give the same products as those of reduced rows.
    pub fn restored(&self, weights: &[f64]) -> Vec<f64> {
        let length = self.full.first().map_or(0, Vec::len);
        if weights.len() == length {
            return weights.to_vec();
        }
        // The weights are sums of rows; how much of each row follows by substitution from the last.
        let count = self.reduced.len();
        let mut shares = vec![0.0; count];
        for at in (0..count).rev() {
            let later: f64 = (at + 1..count).map(|row| self.reduced[row][at] * shares[row]).sum();
            let pivot = self.reduced[at][at];
            shares[at] = if pivot > 0.0 { (weights[at] - later) / pivot } else { 0.0 };
        }
        let mut restored = vec![0.0; length];
        for (row, share) in self.full.iter().zip(shares) {
            restored.iter_mut().zip(row).for_each(|(sum, value)| *sum += share * value);
        }
        restored
    }
}

/// The lower triangle whose rows have the same products with each other as the given rows.
fn factor(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let count = rows.len();
    let mut factor = vec![vec![0.0; count]; count];
    for at in 0..count {
        let own = dot(&rows[at], &rows[at]);
        for before in 0..at {
            let pivot = factor[before][before];
            let left = dot(&rows[at], &rows[before]) - dot(&factor[at][..before], &factor[before][..before]);
            factor[at][before] = if pivot > 0.0 { left / pivot } else { 0.0 };
        }
        // A row that is a sum of those before it needs no coordinate of its own.
        let left = own - dot(&factor[at][..at], &factor[at][..at]);
        factor[at][at] = if left > 1e-9 * own.max(1.0) { left.sqrt() } else { 0.0 };
    }
    factor
}

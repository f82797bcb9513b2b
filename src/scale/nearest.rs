//! Finds the nearest centroid of each row. A fast matrix product gives the centroids that could be nearest within its worst
//! error; if there are several, f64 sums in a fixed order decide, and on a tie the lower index wins. So the result is the
//! same on every processor and for every division of the rows, however rough the product is.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::RowError;
use super::exact::{squared_distance, squared_norm};
use super::features::prepare;
use kernels::{Activation, Cpu, Engine, Linear, Precision, Scratch};

/// Scores per product (rows × centroids), one megabyte.
const SCORES: usize = 1 << 18;
const LANES: usize = 16;

#[derive(Debug)]
pub struct Centroids {
    pub dim: usize,
    /// The centroids one after the other.
    pub values: Vec<f32>,
}

/// Centroids, packed for comparison with rows.
#[derive(Debug)]
pub struct Nearest {
    centroids: Centroids,
    longest: f64,
    /// The products, fastest first; one that leaves too many rows undecided is abandoned.
    products: Vec<Product>,
    tally: [Tally; 2],
}

#[derive(Debug)]
struct Product {
    linear: Linear,
    /// The error of `x · c` relative to |x| |c|.
    error: f64,
}

#[derive(Debug, Default)]
struct Tally {
    rows: AtomicU64,
    compared: AtomicU64,
}

/// The scratch memory of a thread.
#[derive(Debug)]
pub struct NearestScratch {
    scores: Vec<f32>,
    scratch: Scratch,
}

impl Default for NearestScratch {
    fn default() -> Self {
        Self { scores: Vec::new(), scratch: Scratch::new(1) }
    }
}

impl Centroids {
    pub fn new(dim: usize, values: Vec<f32>) -> Self {
        debug_assert!(dim > 0 && values.len().is_multiple_of(dim));
        Self { dim, values }
    }

    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn row(&self, cluster: usize) -> &[f32] {
        &self.values[cluster * self.dim..][..self.dim]
    }

    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.dim)
    }
}

impl Nearest {
    pub fn new(centroids: Centroids) -> Self {
        Self::on(Cpu::chosen().unwrap_or_else(|_| Cpu::best()), centroids)
    }

    pub(super) fn on(cpu: Cpu, centroids: Centroids) -> Self {
        let longest = centroids.rows().map(squared_norm).fold(0.0, f64::max).sqrt();
        let precisions: &[Precision] =
            if cpu == Cpu::Amx { &[Precision::Fast, Precision::Full] } else { &[Precision::Full] };
        let products = precisions.iter().map(|&precision| Product::new(Engine { cpu, precision }, &centroids));
        Self { longest, products: products.collect(), tally: <[Tally; 2]>::default(), centroids }
    }

    pub fn centroids(&self) -> &Centroids {
        &self.centroids
    }

    pub fn into_centroids(self) -> Centroids {
        self.centroids
    }

    /// Calls `each(row, cluster)` with each row's nearest centroid. `norms` are the squared lengths of the rows.
    pub fn assign(
        &self,
        rows: &[f32],
        norms: &[f64],
        nearest_scratch: &mut NearestScratch,
        mut each: impl FnMut(usize, usize),
    ) {
        let (dim, clusters) = (self.centroids.dim, self.centroids.len());
        let chunk = (SCORES / clusters).max(16);
        for (number, (rows, norms)) in rows.chunks(chunk * dim).zip(norms.chunks(chunk)).enumerate() {
            let which = self.product();
            let product = &self.products[which];
            nearest_scratch.scores.resize(norms.len() * clusters, 0.0);
            product.linear.apply(rows, &mut nearest_scratch.scores, Activation::Identity, &mut nearest_scratch.scratch);
            let mut compared = 0;
            let scores = nearest_scratch.scores.chunks_exact(clusters);
            for (row, ((values, scores), norm)) in rows.chunks_exact(dim).zip(scores).zip(norms).enumerate() {
                let window = 2.0 * product.worst_error(norm.sqrt(), self.longest, dim);
                let cluster = self.decide(values, scores, window as f32, &mut compared);
                each(number * chunk + row, cluster);
            }
            self.tally[which].rows.fetch_add(norms.len() as u64, Ordering::Relaxed);
            self.tally[which].compared.fetch_add(compared, Ordering::Relaxed);
        }
    }

    /// The nearest centroid of one row, and its distance.
    pub fn one(
        &self,
        mut row: Vec<f32>,
        normalize: bool,
        nearest_scratch: &mut NearestScratch,
    ) -> Result<(usize, f64), RowError> {
        let norm = prepare(&mut row, normalize)?;
        let mut nearest = 0;
        self.assign(&row, &[norm], nearest_scratch, |_, cluster| nearest = cluster);
        Ok((nearest, squared_distance(&row, self.centroids.row(nearest)).sqrt()))
    }

    /// The nearest centroid of each row.
    pub fn parts(&self, rows: &[f32], norms: &[f64], nearest_scratch: &mut NearestScratch) -> Vec<usize> {
        let mut parts = vec![0; norms.len()];
        self.assign(rows, norms, nearest_scratch, |row, part| parts[row] = part);
        parts
    }

    /// Calls `each(row, centroid)` for all pairs whose product may reach `least`, in the order of rows; the caller decides
    /// exactly.
    pub fn close(
        &self,
        rows: &[f32],
        norms: &[f64],
        least: f64,
        nearest_scratch: &mut NearestScratch,
        mut each: impl FnMut(usize, usize),
    ) {
        let (dim, centroids) = (self.centroids.dim, self.centroids.len());
        let Some(product) = self.products.last() else { return };
        let lengths: Vec<f64> = self.centroids.rows().map(squared_norm).collect();
        let chunk = (SCORES / centroids).max(16);
        for (number, (rows, norms)) in rows.chunks(chunk * dim).zip(norms.chunks(chunk)).enumerate() {
            nearest_scratch.scores.resize(norms.len() * centroids, 0.0);
            product.linear.apply(rows, &mut nearest_scratch.scores, Activation::Identity, &mut nearest_scratch.scratch);
            for (row, (scores, norm)) in nearest_scratch.scores.chunks_exact(centroids).zip(norms).enumerate() {
                // A score is |c|² − 2 x·c.
                let most = 2.0 * (product.worst_error(norm.sqrt(), self.longest, dim) - least);
                for (centroid, (score, length)) in scores.iter().zip(&lengths).enumerate() {
                    if f64::from(*score) <= length + most || score.is_nan() {
                        each(number * chunk + row, centroid);
                    }
                }
            }
        }
    }

    /// The first product whose rows have so far needed fewer exact comparisons than a more precise product would cost. The
    /// choice affects only speed.
    fn product(&self) -> usize {
        let settles = |tally: &Tally| {
            let (rows, compared) = (tally.rows.load(Ordering::Relaxed), tally.compared.load(Ordering::Relaxed));
            rows < 1024 || compared * 200 < rows * self.centroids.len() as u64
        };
        let last = self.products.len() - 1;
        self.tally[..last].iter().position(settles).unwrap_or(last)
    }

    /// The number of rows, and of exact distances computed for undecided ones.
    pub fn compared(&self) -> (u64, u64) {
        let sum = |of: fn(&Tally) -> &AtomicU64| self.tally.iter().map(|t| of(t).load(Ordering::Relaxed)).sum();
        (sum(|t| &t.rows), sum(|t| &t.compared))
    }

    fn decide(&self, row: &[f32], scores: &[f32], window: f32, compared: &mut u64) -> usize {
        let best = smallest(scores);
        // An infinite window also leaves everything undecided.
        let limit = if best.is_finite() { best + window } else { f32::INFINITY };
        let mut open = Open::default();
        for (start, scores) in scores.chunks(LANES).enumerate() {
            if scores.iter().fold(false, |any, &score| any | is_open(score, limit)) {
                for (lane, &score) in scores.iter().enumerate() {
                    if is_open(score, limit) {
                        open.add(start * LANES + lane, |cluster| squared_distance(row, self.centroids.row(cluster)));
                    }
                }
            }
        }
        *compared += open.compared;
        open.cluster
    }
}

/// The nearest candidate so far. The first one needs no distance until a second arrives.
#[derive(Default)]
struct Open {
    cluster: usize,
    told: u64,
    compared: u64,
    nearest: f64,
}

impl Open {
    fn add(&mut self, cluster: usize, distance: impl Fn(usize) -> f64) {
        if self.told == 0 {
            self.cluster = cluster;
        } else {
            if self.told == 1 {
                self.nearest = distance(self.cluster);
                self.compared += 1;
            }
            let distance = distance(cluster);
            self.compared += 1;
            if distance < self.nearest {
                (self.nearest, self.cluster) = (distance, cluster);
            }
        }
        self.told += 1;
    }
}

/// NaN leaves everything undecided.
fn is_open(score: f32, limit: f32) -> bool {
    score <= limit || score.is_nan()
}

fn smallest(scores: &[f32]) -> f32 {
    let mut lanes = [f32::INFINITY; LANES];
    let (chunks, rest) = scores.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &score) in lanes.iter_mut().zip(chunk) {
            *lane = if score < *lane { score } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::INFINITY, |best, &score| if score < best { score } else { best })
}

impl Product {
    /// Scores are |c|² − 2 x·c, the squared distance without |x|², which is the same for all centroids.
    fn new(engine: Engine, centroids: &Centroids) -> Self {
        let weights: Vec<f32> = centroids.values.iter().map(|c| -2.0 * c).collect();
        let bias: Vec<f32> = centroids.rows().map(|c| squared_norm(c) as f32).collect();
        Self { linear: Linear::new(engine, &weights, &bias), error: share(engine, centroids.dim) }
    }

    /// Scores that differ by more than twice this are in the right order.
    fn worst_error(&self, row: f64, longest: f64, dim: usize) -> f64 {
        let product = 2.0 * row * longest;
        // Rounding of the bias, of the last addition, and of the limit.
        let ends = f64::from(f32::EPSILON) * 2.0 * (longest * longest + product);
        // Numbers too small for the kernel are flushed to zero.
        let vanishing = (dim as f64 + 16.0) * 2f64.powi(-119) * (1.0 + row + longest);
        self.error * product + ends + vanishing
    }
}

/// The worst error of a product of `dim` pairs, relative to the product of the lengths, which bounds the sum of absolute
/// pairs by Cauchy–Schwarz. Sums in f32, in any order and fused or not, err by less than `(dim + 16) u`; doubled to be safe.
pub(super) fn share(engine: Engine, dim: usize) -> f64 {
    let sums = (dim as f64 + 16.0) * f64::from(f32::EPSILON);
    match (engine.cpu, engine.precision) {
        // Both factors are rounded to eight bits, with an error of at most 2⁻⁸.
        (Cpu::Amx, Precision::Fast) => 2.05 * 2f64.powi(-8) + sums,
        // Factors are split into two parts of eight bits; the products of the low parts and the remainders are dropped.
        (Cpu::Amx, Precision::Full) => 4.0 * 2f64.powi(-16) + 3.0 * sums,
        _ => sums,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nearest centroid by brute force in f64, the lower index on a tie.
    fn tried(row: &[f32], centroids: &Centroids) -> usize {
        let distances: Vec<f64> = centroids.rows().map(|c| squared_distance(row, c)).collect();
        (0..distances.len()).fold(0, |best, i| if distances[i] < distances[best] { i } else { best })
    }

    fn wave(len: usize, step: f32, height: f32) -> Vec<f32> {
        (0..len).map(|i| ((i as f32 * step).sin() + (i as f32 * step * 0.37).cos()) * height).collect()
    }

    fn assigned(cpu: Cpu, rows: &[f32], dim: usize, centroids: &[f32], chunk: usize) -> Vec<usize> {
        let nearest = Nearest::on(cpu, Centroids::new(dim, centroids.to_vec()));
        let mut clusters = Vec::new();
        for rows in rows.chunks(chunk * dim) {
            let norms: Vec<f64> = rows.chunks_exact(dim).map(squared_norm).collect();
            nearest.assign(rows, &norms, &mut NearestScratch::default(), |_, cluster| clusters.push(cluster));
        }
        clusters
    }

    #[test]
    fn every_path_and_every_cut_of_the_rows_gives_the_centroid_that_trying_all_gives() {
        for (dim, clusters, height) in [(1, 3, 1.0), (7, 20, 1e-3), (64, 33, 50.0), (100, 130, 1.0)] {
            let rows = wave(300 * dim, 0.731, height);
            let centroids = wave(clusters * dim, 0.417, height);
            let all = Centroids::new(dim, centroids.clone());
            let expected: Vec<_> = rows.chunks_exact(dim).map(|row| tried(row, &all)).collect();
            for cpu in Cpu::available() {
                for chunk in [1, 7, 300] {
                    assert_eq!(assigned(cpu, &rows, dim, &centroids, chunk), expected, "{cpu}, {dim} numbers, {chunk}");
                }
            }
        }
    }

    #[test]
    fn near_ties_that_f32_cannot_tell_apart_are_told_apart() {
        let dim = 200;
        let centre = wave(dim, 0.9, 3.0);
        // Centroids that differ in the last bit of one coordinate.
        let centroids: Vec<f32> = (0..40)
            .flat_map(|i| {
                let mut centroid = centre.clone();
                centroid[i] = f32::from_bits(centroid[i].to_bits() + 1 + (i as u32 % 3));
                centroid
            })
            .collect();
        let all = Centroids::new(dim, centroids.clone());
        let rows: Vec<f32> = all.rows().rev().flatten().copied().collect();
        let expected: Vec<_> = rows.chunks_exact(dim).map(|row| tried(row, &all)).collect();
        assert_eq!(expected[0], 39);
        for cpu in Cpu::available() {
            assert_eq!(assigned(cpu, &rows, dim, &centroids, 40), expected, "{cpu}");
        }
    }

    #[test]
    fn equal_centroids_give_the_lower_index_and_enormous_numbers_still_an_answer() {
        let row = [3.0f32, 4.0];
        let centroids = [0.0, 0.0, 3.0, 4.0, 3.0, 4.0];
        let huge = [1e30f32, -1e30, 2e30, -2e30];
        let tiny = [1e-30f32, 0.0, 3e-30, 0.0];
        for cpu in Cpu::available() {
            assert_eq!(assigned(cpu, &row, 2, &centroids, 1), [1], "{cpu}");
            assert_eq!(assigned(cpu, &[1.9e30, -1.9e30], 2, &huge, 1), [1], "{cpu}");
            assert_eq!(assigned(cpu, &[2.5e-30, 0.0], 2, &tiny, 1), [1], "{cpu}");
        }
    }
}

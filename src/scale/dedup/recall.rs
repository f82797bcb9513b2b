//! Estimates the recall of the clusters: some rows are compared with all rows.

use super::Options;
use super::part::margin;
use crate::error::ScaleError;
use crate::nearest::{Nearest, NearestScratch};
use crate::sampling::{Drawn, Smallest, lot, mixed, share};
use crate::scan_pool::ScanPool;
use crate::source::Group;
use crate::step::cosine;
use kernels::{Activation, Cpu, Engine, Linear, Precision, Scratch};

/// Pairs of a sampled row and any other row that reach the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recall {
    pub sampled: usize,
    pub pairs: u64,
    /// Those whose rows were in the same part and so were compared.
    pub found: u64,
}

impl Recall {
    /// The recall; `None` if the sample has no duplicates.
    pub fn share(self) -> Option<f64> {
        (self.pairs > 0).then(|| self.found as f64 / self.pairs as f64)
    }
}

pub fn estimate(
    scan_pool: &ScanPool,
    groups: &[Group],
    deals: &[Nearest],
    options: &Options,
) -> Result<Recall, ScaleError> {
    let dim = scan_pool.source.dim;
    let drawn = draw(scan_pool, groups, &deals[0], options)?;
    let weights: Vec<f32> = drawn.iter().flat_map(|drawn| drawn.row.iter().copied()).collect();
    let norms: Vec<f64> = drawn.iter().map(|drawn| drawn.row.iter().map(|x| f64::from(*x).powi(2)).sum()).collect();
    let parts_of_drawn = parts(deals, &weights, &norms, &mut NearestScratch::default());
    let engine = Engine { cpu: Cpu::chosen().unwrap_or_else(|_| Cpu::best()), precision: Precision::Full };
    let sample = Linear::new(engine, &weights, &vec![0.0; drawn.len()]);
    let limit = (options.similarity - margin(engine, dim)) as f32;
    let states = scan_pool.scan(
        groups,
        || ((0u64, 0u64), NearestScratch::default(), Scratch::new(1), Vec::new()),
        |((pairs, found), nearest_scratch, scratch, products), batch| {
            products.resize(batch.norms.len() * drawn.len(), 0.0f32);
            sample.apply(&batch.values, products, Activation::Identity, scratch);
            let parts = parts(deals, &batch.values, &batch.norms, nearest_scratch);
            for (row, products) in products.chunks_exact(drawn.len()).enumerate() {
                for (other, (product, drawn)) in products.iter().zip(&drawn).enumerate() {
                    let values = &batch.values[row * dim..][..dim];
                    if *product >= limit && cosine(values, &drawn.row) >= options.similarity {
                        *pairs += 1;
                        let met =
                            parts.iter().zip(&parts_of_drawn).any(|(part, of_drawn)| part[row] == of_drawn[other]);
                        *found += u64::from(met);
                    }
                }
            }
            Ok(())
        },
    )?;
    let (pairs, found) = states.iter().fold((0, 0), |(pairs, found), (own, ..)| (pairs + own.0, found + own.1));
    // Each sampled row has been compared with itself.
    let itself = drawn.len() as u64;
    Ok(Recall { sampled: drawn.len(), pairs: pairs - itself.min(pairs), found: found - itself.min(found) })
}

/// The part of each row in each of the two divisions.
fn parts(deals: &[Nearest], rows: &[f32], norms: &[f64], nearest_scratch: &mut NearestScratch) -> Vec<Vec<usize>> {
    let part_of_each = |nearest: &Nearest| {
        let mut parts = vec![0; norms.len()];
        nearest.assign(rows, norms, nearest_scratch, |row, part| parts[row] = part);
        parts
    };
    deals.iter().map(part_of_each).collect()
}

fn draw(
    scan_pool: &ScanPool,
    groups: &[Group],
    nearest: &Nearest,
    options: &Options,
) -> Result<Vec<Drawn>, ScaleError> {
    let dim = scan_pool.source.dim;
    let seed = mixed(options.seed ^ 0x7265_6361_6c6c);
    let states = scan_pool.scan(
        groups,
        || (Smallest::new(options.sample), NearestScratch::default()),
        |(drawn, nearest_scratch), batch| {
            nearest.assign(&batch.values, &batch.norms, nearest_scratch, |row, cluster| {
                let row = &batch.values[row * dim..][..dim];
                drawn.offer(share(lot(seed, row)), row, cluster);
            });
            Ok(())
        },
    )?;
    let mut all = Smallest::new(options.sample);
    for (drawn, _) in states {
        all.merge(drawn);
    }
    Ok(all.into_rows())
}

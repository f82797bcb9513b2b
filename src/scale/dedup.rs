//! Semantic de-duplication: k-means divides the rows into parts, and inside a part a row is a duplicate if its cosine
//! similarity to a kept row reaches the threshold. The result is a list; nothing is deleted.
//!
//! Borders between parts separate pairs, so the kept rows are divided a second time with other borders.
//!
//! During the comparison the rows are on disk, part by part; memory holds one part per thread.

mod division;
mod local;
mod part;
mod parts;
mod recall;
mod removal_state;
mod spill;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::error::ScaleError;
use super::nearest::Nearest;
use super::pass::Engine;
use super::source::{Group, Source};
pub use division::{Division, StoredDivision};
use local::Local;
pub use part::Rows;
pub use recall::Recall;
use removal_state::RemovalState;

const DEALS: u64 = 2;

/// The row of a set of duplicates that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Keep {
    /// The one with the highest score.
    Best,
    /// The one farthest from the centre of its cluster, the least typical.
    Farthest,
    /// The one nearest to the centre.
    Nearest,
    /// The first in the order of the data.
    First,
}

#[derive(Debug, Clone)]
pub struct Options {
    /// The number of clusters; `None` for one per one to two thousand rows.
    pub clusters: Option<usize>,
    pub rules: Rules,
    pub seed: u64,
    pub threads: usize,
    /// Memory for the rows being compared, for all threads together.
    pub memory: usize,
    /// The folder for rows during the comparison.
    pub spill: PathBuf,
    /// The number of rows that are compared with all others, to estimate what the clusters missed; 0 for none.
    pub sample: usize,
}

/// What is a duplicate, and what is kept.
#[derive(Debug, Clone)]
pub struct Rules {
    /// A row is a duplicate if its cosine similarity to a kept row is at least this.
    pub similarity: f64,
    pub keep: Keep,
    /// A score for each row in the order of the data, for [`Keep::Best`]; rows without one are removed first.
    pub scores: Vec<Option<f32>>,
}

/// An engine that compares the rows of each part of a division.
pub trait DedupEngine: Engine {
    fn duplicates(&self, division: &Division<'_>, groups: &[Group]) -> Result<Vec<Removed>, ScaleError>;
}

/// A removed row: the duplicate of a kept row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Removed {
    /// The row number in the order of the data.
    pub row: u64,
    pub duplicate_of: u64,
    pub cosine: f64,
}

#[derive(Debug)]
pub struct Duplicates {
    /// In the order of the data.
    pub removed: Vec<Removed>,
    pub rows: u64,
    pub clusters: usize,
    /// The number of clusters that had to be split to fit into memory.
    pub split: usize,
    /// The number of clusters of nearly equal rows that could not be split and were compared in pieces.
    pub cut: usize,
    pub recall: Option<Recall>,
}

/// De-duplicates on the threads of this machine.
pub fn dedup(source: &Source, options: &Options, stop: &AtomicBool) -> Result<Duplicates, ScaleError> {
    dedup_on(&Local::new(source, options, stop)?, options)
}

pub fn dedup_on(engine: &dyn DedupEngine, options: &Options) -> Result<Duplicates, ScaleError> {
    let source = engine.source();
    let groups = source.groups();
    let limit = part::rows_within(options.memory / options.threads.max(1), source.dim);
    let mut removal_state = None;
    let mut removed: Vec<Removed> = Vec::new();
    let mut deals = Vec::new();
    let (mut split, mut cut) = (0, 0);
    for deal in 0..DEALS {
        let dealt = parts::deal(engine, &groups, options, options.seed.wrapping_add(deal), limit)?;
        let nearest = Nearest::new(dealt.centroids);
        // All rows have been read by now, so their number is known to be right.
        let removal_state = removal_state.get_or_insert_with(|| RemovalState::new(source.rows));
        let (sizes, rules) = (&dealt.sizes, &options.rules);
        let division = Division { nearest: &nearest, sizes, limit, rules, removal_state };
        let found = engine.duplicates(&division, &groups)?;
        found.iter().for_each(|removed| removal_state.remove(removed));
        removed.extend(found);
        if deal == 0 {
            split = dealt.split;
            cut = dealt.sizes.iter().filter(|size| **size > limit as u64).count();
        }
        deals.push(nearest);
        if deals[0].centroids().len() == 1 {
            break;
        }
    }
    removed.sort_by_key(|removed| removed.row);
    let recall = (options.sample > 0).then(|| recall::estimate(engine, &groups, &deals, options)).transpose()?;
    let clusters = deals[0].centroids().len();
    Ok(Duplicates { removed, rows: source.rows, clusters, split, cut, recall })
}

//! The cluster as an engine: passes are sent as queries and outputs are merged.

use std::path::Path;

use datafusion::arrow::array::{AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, UInt32Type, UInt64Type};

use super::client::Client;
use super::plan;
use super::stored::BAD_ROW;
use super::tasks::divide;
use crate::dedup::{DedupEngine, Division, Removed};
use crate::error::ScaleError;
use crate::features::Reading;
use crate::files;
use crate::nearest::Nearest;
use crate::output::Output;
use crate::pass::{Engine, Pass, Step, StoredPass};
use crate::scan_pool::ScanPool;
use crate::source::{Group, Source};

/// Bytes of sums that one task merges; more are divided by cluster.
const MERGED_AT_ONCE: usize = 8 << 20;
/// Maximum tasks that merge sums.
const MERGING_TASKS: usize = 64;
/// Tasks that compare rows: enough for all executors to have some, and few enough that every reader can hand rows to each.
const COMPARING_TASKS: std::ops::RangeInclusive<u64> = 16..=4096;

/// An engine that runs on the machines of a cluster.
#[allow(missing_debug_implementations, reason = "its client has none")]
pub struct Cluster<'a> {
    source: &'a Source,
    normalize: bool,
    client: Client<'a>,
    pool: rayon::ThreadPool,
}

impl<'a> Cluster<'a> {
    pub fn new(source: &'a Source, normalize: bool, threads: usize, client: Client<'a>) -> Result<Self, ScaleError> {
        let pool = base::threads::pool(threads);
        let pool = pool.map_err(|error| ScaleError::Threads { cause: error.to_string() })?;
        Ok(Self { source, normalize, client, pool })
    }

    /// Enough tasks to balance the load and to lose one cheaply, and few enough that transferring their sums costs little
    /// beside reading their rows.
    fn task_rows(&self, clusters: usize) -> u64 {
        let least = (20 * clusters as u64).max(1 << 14);
        self.client.options.task_rows.unwrap_or_else(|| (self.source.rows / 256).clamp(least, least.max(1 << 20)))
    }

    /// Stores what executors need as a file on shared storage until `work`, which is given its name, has ended.
    fn with_stored<T>(
        &self,
        kind: &str,
        bytes: &[u8],
        work: impl FnOnce(&str) -> Result<T, ScaleError>,
    ) -> Result<T, ScaleError> {
        let share = self.client.options.share.trim_end_matches('/');
        let name = format!("{share}/{kind}-{}.bin", &blake3::hash(bytes).to_hex()[..32]);
        files::write(Path::new(&name), bytes)?;
        let done = work(&name);
        files::remove(Path::new(&name));
        done
    }

    /// Runs the stored pass `name` over some groups.
    fn output(&self, pass: &Pass<&Nearest>, name: &str, groups: &[Group]) -> Result<Output, ScaleError> {
        let clusters = pass.nearest().map_or(1, |nearest| nearest.centroids().len());
        let pieces = match pass {
            Pass::Step(Step { .. }) => {
                (clusters * self.source.dim * 8).div_ceil(MERGED_AT_ONCE).clamp(1, MERGING_TASKS)
            }
            _ => 1,
        };
        let tasks = divide(self.source, groups, self.task_rows(clusters));
        let output = self.client.run(
            async || plan::pass(name, pieces, &tasks).await,
            None,
            |batches| {
                let mut whole = pass.begin(self.source.dim);
                batches.iter().try_for_each(|batch| merge(&mut whole, pieces, batch)).map(|()| whole)
            },
        )?;
        let expected: u64 = groups.iter().map(|group| group.rows).sum();
        if output.rows() != expected {
            let cause = format!(
                "the executors saw {} rows where this machine sees {expected}: the paths do not hold the same files \
                 on every machine",
                output.rows()
            );
            return Err(ScaleError::Engine { cause });
        }
        Ok(output)
    }

    /// Finds the row that caused an error: halves the set of files, then reads the last one itself.
    fn find(&self, pass: &Pass<&Nearest>, name: &str, groups: &[Group], error: ScaleError) -> ScaleError {
        let mut left = groups;
        while let (Some(first), Some(last)) = (left.first(), left.last())
            && first.file != last.file
        {
            let middle = left[left.len() / 2].file;
            let cut = left.partition_point(|group| group.file < middle.max(first.file + 1));
            let (before, behind) = left.split_at(cut);
            left = match self.output(pass, name, before) {
                Err(ScaleError::Engine { cause }) if cause.contains(BAD_ROW) => before,
                _ => behind,
            };
        }
        let reading = Reading { ids: false, normalize: self.normalize, batch_rows: Reading::rows_for(self.source.dim) };
        let threads = self.pool.current_num_threads();
        let looked = ScanPool::new(self.source, reading, threads, self.client.stop)
            .and_then(|scan_pool| scan_pool.run(pass, left));
        looked.err().unwrap_or(error)
    }
}

impl Engine for Cluster<'_> {
    fn source(&self) -> &Source {
        self.source
    }

    fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    fn run(&self, pass: &Pass<&Nearest>, groups: &[Group]) -> Result<Output, ScaleError> {
        let bytes = StoredPass::write(pass, self.source.dim, self.normalize);
        self.with_stored("pass", &bytes, |name| {
            self.output(pass, name, groups).map_err(|error| match &error {
                ScaleError::Engine { cause } if cause.contains(BAD_ROW) => self.find(pass, name, groups, error),
                _ => error,
            })
        })
    }
}

impl DedupEngine for Cluster<'_> {
    fn duplicates(&self, division: &Division<'_>, groups: &[Group]) -> Result<Vec<Removed>, ScaleError> {
        let parts = division.nearest.centroids().len();
        // A task holds the rows of some parts, on average half of what may be compared at once.
        let partitions = self.source.rows.div_ceil((division.limit as u64 / 2).max(1));
        let partitions = partitions.clamp(*COMPARING_TASKS.start(), *COMPARING_TASKS.end()).min(parts as u64) as usize;
        let tasks = divide(self.source, groups, self.task_rows(1));
        self.with_stored("division", &division.to_bytes(), |name| {
            self.client.run(
                async || plan::duplicates(name, partitions, &tasks),
                None,
                |batches| {
                    let mut removed = Vec::new();
                    batches.iter().try_for_each(|batch| take(&mut removed, self.source.rows, batch)).map(|()| removed)
                },
            )
        })
    }
}

fn damaged() -> ScaleError {
    ScaleError::Engine { cause: "an executor sent a damaged answer".into() }
}

fn merge(whole: &mut Output, pieces: usize, batch: &RecordBatch) -> Result<(), ScaleError> {
    let numbers = batch.column(0).as_primitive_opt::<UInt32Type>().ok_or_else(damaged)?;
    let outputs = batch.column(1).as_binary_opt::<i64>().ok_or_else(damaged)?;
    for (piece, bytes) in numbers.iter().zip(outputs) {
        let (Some(piece), Some(output)) = (piece, bytes.and_then(Output::from_bytes)) else { return Err(damaged()) };
        if !whole.merge_piece(piece as usize, pieces, output) {
            return Err(damaged());
        }
    }
    Ok(())
}

fn take(removed: &mut Vec<Removed>, rows: u64, batch: &RecordBatch) -> Result<(), ScaleError> {
    let numbers = |column: usize| batch.column(column).as_primitive_opt::<UInt64Type>().ok_or_else(damaged);
    let (of, duplicate_of) = (numbers(0)?, numbers(1)?);
    let cosines = batch.column(2).as_primitive_opt::<Float64Type>().ok_or_else(damaged)?;
    for at in 0..batch.num_rows() {
        let (row, duplicate_of, cosine) = (of.value(at), duplicate_of.value(at), cosines.value(at));
        if row >= rows || duplicate_of >= rows {
            return Err(damaged());
        }
        removed.push(Removed { row, duplicate_of, cosine });
    }
    Ok(())
}

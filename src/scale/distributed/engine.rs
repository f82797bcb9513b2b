//! The cluster as an engine: passes are sent as queries and outputs are merged.

use std::path::Path;

use datafusion::arrow::array::{Array as _, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, UInt32Type};

use super::client::Client;
use super::functions::BAD_ROW;
use super::plan::{self, Table};
use crate::error::ScaleError;
use crate::features::Reading;
use crate::files;
use crate::nearest::Nearest;
use crate::pass::{AnyPass, Engine, Pass, PassOutput as _, Sample, SampledRows, Step, StoredPass};
use crate::scan_pool::ScanPool;
use crate::source::{Group, Source};
use crate::step::{Partial, Scale};

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

    /// Runs the stored pass `name` over some groups.
    fn output<P: Remote>(&self, pass: &P, name: &str, groups: &[Group]) -> Result<P::Output, ScaleError> {
        let dim = self.source.dim;
        let clusters = pass.stored().nearest().map_or(1, |nearest| nearest.centroids().len());
        let mut whole = pass.begin(dim);
        for table in plan::tables(self.source, groups, self.task_rows(clusters))? {
            whole.merge(pass.ask(&self.client, &table, name, dim)?);
        }
        let expected: u64 = groups.iter().map(|group| group.rows).sum();
        if whole.rows() != expected {
            let cause = format!(
                "the executors saw {} rows where this machine sees {expected}: the paths do not hold the same files \
                 on every machine",
                whole.rows()
            );
            return Err(ScaleError::Engine { cause });
        }
        Ok(whole)
    }

    /// Stores a pass, runs it, and removes it.
    fn run<P: Remote>(&self, pass: &P, groups: &[Group]) -> Result<P::Output, ScaleError> {
        let bytes = StoredPass::write(pass.stored(), self.source.dim, self.normalize);
        let share = self.client.options.share.trim_end_matches('/');
        let name = format!("{share}/pass-{}.bin", &blake3::hash(&bytes).to_hex()[..32]);
        files::write(Path::new(&name), &bytes)?;
        let output = self.output(pass, &name, groups).map_err(|error| match &error {
            ScaleError::Engine { cause } if cause.contains(BAD_ROW) => self.find(pass, &name, groups, error),
            _ => error,
        });
        files::remove(Path::new(&name));
        output
    }

    /// Finds the row that caused an error: halves the set of files, then reads the last one itself.
    fn find<P: Remote>(&self, pass: &P, name: &str, groups: &[Group], error: ScaleError) -> ScaleError {
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

    fn sample(&self, sample: &Sample<&Nearest>, groups: &[Group]) -> Result<SampledRows, ScaleError> {
        self.run(sample, groups)
    }

    fn step(&self, nearest: &Nearest, scale: Scale, groups: &[Group]) -> Result<Partial, ScaleError> {
        self.run(&Step { nearest, scale }, groups)
    }
}

/// A pass that a cluster can run.
trait Remote: Pass {
    fn stored(&self) -> AnyPass<&Nearest>;

    /// Runs the stored pass `name` over a table.
    fn ask(&self, client: &Client<'_>, table: &Table, name: &str, dim: usize) -> Result<Self::Output, ScaleError>;
}

impl Remote for Sample<&Nearest> {
    fn stored(&self) -> AnyPass<&Nearest> {
        AnyPass::Sample(*self)
    }

    fn ask(&self, client: &Client<'_>, table: &Table, name: &str, dim: usize) -> Result<SampledRows, ScaleError> {
        client.run(
            async || plan::draw(table, name).await,
            None,
            |batches| {
                let wrong = || ScaleError::Engine { cause: "an executor sent a damaged sample".into() };
                let batch = batches.iter().find(|batch| batch.num_rows() > 0).ok_or_else(wrong)?;
                let column =
                    batch.column(0).as_binary_opt::<i64>().filter(|column| !column.is_null(0)).ok_or_else(wrong)?;
                SampledRows::from_bytes(column.value(0), dim).ok_or_else(wrong)
            },
        )
    }
}

impl Remote for Step<&Nearest> {
    fn stored(&self) -> AnyPass<&Nearest> {
        AnyPass::Step(*self)
    }

    fn ask(&self, client: &Client<'_>, table: &Table, name: &str, dim: usize) -> Result<Partial, ScaleError> {
        let clusters = self.nearest.centroids().len();
        client.run(
            async || plan::step(table, name, clusters, dim).await,
            None,
            |batches| {
                let mut partial = self.begin(dim);
                for batch in batches {
                    merge_sums(&mut partial, batch, clusters, dim)?;
                }
                Ok(partial)
            },
        )
    }
}

fn merge_sums(partial: &mut Partial, batch: &RecordBatch, clusters: usize, dim: usize) -> Result<(), ScaleError> {
    let wrong = || ScaleError::Engine { cause: "an executor sent damaged sums".into() };
    let ids = batch.column(0).as_primitive_opt::<UInt32Type>().ok_or_else(wrong)?;
    let sums = batch.column(1).as_list_opt::<i32>().ok_or_else(wrong)?;
    for row in 0..batch.num_rows() {
        let (cluster, words) = (ids.value(row) as usize, sums.value(row));
        let words = words.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?.values();
        if cluster >= clusters || words.len() != Partial::width(dim) {
            return Err(wrong());
        }
        partial.merge_words(cluster, words);
    }
    Ok(())
}

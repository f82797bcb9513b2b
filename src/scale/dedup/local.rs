//! Compares the rows of each part on the threads of this machine. Until then they are on disk.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::spill::Spill;
use super::{DedupEngine, Division, Options, Removed};
use crate::error::ScaleError;
use crate::features::Reading;
use crate::nearest::Nearest;
use crate::output::Output;
use crate::pass::{Engine, Pass};
use crate::scan_pool::ScanPool;
use crate::source::{Group, Source};

pub struct Local<'a> {
    scan_pool: ScanPool<'a>,
    spill: PathBuf,
}

impl<'a> Local<'a> {
    pub fn new(source: &'a Source, options: &Options, stop: &'a AtomicBool) -> Result<Self, ScaleError> {
        let reading = Reading { ids: false, normalize: true, batch_rows: Reading::rows_for(source.dim) };
        let scan_pool = ScanPool::new(source, reading, options.threads, stop)?;
        Ok(Self { scan_pool, spill: options.spill.clone() })
    }
}

impl Engine for Local<'_> {
    fn source(&self) -> &Source {
        self.scan_pool.source()
    }

    fn pool(&self) -> &rayon::ThreadPool {
        self.scan_pool.pool()
    }

    fn run(&self, pass: &Pass<&Nearest>, groups: &[Group]) -> Result<Output, ScaleError> {
        self.scan_pool.run(pass, groups)
    }
}

impl DedupEngine for Local<'_> {
    fn duplicates(&self, division: &Division<'_>, groups: &[Group]) -> Result<Vec<Removed>, ScaleError> {
        let spill = Spill::write(&self.scan_pool, groups, division, &self.spill)?;
        let pieces = spill.pieces(division.limit);
        self.scan_pool.install(|| {
            let work = pieces.par_iter().with_max_len(1).map(|piece| {
                if self.scan_pool.stop.load(Ordering::Relaxed) {
                    return Err(ScaleError::Stopped);
                }
                Ok(division.duplicates_in(piece.part, &spill.read(piece)?))
            });
            let found: Vec<Vec<Removed>> = work.collect::<Result<_, _>>()?;
            Ok(found.into_iter().flatten().collect())
        })
    }
}

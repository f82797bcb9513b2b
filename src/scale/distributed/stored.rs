//! What executors need besides rows: passes and divisions, with their centroids. They are files on shared storage, named by
//! their content, so that a process reads each once and never has a stale one. Plans carry only the names.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::{DataFusionError, Result};

use super::shares::Shares;
use crate::dedup::StoredDivision;
use crate::error::{RowError, ScaleError};
use crate::files;
use crate::pass::StoredPass;

/// The prefix of the error that a client parses from the text of a failed job.
pub const BAD_ROW: &str = "albumctl: bad row: ";
/// The prefix of the error for a file that this machine does not see as it was planned.
pub const UNSEEN: &str = "albumctl: cannot read ";

/// Maximum cached files of a kind: passes of a fit follow each other, and a few clients may share an executor.
const KEPT: usize = 4;

static LOOKED_AT: (AtomicU64, AtomicU64) = (AtomicU64::new(0), AtomicU64::new(0));

/// The number of rows and of passes that this process has read.
pub fn looked_at() -> (u64, u64) {
    (LOOKED_AT.0.load(Ordering::Relaxed), LOOKED_AT.1.load(Ordering::Relaxed))
}

pub fn looked_at_more(rows: usize) {
    LOOKED_AT.0.fetch_add(rows as u64, Ordering::Relaxed);
}

/// The pass of that name, which must be in the shares.
pub fn pass(name: &str, shares: &Shares) -> Result<Arc<StoredPass>> {
    static PASSES: Mutex<Option<HashMap<String, Arc<StoredPass>>>> = Mutex::new(None);
    read(&PASSES, name, shares, StoredPass::read)
}

/// The division of that name, which must be in the shares.
pub fn division(name: &str, shares: &Shares) -> Result<Arc<StoredDivision>> {
    static DIVISIONS: Mutex<Option<HashMap<String, Arc<StoredDivision>>>> = Mutex::new(None);
    read(&DIVISIONS, name, shares, StoredDivision::read)
}

fn read<T>(
    cache: &Mutex<Option<HashMap<String, Arc<T>>>>,
    name: &str,
    shares: &Shares,
    parse: fn(&[u8]) -> Result<T, String>,
) -> Result<Arc<T>> {
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache.get_or_insert_default();
    if let Some(known) = cache.get(name) {
        return Ok(Arc::clone(known));
    }
    let path = shares.allow(Path::new(name)).map_err(DataFusionError::Execution)?;
    let bytes = files::read(&path).map_err(failed)?;
    let parsed = parse(&bytes).map_err(|cause| DataFusionError::Execution(format!("{name}: {cause}")))?;
    if cache.len() >= KEPT {
        cache.clear();
    }
    LOOKED_AT.1.fetch_add(1, Ordering::Relaxed);
    let parsed = Arc::new(parsed);
    cache.insert(name.to_owned(), Arc::clone(&parsed));
    Ok(parsed)
}

/// The engine's error. It repeats a task that failed on input or output, also on another executor; any other error ends the
/// job.
pub fn failed(error: ScaleError) -> DataFusionError {
    match error {
        ScaleError::Row { cause: cause @ RowError::Unreadable { .. }, .. } => {
            DataFusionError::IoError(io::Error::other(format!("{BAD_ROW}{cause}")))
        }
        ScaleError::Row { cause, .. } => DataFusionError::Execution(format!("{BAD_ROW}{cause}")),
        other => DataFusionError::IoError(io::Error::other(format!("{UNSEEN}{other}"))),
    }
}

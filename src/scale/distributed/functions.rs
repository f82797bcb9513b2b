//! Scalar functions of executors: the nearest centroid of a row, and embedding a list of photos to a part. Like
//! [`super::aggregates`], they call the same code as the engine of one machine.
//!
//! Besides rows they need a pass of k-means with its centroids: a file on shared storage, named by its content, so that a
//! process reads it once and never has a stale one. Queries carry only the name.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt32Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::arrays::Rows;
use super::shares::Shares;
use crate::error::RowError;
use crate::files;
use crate::nearest::NearestScratch;
use crate::pass::StoredPass;

/// The prefix of the error that a client parses from the text of a failed job.
pub const BAD_ROW: &str = "albumctl: bad row: ";
pub const NO_PASS: &str = "albumctl: cannot read the pass ";

/// Embeds the photos of a list, writes a part, and returns a summary line.
pub type EmbedPart = Arc<dyn Fn(&str) -> std::result::Result<String, String> + Send + Sync>;

/// Maximum cached passes: those of a fit follow each other, and a few fits may share an executor.
const KEPT_PASSES: usize = 4;

pub fn scalars(embed: Option<EmbedPart>, shares: &Arc<Shares>) -> Vec<ScalarUDF> {
    let two = Signature::any(2, Volatility::Immutable);
    vec![
        ScalarUDF::new_from_impl(NearestCentroid { signature: two, shares: Arc::clone(shares) }),
        ScalarUDF::new_from_impl(Embed { signature: Signature::any(1, Volatility::Volatile), embed: Work(embed) }),
    ]
}

static LOOKED_AT: (AtomicU64, AtomicU64) = (AtomicU64::new(0), AtomicU64::new(0));

/// The number of rows and of passes that this process has read.
pub fn looked_at() -> (u64, u64) {
    (LOOKED_AT.0.load(Ordering::Relaxed), LOOKED_AT.1.load(Ordering::Relaxed))
}

pub(super) fn looked_at_more(rows: usize) {
    LOOKED_AT.0.fetch_add(rows as u64, Ordering::Relaxed);
}

thread_local! {
    pub(super) static SCRATCH: RefCell<(Rows, NearestScratch)> = RefCell::default();
}

/// The pass of that name, which must be in the shares; read once.
pub(super) fn pass(name: &str, shares: &Shares) -> Result<Arc<StoredPass>> {
    static PASSES: OnceLock<Mutex<HashMap<String, Arc<StoredPass>>>> = OnceLock::new();
    let mut passes = PASSES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pass) = passes.get(name) {
        return Ok(Arc::clone(pass));
    }
    let path = shares.allow(Path::new(name)).map_err(DataFusionError::Execution)?;
    // An I/O error is retried, also on another executor; any other error ends the job.
    let bytes = files::read(&path)
        .map_err(|error| DataFusionError::IoError(std::io::Error::other(format!("{NO_PASS}{error}"))))?;
    let stored = StoredPass::read(&bytes).map_err(|cause| DataFusionError::Execution(format!("{name}: {cause}")))?;
    if passes.len() >= KEPT_PASSES {
        passes.clear();
    }
    LOOKED_AT.1.fetch_add(1, Ordering::Relaxed);
    let pass = Arc::new(stored);
    passes.insert(name.to_owned(), Arc::clone(&pass));
    Ok(pass)
}

pub(super) fn text(column: &ArrayRef) -> Result<String> {
    match ScalarValue::try_from_array(column, 0)? {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
            Ok(text)
        }
        other => exec_err!("the name of a pass is text, not {}", other.data_type()),
    }
}

pub(super) fn bad_row(cause: &RowError) -> DataFusionError {
    DataFusionError::Execution(format!("{BAD_ROW}{cause}"))
}

/// `nearest_centroid(feature, pass)`: the index of the nearest centroid of each row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NearestCentroid {
    signature: Signature,
    shares: Arc<Shares>,
}

impl ScalarUDFImpl for NearestCentroid {
    fn name(&self) -> &'static str {
        super::NEAREST
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [feature, name] = args.args.as_slice() else { return internal_err!("two arguments are taken") };
        let column = feature.to_array(args.number_rows)?;
        let pass = pass(&text(&name.to_array(1)?)?, &self.shares)?;
        let Some(nearest) = pass.pass.nearest() else { return exec_err!("a pass without centroids") };
        let mut clusters = vec![0u32; column.len()];
        looked_at_more(column.len());
        SCRATCH
            .with_borrow_mut(|(rows, nearest_scratch)| {
                rows.fill(&column, pass.dim, pass.normalize)?;
                nearest
                    .assign(&rows.values, &rows.norms, nearest_scratch, |row, cluster| clusters[row] = cluster as u32);
                Ok(())
            })
            .map_err(|cause| bad_row(&cause))?;
        Ok(ColumnarValue::Array(Arc::new(UInt32Array::from(clusters))))
    }
}

/// `embed_part(list)`: embeds photos into a part of features.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Embed {
    signature: Signature,
    embed: Work,
}

/// All values are equal: the function depends on the process alone.
struct Work(Option<EmbedPart>);

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

impl PartialEq for Work {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Work {}

impl std::hash::Hash for Work {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl ScalarUDFImpl for Embed {
    fn name(&self) -> &'static str {
        super::EMBED_PART
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Work(Some(embed)) = &self.embed else { return exec_err!("photos are embedded by executors") };
        let lists = args.args[0].to_array(args.number_rows)?;
        let lists = datafusion::arrow::compute::cast(&lists, &DataType::Utf8)?;
        let told = lists.as_string::<i32>().iter().flatten().map(|list| embed(list));
        let told = told.collect::<std::result::Result<Vec<String>, String>>().map_err(DataFusionError::Execution)?;
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(told))))
    }
}

//! The functions an executor runs where the rows lie, one by one: the nearest centroid of a row, a list of photos to a
//! part. With [`super::aggregates`] they call the very code that the threads of one machine run.
//!
//! What they need beside rows, a pass of k-means with its centroids, is a file on storage that all machines see. Its
//! name says its content, so a process reads it once and never holds a stale one; the query carries only the name.

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
use crate::pass::Stored;

/// Opens what a client reads out of the text of a failed job.
pub const BAD_ROW: &str = "albumctl: bad row: ";
pub const NO_PASS: &str = "albumctl: cannot read the pass ";

/// Embeds the photos of a list, writes them as a part, and says in a line what it came to.
pub type EmbedPart = Arc<dyn Fn(&str) -> std::result::Result<String, String> + Send + Sync>;

/// Passes of one fit follow each other; a few fits may share an executor.
const KEPT_PASSES: usize = 4;

pub fn scalars(embed: Option<EmbedPart>, shares: &Arc<Shares>) -> Vec<ScalarUDF> {
    let two = Signature::any(2, Volatility::Immutable);
    vec![
        ScalarUDF::new_from_impl(NearestCentroid { signature: two, shares: Arc::clone(shares) }),
        ScalarUDF::new_from_impl(Embed { signature: Signature::any(1, Volatility::Volatile), embed: Work(embed) }),
    ]
}

static LOOKED_AT: (AtomicU64, AtomicU64) = (AtomicU64::new(0), AtomicU64::new(0));

/// How many rows this process has looked at, and how many passes it has read.
pub fn looked_at() -> (u64, u64) {
    (LOOKED_AT.0.load(Ordering::Relaxed), LOOKED_AT.1.load(Ordering::Relaxed))
}

pub(super) fn looked_at_more(rows: usize) {
    LOOKED_AT.0.fetch_add(rows as u64, Ordering::Relaxed);
}

thread_local! {
    pub(super) static SCRATCH: RefCell<(Rows, NearestScratch)> = RefCell::default();
}

/// The pass of that name, read once, if it lies in the shares.
pub(super) fn pass(name: &str, shares: &Shares) -> Result<Arc<Stored>> {
    static PASSES: OnceLock<Mutex<HashMap<String, Arc<Stored>>>> = OnceLock::new();
    let mut passes = PASSES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pass) = passes.get(name) {
        return Ok(Arc::clone(pass));
    }
    let path = shares.allow(Path::new(name)).map_err(DataFusionError::Execution)?;
    // An I/O error is tried again, on another executor as well; anything else ends the job.
    let bytes = files::read(&path)
        .map_err(|error| DataFusionError::IoError(std::io::Error::other(format!("{NO_PASS}{error}"))))?;
    let stored = Stored::read(&bytes).map_err(|cause| DataFusionError::Execution(format!("{name}: {cause}")))?;
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
        let Some(nearest) = &pass.nearest else { return exec_err!("a pass without centroids") };
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

/// `embed_part(list)`: photos to a part of features.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Embed {
    signature: Signature,
    embed: Work,
}

/// Two of them are the same function: what it does depends on the process alone.
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

//! `embed_part(list)`: embeds a list of photos into a part of features.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray as _, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Embeds the photos of a list, writes a part, and returns a summary line.
pub type EmbedPart = Arc<dyn Fn(&str) -> std::result::Result<String, String> + Send + Sync>;

pub fn embed_part(embed: Option<EmbedPart>) -> ScalarUDF {
    ScalarUDF::new_from_impl(Embed { signature: Signature::any(1, Volatility::Volatile), embed: Work(embed) })
}

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

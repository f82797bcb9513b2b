//! `merged(output)`: the outputs of a pass for some rows, merged. They are integers or samples, so their order does not
//! matter.

use datafusion::arrow::array::{ArrayRef, AsArray as _};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use crate::output::Output;

pub fn function() -> AggregateUDF {
    AggregateUDF::new_from_impl(Merged { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Merged {
    signature: Signature,
}

impl AggregateUDFImpl for Merged {
    fn name(&self) -> &'static str {
        super::MERGED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Merging { merged: None, bytes: 0 }))
    }
}

#[derive(Debug)]
struct Merging {
    merged: Option<Output>,
    /// The largest output so far.
    bytes: usize,
}

impl Merging {
    fn state_value(&self) -> ScalarValue {
        ScalarValue::LargeBinary(self.merged.as_ref().map(Output::to_bytes))
    }
}

impl Accumulator for Merging {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(outputs) = values[0].as_binary_opt::<i64>() else { return exec_err!("outputs are bytes") };
        for bytes in outputs.iter().flatten() {
            let Some(output) = Output::from_bytes(bytes) else { return exec_err!("a damaged output of a pass") };
            self.bytes = self.bytes.max(bytes.len());
            if let Some(merged) = &mut self.merged {
                if !merged.merge(output) {
                    return exec_err!("outputs of different passes");
                }
            } else {
                self.merged = Some(output);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.state_value()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.state_value())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
}

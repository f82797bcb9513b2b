//! Our operators as bytes: JSON behind a mark. All other operators are the engine's.

use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

use super::operators::Operator;
use super::shares::Shares;

const MARK: &[u8] = b"albumctl operator\n";

/// Operators that are read may use the files in `shares`: those of an executor; none on other machines.
#[derive(Debug, Default)]
pub struct Codec {
    engine: BallistaPhysicalExtensionCodec,
    shares: Arc<Shares>,
}

impl Codec {
    pub fn new(shares: Arc<Shares>) -> Self {
        Self { engine: BallistaPhysicalExtensionCodec::default(), shares }
    }
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(own) = bytes.strip_prefix(MARK) else {
            return self.engine.try_decode(bytes, inputs, context, converter);
        };
        let work = serde_json::from_slice(own).map_err(|error| DataFusionError::External(error.into()))?;
        let [input] = inputs else { return internal_err!("an operator of albumctl has one input") };
        Ok(Arc::new(Operator::new(work, Arc::clone(input), Arc::clone(&self.shares))))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(operator) = node.downcast_ref::<Operator>() else {
            return self.engine.try_encode(node, bytes, converter);
        };
        bytes.extend_from_slice(MARK);
        serde_json::to_writer(bytes, operator.work()).map_err(|error| DataFusionError::External(error.into()))
    }
}

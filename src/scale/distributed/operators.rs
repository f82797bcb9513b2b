//! The operators of our plans: a pass over the rows of tasks, the rows themselves, and the comparison of the rows of a part.
//! They call the same code as the engine of one machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray as _, Float64Array, LargeBinaryArray, LargeBinaryBuilder, RecordBatch, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;

use super::shares::Shares;
use super::stored::{division, looked_at_more, pass};
use super::tasks::Task;
use crate::dedup::{Removed, Rows};
use crate::features::Batch;
use crate::nearest::NearestScratch;

/// Batches that wait for the next operator.
const WAITING: usize = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Runs a stored pass over the rows of tasks: `piece`, `output`.
    Pass { pass: String, pieces: usize },
    /// Reads the rows of tasks that a stored division still compares: `part`, `number`, `row`.
    Rows { division: String },
    /// Compares the rows of each part, of which a partition has all: `row`, `duplicate_of`, `cosine`.
    Duplicates { division: String },
}

#[derive(Debug)]
pub struct Operator {
    work: Work,
    /// Tasks, one in each partition, or rows. (Tasks are no part of the operator, because the scheduler hands an executor the
    /// partitions that it is to work on, and can divide its own operators only.)
    input: Arc<dyn ExecutionPlan>,
    /// Where files may be read, on an executor.
    shares: Arc<Shares>,
    properties: Arc<PlanProperties>,
}

impl Operator {
    pub fn new(work: Work, input: Arc<dyn ExecutionPlan>, shares: Arc<Shares>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(work.schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        // Batches come through a channel, which yields by itself.
        .with_scheduling_type(SchedulingType::Cooperative);
        Self { work, input, shares, properties: Arc::new(properties) }
    }

    pub fn work(&self) -> &Work {
        &self.work
    }

    /// The file that all its tasks read; what else a task reads is checked when it is opened.
    pub fn stored(&self) -> &Path {
        let (Work::Pass { pass: stored, .. } | Work::Rows { division: stored } | Work::Duplicates { division: stored }) =
            &self.work;
        Path::new(stored)
    }

    fn with_inputs(&self, inputs: &[Arc<dyn ExecutionPlan>]) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = inputs else { return internal_err!("an operator of albumctl has one input") };
        Ok(Arc::new(Self::new(self.work.clone(), Arc::clone(input), Arc::clone(&self.shares))))
    }
}

impl Work {
    fn schema(&self) -> SchemaRef {
        let fields: &[(&str, DataType)] = match self {
            Self::Pass { .. } => &[("piece", DataType::UInt32), ("output", DataType::LargeBinary)],
            Self::Rows { .. } => {
                &[("part", DataType::UInt32), ("number", DataType::UInt64), ("row", DataType::LargeBinary)]
            }
            Self::Duplicates { .. } => {
                &[("row", DataType::UInt64), ("duplicate_of", DataType::UInt64), ("cosine", DataType::Float64)]
            }
        };
        let fields = fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

impl DisplayAs for Operator {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.work {
            Work::Pass { .. } => "albumctl: pass",
            Work::Rows { .. } => "albumctl: rows",
            Work::Duplicates { .. } => "albumctl: duplicates",
        })
    }
}

impl ExecutionPlan for Operator {
    fn name(&self) -> &'static str {
        "Operator"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.with_inputs(&children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.with_inputs(&children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&schema), WAITING);
        let sending = Sending { to: stream.tx(), schema };
        let (work, shares) = (self.work.clone(), Arc::clone(&self.shares));
        let mut input = self.input.execute(partition, context)?;
        stream.spawn(async move {
            let mut parts = Parts::default();
            let mut tasks = Vec::new();
            while let Some(batch) = input.try_next().await? {
                match &work {
                    Work::Duplicates { .. } => parts.add(&batch)?,
                    Work::Pass { .. } | Work::Rows { .. } => tasks.extend(Task::of(&batch)?),
                }
            }
            let done = tokio::task::spawn_blocking(move || match &work {
                Work::Pass { pass, pieces } => run_pass(pass, *pieces, &tasks, &shares, &sending),
                Work::Rows { division } => read_rows(division, &tasks, &shares, &sending),
                Work::Duplicates { division } => compare(division, parts, &shares, &sending),
            });
            done.await.map_err(|error| DataFusionError::External(error.into()))?
        });
        Ok(stream.build())
    }
}

/// Sends batches to the next operator.
struct Sending {
    to: Sender<Result<RecordBatch>>,
    schema: SchemaRef,
}

impl Sending {
    fn send(&self, columns: Vec<ArrayRef>) -> Result<()> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.to.blocking_send(Ok(batch)).map_err(|_| DataFusionError::Execution("the job has ended".to_owned()))
    }
}

fn run_pass(name: &str, pieces: usize, tasks: &[Task], shares: &Shares, sending: &Sending) -> Result<()> {
    let stored = pass(name, shares)?;
    let mut output = stored.pass.begin(stored.dim);
    let mut scratch = NearestScratch::default();
    for task in tasks {
        task.read((stored.dim, stored.normalize), shares, |batch| {
            looked_at_more(batch.norms.len());
            stored.pass.take(&mut output, stored.dim, &batch.values, &batch.norms, &mut scratch);
            Ok(())
        })?;
    }
    for (piece, bytes) in (0..pieces).map_while(|piece| Some((piece, output.piece_to_bytes(piece, pieces)?))) {
        sending.send(vec![
            Arc::new(UInt32Array::from(vec![piece as u32])),
            Arc::new(LargeBinaryArray::from(vec![bytes.as_slice()])),
        ])?;
    }
    Ok(())
}

fn read_rows(name: &str, tasks: &[Task], shares: &Shares, sending: &Sending) -> Result<()> {
    let division = division(name, shares)?;
    let dim = division.nearest().centroids().dim;
    let mut scratch = NearestScratch::default();
    let mut send = |batch: &Batch| {
        looked_at_more(batch.norms.len());
        let first = batch.group.map_or(0, |group| group.first_row) + batch.first_row;
        let (mut parts, mut numbers, mut rows) = (Vec::new(), Vec::new(), LargeBinaryBuilder::new());
        division.nearest().assign(&batch.values, &batch.norms, &mut scratch, |row, part| {
            let number = first + row as u64;
            if !division.is_gone(number) {
                let values = &batch.values[row * dim..][..dim];
                parts.push(part as u32);
                numbers.push(number);
                rows.append_value(values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
            }
        });
        let columns: Vec<ArrayRef> =
            vec![Arc::new(UInt32Array::from(parts)), Arc::new(UInt64Array::from(numbers)), Arc::new(rows.finish())];
        sending.send(columns)
    };
    tasks.iter().try_for_each(|task| task.read((dim, true), shares, &mut send))
}

/// The rows of each part in any order: their numbers, and their values as bytes.
#[derive(Default)]
struct Parts(BTreeMap<u32, (Vec<u64>, Vec<u8>)>);

impl Parts {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = (
            batch.column(0).as_primitive_opt::<UInt32Type>(),
            batch.column(1).as_primitive_opt::<UInt64Type>(),
            batch.column(2).as_binary_opt::<i64>(),
        );
        let (Some(parts), Some(numbers), Some(rows)) = columns else {
            return internal_err!("rows of other columns than were sent");
        };
        for row in 0..parts.len() {
            let (of_part, values) = self.0.entry(parts.value(row)).or_default();
            of_part.push(numbers.value(row));
            values.extend_from_slice(rows.value(row));
        }
        Ok(())
    }
}

fn compare(name: &str, parts: Parts, shares: &Shares, sending: &Sending) -> Result<()> {
    let division = division(name, shares)?;
    let dim = division.nearest().centroids().dim;
    for (part, (numbers, bytes)) in parts.0 {
        if bytes.len() != 4 * dim * numbers.len() || part as usize >= division.nearest().centroids().len() {
            return internal_err!("rows of another division");
        }
        // Rows arrive in any order; the order of the data makes the result reproducible.
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.sort_unstable_by_key(|&row| numbers[row]);
        let row = |&row: &usize| bytes[4 * dim * row..][..4 * dim].as_chunks().0;
        let values = order.iter().flat_map(row).map(|word| f32::from_le_bytes(*word)).collect();
        let rows = Rows { dim, numbers: order.iter().map(|&row| numbers[row]).collect(), values };
        drop(bytes);
        let removed = division.duplicates_in(part as usize, &rows);
        let column = |of: fn(&Removed) -> u64| UInt64Array::from_iter_values(removed.iter().map(of));
        sending.send(vec![
            Arc::new(column(|removed| removed.row)),
            Arc::new(column(|removed| removed.duplicate_of)),
            Arc::new(Float64Array::from_iter_values(removed.iter().map(|removed| removed.cosine))),
        ])?;
    }
    Ok(())
}

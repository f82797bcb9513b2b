//! Query plans: passes over tasks, the comparison of the rows of each part, and lists of photos.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::{MemTable, TableType};
use datafusion::execution::FunctionRegistry as _;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning, expressions};
use datafusion::prelude::{SessionContext, col};

use super::operators::{Operator, Work};
use super::tasks::{self, Task};
use super::{EMBED_PART, MERGED, session, settings};

/// The outputs of a pass over tasks, as a table.
#[derive(Debug)]
struct Outputs(Arc<Operator>);

#[async_trait]
impl TableProvider for Outputs {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::<Operator>::clone(&self.0))
    }
}

/// The stored pass `pass` over tasks: its output in pieces, each merged by one task.
pub async fn pass(pass: &str, pieces: usize, tasks: &[Task]) -> Result<Arc<dyn ExecutionPlan>> {
    let work = Work::Pass { pass: pass.to_owned(), pieces };
    let outputs = Outputs(Arc::new(Operator::new(work, tasks::source(tasks)?, Arc::default())));
    let context = SessionContext::new_with_state(session(settings().with_target_partitions(pieces), None)?);
    let merged = context.state().udaf(MERGED)?.call(vec![col("output")]);
    context
        .read_table(Arc::new(outputs))?
        .aggregate(vec![col("piece")], vec![merged.alias("output")])?
        .create_physical_plan()
        .await
}

/// The comparison of the rows of each part of the stored division `division`. The engine brings together the rows of a part.
pub fn duplicates(division: &str, partitions: usize, tasks: &[Task]) -> Result<Arc<dyn ExecutionPlan>> {
    let rows = Work::Rows { division: division.to_owned() };
    let rows: Arc<dyn ExecutionPlan> = Arc::new(Operator::new(rows, tasks::source(tasks)?, Arc::default()));
    let by_part = Partitioning::Hash(vec![expressions::col("part", &rows.schema())?], partitions);
    let brought = Arc::new(RepartitionExec::try_new(rows, by_part)?);
    let compared = Work::Duplicates { division: division.to_owned() };
    Ok(Arc::new(Operator::new(compared, brought, Arc::default())))
}

/// Lists of photos to embed, one task each.
pub async fn embed(lists: &[String]) -> Result<Arc<dyn ExecutionPlan>> {
    let context = SessionContext::new_with_state(session(settings(), None)?);
    let schema = Arc::new(Schema::new(vec![Field::new("list", DataType::Utf8, false)]));
    let part = |list: &String| {
        let column = Arc::new(StringArray::from(vec![list.clone()]));
        Ok(vec![RecordBatch::try_new(Arc::clone(&schema), vec![column])?])
    };
    let parts = lists.iter().map(part).collect::<Result<Vec<_>>>()?;
    let embedded = context.state().udf(EMBED_PART)?.call(vec![col("list")]);
    let rows = context.read_table(Arc::new(MemTable::try_new(Arc::clone(&schema), parts)?))?;
    rows.select(vec![embedded.alias("told")])?.create_physical_plan().await
}

//! The plans that are allowed: those of our own operators over features in the shares, and no others.
//!
//! The scheduler checks the plans of clients, and an executor checks each of its tasks again. Functions need no check:
//! sessions know only our own. Features are checked when a task opens them.

use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::execution_plans::{ShuffleReaderExec, ShuffleWriterExec, SortShuffleWriterExec};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;

use super::operators::Operator;
use super::shares::Shares;

/// The prefix of the error for a foreign plan.
pub const FOREIGN: &str = "albumctl: foreign plan: ";

/// Checks a client's plan.
pub fn asked(plan: &dyn ExecutionPlan) -> Result<(), String> {
    computed(plan, &Shares::anywhere())?;
    plan.children().into_iter().try_for_each(|below| asked(below.as_ref()))
}

/// Checks a task of `job` for an executor: a part of an allowed plan between results of other tasks.
pub fn dealt(plan: &dyn ExecutionPlan, job: &JobId, shares: &Shares) -> Result<(), String> {
    if !is_plain(job.as_str()) {
        return Err(format!("{FOREIGN}a job of the name `{}`", job.as_str()));
    }
    if let Some(reader) = plan.downcast_ref::<ShuffleReaderExec>() {
        let foreign = reader.partition.iter().flatten().find(|place| place.partition_id.job_id != *job);
        return foreign.map_or(Ok(()), |_| Err(format!("{FOREIGN}results of another job")));
    }
    if !plan.is::<ShuffleWriterExec>() && !plan.is::<SortShuffleWriterExec>() {
        computed(plan, shares)?;
    }
    plan.children().into_iter().try_for_each(|below| dealt(below.as_ref(), job, shares))
}

/// Names of jobs become folders.
pub fn is_plain(job: &str) -> bool {
    !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Checks an operator.
fn computed(plan: &dyn ExecutionPlan, shares: &Shares) -> Result<(), String> {
    if let Some(operator) = plan.downcast_ref::<Operator>() {
        return shares.allow(operator.stored()).map(drop);
    }
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        let in_memory = scan.data_source().is::<MemorySourceConfig>();
        return if in_memory { Ok(()) } else { Err(format!("{FOREIGN}it reads files with an operator of the engine")) };
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        return projection.expr().iter().try_for_each(|column| expression(&column.expr));
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let (by, of) = (aggregate.group_expr().expr().iter(), aggregate.aggr_expr().iter());
        let mut all = by.map(|(by, _)| Arc::clone(by)).chain(of.flat_map(|of| of.expressions()));
        all.try_for_each(|column| expression(&column))?;
        let filtered = aggregate.filter_expr().iter().any(Option::is_some);
        return if filtered { Err(format!("{FOREIGN}it filters rows")) } else { Ok(()) };
    }
    if plan.is::<RepartitionExec>() || plan.is::<CoalescePartitionsExec>() {
        return Ok(());
    }
    Err(format!("{FOREIGN}no pass of albumctl has a {}", plan.name()))
}

/// Checks an expression: columns, and functions of them.
fn expression(of: &Arc<dyn PhysicalExpr>) -> Result<(), String> {
    if !of.is::<Column>() && !of.is::<Literal>() && !of.is::<ScalarFunctionExpr>() {
        return Err(format!("{FOREIGN}no pass of albumctl computes {of}"));
    }
    of.children().into_iter().try_for_each(expression)
}

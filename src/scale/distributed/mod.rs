//! Passes on many machines with Apache DataFusion Ballista, an engine over Arrow.
//!
//! A pass is a query: `SELECT piece, merged(output) FROM pass GROUP BY piece`, where `pass` is an operator of ours that reads
//! row groups and gives what a pass of k-means computes from them. The client plans it ([`engine`], [`plan`]), with the row
//! groups divided into [`tasks`], and sends it to the scheduler ([`client`]); executors run it ([`operators`], [`merging`])
//! with the readers of this crate and the code of `pass`, `nearest` and `step`. Sums are integers, so neither the machines
//! nor their order affect the result. De-duplication also brings the rows of each part together, which the engine does, and
//! compares them there.
//!
//! Executors pull tasks, and the planner is the static one: with the alternatives, losing an executor at the wrong moment
//! left queries hanging.
//!
//! [`trust`] decides who may connect to a node, and [`doors`] which services it offers: our own plans ([`allowed`]) on paths
//! in the [`shares`].

mod allowed;
pub mod client;
mod codec;
mod doors;
pub mod engine;
pub mod executor;
pub mod functions;
mod merging;
mod operators;
pub mod photos;
pub mod plan;
pub mod scheduler;
pub mod shares;
pub mod stored;
mod tasks;
pub mod trust;

use std::sync::Arc;

use ballista_core::extension::SessionConfigExt as _;
use datafusion::common::Result;
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use functions::EmbedPart;

const MERGED: &str = "merged";
const EMBED_PART: &str = "embed_part";

/// Maximum bytes of a message between machines: a plan, which names every row group. Results may be larger and are sent in
/// blocks.
pub const MESSAGE: usize = 64 << 20;

/// The settings shared by all machines.
fn settings() -> SessionConfig {
    SessionConfig::new_with_ballista()
        .with_target_partitions(1)
        .with_batch_size(8192)
        .set_bool("ballista.planner.adaptive.enabled", false)
        .set_str("ballista.client.grpc_max_message_size", &MESSAGE.to_string())
        .set_str("ballista.client.grpc_connect_timeout_seconds", "5")
        .set_str("ballista.client.io_retries_times", "3")
        .set_str("ballista.client.io_retry_wait_time_ms", "500")
        // A task is the smallest unit that can be lost, so it is one partition, not all that fit on an executor.
        .set_str("ballista.scheduler.max_partitions_per_task", "1")
        .set_bool("datafusion.optimizer.enable_round_robin_repartition", false)
        .set_bool("datafusion.execution.collect_statistics", false)
}

/// A session with our functions only. Executors pass `embed`; clients and schedulers, which only handle plans, do not.
fn session(config: SessionConfig, embed: Option<EmbedPart>) -> Result<SessionState> {
    let mut state = SessionStateBuilder::new().with_config(config).build();
    state.register_udf(Arc::new(functions::embed_part(embed)))?;
    state.register_udaf(Arc::new(merging::function()))?;
    Ok(state)
}

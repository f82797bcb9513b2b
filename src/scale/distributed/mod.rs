//! The same passes on many machines: Apache DataFusion Ballista, an engine over Arrow and Parquet.
//!
//! A pass is a query. `SELECT cluster, vector_sum(feature, pass) FROM (SELECT feature, nearest_centroid(feature, pass) AS
//! cluster FROM rows) GROUP BY cluster` is a step of k-means; `SELECT drawn_rows(feature, pass) FROM rows` a sample. The
//! client plans it ([`engine`], [`plan`]), with the row groups dealt to tasks, and hands it to the scheduler ([`client`]);
//! executors run it ([`functions`], [`aggregates`]) with the code of `pass`, `nearest` and `step`. Sums are whole numbers, so
//! neither the machines nor their order show in the result.
//!
//! Scheduling is by pull and the planner the static one: with the others, losing an executor at the wrong moment left
//! queries hanging.
//!
//! Who may speak to a node is a matter of [`trust`], what of the engine it offers then one of [`doors`]: plans of our own
//! ([`allowed`]) about paths that lie in the [`shares`].

mod aggregates;
mod allowed;
mod arrays;
pub mod client;
mod doors;
pub mod engine;
pub mod executor;
pub mod functions;
pub mod photos;
pub mod plan;
pub mod scheduler;
pub mod shares;
pub mod trust;

use std::sync::Arc;

use ballista_core::extension::SessionConfigExt as _;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{FunctionRegistry as _, object_store::DefaultObjectStoreRegistry};
use datafusion::prelude::SessionConfig;
use functions::EmbedPart;
use shares::Shares;
use url::Url;

use super::stores;

const NEAREST: &str = "nearest_centroid";
const VECTOR_SUM: &str = "vector_sum";
const DRAWN_ROWS: &str = "drawn_rows";
const EMBED_PART: &str = "embed_part";

/// A message between machines is at most this long: a plan, which names every row group. What rows come to may be longer
/// and travels in blocks.
pub const MESSAGE: usize = 64 << 20;
/// Sums that one task merges: more of them are dealt out by cluster.
const MERGED_AT_ONCE: usize = 8 << 20;

/// The settings all machines agree on.
fn settings() -> SessionConfig {
    SessionConfig::new_with_ballista()
        .with_target_partitions(1)
        .with_batch_size(8192)
        .set_bool("ballista.planner.adaptive.enabled", false)
        .set_str("ballista.client.grpc_max_message_size", &MESSAGE.to_string())
        .set_str("ballista.client.grpc_connect_timeout_seconds", "5")
        .set_str("ballista.client.io_retries_times", "3")
        .set_str("ballista.client.io_retry_wait_time_ms", "500")
        // A task is the smallest thing that can be lost, so it is a partition, not all that fit on an executor.
        .set_str("ballista.scheduler.max_partitions_per_task", "1")
        .set_bool("datafusion.optimizer.enable_round_robin_repartition", false)
        .set_bool("datafusion.optimizer.repartition_file_scans", false)
        .set_bool("datafusion.execution.collect_statistics", false)
        // Pages of vectors are never skipped; the index would be read for nothing.
        .set_bool("datafusion.execution.parquet.enable_page_index", false)
        .set_bool("datafusion.execution.parquet.pruning", false)
        // Keeps `nearest_centroid` from being computed twice a row.
        .set_bool("datafusion.optimizer.enable_leaf_expression_pushdown", false)
}

/// A session that knows our functions and no others. They work with `embed` and in `shares`; where plans are made or
/// handed on, without either.
fn session(config: SessionConfig, embed: Option<EmbedPart>, shares: &Arc<Shares>) -> Result<SessionState> {
    let mut state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime()?).build();
    for function in functions::scalars(embed, shares) {
        state.register_udf(Arc::new(function))?;
    }
    for function in aggregates::aggregates(shares) {
        state.register_udaf(Arc::new(function))?;
    }
    Ok(state)
}

fn runtime() -> Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new().with_object_store_registry(Arc::new(Stores::default())).build_arc()
}

/// Opens object stores when they are first asked for.
#[derive(Debug, Default)]
struct Stores {
    known: DefaultObjectStoreRegistry,
}

impl ObjectStoreRegistry for Stores {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn object_store::ObjectStore>,
    ) -> Option<Arc<dyn object_store::ObjectStore>> {
        self.known.register_store(url, store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn object_store::ObjectStore>> {
        if let Ok(store) = self.known.get_store(url) {
            return Ok(store);
        }
        let store = stores::fresh(url).map_err(|error| DataFusionError::External(error.into()))?;
        self.known.register_store(url, Arc::clone(&store));
        Ok(store)
    }
}

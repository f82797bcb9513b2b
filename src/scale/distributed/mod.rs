//! Passes on many machines with Apache DataFusion Ballista, an engine over Arrow and Parquet.
//!
//! A pass is a query. `SELECT cluster, vector_sum(feature, pass) FROM (SELECT feature, nearest_centroid(feature, pass) AS
//! cluster FROM rows) GROUP BY cluster` is a step of k-means; `SELECT drawn_rows(feature, pass) FROM rows` a sample. The
//! client plans it ([`engine`], [`plan`]), with the row groups divided into tasks, and sends it to the scheduler
//! ([`client`]); executors run it ([`functions`], [`aggregates`]) with the code of `pass`, `nearest` and `step`. Sums are
//! integers, so neither the machines nor their order affect the result.
//!
//! Executors pull tasks, and the planner is the static one: with the alternatives, losing an executor at the wrong moment
//! left queries hanging.
//!
//! [`trust`] decides who may connect to a node, and [`doors`] which services it offers: our own plans ([`allowed`]) on paths
//! in the [`shares`].

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

/// Maximum bytes of a message between machines: a plan, which names every row group. Results may be larger and are sent in
/// blocks.
pub const MESSAGE: usize = 64 << 20;
/// Maximum sums that one task merges; more are divided by cluster.
const MERGED_AT_ONCE: usize = 8 << 20;

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
        .set_bool("datafusion.optimizer.repartition_file_scans", false)
        .set_bool("datafusion.execution.collect_statistics", false)
        // Pages of vectors are never skipped, so the index would be useless.
        .set_bool("datafusion.execution.parquet.enable_page_index", false)
        .set_bool("datafusion.execution.parquet.pruning", false)
        // Otherwise `nearest_centroid` would be computed twice per row.
        .set_bool("datafusion.optimizer.enable_leaf_expression_pushdown", false)
}

/// A session with our functions only. Executors pass `embed` and `shares`; clients and schedulers, which only handle plans,
/// pass neither.
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

/// Opens object stores on first use.
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

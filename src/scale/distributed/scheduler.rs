//! The node that deals out tasks, and what it has in common with those that run them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};

use super::{MESSAGE, session, settings};

#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// An executor that was silent for so long is given up.
    pub executor_timeout: u64,
}

/// How often a node looks whether it is asked to stop.
pub const LOOK: Duration = Duration::from_millis(50);

/// Runs until `stop` is raised; says where it listens.
pub fn run(options: &Options, stop: &AtomicBool, ready: impl FnOnce(SocketAddr)) -> Result<(), String> {
    let runtime = threads()?;
    let serving = async {
        let listener = tokio::net::TcpListener::bind(options.bind).await;
        let listener = listener.map_err(|error| format!("cannot listen on {}: {error}", options.bind))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let timeout = options.executor_timeout;
        let config = SchedulerConfig {
            bind_host: address.ip().to_string(),
            external_host: address.ip().to_string(),
            bind_port: address.port(),
            scheduling_policy: TaskSchedulingPolicy::PullStaged,
            override_config_producer: Some(Arc::new(settings)),
            override_session_builder: Some(Arc::new(|config| session(config, None))),
            grpc_server_max_decoding_message_size: MESSAGE as u32,
            grpc_server_max_encoding_message_size: MESSAGE as u32,
            grpc_client_max_message_size: MESSAGE as u32,
            executor_timeout_seconds: timeout,
            expire_dead_executor_interval_seconds: (timeout / 4).clamp(1, 15),
            no_executors_grace_period_seconds: 2 * timeout,
            // A fit is many jobs, and nobody looks back at one.
            finished_job_data_clean_up_interval_seconds: 30,
            finished_job_state_clean_up_interval_seconds: 60,
            ..SchedulerConfig::default()
        };
        config.validate().map_err(|error| error.to_string())?;
        let cluster = BallistaCluster::new_from_config(&config).await.map_err(|error| error.to_string())?;
        let server = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await;
        let server = server.map_err(|error| error.to_string())?;
        ready(address);
        start_grpc_service_with_listener(listener, server).await.map_err(|error| error.to_string())
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = serving => ended,
            () = raised(stop) => Ok(()),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

pub fn threads() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| format!("threads: {error}"))
}

pub async fn raised(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}

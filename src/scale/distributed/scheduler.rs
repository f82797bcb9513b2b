//! The scheduler node, and what it shares with executors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use datafusion::prelude::SessionContext;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;

use super::codec::Codec;
use super::doors::SchedulerDoor;
use super::trust::{Trust, whole};
use super::{MESSAGE, session};

#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// An executor that was silent for this long is abandoned.
    pub executor_timeout: u64,
    pub trust: Trust,
}

/// The interval at which a node checks whether it should stop.
pub const LOOK: Duration = Duration::from_millis(50);

/// Runs until `stop` is set; calls `ready` with the address.
pub fn run(options: &Options, stop: &AtomicBool, ready: impl FnOnce(SocketAddr)) -> Result<(), String> {
    let runtime = threads()?;
    let serving = async {
        let incoming =
            TcpIncoming::bind(options.bind).map_err(|e| format!("cannot listen on {}: {e}", options.bind))?;
        let address = incoming.local_addr().map_err(|error| error.to_string())?;
        let trust = options.trust.clone();
        let timeout = options.executor_timeout;
        let config = SchedulerConfig {
            bind_host: address.ip().to_string(),
            external_host: address.ip().to_string(),
            bind_port: address.port(),
            scheduling_policy: TaskSchedulingPolicy::PullStaged,
            override_config_producer: Some(Arc::new(move || trust.settings())),
            override_session_builder: Some(Arc::new(|config| session(config, None))),
            override_physical_codec: Some(Arc::new(Codec::default())),
            grpc_server_max_decoding_message_size: MESSAGE as u32,
            grpc_server_max_encoding_message_size: MESSAGE as u32,
            grpc_client_max_message_size: MESSAGE as u32,
            executor_timeout_seconds: timeout,
            expire_dead_executor_interval_seconds: (timeout / 4).clamp(1, 15),
            no_executors_grace_period_seconds: 2 * timeout,
            // A fit consists of many jobs, whose data is not needed afterwards.
            finished_job_data_clean_up_interval_seconds: 30,
            finished_job_state_clean_up_interval_seconds: 60,
            ..SchedulerConfig::default()
        };
        config.validate().map_err(|error| error.to_string())?;
        let cluster = BallistaCluster::new_from_config(&config).await.map_err(|error| error.to_string())?;
        let scheduler = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await;
        let scheduler = scheduler.map_err(|error| error.to_string())?;
        let known = session(options.trust.settings(), None).map_err(|error| error.to_string())?;
        let door = SchedulerDoor::new(scheduler, &SessionContext::new_with_state(known));
        let door = SchedulerGrpcServer::new(door).max_encoding_message_size(MESSAGE).max_decoding_message_size(MESSAGE);
        let server = options.trust.server()?.add_service(InterceptedService::new(door, options.trust.gate()));
        ready(address);
        server.serve_with_incoming(incoming.with_nodelay(Some(true))).await.map_err(|error| whole(&error))
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

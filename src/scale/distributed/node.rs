//! The two kinds of node of a cluster: the scheduler, which deals out tasks, and executors, which run them.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};

use super::functions::EmbedPart;
use super::{MESSAGE, runtime, session, settings};

#[derive(Debug, Clone)]
pub struct SchedulerOptions {
    /// Where it listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// An executor that was silent for so long is given up.
    pub executor_timeout: u64,
}

#[derive(Debug, Clone)]
pub struct ExecutorOptions {
    /// `HOST` and `PORT` of the scheduler.
    pub scheduler: (String, u16),
    /// Where it listens for those who fetch its results; port 0 takes a free one.
    pub bind: IpAddr,
    pub port: u16,
    /// What the others call this machine; the address the scheduler sees when not told.
    pub host: Option<String>,
    /// Tasks at a time.
    pub tasks: usize,
    /// Where results lie until they are fetched.
    pub work: PathBuf,
    /// Seconds to wait for a scheduler that is not there yet.
    pub patience: u16,
}

/// How often a node looks whether it is asked to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Runs until `stop` is raised; says where it listens.
pub fn scheduler(options: &SchedulerOptions, stop: &AtomicBool, ready: impl FnOnce(SocketAddr)) -> Result<(), String> {
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

/// Runs until it is asked to stop (SIGTERM, SIGINT), and then until its tasks are done.
pub fn executor(
    options: &ExecutorOptions,
    embed: EmbedPart,
    stop: &AtomicBool,
    ready: impl FnOnce(u16),
) -> Result<(), String> {
    let runtime_of_tasks = threads()?;
    let functions = session(settings(), Some(embed)).map_err(|error| error.to_string())?;
    let port = match options.port {
        0 => free_port(options.bind)?,
        port => port,
    };
    let config = ExecutorProcessConfig {
        bind_host: match options.bind {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        },
        external_host: options.host.clone(),
        port,
        // Nobody calls an executor that pulls its tasks.
        grpc_port: 0,
        scheduler_host: options.scheduler.0.clone(),
        scheduler_port: options.scheduler.1,
        scheduler_connect_timeout_seconds: 0,
        vcores: options.tasks.max(1),
        task_scheduling_policy: TaskSchedulingPolicy::PullStaged,
        work_dir: Some(options.work.to_string_lossy().into_owned()),
        job_data_ttl_seconds: 6 * 3600,
        job_data_clean_up_interval_seconds: 600,
        grpc_max_decoding_message_size: MESSAGE as u32,
        grpc_max_encoding_message_size: MESSAGE as u32,
        executor_heartbeat_interval_seconds: 5,
        // What the functions hold is bounded by the centroids, and cannot be spilled.
        memory_pool_size: Some(0),
        override_function_registry: Some(Arc::new(BallistaFunctionRegistry::from(&functions))),
        override_config_producer: Some(Arc::new(settings)),
        override_runtime_producer: Some(Arc::new(|_| runtime())),
        ..ExecutorProcessConfig::default()
    };
    await_scheduler(options, stop)?;
    ready(port);
    let ended = runtime_of_tasks.block_on(start_executor_process(Arc::new(config)));
    runtime_of_tasks.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Err(error) if !stop.load(Ordering::Relaxed) => {
            Err(format!("{}:{}: {error}", options.scheduler.0, options.scheduler.1))
        }
        _ => Ok(()),
    }
}

/// The engine's own waiting has no end.
fn await_scheduler(options: &ExecutorOptions, stop: &AtomicBool) -> Result<(), String> {
    let (host, port) = &options.scheduler;
    let begun = Instant::now();
    loop {
        match TcpStream::connect((host.as_str(), *port)) {
            Ok(_) => return Ok(()),
            Err(_) if stop.load(Ordering::Relaxed) => return Ok(()),
            Err(error) if begun.elapsed().as_secs() >= u64::from(options.patience) => {
                return Err(format!("cannot reach the scheduler at {host}:{port}: {error}"));
            }
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

fn threads() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| format!("threads: {error}"))
}

async fn raised(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}

fn free_port(bind: IpAddr) -> Result<u16, String> {
    let listener = TcpListener::bind((bind, 0)).map_err(|error| format!("cannot listen on {bind}: {error}"))?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

//! An executor: a node that fetches tasks from the scheduler and keeps their results until they are fetched.
//!
//! The engine's parts are assembled here instead of by its `start_executor_process`, because that one keeps fetching tasks
//! during shutdown and clears every folder in its work folder.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{ExecutorStoppedParams, PollWorkParams};
use ballista_core::serde::{BallistaCodec, BallistaLogicalExtensionCodec};
use ballista_executor::execution_loop::poll_loop;
use ballista_executor::executor::Executor;
use ballista_executor::executor_process::{ExecutorProcessConfig, structure_executor_metadata};
use ballista_executor::flight_service::BallistaFlightService;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::metrics::LoggingMetricsCollector;
use ballista_executor::runtime_cache::DefaultSessionRuntimeCache;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;

use super::codec::Codec;
use super::doors::{ResultsDoor, TaskDoor};
use super::functions::EmbedPart;
use super::scheduler::{LOOK, raised, threads};
use super::shares::Shares;
use super::trust::{Trust, whole};
use super::{MESSAGE, session};

/// Maximum cached sessions, one per client.
const KEPT_SESSIONS: usize = 16;
/// Results that were neither fetched nor removed for this long belong to a scheduler that is gone.
const FORGOTTEN: Duration = Duration::from_secs(6 * 3600);
/// The time limit for signing off at the scheduler.
const GOODBYE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct Options {
    /// `HOST` and `PORT` of the scheduler.
    pub scheduler: (String, u16),
    /// The address for fetching results; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The name of this machine for others; by default the address that the scheduler sees.
    pub host: Option<String>,
    /// The number of concurrent tasks.
    pub tasks: usize,
    /// The folder for results until they are fetched.
    pub work: PathBuf,
    /// Seconds to wait for a scheduler that is not up yet.
    pub patience: u16,
    pub trust: Trust,
    /// The folders and URLs that tasks may use.
    pub shares: Arc<Shares>,
}

/// Events of an executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It listens on this port.
    Ready(u16),
    /// It is shutting down and waits for its running tasks.
    Ending(usize),
}

/// Runs until `stop` is set and the running tasks are done.
pub fn run(options: &Options, embed: EmbedPart, stop: &AtomicBool, told: impl Fn(Event)) -> Result<(), String> {
    await_scheduler(options, stop)?;
    let runtime = threads()?;
    let ended = runtime.block_on(serve(options, embed, stop, told));
    runtime.shutdown_timeout(Duration::from_secs(1));
    // Errors at the start do not matter if it is to stop anyway.
    if stop.load(Ordering::Relaxed) { Ok(()) } else { ended }
}

async fn serve(options: &Options, embed: EmbedPart, stop: &AtomicBool, told: impl Fn(Event)) -> Result<(), String> {
    let incoming = TcpIncoming::bind(options.bind).map_err(|e| format!("cannot listen on {}: {e}", options.bind))?;
    let port = incoming.local_addr().map_err(|error| error.to_string())?.port();
    let executor = executor(options, port, embed)?;
    let (id, work) = (executor.metadata.id.clone(), executor.work_dir.clone());
    let mut scheduler = scheduler(options).await?;
    // The loop below would retry forever with a scheduler that refuses it.
    let metadata = Some(executor.metadata.clone());
    let first = PollWorkParams { metadata, num_free_vcores: 0, task_status: Vec::new() };
    scheduler.poll_work(first).await.map_err(|status| {
        let (host, port) = &options.scheduler;
        format!("the scheduler at {host}:{port} refuses: {}", status.message())
    })?;
    let places = Arc::new(Semaphore::new(options.tasks));
    let codec = BallistaCodec::<LogicalPlanNode, PhysicalPlanNode>::new(
        Arc::new(BallistaLogicalExtensionCodec::default()),
        Arc::new(Codec::new(Arc::clone(&options.shares))),
    );
    let polling = poll_loop(
        scheduler.clone(),
        Arc::clone(&executor),
        codec,
        None,
        Some(Arc::clone(&places)),
        ExecutorHealth::new(),
    );
    let polling = tokio::spawn(polling);
    let results = FlightServiceServer::new(ResultsDoor(BallistaFlightService::new(work.clone())));
    let serving = options.trust.server()?.add_service(InterceptedService::new(results, options.trust.gate()));
    let serving = tokio::spawn(serving.serve_with_incoming(incoming.with_nodelay(Some(true))));
    let sweeping = tokio::spawn(sweep(work));
    told(Event::Ready(port));
    let (mut polling, mut serving) = (pin!(polling), pin!(serving));
    let broken = tokio::select! {
        ended = &mut polling => Some(format!("asking for tasks: {ended:?}")),
        ended = &mut serving => Some(format!("handing out results: {ended:?}")),
        () = raised(stop) => None,
    };
    if broken.is_none() {
        drain(&executor, &places, options.tasks, &told).await;
    }
    polling.abort();
    serving.abort();
    sweeping.abort();
    let goodbye = scheduler.executor_stopped(ExecutorStoppedParams { executor_id: id, reason: "it was ended".into() });
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    broken.map_or(Ok(()), Err)
}

/// Acquires all task slots as they become free, so that the scheduler is told that there are none.
async fn drain(executor: &Executor, places: &Semaphore, all: usize, told: &impl Fn(Event)) {
    let mut taking = pin!(places.acquire_many(all as u32));
    let taken = taking.as_mut().now_or_never();
    told(Event::Ending(executor.active_task_count()));
    let _taken = match taken {
        Some(taken) => taken,
        None => taking.await,
    };
    // A task that was on its way finds no slot; signing off makes the scheduler reassign it.
    tokio::time::sleep(2 * LOOK).await;
}

fn executor(options: &Options, port: u16, embed: EmbedPart) -> Result<Arc<Executor>, String> {
    let trust = options.trust.clone();
    let functions = session(trust.settings(), Some(embed)).map_err(|error| error.to_string())?;
    let config = ExecutorProcessConfig {
        external_host: options.host.clone(),
        port,
        // Nothing connects to an executor that polls for its tasks.
        grpc_port: 0,
        ..ExecutorProcessConfig::default()
    };
    let executor = Executor::new(
        structure_executor_metadata(&Arc::new(config), options.tasks as u32),
        &options.work.to_string_lossy(),
        Arc::new(|_| RuntimeEnvBuilder::new().build_arc()),
        Arc::new(move || trust.settings()),
        Arc::new(BallistaFunctionRegistry::from(&functions)),
        Arc::new(LoggingMetricsCollector::default()),
        options.tasks,
        Arc::new(TaskDoor::new(Arc::clone(&options.shares))),
    );
    // The memory of the functions is bounded by the centroids and cannot be spilled, so there is no memory pool.
    let kept = DefaultSessionRuntimeCache::new(
        Arc::new(|_| RuntimeEnvBuilder::new().build_arc()),
        Arc::new(|base, _, _| Ok(base)),
        KEPT_SESSIONS,
    );
    Ok(Arc::new(executor.with_session_runtime_cache(Some(Arc::new(kept)))))
}

async fn scheduler(options: &Options) -> Result<SchedulerGrpcClient<Channel>, String> {
    let (host, port) = &options.scheduler;
    let channel = options.trust.connect(&format!("{host}:{port}")).await;
    let channel = channel.map_err(|error| format!("cannot reach the scheduler at {host}:{port}: {}", whole(&error)))?;
    let client = SchedulerGrpcClient::new(channel);
    Ok(client.max_encoding_message_size(MESSAGE).max_decoding_message_size(MESSAGE))
}

/// The engine itself would wait forever.
fn await_scheduler(options: &Options, stop: &AtomicBool) -> Result<(), String> {
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

/// Removes forgotten results. The scheduler removes all others when their job is over.
async fn sweep(work: String) {
    loop {
        tokio::time::sleep(FORGOTTEN / 36).await;
        for job in std::fs::read_dir(&work).into_iter().flatten().flatten() {
            let age = job.metadata().and_then(|job| job.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > FORGOTTEN) {
                let _ = std::fs::remove_dir_all(job.path());
            }
        }
    }
}

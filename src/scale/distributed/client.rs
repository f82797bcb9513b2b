//! The client of a cluster: sends a plan to the scheduler, waits for the answer within a deadline, and retries.
//!
//! A pass can be repeated any number of times: it changes nothing, and its answer is always the same. So a lost executor,
//! scheduler or answer costs only time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ballista_core::client::BallistaClient;
use ballista_core::extension::SessionConfigExt as _;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, ExecuteQueryParams, GetJobStatusParams, PartitionLocation, execute_query_result, job_status,
};
use ballista_core::version::insert_version_header;
use datafusion::arrow::array::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::AsExecutionPlan as _;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::{StreamExt as _, TryStreamExt as _};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::codec::Codec;
use super::shares::OUTSIDE;
use super::stored::{BAD_ROW, UNSEEN};
use super::trust::{Trust, whole};
use super::{MESSAGE, plan};
use crate::error::ScaleError;

/// The interval for polling the state of a job.
const POLL: Duration = Duration::from_millis(20);

/// The interval for checking the progress of long work.
const LOOK: Duration = Duration::from_secs(1);

/// The address of a cluster, with timeouts and retries.
#[derive(Debug, Clone)]
pub struct Options {
    /// `HOST:PORT` of the scheduler.
    pub address: String,
    /// A folder or URL that every machine sees under this name; holds passes while they run.
    pub share: String,
    /// The time limit of a pass before it is retried.
    pub deadline: Duration,
    /// Attempts per pass with a reachable scheduler.
    pub attempts: u32,
    /// Rows per task; by default chosen by the data.
    pub task_rows: Option<u64>,
    pub trust: Trust,
}

/// The reason why a plan failed.
#[derive(Debug)]
enum Lost {
    /// The scheduler cannot be reached.
    Unreachable(String),
    /// The cluster refuses this client.
    Refused(String),
    /// No answer within the deadline.
    Late,
    /// The engine failed; a retry may succeed.
    Failed(String),
    Stopped,
}

/// Sends plans to a scheduler.
#[allow(missing_debug_implementations, reason = "it holds a closure")]
pub struct Client<'a> {
    pub(super) options: &'a Options,
    pub(super) stop: &'a AtomicBool,
    runtime: tokio::runtime::Runtime,
    session: String,
    /// Called before a retry, with the reason.
    tell: &'a (dyn Fn(&str) + Sync),
}

impl<'a> Client<'a> {
    /// Checks that the scheduler is reachable and accepts this client.
    pub fn connect(
        options: &'a Options,
        stop: &'a AtomicBool,
        tell: &'a (dyn Fn(&str) + Sync),
    ) -> Result<Self, ScaleError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| ScaleError::Threads { cause: error.to_string() })?;
        let moment = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let session = format!("albumctl-{}-{}", std::process::id(), moment.as_nanos());
        let client = Self { options, stop, runtime, session, tell };
        client.runtime.block_on(client.answered()).map_err(|lost| client.given_up(lost, 1))?;
        Ok(client)
    }

    /// A harmless request: the state of a job that does not exist.
    async fn answered(&self) -> Result<(), Lost> {
        let nothing = GetJobStatusParams { job_id: self.session.clone() };
        let answer = self.scheduler().await?.get_job_status(nothing).await;
        answer.map(drop).map_err(|status| match lost(&status) {
            Lost::Failed(cause) => Lost::Unreachable(cause),
            lost => lost,
        })
    }

    async fn scheduler(&self) -> Result<SchedulerGrpcClient<Channel>, Lost> {
        let channel = self.options.trust.connect(&self.options.address).await;
        let channel = channel.map_err(|error| Lost::Unreachable(whole(&error)))?;
        Ok(SchedulerGrpcClient::new(channel).max_encoding_message_size(MESSAGE).max_decoding_message_size(MESSAGE))
    }

    /// Runs the plan of `ask`, with retries, and reads the answer. `left` counts the remaining work, if known.
    pub(super) fn run<T>(
        &self,
        ask: impl AsyncFn() -> datafusion::common::Result<Arc<dyn ExecutionPlan>>,
        left: Option<&(dyn Fn() -> usize + Sync)>,
        read: impl Fn(&[RecordBatch]) -> Result<T, ScaleError>,
    ) -> Result<T, ScaleError> {
        let mut asked = 0;
        let mut away: Option<Instant> = None;
        loop {
            // All work may be done although the answer was lost.
            if left.is_some_and(|left| left() == 0) {
                return read(&[]);
            }
            let outcome = self.runtime.block_on(async {
                let plan = ask().await.map_err(|error| Lost::Failed(error.to_string()))?;
                self.once(plan, left).await
            });
            let lost = match outcome {
                Ok(batches) => return read(&batches),
                Err(lost) => lost,
            };
            match &lost {
                // Waits for a scheduler that is restarting; this is not an attempt.
                Lost::Unreachable(cause) => {
                    if away.is_none() {
                        (self.tell)(&format!("the scheduler went away ({}); waiting for it", first_line(cause)));
                    }
                    let waited = away.get_or_insert_with(Instant::now).elapsed();
                    if waited < self.options.deadline && !self.stop.load(Ordering::Relaxed) {
                        std::thread::sleep(LOOK.min(self.options.deadline));
                        continue;
                    }
                }
                Lost::Failed(cause) if is_final(cause) => asked = self.options.attempts,
                Lost::Late | Lost::Failed(_) => asked += 1,
                Lost::Stopped | Lost::Refused(_) => {}
            }
            if matches!(lost, Lost::Stopped | Lost::Refused(_) | Lost::Unreachable(_)) || asked >= self.options.attempts
            {
                return Err(self.given_up(lost, asked));
            }
            away = None;
            let why = match &lost {
                Lost::Failed(cause) => format!("the cluster failed ({})", first_line(cause)),
                _ => format!("no answer from the cluster within {} s", self.options.deadline.as_secs()),
            };
            (self.tell)(&format!("{why}; asking again"));
            std::thread::sleep(LOOK.min(self.options.deadline));
        }
    }

    async fn once(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        left: Option<&(dyn Fn() -> usize + Sync)>,
    ) -> Result<Vec<RecordBatch>, Lost> {
        let mut scheduler = self.scheduler().await?;
        let job = self.submit(&mut scheduler, plan).await?;
        match self.wait(&mut scheduler, &job, left).await {
            Err(lost) => {
                let _ = scheduler.cancel_job(CancelJobParams { job_id: job }).await;
                Err(lost)
            }
            Ok(places) => {
                let fetched = places.into_iter().map(|place| fetch(place, &self.options.trust));
                let fetched = futures::stream::iter(fetched).buffered(8).try_collect::<Vec<_>>();
                let fetched = tokio::time::timeout(self.options.deadline, fetched).await.map_err(|_| Lost::Late)??;
                Ok(fetched.into_iter().flatten().collect())
            }
        }
    }

    async fn submit(
        &self,
        scheduler: &mut SchedulerGrpcClient<Channel>,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<String, Lost> {
        let failed = |error: &dyn std::error::Error| Lost::Failed(whole(error));
        let message = PhysicalPlanNode::try_from_physical_plan(plan, &Codec::default());
        let mut bytes = Vec::new();
        message.and_then(|message| message.try_encode(&mut bytes)).map_err(|error| failed(&error))?;
        let mut request = tonic::Request::new(ExecuteQueryParams {
            query: Some(Query::PhysicalPlan(bytes)),
            settings: Vec::new(),
            session_id: self.session.clone(),
            operation_id: self.session.clone(),
        });
        insert_version_header(request.metadata_mut());
        let told = scheduler.execute_query(request).await.map_err(|status| lost(&status))?.into_inner();
        match told.result {
            Some(execute_query_result::Result::Success(success)) => Ok(success.job_id),
            Some(execute_query_result::Result::Failure(failure)) => Err(Lost::Failed(format!("{failure:?}"))),
            None => Err(Lost::Failed("the scheduler gave no answer".into())),
        }
    }

    async fn wait(
        &self,
        scheduler: &mut SchedulerGrpcClient<Channel>,
        job: &str,
        left: Option<&(dyn Fn() -> usize + Sync)>,
    ) -> Result<Vec<PartitionLocation>, Lost> {
        let mut began = Instant::now();
        let (mut looked, mut stood) = (began, None);
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Lost::Stopped);
            }
            if let Some(left) = left
                && looked.elapsed() > LOOK
            {
                let stands = Some(left());
                (looked, began) = (Instant::now(), if stands == stood { began } else { Instant::now() });
                stood = stands;
            }
            if began.elapsed() >= self.options.deadline {
                return Err(Lost::Late);
            }
            let asked = scheduler.get_job_status(GetJobStatusParams { job_id: job.to_owned() }).await;
            let told = asked.map_err(|status| lost(&status))?.into_inner();
            match told.status.and_then(|status| status.status) {
                Some(job_status::Status::Successful(done)) => return Ok(done.partition_location),
                Some(job_status::Status::Failed(failed)) => return Err(Lost::Failed(failed.error)),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    fn given_up(&self, lost: Lost, asked: u32) -> ScaleError {
        let address = &self.options.address;
        let cause = match lost {
            Lost::Stopped => return ScaleError::Stopped,
            Lost::Unreachable(cause) => format!(
                "cannot reach the scheduler at {address}: {cause}; start one with `albumctl node scheduler --bind \
                 {address}`, or check host and port, and that both sides speak TLS (--tls-ca here) or neither"
            ),
            Lost::Refused(cause) => format!("the scheduler at {address} refuses: {cause}"),
            Lost::Late => format!(
                "no answer from the cluster at {address} within {} s, asked {asked} times; are there executors \
                 (`albumctl node executor --scheduler {address}`)? A scheduler that hangs has to be started again; \
                 a pass over much data may need a longer --deadline",
                self.options.deadline.as_secs()
            ),
            Lost::Failed(cause) if cause.contains(OUTSIDE) => {
                format!("an executor of {address} refuses: {}", outside(&cause))
            }
            Lost::Failed(cause) if cause.contains(UNSEEN) => format!(
                "an executor does not see what this machine sees: {}; the data and {} must lie on shared storage, \
                 under the same path on every machine, readable by the executors",
                unseen(&cause),
                self.options.share
            ),
            Lost::Failed(cause) => {
                format!("the cluster at {address} failed, asked {asked} times: {}", first_line(&cause))
            }
        };
        ScaleError::Engine { cause }
    }

    /// Embeds photos: requests the lists returned by `left` until none remain. The deadline applies to the next part, not to
    /// all of them.
    pub fn embed(&self, left: &(dyn Fn() -> Vec<String> + Sync)) -> Result<(), ScaleError> {
        let number = || left().len();
        let ask = async || plan::embed(&left()).await;
        self.run(ask, Some(&number), |_| Ok(()))
    }
}

/// Fetches a part of the answer from the executor that holds it.
async fn fetch(place: PartitionLocation, trust: &Trust) -> Result<Vec<RecordBatch>, Lost> {
    let layout = place.layout();
    let (Some(executor), Some(partition)) = (place.executor_meta, place.partition_id) else {
        return Err(Lost::Failed("the scheduler does not say where the answer lies".into()));
    };
    let failed = |error: &dyn std::error::Error| Lost::Failed(format!("fetching the answer: {}", whole(error)));
    let (host, port) = (executor.host.as_str(), executor.port as u16);
    let settings = trust.settings();
    let (tls, shown) = (settings.ballista_use_tls(), settings.ballista_override_create_grpc_client_endpoint());
    let client = BallistaClient::try_new(host, port, MESSAGE, tls, shown, 3, 500, 0, 0).await;
    let mut client = client.map_err(|error| failed(&error))?;
    let partition = partition.into();
    let stream =
        client.fetch_partition_proxied(&executor.id, &partition, place.file_id, layout, host, port, false).await;
    stream.map_err(|error| failed(&error))?.try_collect().await.map_err(|error| failed(&error))
}

fn first_line(text: &str) -> &str {
    let begin = text.find(BAD_ROW).unwrap_or(0);
    text[begin..].lines().next().unwrap_or_default()
}

fn lost(status: &Status) -> Lost {
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Lost::Refused(status.message().to_owned()),
        _ => Lost::Failed(whole(status)),
    }
}

/// Whether a retry would fail in the same way.
fn is_final(cause: &str) -> bool {
    [BAD_ROW, OUTSIDE, UNSEEN].iter().any(|sign| cause.contains(sign))
}

/// The part of a failed job's text that names a path outside the shares.
fn outside(cause: &str) -> &str {
    let begin = cause.find(OUTSIDE).map_or(0, |at| at + OUTSIDE.len());
    let text = &cause[begin..];
    // The engine quotes the text.
    &text[..text.find("\")").unwrap_or(text.len())]
}

/// The part of a failed job's text that names a file that an executor does not see.
fn unseen(cause: &str) -> &str {
    let begin = cause.find(UNSEEN).map_or(0, |at| at + UNSEEN.len());
    first_line(&cause[begin..])
}

//! Access control of the gRPC services. A scheduler answers the calls of our clients and executors, and accepts only our
//! own plans. An executor hands out the results of its jobs, and runs only tasks of such plans.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::serde::decode_protobuf;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpc;
use ballista_core::serde::protobuf::{
    CancelJobParams, CancelJobResult, CleanJobDataParams, CleanJobDataResult, CreateUpdateSessionParams,
    CreateUpdateSessionResult, ExecuteQueryParams, ExecuteQueryResult, ExecutorStoppedParams, ExecutorStoppedResult,
    GetJobMetricsParams, GetJobMetricsResult, GetJobStatusParams, GetJobStatusResult, HeartBeatParams, HeartBeatResult,
    PollWorkParams, PollWorkResult, RegisterExecutorParams, RegisterExecutorResult, RemoveSessionParams,
    RemoveSessionResult, ShuffleWritePartition, UpdateTaskStatusParams, UpdateTaskStatusResult,
};
use ballista_core::serde::scheduler::Action as Fetch;
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor};
use ballista_executor::flight_service::BallistaFlightService;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::physical_plan::AsExecutionPlan as _;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::allowed;
use super::codec::Codec;
use super::shares::Shares;

type Reply<T> = std::result::Result<Response<T>, Status>;
type Streamed<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

fn closed<T>() -> Reply<T> {
    Err(Status::permission_denied("no part of albumctl calls this"))
}

/// A scheduler that only accepts our clients and executors.
pub struct SchedulerDoor<S> {
    scheduler: S,
    known: Arc<TaskContext>,
}

impl<S> SchedulerDoor<S> {
    pub fn new(scheduler: S, session: &SessionContext) -> Self {
        Self { scheduler, known: session.task_ctx() }
    }

    fn check(&self, query: Option<&Query>) -> std::result::Result<(), String> {
        let Some(Query::PhysicalPlan(bytes)) = query else {
            return Err(format!("{}it is no physical plan", allowed::FOREIGN));
        };
        let plan = PhysicalPlanNode::try_decode(bytes)
            .and_then(|plan| plan.try_into_physical_plan(&self.known, &Codec::default()))
            .map_err(|error| format!("{}{error}", allowed::FOREIGN))?;
        allowed::asked(plan.as_ref())
    }
}

#[async_trait]
impl<S: SchedulerGrpc> SchedulerGrpc for SchedulerDoor<S> {
    type ExecuteQueryPushStream = S::ExecuteQueryPushStream;

    async fn execute_query(&self, mut request: Request<ExecuteQueryParams>) -> Reply<ExecuteQueryResult> {
        self.check(request.get_ref().query.as_ref()).map_err(|cause| {
            log::warn!("refused to {:?}: {cause}", request.remote_addr());
            Status::permission_denied(cause)
        })?;
        // All machines use the scheduler's settings.
        request.get_mut().settings.clear();
        self.scheduler.execute_query(request).await
    }

    async fn get_job_status(&self, request: Request<GetJobStatusParams>) -> Reply<GetJobStatusResult> {
        self.scheduler.get_job_status(request).await
    }

    async fn cancel_job(&self, request: Request<CancelJobParams>) -> Reply<CancelJobResult> {
        self.scheduler.cancel_job(request).await
    }

    async fn poll_work(&self, mut request: Request<PollWorkParams>) -> Reply<PollWorkResult> {
        let caller = request.remote_addr().map(|address| address.ip().to_string());
        if let Some(executor) = &mut request.get_mut().metadata {
            executor.host = executor.host.take().or(caller);
            if executor.host.is_none() || executor.specification.is_none() || executor.os_info.is_none() {
                return Err(Status::invalid_argument("an executor says where and what it is"));
            }
        }
        self.scheduler.poll_work(request).await
    }

    async fn executor_stopped(&self, request: Request<ExecutorStoppedParams>) -> Reply<ExecutorStoppedResult> {
        self.scheduler.executor_stopped(request).await
    }

    async fn register_executor(&self, _: Request<RegisterExecutorParams>) -> Reply<RegisterExecutorResult> {
        closed()
    }

    async fn heart_beat_from_executor(&self, _: Request<HeartBeatParams>) -> Reply<HeartBeatResult> {
        closed()
    }

    async fn update_task_status(&self, _: Request<UpdateTaskStatusParams>) -> Reply<UpdateTaskStatusResult> {
        closed()
    }

    async fn create_update_session(&self, _: Request<CreateUpdateSessionParams>) -> Reply<CreateUpdateSessionResult> {
        closed()
    }

    async fn remove_session(&self, _: Request<RemoveSessionParams>) -> Reply<RemoveSessionResult> {
        closed()
    }

    async fn execute_query_push(&self, _: Request<ExecuteQueryParams>) -> Reply<Self::ExecuteQueryPushStream> {
        closed()
    }

    async fn get_job_metrics(&self, _: Request<GetJobMetricsParams>) -> Reply<GetJobMetricsResult> {
        closed()
    }

    async fn clean_job_data(&self, _: Request<CleanJobDataParams>) -> Reply<CleanJobDataResult> {
        closed()
    }
}

/// Serves an executor's results, each below the folder of its job.
#[derive(Clone)]
pub struct ResultsDoor(pub BallistaFlightService);

impl ResultsDoor {
    fn check(asked: &[u8]) -> std::result::Result<(), Status> {
        let fetch = decode_protobuf(asked).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let Fetch::FetchPartition { job_id, .. } = fetch;
        if allowed::is_plain(job_id.as_str()) { Ok(()) } else { Err(Status::permission_denied("no name of a job")) }
    }
}

#[async_trait]
impl FlightService for ResultsDoor {
    type DoActionStream = <BallistaFlightService as FlightService>::DoActionStream;
    type DoGetStream = <BallistaFlightService as FlightService>::DoGetStream;
    type DoExchangeStream = Streamed<FlightData>;
    type DoPutStream = Streamed<PutResult>;
    type HandshakeStream = Streamed<HandshakeResponse>;
    type ListActionsStream = Streamed<ActionType>;
    type ListFlightsStream = Streamed<FlightInfo>;

    async fn do_action(&self, request: Request<Action>) -> Reply<Self::DoActionStream> {
        Self::check(&request.get_ref().body)?;
        self.0.do_action(request).await
    }

    async fn do_get(&self, request: Request<Ticket>) -> Reply<Self::DoGetStream> {
        Self::check(&request.get_ref().ticket)?;
        self.0.do_get(request).await
    }

    async fn handshake(&self, _: Request<Streaming<HandshakeRequest>>) -> Reply<Self::HandshakeStream> {
        closed()
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Reply<Self::ListFlightsStream> {
        closed()
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Reply<FlightInfo> {
        closed()
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Reply<PollInfo> {
        closed()
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Reply<SchemaResult> {
        closed()
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Reply<Self::DoPutStream> {
        closed()
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Reply<Self::DoExchangeStream> {
        closed()
    }

    async fn list_actions(&self, _: Request<Empty>) -> Reply<Self::ListActionsStream> {
        closed()
    }
}

/// Runs allowed tasks of an executor; refuses others with the reason.
pub struct TaskDoor {
    engine: DefaultExecutionEngine,
    shares: Arc<Shares>,
}

impl TaskDoor {
    pub fn new(shares: Arc<Shares>) -> Self {
        Self { engine: DefaultExecutionEngine::new(), shares }
    }
}

impl ExecutionEngine for TaskDoor {
    fn create_query_stage_exec(
        &self,
        job: JobId,
        stage: usize,
        task: usize,
        partitions: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        if let Err(cause) = allowed::dealt(plan.as_ref(), &job, &self.shares) {
            log::error!("a task was refused: {cause}");
            return Ok(Arc::new(Refused(cause)));
        }
        self.engine.create_query_stage_exec(job, stage, task, partitions, plan, work, config)
    }
}

/// Reports to the client why there is no result; the engine would tell only the executor.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[async_trait]
impl QueryStageExecutor for Refused {
    async fn execute_query_stage(&self, _: usize, _: Arc<TaskContext>) -> Result<Vec<ShuffleWritePartition>> {
        Err(DataFusionError::Execution(self.0.clone()))
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        Vec::new()
    }
}

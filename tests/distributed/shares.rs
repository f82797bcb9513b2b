//! What executors are asked to do: passes of albumctl, in the shares that were named, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use ballista::prelude::SessionContextExt as _;
use ballista_core::client::BallistaClient;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::extension::SessionConfigExt as _;
use ballista_core::serde::protobuf::ExecuteQueryParams;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::scheduler::{PartitionId, ShuffleLayout};
use ballista_core::version::insert_version_header;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{CsvReadOptions, JsonReadOptions, ParquetReadOptions, SessionConfig, SessionContext};
use datafusion_proto::physical_plan::AsExecutionPlan as _;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};

use super::bucket::{Bucket, Objects};
use super::features::{rows, write};
use super::nodes::{Cluster, Node};
use super::world::{Seen, World, png};

const FOREIGN: &str = "foreign plan";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// What others would like to have done: files read that are none of ours, files written.
fn foreign(world: &World) -> Vec<String> {
    fs::write(world.path("secret.csv"), "name,password\nroot,xyzzy\n").unwrap();
    fs::write(world.path("secret.json"), "{\"name\": \"root\"}\n").unwrap();
    write(&world.path("a.parquet"), &rows(50, 6), 0, 20);
    let at = |name: &str| world.path(name).display().to_string();
    vec![
        "SELECT * FROM csv".to_owned(),
        "SELECT * FROM json".to_owned(),
        "SELECT id FROM features WHERE id > 'a'".to_owned(),
        "SELECT upper(CAST(id AS VARCHAR)) FROM features".to_owned(),
        "SELECT count(*) FROM features".to_owned(),
        "SELECT a.id FROM features a, features b".to_owned(),
        "SELECT id FROM features ORDER BY id LIMIT 1".to_owned(),
        format!("COPY (SELECT 1 AS x) TO '{}' STORED AS CSV", at("stolen.csv")),
        format!("COPY (SELECT id FROM features) TO '{}' STORED AS PARQUET", at("stolen.parquet")),
        format!("COPY csv TO '{}' STORED AS JSON", at("stolen.json")),
    ]
}

/// Any client of the engine.
async fn client(address: &str, pulls: bool) -> SessionContext {
    let config = SessionConfig::new_with_ballista().set_bool("ballista.client.pull", pulls);
    let state = SessionStateBuilder::new().with_default_features().with_config(config).build();
    SessionContext::remote_with_state(&format!("df://{address}"), state).await.unwrap()
}

async fn refused(context: &SessionContext, query: &str) -> String {
    let told = match context.sql(query).await {
        Ok(frame) => frame.collect().await.map(drop),
        Err(error) => Err(error),
    };
    told.expect_err(query).to_string()
}

async fn tables(context: &SessionContext, world: &World) {
    let at = |name: &str| world.path(name).display().to_string();
    context.register_csv("csv", at("secret.csv"), CsvReadOptions::default()).await.unwrap();
    context.register_json("json", at("secret.json"), JsonReadOptions::default()).await.unwrap();
    context.register_parquet("features", at("a.parquet"), ParquetReadOptions::default()).await.unwrap();
}

fn nothing_stolen(world: &World) {
    for name in ["stolen.csv", "stolen.parquet", "stolen.json"] {
        assert!(!world.path(name).exists(), "{name} was written");
    }
}

async fn ask(address: &str, plan: Arc<dyn ExecutionPlan>) -> Result<String, String> {
    let codec = SessionConfig::new_with_ballista().ballista_physical_extension_codec();
    let message = PhysicalPlanNode::try_from_physical_plan(plan, codec.as_ref()).unwrap();
    let mut bytes = Vec::new();
    message.try_encode(&mut bytes).unwrap();
    let mut request = tonic::Request::new(ExecuteQueryParams {
        query: Some(Query::PhysicalPlan(bytes)),
        settings: Vec::new(),
        session_id: "s".into(),
        operation_id: "o".into(),
    });
    insert_version_header(request.metadata_mut());
    let mut scheduler = SchedulerGrpcClient::connect(format!("http://{address}")).await.unwrap();
    let told = scheduler.execute_query(request).await.map_err(|status| status.message().to_owned())?;
    Ok(format!("{told:?}"))
}

#[test]
fn a_scheduler_refuses_plans_that_are_no_passes() {
    let world = World::new();
    let asked = foreign(&world);
    let cluster = Cluster::of(&world, 1);
    runtime().block_on(async {
        let (pulls, pushed) = (client(&cluster.address, true).await, client(&cluster.address, false).await);
        tables(&pulls, &world).await;
        tables(&pushed, &world).await;
        let here = SessionContext::new();
        tables(&here, &world).await;
        for query in asked {
            let told = refused(&pulls, &query).await;
            assert!(told.contains(FOREIGN), "{query}: {told}");
            let told = refused(&pushed, &query).await;
            assert!(told.contains("no part of albumctl calls this"), "{query}: {told}");
            // And with a plan that is made already.
            let plan = here.sql(&query).await.unwrap().create_physical_plan().await.unwrap();
            let told = ask(&cluster.address, plan).await.expect_err(&query);
            assert!(told.contains(FOREIGN), "{query}: {told}");
        }
    });
    nothing_stolen(&world);
}

#[test]
fn an_executor_refuses_what_another_scheduler_deals_out() {
    let world = World::new();
    let asked = foreign(&world);
    let runtime = runtime();
    // The engine's own, which looks at nothing.
    let address = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = SchedulerConfig {
            bind_host: "127.0.0.1".into(),
            external_host: "127.0.0.1".into(),
            bind_port: address.port(),
            scheduling_policy: TaskSchedulingPolicy::PullStaged,
            ..SchedulerConfig::default()
        };
        let cluster = BallistaCluster::new_from_config(&config).await.unwrap();
        let scheduler = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await.unwrap();
        tokio::spawn(start_grpc_service_with_listener(listener, scheduler));
        address.to_string()
    });
    let args = ["node", "executor", "--scheduler", &address, "--port", "0", "--threads", "1", "-v"];
    let executor = Node::start(world.command(args));
    executor.wait_for("works for");
    runtime.block_on(async {
        let remote = client(&address, true).await;
        tables(&remote, &world).await;
        for query in ["SELECT * FROM csv", "SELECT id FROM features WHERE id > 'a'", &asked[7], &asked[8]] {
            let told = refused(&remote, query).await;
            assert!(told.contains(FOREIGN), "{query}: {told}");
        }
    });
    nothing_stolen(&world);
    assert!(executor.said().contains("a task was refused"), "{}", executor.said());
}

#[test]
fn an_executor_hands_out_results_of_jobs_alone() {
    let world = World::new();
    // Where a job of that name would have a result, from the folder of the executor.
    fs::create_dir_all(world.path("secret/1/0")).unwrap();
    fs::write(world.path("secret/1/0/data.arrow"), "secret").unwrap();
    let mut cluster = Cluster::without_executors(&world, "127.0.0.1:0");
    cluster.join_with(&world, |command| command, &["--threads", "1", "--work", "work"]);
    let line = cluster.executors[0].wait_for("on port");
    let port = line.rsplit(' ').next().unwrap().parse().unwrap();
    let secret = world.path("secret").display().to_string();
    runtime().block_on(async {
        for job in ["../../secret", &secret, ".", "..", ""] {
            let client = BallistaClient::try_new("127.0.0.1", port, 1 << 20, false, None, 1, 1, 0, 0).await;
            let place = PartitionId { job_id: job.into(), stage_id: 1, partition_id: 0 };
            let fetched = client.unwrap().fetch_partition("e", &place, None, ShuffleLayout::Passthrough, false).await;
            let told = fetched.err().expect(job).to_string();
            assert!(told.contains("no name of a job"), "{job}: {told}");
        }
    });
}

/// An executor that was told of `shares`, and no other.
fn sharing(world: &World, shares: &[&str]) -> Cluster {
    let mut cluster = Cluster::without_executors(world, "127.0.0.1:0");
    let more: Vec<&str> = shares.iter().flat_map(|share| ["--share", share]).collect();
    cluster.join_with(world, |command| command, &[&["--threads", "1"][..], &more].concat());
    cluster
}

fn refuses(seen: Seen, path: &Path) {
    let seen = seen.expect(1);
    let told = &seen.stderr;
    assert!(told.contains("is in no share") && told.contains("--share DIR|URL"), "{told}");
    assert!(told.contains(&path.display().to_string()), "{} is not named: {told}", path.display());
    assert!(!told.contains("asking again"), "{told}");
}

#[test]
fn passes_and_features_lie_in_the_shares() {
    let world = World::new();
    for folder in ["shared", "private"] {
        fs::create_dir(world.path(folder)).unwrap();
        write(&world.path(format!("{folder}/a.parquet")), &rows(300, 6), 0, 50);
    }
    symlink(world.path("private"), world.path("shared/link")).unwrap();
    let cluster = sharing(&world, &["shared"]);
    let engine = cluster.engine();
    let fit = |data: &str, share: &str| {
        world.run(["kmeans", "fit", "--data", data, "-k", "3", "--engine", &engine, "--share", share])
    };
    let private = world.path("private");
    refuses(fit("private/a.parquet", world.path("shared").to_str().unwrap()), &private.join("a.parquet"));
    refuses(fit("shared/a.parquet", private.to_str().unwrap()), &private.join("pass-"));
    refuses(fit("shared/link/a.parquet", world.path("shared").to_str().unwrap()), &world.path("shared/link/a.parquet"));
    fit("shared/a.parquet", world.path("shared").to_str().unwrap()).expect(0);
    let missing = world.run(["node", "executor", "--share", "nowhere", "--port", "0"]).expect(2);
    assert!(missing.stderr.contains("--share nowhere"), "{}", missing.stderr);
}

#[test]
fn photos_lists_and_parts_lie_in_the_shares() {
    let world = World::new();
    world.many_photos(3);
    fs::create_dir(world.path("shared")).unwrap();
    let cluster = sharing(&world, &["shared"]);
    let engine = cluster.engine();
    let embed = |photos: &str, out: &str| {
        world.run(["embed", photos, "-o", out, "--no-cache", "--engine", &engine, "--deadline", "20"])
    };
    // Photos outside.
    refuses(embed("photos", "shared/parts"), &world.photos());
    // Lists, and what they are to become, outside.
    fs::rename(world.photos(), world.path("shared/photos")).unwrap();
    refuses(embed("shared/photos", "parts"), &world.path("parts/lists"));
    embed("shared/photos", "shared/parts").expect(0);
    // A photo that is a link to one outside.
    fs::write(world.path("outside.png"), png(40, 30, 9)).unwrap();
    symlink(world.path("outside.png"), world.path("shared/photos/zlink.png")).unwrap();
    refuses(embed("shared/photos", "shared/parts"), &world.path("shared/photos/zlink.png"));
}

#[test]
fn objects_lie_below_the_shares() {
    let world = World::new();
    write(&world.path("a.parquet"), &rows(300, 6), 0, 50);
    let features = fs::read(world.path("a.parquet")).unwrap();
    let objects = ["photos/features/a.parquet", "photos/features2/a.parquet"];
    let bucket = Bucket::of(objects.iter().map(|key| ((*key).to_owned(), features.clone())).collect::<Objects>());
    let door = bucket.door(0);
    let mut cluster = Cluster::without_executors(&world, "127.0.0.1:0");
    let shares = ["--threads", "1", "--share", "s3://photos/features", "--share", "s3://photos/tmp"];
    cluster.join_with(&world, |command| door.lead(command), &shares);
    let engine = cluster.engine();
    let fit = |data: &str, share: &str| {
        let data = format!("s3://photos/{data}/a.parquet");
        door.run(&world, &["kmeans", "fit", "--data", &data, "-k", "3", "--engine", &engine, "--share", share])
    };
    refuses(fit("features2", "s3://photos/tmp"), Path::new("s3://photos/features2/a.parquet"));
    refuses(fit("features", "s3://photos/tmp2"), Path::new("s3://photos/tmp2/pass-"));
    fit("features", "s3://photos/tmp").expect(0);
}

//! What is lost on the way costs time, not the result. The data lies in a bucket whose gate holds tasks where they are,
//! so that what is lost is lost in the middle of them, however fast the machine is.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::bucket::{Bucket, Door};
use super::features::{rows, write};
use super::nodes::{Cluster, Node};
use super::world::World;

/// Tasks of a pass: rows and how many a task has.
const ROWS: usize = 4800;
const TASK: usize = 400;
const TASKS: usize = ROWS / TASK;
/// Centroids come to the executors as passes, and rows from here.
const PASSES: &str = "/pass-";
const ROWS_OF: &str = "features/";

/// A bucket with rows, a cluster beside it, and the model that everything has to come to.
struct Scene {
    world: World,
    bucket: Bucket,
    /// Of the client.
    door: Door,
    cluster: Cluster,
    doors: usize,
}

impl Scene {
    fn with(executors: usize) -> Self {
        let (world, bucket) = (World::new(), Bucket::default());
        let all = rows(ROWS, 24);
        for (part, some) in all.chunks(ROWS / 4).enumerate() {
            let path = write(&world.path(format!("{part}.parquet")), some, part * ROWS / 4, TASK / 2);
            bucket.put(&format!("b/features/{part}.parquet"), fs::read(path).unwrap());
        }
        let cluster = Cluster::without_executors(&world, "127.0.0.1:0");
        let door = bucket.door(usize::MAX);
        let mut scene = Self { world, bucket, door, cluster, doors: 0 };
        for _ in 0..executors {
            scene.join(1);
        }
        scene.door.run(&scene.world, &strs(&fit("local.safetensors", &[]))).expect(0);
        scene
    }

    /// An executor with a door of its own; its number.
    fn join(&mut self, threads: usize) -> usize {
        let door = self.bucket.door(self.doors);
        self.doors += 1;
        let threads = threads.to_string();
        self.cluster.join_with(&self.world, |command| door.lead(command), &["-v", "--threads", &threads]);
        self.doors - 1
    }

    fn begin(&self, model: &str) -> Child {
        let engine = self.cluster.engine();
        let rows = TASK.to_string();
        let more = ["--engine", &engine, "--share", "s3://b/share", "--task-rows", &rows, "--deadline", "60"];
        let mut command = self.door.lead(self.world.command(fit(model, &more)));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Ends with the model it would have come to anyway; what it said.
    fn same(&self, mut child: Child, model: &str) -> String {
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success(), "{said}");
        let read = |name: &str| fs::read(self.world.path(name)).unwrap();
        assert!(read(model) == read("local.safetensors"), "another model");
        said
    }
}

fn fit(model: &str, more: &[&str]) -> Vec<String> {
    let args = ["kmeans", "fit", "--data", "s3://b/features/*.parquet", "-k", "30", "--tolerance", "0"];
    let rest = ["--init", "random", "--max-iterations", "6", "--model", model];
    args.iter().chain(&rest).chain(more).map(|&arg| arg.to_owned()).collect()
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

fn iterations(work: &Path) -> usize {
    fs::read_to_string(work.join("telemetry.jsonl")).unwrap_or_default().lines().count()
}

fn ends(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_executor_killed_in_the_middle_of_a_task_changes_nothing() {
    let mut scene = Scene::with(2);
    // From the third pass on both are held in the middle of a task, one of them for good.
    scene.bucket.gate.close((PASSES, 3), ROWS_OF, &[0, 1], 1);
    let child = scene.begin("killed.safetensors");
    scene.bucket.gate.wait_for(0, 1);
    scene.bucket.gate.wait_for(1, 1);
    assert!(iterations(&scene.world.path("killed.safetensors.work")) >= 1, "it is a step of k-means that was held");
    scene.cluster.executors[0].signal("KILL");
    scene.cluster.executors[0].wait();
    scene.bucket.gate.open();
    scene.same(child, "killed.safetensors");
}

#[test]
fn an_executor_killed_when_its_sums_are_made_and_not_yet_fetched_changes_nothing() {
    let mut scene = Scene::with(2);
    // The other holds one task of the pass, so that all the rest is done by the one that is killed then.
    scene.bucket.gate.close((PASSES, 3), ROWS_OF, &[1], 1);
    let child = scene.begin("killed.safetensors");
    scene.bucket.gate.wait_for(1, 1);
    let (busy, slow) = (&scene.cluster.executors[0], &scene.cluster.executors[1]);
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "the rest is not done: {}", busy.said());
        // What it says comes a little later than what it does.
        if let Some(job) = running(slow)
            && finished(busy, &job) + finished(slow, &job) >= TASKS - 1
        {
            assert!(finished(busy, &job) > 0, "what is lost was made");
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    busy.signal("KILL");
    scene.cluster.executors[0].wait();
    scene.bucket.gate.open();
    scene.same(child, "killed.safetensors");
}

/// The job of a task that a node was given and has not finished; tasks are named `[TID job/stage.attempt/task.attempt]`.
fn running(node: &Node) -> Option<String> {
    let said = node.said();
    let tasks = |words: &str| {
        let lines = said.lines().filter(|line| line.contains(words)).filter_map(|line| line.split("[TID ").nth(1));
        lines.filter_map(|line| Some(line.split_once(']')?.0.to_owned())).collect::<Vec<_>>()
    };
    let finished = tasks("Finished task");
    let open = tasks("Received task").into_iter().find(|task| !finished.contains(task))?;
    Some(open.split('/').next()?.to_owned())
}

fn finished(node: &Node, job: &str) -> usize {
    let task = format!("[TID {job}/");
    node.said().lines().filter(|line| line.contains("Finished task") && line.contains(&task)).count()
}

#[test]
fn an_executor_that_is_asked_to_end_finishes_its_task_and_takes_no_other() {
    let mut scene = Scene::with(0);
    // Both of its tasks are held, and there are more that it could take.
    scene.join(2);
    scene.bucket.gate.close((PASSES, 3), ROWS_OF, &[0], 2);
    let child = scene.begin("ended.safetensors");
    scene.bucket.gate.wait_for(0, 2);
    let ended = &mut scene.cluster.executors[0];
    ended.signal("TERM");
    ended.wait_for("the executor takes no more tasks, and ends with those it has: 2");
    let after = |said: &str| said.split_once("takes no more tasks").unwrap().1.to_owned();
    // One is done, and the thread that did it has all the time to take another.
    scene.bucket.gate.let_one_go();
    let begun = Instant::now();
    while !after(&ended.said()).contains("Finished task") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", ended.said());
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_secs(1));
    assert!(ended.child.try_wait().unwrap().is_none(), "a task of it still runs");
    scene.bucket.gate.open();
    assert_eq!(ended.wait().code(), Some(0), "{}", ended.said());
    let after = after(&ended.said());
    assert!(!after.contains("Received task"), "{after}");
    assert_eq!(after.matches("Finished task").count(), 2, "{after}");
    scene.join(1);
    scene.same(child, "ended.safetensors");
}

#[test]
fn a_scheduler_that_is_killed_and_started_again_changes_nothing() {
    let mut scene = Scene::with(1);
    scene.bucket.gate.close((PASSES, 3), ROWS_OF, &[0], 1);
    let child = scene.begin("again.safetensors");
    scene.bucket.gate.wait_for(0, 1);
    scene.cluster.scheduler.signal("KILL");
    scene.cluster.scheduler.wait();
    let executors = std::mem::take(&mut scene.cluster.executors);
    scene.cluster = Cluster::without_executors(&scene.world, &scene.cluster.address);
    scene.cluster.executors = executors;
    scene.bucket.gate.open();
    let said = scene.same(child, "again.safetensors");
    assert!(said.contains("asking again") || said.contains("waiting for it"), "{said}");
}

#[test]
fn a_client_that_is_killed_goes_on_where_it_was() {
    let scene = Scene::with(2);
    let (model, work) = ("resumed.safetensors", scene.world.path("resumed.safetensors.work"));
    // Passes of this client: rows are looked through once, then come the steps.
    for (pass, done) in [(3, 1), (3, 3)] {
        scene.bucket.gate.close((PASSES, pass), ROWS_OF, &[0, 1], 1);
        let mut child = scene.begin(model);
        scene.bucket.gate.wait_for(0, 1);
        assert!(iterations(&work) >= done, "{} iterations, not {done}", iterations(&work));
        ends(&mut child);
        scene.bucket.gate.open();
    }
    let said = scene.same(scene.begin(model), model);
    assert!(said.contains("going on from iteration"), "{said}");
}

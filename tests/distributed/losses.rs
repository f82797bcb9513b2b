//! What is lost on the way costs time, not the result.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::features::{rows, write};
use super::nodes::Cluster;
use super::world::World;

/// A fit long enough to be disturbed.
fn fit(world: &World, model: &str, more: &[&str]) -> Vec<String> {
    if !world.path("d").exists() {
        fs::create_dir(world.path("d")).unwrap();
        let all = rows(48_000, 96);
        for (part, some) in all.chunks(12_000).enumerate() {
            write(&world.path(format!("d/{part}.parquet")), some, part * 12_000, 2000);
        }
    }
    let args = ["kmeans", "fit", "--data", "d/*.parquet", "-k", "150", "--tolerance", "0", "--init", "random"];
    let rest = ["--max-iterations", "6", "--model", model];
    args.iter().chain(&rest).chain(more).map(|&arg| arg.to_owned()).collect()
}

fn iterations(work: &Path) -> usize {
    fs::read_to_string(work.join("telemetry.jsonl")).unwrap_or_default().lines().count()
}

/// Starts a fit on the cluster and waits until `done` iterations are.
fn begin(world: &World, cluster: &Cluster, model: &str, done: usize) -> Child {
    let engine = cluster.engine();
    let args = fit(world, model, &["--engine", &engine, "--task-rows", "4000", "--deadline", "60"]);
    let mut child = world.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while iterations(&world.path(format!("{model}.work"))) < done {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        assert!(begun.elapsed() < Duration::from_secs(120), "it came to nothing");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn same(world: &World, child: Child, model: &str) {
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let read = |name: &str| fs::read(world.path(name)).unwrap();
    assert!(read(model) == read("local.safetensors"), "another model");
}

#[test]
fn an_executor_killed_in_the_middle_changes_nothing() {
    let world = World::new();
    world.run(fit(&world, "local.safetensors", &[])).expect(0);
    let mut cluster = Cluster::of(&world, 2);
    for (number, wait) in [15u64, 120].into_iter().enumerate() {
        let model = format!("killed{number}.safetensors");
        let child = begin(&world, &cluster, &model, 2);
        std::thread::sleep(Duration::from_millis(wait));
        let mut killed = cluster.executors.remove(0);
        killed.signal("KILL");
        killed.wait();
        same(&world, child, &model);
        cluster.join(&world);
    }
}

#[test]
fn an_executor_that_is_asked_to_end_does_so_and_the_others_finish() {
    let world = World::new();
    world.run(fit(&world, "local.safetensors", &[])).expect(0);
    let mut cluster = Cluster::of(&world, 2);
    let child = begin(&world, &cluster, "ended.safetensors", 2);
    cluster.executors[1].signal("TERM");
    let status = cluster.executors[1].wait();
    assert_eq!(status.code(), Some(0), "{}", cluster.executors[1].said());
    same(&world, child, "ended.safetensors");
}

#[test]
fn a_scheduler_that_is_killed_and_started_again_changes_nothing() {
    let world = World::new();
    world.run(fit(&world, "local.safetensors", &[])).expect(0);
    let mut cluster = Cluster::of(&world, 1);
    let child = begin(&world, &cluster, "again.safetensors", 2);
    cluster.scheduler.signal("KILL");
    cluster.scheduler.wait();
    let executors = std::mem::take(&mut cluster.executors);
    let mut cluster = Cluster::without_executors(&world, &cluster.address);
    cluster.executors = executors;
    same(&world, child, "again.safetensors");
}

#[test]
fn a_client_that_is_killed_goes_on_where_it_was() {
    let world = World::new();
    world.run(fit(&world, "local.safetensors", &[])).expect(0);
    let cluster = Cluster::of(&world, 2);
    for done in [1, 3] {
        let mut child = begin(&world, &cluster, "resumed.safetensors", done);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let child = begin(&world, &cluster, "resumed.safetensors", 4);
    same(&world, child, "resumed.safetensors");
}

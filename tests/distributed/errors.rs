//! What goes wrong with a cluster is told with the way out.

use std::fs;
use std::process::Command;

use super::features::{rows, write};
use super::nodes::{Cluster, Node};
use super::world::World;

fn fit<'a>(data: &'a str, engine: &'a str) -> Vec<&'a str> {
    vec!["kmeans", "fit", "--data", data, "-k", "3", "--engine", engine]
}

#[test]
fn a_scheduler_that_is_not_there() {
    let world = World::new();
    write(&world.path("a.parquet"), &rows(50, 6), 0, 20);
    let seen = world.run(fit("a.parquet", "ballista://127.0.0.1:1")).expect(1);
    assert!(seen.stderr.contains("cannot reach the scheduler at 127.0.0.1:1"), "{}", seen.stderr);
    assert!(seen.stderr.contains("albumctl node scheduler --bind 127.0.0.1:1"), "{}", seen.stderr);
    assert!(!world.path("kmeans.safetensors").exists() && !world.path("kmeans.safetensors.work").exists());
    for wrong in ["ballista://nowhere", "spark://host:1", "ballista://:50050"] {
        world.run(fit("a.parquet", wrong)).expect(2);
    }
    let offline = world.run([&fit("a.parquet", "ballista://127.0.0.1:1")[..], &["--offline"]].concat()).expect(2);
    assert!(offline.stderr.contains("--offline forbids it"), "{}", offline.stderr);
}

#[test]
fn an_executor_without_a_scheduler_gives_up() {
    let world = World::new();
    let seen = world.run(["node", "executor", "--scheduler", "127.0.0.1:1", "--port", "0", "--wait", "1"]).expect(1);
    assert!(seen.stderr.contains("127.0.0.1:1"), "{}", seen.stderr);
    assert!(seen.stderr.contains("albumctl node scheduler"), "{}", seen.stderr);
}

#[test]
fn a_cluster_without_executors() {
    let world = World::new();
    write(&world.path("a.parquet"), &rows(50, 6), 0, 20);
    let cluster = Cluster::without_executors(&world, "127.0.0.1:0");
    let engine = cluster.engine();
    let seen = world.run([&fit("a.parquet", &engine)[..], &["--deadline", "3"]].concat()).expect(1);
    assert!(seen.stderr.contains("are there executors"), "{}", seen.stderr);
}

#[test]
fn a_bad_row_is_named_by_file_and_row_group() {
    let world = World::new();
    let mut all = rows(400, 6);
    for part in ["a", "c", "d", "e"] {
        write(&world.path(format!("{part}.parquet")), &all, 0, 50);
    }
    all[217][4] = f32::NAN;
    write(&world.path("b.parquet"), &all, 0, 50);
    let cluster = Cluster::of(&world, 2);
    let engine = cluster.engine();
    let seen = world.run([&fit("?.parquet", &engine)[..], &["--task-rows", "60"]].concat()).expect(1);
    assert!(seen.stderr.contains("b.parquet: row group 4, row 17: NaN at position 4"), "{}", seen.stderr);
    assert!(!world.path("kmeans.safetensors").exists() && !world.path("kmeans.safetensors.work").exists());
}

#[test]
fn executors_that_see_other_paths() {
    let world = World::new();
    write(&world.path("a.parquet"), &rows(300, 6), 0, 50);
    fs::create_dir(world.path("elsewhere")).unwrap();
    let mut cluster = Cluster::without_executors(&world, "127.0.0.1:0");
    // To each process this path is its own folder.
    let data = "/proc/self/cwd/a.parquet";
    let mut command: Command =
        world.command(["node", "executor", "--scheduler", &cluster.address, "--port", "0", "--threads", "1"]);
    command.current_dir(world.path("elsewhere"));
    let executor = Node::start(command);
    executor.wait_for("works for");
    cluster.executors.push(executor);
    let engine = cluster.engine();
    let seen = world.run(fit(data, &engine)).expect(1);
    assert!(seen.stderr.contains("an executor does not see what this machine sees"), "{}", seen.stderr);
    assert!(seen.stderr.contains("a.parquet") && seen.stderr.contains("same path on every machine"), "{}", seen.stderr);
    // A file of the same name with other rows.
    write(&world.path("elsewhere/a.parquet"), &rows(200, 6), 0, 50);
    let seen = world.run(fit(data, &engine)).expect(1);
    let told = &seen.stderr;
    assert!(told.contains("do not hold the same files") || told.contains("does not see"), "{told}");
    // The share is what they cannot see.
    let data = world.path("a.parquet").to_string_lossy().into_owned();
    let more = ["--share", "/proc/self/cwd/share"];
    fs::create_dir(world.path("share")).unwrap();
    let seen = world.run([&fit(&data, &engine)[..], &more].concat()).expect(1);
    assert!(seen.stderr.contains("/proc/self/cwd/share/pass-"), "{}", seen.stderr);
    assert!(seen.stderr.contains("same path on every machine"), "{}", seen.stderr);
}

//! Features, models and results in object stores.

use std::fs;
use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};

use super::bucket::{Bucket, Door, Objects};
use super::features::{Form, column, plain, rows, write, write_columns};
use super::nodes::Cluster;
use super::world::World;

/// Three files, here and in a bucket.
fn bucket(world: &World) -> (Bucket, Door) {
    let all = rows(900, 11);
    let mut objects = Objects::new();
    fs::create_dir(world.path("d")).unwrap();
    for part in 0..3 {
        let path = world.path(format!("d/{part}.parquet"));
        write(&path, &all[part * 300..][..300], part * 300, 70);
        objects.insert(format!("photos/features/{part}.parquet"), fs::read(&path).unwrap());
    }
    objects.insert("photos/features/readme.txt".to_owned(), b"no features".to_vec());
    objects.insert("photos/other/9.parquet".to_owned(), b"not to be read".to_vec());
    let bucket = Bucket::of(objects);
    let door = bucket.door(0);
    (bucket, door)
}

const LOCAL: &str = "local.safetensors";
const DATA: &str = "s3://photos/features/*.parquet";

fn fit<'a>(data: &[&'a str], model: &'a str) -> Vec<&'a str> {
    let rest = ["-k", "6", "--tolerance", "0", "--max-iterations", "5", "--model", model];
    [&["kmeans", "fit", "--data"], data, &rest].concat()
}

#[test]
fn buckets_web_servers_and_file_addresses_hold_the_same_rows() {
    let world = World::new();
    let (_, door) = bucket(&world);
    world.run(fit(&["d/*.parquet"], LOCAL)).expect(0);
    let read = |name: &str| fs::read(world.path(name)).unwrap();
    door.run(&world, &fit(&[DATA], "s3.safetensors")).expect(0);
    assert!(read("s3.safetensors") == read(LOCAL));
    let web: Vec<String> =
        (0..3).map(|part| format!("http://{}/photos/features/{part}.parquet", door.address)).collect();
    let web: Vec<&str> = web.iter().map(String::as_str).collect();
    world.run(fit(&web, "web.safetensors")).expect(0);
    assert!(read("web.safetensors") == read(LOCAL));
    let file = format!("file://{}/*.parquet", world.path("d").display());
    world.run(fit(&[&file], "file.safetensors")).expect(0);
    assert!(read("file.safetensors") == read(LOCAL));
    let dedup = |data: &str| door.run(&world, &["dedup", "--data", data]).expect(0).text();
    assert_eq!(dedup("d/*.parquet"), dedup(DATA));
}

#[test]
fn models_lists_and_labels_may_lie_in_a_bucket() {
    let world = World::new();
    let (bucket, door) = bucket(&world);
    bucket.put("photos/list.txt", b"# all of them\ns3://photos/features/*.parquet\n".to_vec());
    world.run(fit(&["d/*.parquet"], LOCAL)).expect(0);
    let model = "s3://photos/models/m #1 100%.safetensors";
    let kept = ["--work", "work"];
    door.run(&world, &[&fit(&[DATA], model)[..], &kept].concat()).expect(0);
    assert!(bucket.get("photos/models/m #1 100%.safetensors") == fs::read(world.path(LOCAL)).unwrap());
    let told = |model: &str| {
        let told = door.run(&world, &["kmeans", "info", model]).expect(0).text();
        told.replace(model, "MODEL")
    };
    assert_eq!(told(model), told(LOCAL));
    door.run(&world, &["kmeans", "assign", "--model", LOCAL, "--data", "d/*.parquet", "-o", "here.parquet"]).expect(0);
    let there = ["kmeans", "assign", "--model", model, "--data-file", "s3://photos/list.txt"];
    door.run(&world, &[&there[..], &["-o", "s3://photos/labels.parquet"]].concat()).expect(0);
    assert!(bucket.get("photos/labels.parquet") == fs::read(world.path("here.parquet")).unwrap());
}

#[test]
fn large_labels_are_sent_in_parts() {
    let world = World::new();
    let bucket = Bucket::default();
    let door = bucket.door(0);
    // Ids are what is large about them, and do not compress.
    let all = rows(60_000, 3);
    let hash = |number: usize| blake3::hash(&number.to_le_bytes()).to_hex();
    let long = |row: usize| format!("{}{}", hash(row), hash(!row));
    let ids = StringArray::from_iter_values((0..all.len()).map(long));
    let columns: Vec<(&str, ArrayRef)> = vec![("id", Arc::new(ids)), ("feature", column(&all, Form::List))];
    write_columns(&world.path("f.parquet"), columns, plain().build());
    world.run(["kmeans", "fit", "--data", "f.parquet", "-k", "4", "--max-iterations", "2", "-m", LOCAL]).expect(0);
    for out in ["here.parquet", "s3://photos/labels.parquet"] {
        door.run(&world, &["kmeans", "assign", "--model", LOCAL, "--data", "f.parquet", "-o", out]).expect(0);
    }
    let sent = bucket.get("photos/labels.parquet");
    assert!(sent == fs::read(world.path("here.parquet")).unwrap());
    assert!(sent.len() > 5 << 20, "{} bytes are sent in one go", sent.len());
}

#[test]
fn what_only_this_machine_can_hold_is_said_before_work_begins() {
    let world = World::new();
    let (bucket, door) = bucket(&world);
    let (before, refuse) = (bucket.keys("").len(), |args: &[&str], told: &str| {
        let seen = door.run(&world, args).expect(2);
        assert!(seen.stderr.contains("must lie on this machine") && seen.stderr.contains(told), "{}", seen.stderr);
    });
    refuse(&fit(&[DATA], "s3://photos/m.safetensors"), "--work DIR");
    refuse(&[&fit(&[DATA], "m.safetensors")[..], &["--work", "s3://photos/work"]].concat(), "--work DIR");
    refuse(&[&fit(&[DATA], "m.safetensors")[..], &["-o", "s3://photos/told"]].concat(), "write a file here");
    refuse(&["dedup", "--data", DATA, "-o", "s3://photos/told.jsonl"], "write a file here");
    refuse(&["dedup", "--data", DATA, "--work", "s3://photos/work"], "--work DIR");
    refuse(&["dedup", "--data", DATA, "--scores", "s3://photos/scores.jsonl"], "copy it");
    refuse(&["score", "s3://photos/a.jpg"], "mount the bucket");
    assert_eq!(bucket.keys("").len(), before);
    let offline = |args: &[&str]| {
        let seen = door.run(&world, &[args, &["--offline"]].concat()).expect(2);
        assert!(seen.stderr.contains("--offline forbids it"), "{}", seen.stderr);
    };
    offline(&fit(&[DATA], "m.safetensors"));
    offline(&["kmeans", "info", "s3://photos/m.safetensors"]);
    offline(&["embed", "s3://photos/a.jpg"]);
}

#[test]
fn what_is_not_there_is_told_by_its_address() {
    let world = World::new();
    let (_, door) = bucket(&world);
    let missing = format!("http://{}/photos/features/7.parquet", door.address);
    let seen = world.run(fit(&[&missing], "m.safetensors")).expect(1);
    assert!(seen.stderr.contains(&missing), "{}", seen.stderr);
    let seen = door.run(&world, &fit(&["s3://photos/nothing/*.parquet"], "m.safetensors")).expect(2);
    assert!(seen.stderr.contains("`s3://photos/nothing/*.parquet` names no file"), "{}", seen.stderr);
    let web = format!("http://{}/photos/*.parquet", door.address);
    assert!(world.run(fit(&[&web], "m.safetensors")).expect(2).stderr.contains("name each file"));
    let text = format!("http://{}/photos/features/readme.txt", door.address);
    let seen = world.run(fit(&[&text], "m.safetensors")).expect(1);
    assert!(seen.stderr.contains("readme.txt: not a readable Parquet file"), "{}", seen.stderr);
    let seen = door.run(&world, &["kmeans", "info", "s3://photos/none.safetensors"]).expect(1);
    assert!(seen.stderr.contains("s3://photos/none.safetensors"), "{}", seen.stderr);
}

#[test]
fn a_cluster_reads_a_bucket_and_needs_no_shared_folder() {
    let world = World::new();
    let (bucket, door) = bucket(&world);
    world.run(fit(&["d/*.parquet"], LOCAL)).expect(0);
    let mut cluster = Cluster::without_executors(&world, "127.0.0.1:0");
    for _ in 0..2 {
        cluster.join_with(&world, |command| door.lead(command), &["--threads", "1"]);
    }
    let engine = cluster.engine();
    let more = ["--engine", &engine, "--share", "s3://photos/share", "--task-rows", "100"];
    door.run(&world, &[&fit(&[DATA], "far.safetensors")[..], &more].concat()).expect(0);
    assert!(fs::read(world.path("far.safetensors")).unwrap() == fs::read(world.path(LOCAL)).unwrap());
    assert!(bucket.keys("photos/share").is_empty(), "passes are cleared away");
}

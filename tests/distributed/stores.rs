//! Features in object stores: a server of the test's own that speaks as much S3 and HTTP as is needed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::features::{rows, write};
use super::nodes::{Cluster, Node};
use super::world::{Seen, World};

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Serves `/bucket/key` objects; returns `HOST:PORT`.
fn serve(objects: Objects) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let objects = Arc::clone(&objects);
            std::thread::spawn(move || while answer(&stream, &objects).is_some() {});
        }
    });
    address
}

/// One request; `None` when the other side is gone.
fn answer(mut stream: &TcpStream, objects: &Objects) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let key = path.trim_start_matches('/').to_owned();
    let mut objects = objects.lock().unwrap();
    let mut told = |status: &str, more: &str, body: &[u8], length: usize| {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"e{length}\"\r\nLast-Modified: Sat, 01 Jan 2022 00:00:00 \
             GMT\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok()
    };
    match (method.as_str(), objects.get(&key)) {
        ("GET", _) if query.contains("list-type=2") => {
            let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
            let prefix = prefix.replace("%2F", "/");
            let bucket = format!("{}/", key.trim_end_matches('/'));
            let matching = objects.iter().filter_map(|(key, value)| Some((key.strip_prefix(&bucket)?, value.len())));
            let listed: Vec<String> = matching
                .filter(|(key, _)| key.starts_with(&prefix))
                .map(|(key, size)| {
                    format!(
                        "<Contents><Key>{key}</Key><LastModified>2022-01-01T00:00:00.000Z</LastModified><ETag>e</ETag>\
                         <Size>{size}</Size></Contents>"
                    )
                })
                .collect();
            let text =
                format!("<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>", listed.concat());
            told("200 OK", "", text.as_bytes(), text.len())
        }
        ("HEAD", Some(object)) => told("200 OK", "Accept-Ranges: bytes\r\n", b"", object.len()),
        ("GET", Some(object)) => match headers.get("range").and_then(|range| range.strip_prefix("bytes=")) {
            None => told("200 OK", "", object, object.len()),
            Some(range) => {
                let (from, to) = range.split_once('-')?;
                let from: usize = from.parse().ok()?;
                let to = to.parse::<usize>().ok()?.min(object.len() - 1);
                let part = &object[from..=to];
                let more = format!("Content-Range: bytes {from}-{to}/{}\r\n", object.len());
                told("206 Partial Content", &more, part, part.len())
            }
        },
        ("PUT", _) => {
            objects.insert(key, body);
            told("200 OK", "", b"", 0)
        }
        ("DELETE", _) => {
            objects.remove(&key);
            told("204 No Content", "", b"", 0)
        }
        // Many at once, named by an XML body.
        ("POST", _) if query.starts_with("delete") => {
            let asked = String::from_utf8(body).ok()?;
            let names = asked.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
            let names: Vec<String> = names.map(|(name, _)| name.to_owned()).collect();
            let bucket = key.trim_end_matches('/');
            names.iter().for_each(|name| drop(objects.remove(&format!("{bucket}/{name}"))));
            let gone: Vec<String> = names.iter().map(|name| format!("<Deleted><Key>{name}</Key></Deleted>")).collect();
            let text = format!("<DeleteResult>{}</DeleteResult>", gone.concat());
            told("200 OK", "", text.as_bytes(), text.len())
        }
        _ => told("404 Not Found", "", b"", 0),
    }
}

/// Three files, here and in a bucket.
fn bucket(world: &World) -> (String, Objects) {
    let all = rows(900, 11);
    let mut objects = BTreeMap::new();
    fs::create_dir(world.path("d")).unwrap();
    for part in 0..3 {
        let path = world.path(format!("d/{part}.parquet"));
        write(&path, &all[part * 300..][..300], part * 300, 70);
        objects.insert(format!("photos/features/{part}.parquet"), fs::read(&path).unwrap());
    }
    objects.insert("photos/features/readme.txt".to_owned(), b"no features".to_vec());
    objects.insert("photos/other/9.parquet".to_owned(), b"not to be read".to_vec());
    let objects = Arc::new(Mutex::new(objects));
    (serve(Arc::clone(&objects)), objects)
}

/// A command that knows where the bucket is.
fn knowing(mut command: Command, server: &str) -> Command {
    command
        .env("AWS_ENDPOINT_URL", format!("http://{server}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "nowhere")
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "key");
    command
}

fn run(world: &World, server: &str, args: &[&str]) -> Seen {
    knowing(world.command(args), server).output().unwrap().into()
}

const LOCAL: &str = "local.safetensors";

fn fit<'a>(data: &[&'a str], model: &'a str) -> Vec<&'a str> {
    let rest = ["-k", "6", "--tolerance", "0", "--max-iterations", "5", "--model", model];
    [&["kmeans", "fit", "--data"], data, &rest].concat()
}

#[test]
fn buckets_web_servers_and_file_addresses_hold_the_same_rows() {
    let world = World::new();
    let (server, _) = bucket(&world);
    world.run(fit(&["d/*.parquet"], LOCAL)).expect(0);
    let read = |name: &str| fs::read(world.path(name)).unwrap();
    run(&world, &server, &fit(&["s3://photos/features/*.parquet"], "s3.safetensors")).expect(0);
    assert!(read("s3.safetensors") == read(LOCAL));
    let web: Vec<String> = (0..3).map(|part| format!("http://{server}/photos/features/{part}.parquet")).collect();
    let web: Vec<&str> = web.iter().map(String::as_str).collect();
    world.run(fit(&web, "web.safetensors")).expect(0);
    assert!(read("web.safetensors") == read(LOCAL));
    let file = format!("file://{}/*.parquet", world.path("d").display());
    world.run(fit(&[&file], "file.safetensors")).expect(0);
    assert!(read("file.safetensors") == read(LOCAL));
    // The other commands over features read the same way.
    let data = "s3://photos/features/*.parquet";
    let assign = |data: &str, out: &str| {
        run(&world, &server, &["kmeans", "assign", "--model", LOCAL, "--data", data, "-o", out]).expect(0);
        read(out)
    };
    assert!(assign("d/*.parquet", "here.parquet") == assign(data, "there.parquet"));
    let dedup = |data: &str| run(&world, &server, &["dedup", "--data", data]).expect(0).text();
    assert_eq!(dedup("d/*.parquet"), dedup(data));
}

#[test]
fn what_is_not_there_is_told_by_its_address() {
    let world = World::new();
    let (server, _) = bucket(&world);
    let missing = format!("http://{server}/photos/features/7.parquet");
    let seen = world.run(fit(&[&missing], "m.safetensors")).expect(1);
    assert!(seen.stderr.contains(&missing), "{}", seen.stderr);
    let seen = run(&world, &server, &fit(&["s3://photos/nothing/*.parquet"], "m.safetensors")).expect(2);
    assert!(seen.stderr.contains("`s3://photos/nothing/*.parquet` names no file"), "{}", seen.stderr);
    let web = format!("http://{server}/photos/*.parquet");
    assert!(world.run(fit(&[&web], "m.safetensors")).expect(2).stderr.contains("name each file"));
    let text = format!("http://{server}/photos/features/readme.txt");
    let seen = world.run(fit(&[&text], "m.safetensors")).expect(1);
    assert!(seen.stderr.contains("readme.txt: not a readable Parquet file"), "{}", seen.stderr);
    let seen = world.run([&fit(&[&missing], "m.safetensors")[..], &["--offline"]].concat()).expect(2);
    assert!(seen.stderr.contains("--offline forbids it"), "{}", seen.stderr);
}

#[test]
fn a_cluster_reads_a_bucket_and_needs_no_shared_folder() {
    let world = World::new();
    let (server, objects) = bucket(&world);
    world.run(fit(&["d/*.parquet"], LOCAL)).expect(0);
    let mut cluster = Cluster::without_executors(&world, "127.0.0.1:0");
    for _ in 0..2 {
        let args = ["node", "executor", "--scheduler", &cluster.address, "--port", "0", "--threads", "1"];
        let executor = Node::start(knowing(world.command(args), &server));
        executor.wait_for("works for");
        cluster.executors.push(executor);
    }
    let engine = cluster.engine();
    let more = ["--engine", &engine, "--share", "s3://photos/share", "--task-rows", "100"];
    let args = [&fit(&["s3://photos/features/*.parquet"], "far.safetensors")[..], &more].concat();
    run(&world, &server, &args).expect(0);
    assert!(fs::read(world.path("far.safetensors")).unwrap() == fs::read(world.path(LOCAL)).unwrap());
    let left = objects.lock().unwrap().keys().filter(|key| key.contains("share")).count();
    assert_eq!(left, 0, "passes are cleared away");
}

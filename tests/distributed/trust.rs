//! Who takes part: those who show the token, over TLS, and on addresses of this machine alone whoever is there.

use std::fs;
use std::process::Command;

use arrow_flight::Action;
use arrow_flight::flight_service_client::FlightServiceClient;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{CancelJobParams, PollWorkParams};
use tonic::Code;
use tonic::transport::Endpoint;

use super::certificates::certificates;
use super::features::{rows, write};
use super::nodes::Cluster;
use super::world::{World, set_mode, skipped};

const TOKEN: &str = "5f3c0e4bb1d64b63a2f0c2b1d7a9e8c4";

/// A world with a token, another, and features.
fn world() -> World {
    let world = World::new();
    for (name, token) in [("token", TOKEN.to_owned()), ("other", TOKEN.replace('5', "6"))] {
        fs::write(world.path(name), format!("{token}\n")).unwrap();
        set_mode(&world.path(name), 0o600);
    }
    write(&world.path("f.parquet"), &rows(700, 6), 0, 50);
    world
}

fn fit<'a>(engine: &'a str, model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fit = ["kmeans", "fit", "--data", "f.parquet", "-k", "5", "--tolerance", "0", "--max-iterations", "4"];
    let rest = ["--model", model, "--engine", engine, "--task-rows", "60"];
    [&fit[..], &rest, more].concat()
}

/// The model is that of this machine alone.
fn same(world: &World, model: &str) {
    world.run(fit("local", "local.safetensors", &[])).expect(0);
    let read = |name: &str| fs::read(world.path(name)).unwrap();
    assert!(read(model) == read("local.safetensors"), "another model");
}

#[test]
fn without_the_token_nothing_is_to_be_had() {
    let world = world();
    let mut cluster = Cluster::with(&world, "127.0.0.1:0", &["--token-file", "token", "-v"]);
    for _ in 0..2 {
        cluster.join_with(&world, |command| command, &["--threads", "1", "--token-file", "token", "-v"]);
    }
    let engine = cluster.engine();
    let told = |more: &[&str]| world.run(fit(&engine, "m.safetensors", more)).expect(1).stderr;
    let none = told(&[]);
    assert!(none.contains("asks for a token: --token-file FILE") && !none.contains("asking again"), "{none}");
    let wrong = told(&["--token-file", "other"]);
    assert!(wrong.contains("another token than this node's: --token-file FILE"), "{wrong}");
    assert!(!world.path("m.safetensors").exists());
    // Nodes are asked as clients are.
    for (more, words) in [(&[][..], "asks for a token"), (&["--token-file", "other"], "another token")] {
        let args = ["node", "executor", "--scheduler", &cluster.address, "--port", "0"];
        let seen = world.run([&args[..], more].concat()).expect(1);
        assert!(seen.stderr.contains(words), "{}", seen.stderr);
    }
    // With the token, by the option and by the environment.
    world.run(fit(&engine, "m.safetensors", &["--token-file", "token"])).expect(0);
    same(&world, "m.safetensors");
    let mut command = world.command(fit(&engine, "e.safetensors", &[]));
    assert!(command.env("ALBUMCTL_TOKEN_FILE", world.path("token")).status().unwrap().success());
    same(&world, "e.safetensors");
    // Every call that there is, of both kinds of node.
    let said: String = cluster.executors.iter().map(super::nodes::Node::said).collect();
    let port = said.lines().find_map(|line| line.rsplit_once("on port ")).unwrap().1;
    let at = |address: &str| Endpoint::from_shared(format!("http://{address}")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut scheduler = SchedulerGrpcClient::new(at(&cluster.address).connect().await.unwrap());
        let cancelled = scheduler.cancel_job(CancelJobParams { job_id: "a".into() }).await;
        assert_eq!(cancelled.unwrap_err().code(), Code::Unauthenticated);
        let worked =
            scheduler.poll_work(PollWorkParams { metadata: None, num_free_vcores: 9, task_status: Vec::new() });
        assert_eq!(worked.await.unwrap_err().code(), Code::Unauthenticated);
        let mut executor = FlightServiceClient::new(at(&format!("127.0.0.1:{port}")).connect().await.unwrap());
        let action = Action { r#type: "IO_BLOCK_TRANSPORT".into(), body: Vec::<u8>::new().into() };
        assert_eq!(executor.do_action(action).await.unwrap_err().code(), Code::Unauthenticated);
    });
    for said in cluster.executors.iter().chain([&cluster.scheduler]).map(super::nodes::Node::said) {
        assert!(!said.contains(TOKEN) && !said.contains("albumctl-token="), "{said}");
    }
}

#[test]
fn nodes_speak_tls_and_believe_one_authority() {
    let world = world();
    let (nodes, others) = (world.path("nodes"), world.path("others"));
    if certificates(&nodes, "node", "IP:127.0.0.1").is_none() || certificates(&others, "node", "IP:127.0.0.1").is_none()
    {
        return skipped("there is no openssl to make certificates with");
    }
    let listens = ["--token-file", "token", "--tls-cert", "nodes/node.pem", "--tls-key", "nodes/node.key"];
    let mut cluster = Cluster::with(&world, "127.0.0.1:0", &listens);
    let executor = [&["--threads", "1", "--tls-ca", "nodes/ca.pem"][..], &listens].concat();
    for _ in 0..2 {
        cluster.join_with(&world, |command| command, &executor);
    }
    let engine = cluster.engine();
    let calls = ["--token-file", "token", "--tls-ca", "nodes/ca.pem"];
    world.run(fit(&engine, "m.safetensors", &calls)).expect(0);
    same(&world, "m.safetensors");
    for executor in &mut cluster.executors {
        executor.signal("TERM");
        assert_eq!(executor.wait().code(), Some(0), "{}", executor.said());
        let line = executor.wait_for("it looked at");
        assert!(!line.contains("looked at 0 rows"), "each had its share, and fetched the other's sums: {line}");
    }
    let told = |more: &[&str]| {
        let seen = world.run(fit(&engine, "n.safetensors", more)).expect(1);
        assert!(!world.path("n.safetensors").exists());
        seen.stderr
    };
    let foreign = told(&["--token-file", "token", "--tls-ca", "others/ca.pem"]);
    assert!(foreign.contains("invalid peer certificate"), "{foreign}");
    let plain = told(&["--token-file", "token"]);
    assert!(plain.contains("TLS"), "{plain}");
    let name = told(&[&calls[..], &["--tls-server-name", "elsewhere.example"]].concat());
    assert!(name.contains("elsewhere.example") || name.contains("NotValidForName"), "{name}");
    let half = world.run(["node", "executor", "--scheduler", &cluster.address, "--tls-ca", "nodes/ca.pem"]).expect(2);
    assert!(half.stderr.contains("--tls-cert, --tls-key and --tls-ca"), "{}", half.stderr);
}

#[test]
fn one_name_may_stand_for_all_nodes() {
    let world = world();
    if certificates(&world.path("nodes"), "node", "DNS:albumctl.nodes").is_none() {
        return skipped("there is no openssl to make certificates with");
    }
    let listens = ["--tls-cert", "nodes/node.pem", "--tls-key", "nodes/node.key"];
    let calls = ["--tls-ca", "nodes/ca.pem", "--tls-server-name", "albumctl.nodes"];
    let mut cluster = Cluster::with(&world, "127.0.0.1:0", &listens);
    cluster.join_with(&world, |command| command, &[&listens[..], &calls].concat());
    let engine = cluster.engine();
    world.run(fit(&engine, "m.safetensors", &calls)).expect(0);
    let seen = world.run(fit(&engine, "n.safetensors", &calls[..2])).expect(1);
    assert!(seen.stderr.contains("certificate"), "{}", seen.stderr);
}

#[test]
fn other_machines_are_reached_with_token_and_tls_or_by_the_word() {
    let world = world();
    let photo = ["embed", "photos", "-o", "parts"];
    world.photo("a.png", 1);
    let refused = |args: &[&str], lacking: &[&str]| {
        let seen = world.run(args).expect(2);
        for words in lacking.iter().chain(&["--insecure"]) {
            assert!(seen.stderr.contains(words), "{args:?}: {words} is not told: {}", seen.stderr);
        }
    };
    let (token, certificate, authority) = ("--token-file FILE", "--tls-cert FILE --tls-key FILE", "--tls-ca FILE");
    for bind in ["0.0.0.0:0", "[::]:0", "192.0.2.1:50050"] {
        refused(&["node", "scheduler", "--bind", bind], &[token, certificate]);
        refused(&["node", "scheduler", "--bind", bind, "--token-file", "token"], &[certificate]);
    }
    for option in [["--bind", "0.0.0.0"], ["--scheduler", "192.0.2.1:50050"], ["--host", "worker.example"]] {
        let node = [&["node", "executor", "--share", "."][..], &option].concat();
        refused(&node, &[token, certificate, authority]);
        refused(&[&node[..], &["--token-file", "token"]].concat(), &[certificate, authority]);
    }
    let engine = "ballista://192.0.2.1:50050";
    refused(&[&photo[..], &["--engine", engine]].concat(), &[token, authority]);
    refused(&fit(engine, "m.safetensors", &["--token-file", "token"]), &[authority]);
    assert!(!world.path("parts").exists() && !world.path("m.safetensors.work").exists());
    // By the word they are, with one of warning, and still within shares.
    let node =
        ["node", "executor", "--scheduler", "127.0.0.1:1", "--host", "worker.example", "--insecure", "--wait", "0"];
    let seen = world.run(node).expect(2);
    assert!(seen.stderr.contains("--share DIR|URL"), "{}", seen.stderr);
    let seen = world.run([&node[..], &["--share", "."]].concat()).expect(1);
    assert!(seen.stderr.contains("warning: --insecure: --host worker.example is used without"), "{}", seen.stderr);
    assert!(seen.stderr.contains("127.0.0.1:1"), "{}", seen.stderr);
}

#[test]
fn tokens_are_files_and_long_and_a_users_own() {
    let world = world();
    fs::write(world.path("short"), "secret\n").unwrap();
    assert!(Command::new("mkfifo").arg(world.path("pipe")).status().unwrap().success());
    fs::write(world.path("text.pem"), "no certificate").unwrap();
    let told = |more: &[&str]| {
        world.run([&["node", "scheduler", "--bind", "127.0.0.1:0"][..], more].concat()).expect(2).stderr
    };
    for (file, words) in [("short", "at least 32 characters"), ("pipe", "a pipe"), (".", "a folder"), ("none", "none")]
    {
        let told = told(&["--token-file", file]);
        assert!(told.contains(words) && told.contains("--token-file"), "{file}: {told}");
        assert!(!told.contains("secret"), "{told}");
    }
    let pem = told(&["--tls-cert", "text.pem", "--tls-key", "text.pem"]);
    assert!(pem.contains("--tls-cert text.pem"), "{pem}");
    let engine = "ballista://127.0.0.1:1";
    let pem = world.run(fit(engine, "m.safetensors", &["--tls-ca", "text.pem"])).expect(2).stderr;
    assert!(pem.contains("--tls-ca text.pem: no certificate in it"), "{pem}");
    set_mode(&world.path("token"), 0o644);
    let seen = world.run(fit(engine, "m.safetensors", &["--token-file", "token"])).expect(1).stderr;
    assert!(seen.contains("every user of this machine can read the token; chmod 600 token"), "{seen}");
}

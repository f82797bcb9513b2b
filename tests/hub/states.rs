//! What a model goes through, as others see it: on its way, checked, counted, unloaded, gone in all versions.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use albumctl::ModelHub;
use albumctl::library::Options;
use hub::availability::Status;
use hub::digest::Digest;

use crate::place::noise;
use crate::processes::{add_manifest, models, world_with};
use crate::runs::{manifest, tiny_weights};
use crate::server::{Served, Server};
use crate::world::{World, set_mode};

fn line_of(world: &World, model: &str) -> serde_json::Value {
    world.run(["models", "info", model]).expect(0).lines().remove(0)
}

/// Until it is so, or a test's patience ends.
#[track_caller]
fn wait_for(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "it never was");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_pull_of_another_process_is_seen_and_one_cut_short_is_told_from_it() {
    let (server, bytes) = (Server::start(), noise(2_000_000, 90));
    let trickle = Some((1 << 14, Duration::from_millis(40)));
    let world = world_with(&server, &bytes, Served { trickle, ..Served::file(&bytes) });
    let mut pull =
        world.command(["models", "pull", "net"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let listed = || {
        let lines = world.run(["models", "list"]).expect(0).lines();
        lines.into_iter().find(|line| line["name"] == "net").unwrap()
    };
    wait_for(|| listed()["status"] == "downloading" && listed()["bytes_here"].as_u64() > Some(0));
    let options = || Options {
        models_dir: Some(models(&world)),
        own_manifests: Some(world.path("home/.config/albumctl/models")),
        ..Options::built_in().unwrap()
    };
    let seen = ModelHub::open(options()).unwrap().status("net").unwrap();
    assert!(matches!(seen, Status::Downloading(bytes) if bytes > 0), "{seen:?}");
    pull.kill().unwrap();
    pull.wait().unwrap();
    assert_eq!(listed()["status"], "partial");
}

#[test]
fn uses_are_counted_and_the_room_that_is_taken_is_told() {
    let (server, bytes) = (Server::start(), tiny_weights("1"));
    let world = World::new();
    world.photo("a.png", 1);
    let url = server.serve("/mine.safetensors", Served::file(&bytes));
    let more = "dependencies: [ultralytics, torch]\nlast_updated: 2026-01-22\n";
    add_manifest(&world, "mine", &(manifest(1, &bytes, &url) + more));
    let line = line_of(&world, "mine");
    assert_eq!((&line["access_count"], &line["utilization"]), (&0.into(), &0.0.into()));
    assert_eq!(line["dependencies"], serde_json::json!(["ultralytics", "torch"]));
    assert_eq!(line["last_updated"], "2026-01-22");
    world.run(["models", "pull", "mine"]).expect(0);
    assert_eq!(line_of(&world, "mine")["access_count"], 0, "looking is no use");
    for times in 1..=2 {
        world.run(["embed", "photos", "--model", "mine", "--no-cache"]).expect(0);
        assert_eq!(line_of(&world, "mine")["access_count"], times);
    }
    let info = ["models", "info", "mine", "--set", "cache_max_size_gb=0.001"];
    let line = world.run(info).expect(0).lines().remove(0);
    let share = bytes.len() as f64 / 1e6;
    assert!((line["utilization"].as_f64().unwrap() - share).abs() < 0.08 * share, "{line}");
    assert!(line["last_used"].is_string());
}

#[test]
fn all_versions_go_at_once_when_asked() {
    let world = World::new();
    let server = Server::start();
    for version in ["1", "2"] {
        let bytes = noise(1000, version.parse().unwrap());
        let url = server.serve(&format!("/{version}"), Served::file(&bytes));
        let yaml = format!(
            "name: twin\nversion: {version}\ntask: embedding\nlicense: MIT\nsources: [\"{url}\"]\n\
             file: {{name: twin.bin, sha256: {}}}\n",
            Digest::of(&bytes)
        );
        add_manifest(&world, &format!("twin@{version}"), &yaml);
    }
    world.run(["models", "pull", "twin@1", "twin@2"]).expect(0);
    let dry = world.run(["models", "rm", "twin", "--all-versions", "--dry-run"]).expect(0).lines();
    assert_eq!(dry.len(), 2);
    assert_eq!(line_of(&world, "twin@1")["status"], "ready");
    world.run(["models", "rm", "twin", "--all-versions"]).expect(0);
    for version in ["twin@1", "twin@2"] {
        assert_eq!(line_of(&world, version)["status"], "not_downloaded");
    }
}

#[test]
fn an_idle_network_leaves_memory_and_one_that_is_held_stays() {
    let folder = tempfile::tempdir().unwrap();
    let hub = ModelHub::open(Options {
        models_dir: Some(folder.path().into()),
        unload_after: Some(Duration::from_millis(60)),
        ..Options::built_in().unwrap()
    })
    .unwrap();
    let held = hub.load_on("album-mini", "cpu").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(hub.status("album-mini").unwrap(), Status::Loaded);
    drop(held);
    wait_for(|| hub.status("album-mini").unwrap() == Status::Ready);
    assert!(!hub.unload("album-mini").unwrap(), "it has gone already");
    hub.load("album-mini").unwrap();
}

#[test]
fn a_device_is_named_for_one_model_and_one_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let hub =
        ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in().unwrap() }).unwrap();
    assert_eq!(hub.load_on("album-mini", "cpu").unwrap().reference(), "album-mini@5");
    if cfg!(not(feature = "cuda")) {
        let refused = hub.load_on("album-mini", "cuda").unwrap_err().to_string();
        assert!(refused.contains("cuda:0"), "{refused}");
        assert_eq!(hub.load_on("album-mini", "auto").unwrap().reference(), "album-mini@5");
    }
}

#[test]
fn device_tells_the_cards_that_the_driver_tells_of() {
    let world = World::new();
    let line = |path: String| {
        let output = world.command(["device"]).env("PATH", path).output().unwrap();
        crate::world::Seen::from(output).expect(0).lines().remove(1)
    };
    let none = line(world.path("nothing").display().to_string());
    assert_eq!(
        (&none["device"], &none["gpu_count"], &none["gpus"]),
        (&"cuda".into(), &0.into(), &serde_json::json!([]))
    );
    fs::create_dir(world.path("bin")).unwrap();
    let tool = world.path("bin/nvidia-smi");
    fs::write(&tool, "#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559'\necho 'NVIDIA A10, 23028'\n").unwrap();
    set_mode(&tool, 0o755);
    let two = line(world.path("bin").display().to_string());
    assert_eq!(two["gpu_count"], 2);
    assert_eq!(two["gpus"][0], serde_json::json!({"name": "NVIDIA H100 80GB HBM3", "memory_bytes": 81_559u64 << 20}));
}

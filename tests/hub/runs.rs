//! Models as a run over photos meets them: missing, fetched because the user said so, refused, pinned.

use std::collections::HashMap;
use std::fs;

use hub::digest::Digest;

use crate::formula::Formula;
use crate::processes::{add_manifest, models};
use crate::server::{Served, Server};
use crate::world::World;

/// The weights of a small DINOv2 that is never trained; `seed` makes them different files.
pub fn tiny_weights(seed: &str) -> Vec<u8> {
    let about = HashMap::from([("seed".to_owned(), seed.to_owned())]);
    Formula::recorded("dinov2_gated").safetensors(Some(about))
}

/// A manifest that a network can be built by.
pub fn manifest(version: u32, bytes: &[u8], url: &str) -> String {
    format!(
        "name: mine\nversion: {version}\ntitle: A small one\ntask: embedding\narchitecture: dinov2\nlicense: MIT\n\
         devices: [cpu, cuda]\ntags: [tiny]\n\
         quality: [{{metric: none, value: 0, data: none, source: this test}}]\n\
         files: [{{name: mine.safetensors, size: {}, sha256: {}}}]\nsources: [\"{url}\"]\n\
         preprocess: {{resize: {{square: 28}}, filter: bicubic, mean: [0, 0, 0], std: [1, 1, 1]}}\n",
        bytes.len(),
        Digest::of(bytes)
    )
}

/// A world with two photos, whose user has a model `mine` that is not here yet.
fn world(server: &Server, bytes: &[u8]) -> World {
    let world = World::new();
    world.many_photos(2);
    let url = server.serve("/mine.safetensors", Served::file(bytes));
    add_manifest(&world, "mine", &manifest(1, bytes, &url));
    world
}

#[test]
fn nothing_is_fetched_unasked_and_asked_it_is_fetched_once() {
    let (server, bytes) = (Server::start(), tiny_weights("1"));
    let world = world(&server, &bytes);
    let seen = world.run(["embed", "photos", "--model", "mine"]).expect(1);
    let (size, hash) = (format!("{} bytes", bytes.len()), Digest::of(&bytes).hex());
    let folder = models(&world).display().to_string();
    for part in ["mine.safetensors", &size, &hash, &folder, "albumctl models pull mine", "albumctl models import FILE"]
    {
        assert!(seen.stderr.contains(part), "{part}: {}", seen.stderr);
    }
    assert_eq!(server.log().len(), 0);
    let seen = world.run(["embed", "photos", "--model", "mine", "--pull"]).expect(0);
    assert!(seen.stderr.contains("mine@1: licence MIT (permissive)"), "{}", seen.stderr);
    assert_eq!((seen.lines().len(), server.sent()), (2, bytes.len() as u64));
    let again = world.run(["embed", "photos", "--model", "mine", "--pull", "--no-cache"]).expect(0);
    assert_eq!((again.text(), again.stderr.contains("licence")), (seen.text(), false));
    assert_eq!(server.sent(), bytes.len() as u64, "it is here");
    assert_eq!(fs::read_dir(models(&world).join("leases")).unwrap().count(), 0, "nobody uses it any more");
}

#[test]
fn offline_and_the_licence_policy_hold_for_pull_too() {
    let (server, bytes) = (Server::start(), tiny_weights("1"));
    let world = world(&server, &bytes);
    let seen = world.run(["embed", "photos", "--model", "mine", "--pull", "--offline"]).expect(1);
    assert!(seen.stderr.contains("offline") && seen.stderr.contains("models import"), "{}", seen.stderr);
    let yaml = manifest(1, &bytes, &server.url("/mine.safetensors"));
    add_manifest(&world, "mine", &yaml.replace("license: MIT", "license: CC-BY-NC-4.0"));
    let args = ["embed", "photos", "--model", "mine", "--pull", "--license-policy", "no-non-commercial"];
    let seen = world.run(args).expect(1);
    assert!(seen.stderr.contains("CC-BY-NC-4.0") && seen.stderr.contains("refused"), "{}", seen.stderr);
    let seen =
        world.run(["embed", "photos", "--model", "mine", "--pull", "--set", "license_policy=permissive"]).expect(1);
    assert!(seen.stderr.contains("refused"), "{}", seen.stderr);
    world.run(["embed", "photos", "--model", "mine", "--pull", "--license-policy", "none"]).expect(2);
    assert_eq!(server.log().len(), 0);
    world.run(["embed", "photos", "--model", "mine", "--pull", "--license-policy", "no-agpl"]).expect(0);
}

#[test]
fn a_model_that_can_be_done_without_is_done_without_when_it_cannot_be_fetched() {
    let (server, bytes) = (Server::start(), tiny_weights("1"));
    let world = world(&server, &bytes);
    server.serve("/mine.safetensors", Served { statuses: vec![(404, String::new()); 99], ..Served::default() });
    let by_mine = ["cluster", "photos", "--set", "album.clustering.feature_method=mine", "--pull"];
    let seen = world.run(by_mine).expect(0);
    assert!(seen.stderr.contains("404") && seen.stderr.contains("grouped by the built-in"), "{}", seen.stderr);
    world.run(by_mine.into_iter().chain(["--strict"])).expect(1);
    server.serve("/mine.safetensors", Served::file(&bytes));
    let seen = world.run(by_mine.into_iter().chain(["--strict"])).expect(0);
    assert_eq!(seen.lines().len(), 2);
}

#[test]
fn versions_stand_side_by_side_and_a_pin_chooses() {
    let (server, old, new) = (Server::start(), tiny_weights("1"), tiny_weights("2"));
    let world = world(&server, &old);
    let url = server.serve("/new", Served::file(&new));
    add_manifest(&world, "mine@2", &manifest(2, &new, &url));
    world.run(["models", "pull", "mine@1", "mine@2"]).expect(0);
    let by = |model: &str| world.run(["embed", "photos", "--model", model]).expect(0).lines()[0]["model"].clone();
    assert_eq!((by("mine@1"), by("mine@2"), by("mine")), ("mine@1".into(), "mine@2".into(), "mine@2".into()));
    let seen = world.run(["embed", "photos", "--model", "mine@3"]).expect(2);
    assert!(seen.stderr.contains("no version 3; there are 2, 1"), "{}", seen.stderr);
    world.run(["models", "rm", "mine@2"]).expect(0);
    world.run(["embed", "photos", "--model", "mine@1"]).expect(0);
    world.run(["embed", "photos", "--model", "mine"]).expect(1);
}

#[test]
fn a_version_with_dots_is_a_name_and_a_file_needs_no_mark() {
    let (server, bytes) = (Server::start(), tiny_weights("1"));
    let world = world(&server, &bytes);
    let yaml = manifest(1, &bytes, &server.url("/mine.safetensors")).replace("version: 1\n", "version: 1.0.0\n");
    add_manifest(&world, "mine", &yaml);
    world.run(["models", "pull", "mine"]).expect(0);
    let by = |model: &str| world.run(["embed", "photos", "--model", model]);
    assert_eq!(by("mine@1.0.0").expect(0).lines()[0]["model"], "mine@1.0.0");
    fs::write(world.path("weights.v2"), &bytes).unwrap();
    assert_eq!(by("weights.v2").expect(0).lines()[0]["model"], "weights@file");
    assert_eq!(by("./weights.v2").expect(0).lines()[0]["model"], "weights@file");
    // A folder of a model's name hides no model.
    fs::create_dir(world.path("mine")).unwrap();
    assert_eq!(by("mine").expect(0).lines()[0]["model"], "mine@1.0.0");
    let seen = by("wieghts.v2").expect(2);
    assert!(seen.stderr.contains("`wieghts.v2`") && seen.stderr.contains("no such file exists"), "{}", seen.stderr);
    assert!(by("./wieghts.v2").expect(1).stderr.contains("./wieghts.v2: No such file"));
}

#[test]
fn a_model_runs_where_its_manifest_allows_and_only_what_it_is_for() {
    let (server, bytes) = (Server::start(), tiny_weights("1"));
    let world = world(&server, &bytes);
    world.run(["models", "pull", "mine"]).expect(0);
    let yaml = manifest(1, &bytes, &server.url("/mine.safetensors"));
    add_manifest(&world, "mine", &yaml.replace("[cpu, cuda]", "[cuda]"));
    let seen = world.run(["embed", "photos", "--model", "mine", "--device", "cpu"]).expect(2);
    assert!(seen.stderr.contains("mine@1") && seen.stderr.contains("does not run on cpu"), "{}", seen.stderr);
    add_manifest(&world, "mine", &yaml.replace("[cpu, cuda]", "[tpu]"));
    let seen = world.run(["embed", "photos", "--model", "mine"]).expect(1);
    assert!(seen.stderr.contains("mine.yaml") && seen.stderr.contains("`tpu` is none of cpu, cuda"), "{}", seen.stderr);
    add_manifest(&world, "mine", &yaml.replace("license: MIT\n", "license: MIT\nruns: false\n"));
    let seen = world.run(["embed", "photos", "--model", "mine"]).expect(2);
    assert!(seen.stderr.contains("does not run it yet"), "{}", seen.stderr);
    let seen = world.run(["embed", "photos", "--model", "yolov8n"]).expect(2);
    assert!(seen.stderr.contains("it is for detection"), "{}", seen.stderr);
    let table = world.run(["models", "list", "--format", "table"]).expect(0).text();
    let idle: Vec<&str> = table.lines().filter(|line| line.contains("listed only")).collect();
    assert!(idle.len() == 1 && idle[0].starts_with("mine@"), "{table}");
}

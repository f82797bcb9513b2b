//! `albumctl models` as a user types it.

use std::fs;

use hub::digest::Digest;
use serde_json::Value;

use crate::place::noise;
use crate::processes::{add_manifest, models, world_with};
use crate::server::{Served, Server};
use crate::world::World;

/// The line about this model.
fn line_of(world: &World, model: &str) -> Value {
    world.run(["models", "info", model]).expect(0).lines().remove(0)
}

fn unknown_hash(name: &str, version: &str, url: &str) -> String {
    format!(
        "name: {name}\nversion: {version}\ntask: embedding\nlicense: CC-BY-NC-4.0\norigin: the moon\n\
         file: {{name: {name}.bin}}\nsources: [\"{url}\"]\n"
    )
}

#[test]
fn from_nothing_to_ready_and_back() {
    let (server, bytes) = (Server::start(), noise(100_000, 80));
    let world = world_with(&server, &bytes, Served::file(&bytes));
    let line = line_of(&world, "net");
    assert_eq!(
        (&line["model"], &line["status"], &line["bytes"]),
        (&"net@1".into(), &"not_downloaded".into(), &100_000.into())
    );
    assert!(!models(&world).exists(), "looking makes nothing");
    let seen = world.run(["models", "path", "net"]).expect(1);
    let digest = Digest::of(&bytes).hex();
    for part in [
        "model.bin (100000 bytes",
        &digest,
        &server.url("/model.bin"),
        "blobs/sha256-",
        "albumctl models pull net",
        "models import",
    ] {
        assert!(seen.stderr.contains(part), "{part}: {}", seen.stderr);
    }
    let seen = world.run(["models", "pull", "net"]).expect(0);
    assert!(seen.stderr.contains("net@1: licence MIT (permissive)"), "{}", seen.stderr);
    let line = seen.lines().remove(0);
    assert_eq!((&line["file"], &line["transferred"]), (&"model.bin".into(), &100_000.into()));
    let line = world.run(["models", "path", "net"]).expect(0).lines().remove(0);
    assert!(fs::read(line["path"].as_str().unwrap()).unwrap() == bytes);
    assert_eq!(line_of(&world, "net@1")["status"], "ready");
    let line = world.run(["models", "verify", "net"]).expect(0).lines().remove(0);
    assert_eq!(line["verdict"], "good");
    let dry = world.run(["models", "rm", "net", "--dry-run"]).expect(0).lines().remove(0);
    assert_eq!(line_of(&world, "net")["status"], "ready");
    let wet = world.run(["models", "rm", "net"]).expect(0).lines().remove(0);
    assert_eq!((&dry["applied"], &wet["applied"]), (&false.into(), &true.into()));
    assert_eq!((&dry["path"], &dry["bytes"]), (&wet["path"], &wet["bytes"]));
    assert_eq!(line_of(&world, "net")["status"], "not_downloaded");
}

#[test]
fn a_rotten_file_is_found_set_aside_and_fetched_again() {
    let (server, bytes) = (Server::start(), noise(100_000, 81));
    let world = world_with(&server, &bytes, Served::file(&bytes));
    world.run(["models", "pull", "net"]).expect(0);
    let blob = models(&world).join("blobs").join(format!("sha256-{}", Digest::of(&bytes)));
    let mut rotten = bytes.clone();
    rotten[5000] ^= 4;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, &rotten).unwrap();
    assert_eq!(line_of(&world, "net")["status"], "unverified");
    let seen = world.run(["models", "verify", "--all"]).expect(1);
    let line = seen.lines().remove(0);
    assert_eq!((&line["verdict"], &line["found"]), (&"bad".into(), &Digest::of(&rotten).hex().into()));
    assert!(line["fate"].as_str().unwrap().contains("quarantine"));
    assert_eq!(line_of(&world, "net")["status"], "not_downloaded");
    world.run(["models", "pull", "net"]).expect(0);
    assert!(fs::read(&blob).unwrap() == bytes);
    let gone = world.run(["models", "gc"]).expect(0).lines();
    assert_eq!((gone.len(), &gone[0]["why"]), (1, &"failed verification".into()));
    // A pull over a rotten file mends it too.
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, &rotten).unwrap();
    let seen = world.run(["models", "pull", "net"]).expect(0);
    assert!(seen.stderr.contains("fetching it again"), "{}", seen.stderr);
    assert!(fs::read(&blob).unwrap() == bytes);
}

#[test]
fn air_gapped() {
    let (server, bytes) = (Server::start(), noise(100_000, 82));
    let world = world_with(&server, &bytes, Served::file(&bytes));
    let seen = world.run(["models", "pull", "net", "--offline"]).expect(1);
    assert!(seen.stderr.contains("offline") && seen.stderr.contains("models import FILE"), "{}", seen.stderr);
    assert_eq!(server.log().len(), 0);
    fs::write(world.path("download(3).tmp"), &bytes).unwrap();
    let line = world.run(["models", "import", "download(3).tmp", "--offline"]).expect(0).lines().remove(0);
    assert_eq!((&line["model"], &line["file"]), (&"net@1".into(), &"model.bin".into()));
    assert_eq!(line_of(&world, "net")["status"], "ready");
    assert!(world.path("download(3).tmp").exists(), "the user's file stays");
    world.run(["models", "pull", "net", "--offline"]).expect(0);
    fs::write(world.path("other.bin"), "other").unwrap();
    let seen = world.run(["models", "import", "other.bin"]).expect(1);
    assert!(seen.stderr.contains(&Digest::of(b"other").hex()), "{}", seen.stderr);
    world.run(["models", "import", "other.bin", "download(3).tmp"]).expect(3);
}

#[test]
fn a_hash_nobody_knows_is_pinned_by_the_first_pull() {
    let (server, bytes) = (Server::start(), noise(50_000, 83));
    let world = World::new();
    let url = server.serve("/moon.bin", Served::file(&bytes));
    add_manifest(&world, "moon", &unknown_hash("moon", "1", &url));
    let seen = world.run(["models", "pull", "moon"]).expect(1);
    assert!(seen.stderr.contains("--trust-first"), "{}", seen.stderr);
    assert_eq!(server.log().len(), 0);
    let seen = world.run(["models", "pull", "moon", "--trust-first"]).expect(0);
    let digest = Digest::of(&bytes).hex();
    assert!(seen.stderr.contains(&format!("{digest} is trusted from now on")), "{}", seen.stderr);
    assert_eq!(seen.lines()[0]["trusted_now"], true);
    let line = line_of(&world, "moon");
    assert_eq!((&line["files"][0]["sha256_from"], &line["status"]), (&"first pull".into(), &"ready".into()));
    world.run(["models", "rm", "moon"]).expect(0);
    // From now on nothing else will do, even when trusted once more.
    server.serve("/moon.bin", Served::file(&noise(50_000, 84)));
    let seen = world.run(["models", "pull", "moon", "--trust-first"]).expect(1);
    assert!(seen.stderr.contains(&digest), "{}", seen.stderr);
    world.run(["models", "rm", "moon", "--forget"]).expect(0);
    world.run(["models", "info", "moon"]).expect(2);
    // The same by hand.
    add_manifest(&world, "moon", &unknown_hash("moon", "1", &url));
    fs::write(world.path("moon.bin"), &bytes).unwrap();
    world.run(["models", "import", "moon.bin", "--as", "moon"]).expect(1);
    world.run(["models", "import", "moon.bin", "--as", "moon", "--trust-first"]).expect(0);
    assert_eq!(line_of(&world, "moon")["status"], "ready");
}

#[test]
fn licences_are_told_and_may_be_refused() {
    let (server, bytes) = (Server::start(), noise(50_000, 85));
    let world = World::new();
    let url = server.serve("/moon.bin", Served::file(&bytes));
    add_manifest(&world, "moon", &unknown_hash("moon", "1", &url));
    let line = line_of(&world, "moon");
    assert_eq!((&line["license"], &line["terms"]), (&"CC-BY-NC-4.0".into(), &"non-commercial".into()));
    let refuse = ["models", "pull", "moon", "--trust-first", "--license-policy", "no-agpl,no-non-commercial"];
    let seen = world.run(refuse).expect(1);
    assert!(seen.stderr.contains("CC-BY-NC-4.0") && seen.stderr.contains("refused"), "{}", seen.stderr);
    assert_eq!(server.log().len(), 0);
    let mut command = world.command(&refuse[..4]);
    let output = command.env("ALBUMCTL_LICENSE_POLICY", "permissive").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "the configuration may say it once and for all");
    assert_eq!(server.log().len(), 0);
    world.run(["models", "pull", "moon", "--license-policy", "nonsense"]).expect(2);
}

#[test]
fn versions_stand_side_by_side() {
    let (server, world) = (Server::start(), World::new());
    let files = [noise(1000, 86), noise(1000, 87)];
    for (version, bytes) in ["1.9", "1.10"].iter().zip(&files) {
        let url = server.serve(&format!("/{version}"), Served::file(bytes));
        let yaml = unknown_hash("twin", &format!("\"{version}\""), &url)
            .replace("{name: twin.bin}", &format!("{{name: twin.bin, sha256: {}}}", Digest::of(bytes)));
        fs::write(world.path("twin.yaml"), yaml).unwrap();
        world.run(["models", "add", "twin.yaml"]).expect(0);
    }
    let twins = |seen: crate::world::Seen| -> Vec<String> {
        let names = seen.lines().into_iter().map(|line| line["model"].as_str().unwrap().to_owned());
        names.filter(|name| name.starts_with("twin")).collect()
    };
    assert_eq!(twins(world.run(["models", "list"])), ["twin@1.10", "twin@1.9"]);
    assert_eq!(line_of(&world, "twin")["version"], "1.10");
    world.run(["models", "pull", "twin@1.9"]).expect(0);
    world.run(["models", "pull", "twin"]).expect(0);
    world.run(["models", "rm", "twin"]).expect(0);
    assert_eq!(twins(world.run(["models", "list", "--here"])), ["twin@1.9"]);
    let seen = world.run(["models", "info", "twin@2"]).expect(2);
    assert!(seen.stderr.contains("1.10, 1.9"), "{}", seen.stderr);
    let seen = world.run(["models", "info", "twim"]).expect(2);
    assert!(seen.stderr.contains("did you mean `twin`?"), "{}", seen.stderr);
}

#[test]
fn manifests_are_added_from_files_folders_and_addresses() {
    let (server, world) = (Server::start(), World::new());
    let yaml = unknown_hash("moon", "1", "https://example.org/moon.bin");
    let url = server.serve("/moon.yaml", Served::file(yaml.as_bytes()));
    let line = world.run(["models", "add", &url]).expect(0).lines().remove(0);
    assert!(line["manifest"].as_str().unwrap().ends_with("albumctl/models/moon@1.yaml"), "{line}");
    world.run(["models", "add", &url]).expect(0);
    // Another one of the same name and version is not slipped in.
    fs::create_dir(world.path("folder")).unwrap();
    fs::write(world.path("folder/a.yaml"), yaml.replace("the moon", "mars")).unwrap();
    let seen = world.run(["models", "add", "folder"]).expect(1);
    assert!(seen.stderr.contains("moon@1") && seen.stderr.contains("--force"), "{}", seen.stderr);
    assert_eq!(line_of(&world, "moon")["origin"], "the moon");
    world.run(["models", "add", "--force", "folder"]).expect(0);
    assert_eq!(line_of(&world, "moon")["origin"], "mars");
    fs::write(world.path("bad.yaml"), yaml.replace("moon.bin}", "../moon.bin}")).unwrap();
    let seen = world.run(["models", "add", "bad.yaml"]).expect(1);
    assert!(seen.stderr.contains("bad.yaml") && seen.stderr.contains("../moon.bin"), "{}", seen.stderr);
    world.run(["models", "add", "--offline", &url]).expect(1);
}

#[test]
fn what_nothing_runs_is_kept_and_says_so() {
    let world = World::new();
    let add = |architecture: &str, more: &str| {
        let yaml = format!(
            "name: own\nversion: 1\ntask: embedding\narchitecture: {architecture}\nlicense: MIT\n\
             file: {{name: own.bin}}\nruns: true\n{more}"
        );
        fs::write(world.path("own.yaml"), yaml).unwrap();
        world.run(["models", "add", "--force", "own.yaml"])
    };
    let seen = add("yolo-v9", "").expect(0);
    assert!(seen.stderr.contains("own@1") && seen.stderr.contains("nothing here runs `yolo-v9`"), "{}", seen.stderr);
    assert_eq!((&seen.lines()[0]["runs"], &line_of(&world, "own")["runs"]), (&false.into(), &false.into()));
    world.photo("a.png", 1);
    let seen = world.run(["embed", "photos", "--model", "own"]).expect(2);
    assert!(seen.stderr.contains("does not run it"), "{}", seen.stderr);
    // One that would run is taken only when it says all that its network is built by.
    let seen = add("dinov2", "").expect(1);
    assert!(seen.stderr.contains("own.yaml") && seen.stderr.contains("preprocess"), "{}", seen.stderr);
    let preprocess = "preprocess: {resize: {square: 28}, filter: bicubic, mean: [0, 0, 0], std: [1, 1, 1]}\n";
    let seen = add("dinov2", preprocess).expect(0);
    assert_eq!((&seen.lines()[0]["runs"], seen.stderr.contains("nothing here runs")), (&true.into(), false));
}

#[test]
fn what_is_part_of_the_binary_is_here_and_lies_nowhere() {
    let world = World::new();
    let line = line_of(&world, "album-mini");
    let file = &line["files"][0];
    assert_eq!((&line["status"], &file["status"]), (&"ready".into(), &"ready".into()));
    assert_eq!((&line["bytes_here"], &file["bytes_here"]), (&line["bytes"], &line["bytes"]));
    assert_eq!(file["path"], Value::Null);
    let here = world.run(["models", "list", "--here"]).expect(0).lines();
    assert_eq!(here.iter().map(|line| &line["name"]).collect::<Vec<_>>(), ["album-mini"]);
}

#[test]
fn the_limit_of_the_folder_is_kept() {
    let (server, bytes) = (Server::start(), noise(100_000, 88));
    let world = world_with(&server, &bytes, Served::file(&bytes));
    let seen = world.run(["models", "pull", "net", "--set", "cache_max_size_gb=0.00005"]).expect(0);
    assert!(seen.stderr.contains("more than cache_max_size_gb allows"), "{}", seen.stderr);
    assert_eq!(line_of(&world, "net")["status"], "ready", "what was just fetched stays");
    // An hour later it is the least recently used.
    let note = models(&world).join(format!("notes/sha256-{}.json", Digest::of(&bytes)));
    let mut json: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    json["added"] = serde_json::to_value(then).unwrap();
    fs::write(&note, json.to_string()).unwrap();
    let gc = |more: &str| {
        let args = ["models", "gc", "--set", "cache_max_size_gb=0.00005", more];
        world.run(args.into_iter().filter(|arg| !arg.is_empty())).expect(0).lines()
    };
    let dry = gc("--dry-run");
    assert_eq!((dry.len(), &dry[0]["model"], &dry[0]["applied"]), (1, &"net@1".into(), &false.into()));
    assert_eq!(line_of(&world, "net")["status"], "ready");
    assert_eq!(gc("").len(), 1);
    assert_eq!(line_of(&world, "net")["status"], "not_downloaded");
}

#[test]
fn one_of_two_fails() {
    let (server, bytes) = (Server::start(), noise(1000, 89));
    let world = world_with(&server, &bytes, Served::file(&bytes));
    add_manifest(&world, "moon", &unknown_hash("moon", "1", "http://127.0.0.1:1/none"));
    let seen = world.run(["models", "pull", "moon", "net"]).expect(3);
    assert_eq!(seen.lines().len(), 1);
    assert!(seen.stderr.contains("warning: "), "{}", seen.stderr);
    world.run(["models", "pull", "--strict", "moon", "net"]).expect(1);
    world.run(["models", "pull"]).expect(2);
}

#[test]
fn every_line_keeps_to_its_schema() {
    let (server, bytes) = (Server::start(), noise(1000, 90));
    let world = world_with(&server, &bytes, Served::file(&bytes));
    add_manifest(&world, "moon", &unknown_hash("moon", "1", "http://127.0.0.1:1/none"));
    for (command, model) in
        [("list", ""), ("pull", "net"), ("info", "net"), ("path", "net"), ("verify", "net"), ("rm", "net")]
    {
        let schema = world.run(["schema", "models", command]).expect(0);
        let validator = jsonschema::validator_for(&serde_json::from_slice(&schema.stdout).unwrap()).unwrap();
        let args = ["models", command, model];
        let lines = world.run(args.into_iter().filter(|arg| !arg.is_empty())).expect(0).lines();
        assert!(!lines.is_empty(), "{command}");
        for line in lines {
            assert!(validator.is_valid(&line), "{command}: {line}");
        }
    }
}

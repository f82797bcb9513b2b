//! What is published: the crates, the archives, the Debian package, and the templates beside them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::world::{World, skipped};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(program: impl AsRef<Path>, words: &[&str]) -> Output {
    // The name of the folder with weights for tests is no key of the configuration.
    let mut command = Command::new(program.as_ref());
    command.args(words).current_dir(here()).env_remove("ALBUMCTL_WEIGHTS").output().unwrap()
}

#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A copy of the manifests, to be written to.
fn manifests(world: &World) -> Vec<PathBuf> {
    let below = fs::read_dir(here().join("src")).unwrap().map(|entry| entry.unwrap().path().join("Cargo.toml"));
    let crates = below.filter(|manifest| manifest.is_file());
    let all = crates.chain(["Cargo.toml", "models/Cargo.toml"].map(|manifest| here().join(manifest)));
    let copy = |manifest: PathBuf| {
        let place = world.path("tree").join(manifest.strip_prefix(here()).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(manifest, &place).unwrap();
        place
    };
    all.map(copy).collect()
}

#[test]
fn every_crate_is_published_with_its_licence_and_nothing_of_the_tests() {
    if !here().join(".git").exists() {
        return skipped("no repository");
    }
    for name in ["", "base", "hub", "judge", "kernels", "models", "networks", "photo", "scale", "train"] {
        let package = if name.is_empty() { "albumctl".to_owned() } else { format!("albumctl-{name}") };
        let list = run(env!("CARGO"), &["package", "--list", "--offline", "--allow-dirty", "-p", &package]);
        let files = printed(&list);
        let files: BTreeSet<&str> = files.lines().collect();
        assert!(files.contains("LICENSE") && files.contains("Cargo.toml"), "{package}: {files:?}");
        let is_stray = |file: &&&str| ["tests/", "fixtures/", "fuzz/", "."].iter().any(|start| file.starts_with(start));
        let strays: Vec<_> = files.iter().filter(is_stray).filter(|file| !file.starts_with(".cargo_vcs")).collect();
        assert!(strays.is_empty(), "{package}: {strays:?}");
        let entry = if name.is_empty() { "src/main.rs" } else { "lib.rs" };
        assert!(files.contains(entry), "{package}: {files:?}");
    }
}

#[test]
fn a_release_writes_its_addresses_into_every_manifest() {
    let world = World::new();
    let manifests = manifests(&world);
    fs::create_dir(world.path("tree/packaging")).unwrap();
    let script = world.path("tree/packaging/addresses");
    fs::copy(here().join("packaging/addresses"), &script).unwrap();
    for _ in 0..2 {
        printed(&run(&script, &["https://host.example/owner/albumctl"]));
    }
    assert_eq!(manifests.len(), 10);
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).unwrap();
        for key in ["repository", "homepage", "documentation"] {
            let line = format!("{key} = \"https://host.example/owner/albumctl\"");
            assert_eq!(text.matches(&line).count(), 1, "{}: {text}", manifest.display());
        }
    }
}

#[test]
fn an_archive_holds_the_binary_its_manual_and_its_completions() {
    let world = World::new();
    let out = world.path("archives");
    let packed = run(
        here().join("packaging/pack"),
        &[env!("CARGO_BIN_EXE_albumctl"), "x86_64-unknown-linux-musl", out.to_str().unwrap()],
    );
    printed(&packed);
    let name = format!("albumctl-v{VERSION}-x86_64-unknown-linux-musl");
    let list = printed(&run("tar", &["-tzf", out.join(format!("{name}.tar.gz")).to_str().unwrap()]));
    for file in [
        "albumctl",
        "LICENSE",
        "NOTICE",
        "man/man1/albumctl.1",
        "man/man1/albumctl-models-pull.1",
        "completions/albumctl.bash",
        "completions/_albumctl",
        "completions/albumctl.fish",
        "completions/albumctl.ps1",
    ] {
        assert!(list.lines().any(|line| line == format!("{name}/{file}")), "{file} is not in:\n{list}");
    }
    let sum = fs::read_to_string(out.join(format!("{name}.tar.gz.sha256"))).unwrap();
    assert!(sum.trim_end().ends_with(&format!("{name}.tar.gz")) && sum.len() > 64, "{sum}");
    // What the formula asks for is what the archives are called.
    let targets =
        ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "x86_64-apple-darwin", "aarch64-apple-darwin"];
    let sums = targets.map(|target| format!("{:064}  albumctl-v{VERSION}-{target}.tar.gz\n", target.len())).concat();
    fs::write(world.path("sums"), sums).unwrap();
    let sums = world.path("sums");
    let fill = ["packaging/albumctl.rb.in", "https://host.example/albumctl", VERSION, sums.to_str().unwrap()];
    let formula = printed(&run(here().join("packaging/fill"), &fill));
    assert!(!formula.contains('@') && formula.contains(&format!("/v{VERSION}/{name}.tar.gz\"")), "{formula}");
    fs::write(&sums, "").unwrap();
    assert!(!run(here().join("packaging/fill"), &fill).status.success(), "a formula without checksums");
}

#[test]
fn the_debian_package_installs_a_binary_that_works() {
    let has =
        |program: &str, word: &str| Command::new(program).arg(word).output().is_ok_and(|run| run.status.success());
    if !has("dpkg-deb", "--version") {
        return skipped("no dpkg");
    }
    if !has("cargo-deb", "--version") {
        return skipped("no cargo-deb (cargo install --locked cargo-deb)");
    }
    let world = World::new();
    let binary = Path::new(env!("CARGO_BIN_EXE_albumctl"));
    let (profile, target) = (binary.parent().unwrap(), binary.parent().unwrap().parent().unwrap());
    if profile.file_name().is_none_or(|name| name != "debug") {
        return skipped("not a build of the profile dev");
    }
    printed(&run("make", &["--silent", "pages", &format!("BIN={}", binary.display())]));
    let package = world.path("albumctl.deb");
    let mut deb = Command::new(env!("CARGO"));
    deb.args(["deb", "--no-build", "--no-strip", "--fast", "--profile", "dev", "--offline", "-o"]).arg(&package);
    printed(&deb.current_dir(here()).env("CARGO_TARGET_DIR", target).output().unwrap());
    let told = printed(&run("dpkg-deb", &["--field", package.to_str().unwrap()]));
    assert!(told.contains("Package: albumctl\n") && told.contains(&format!("Version: {VERSION}")), "{told}");
    assert!(told.contains("Depends: libc6"), "{told}");
    let root = world.path("root");
    printed(&run("dpkg-deb", &["-x", package.to_str().unwrap(), root.to_str().unwrap()]));
    for file in [
        "usr/share/man/man1/albumctl-select.1.gz",
        "usr/share/bash-completion/completions/albumctl",
        "usr/share/zsh/vendor-completions/_albumctl",
        "usr/share/fish/vendor_completions.d/albumctl.fish",
        "usr/share/doc/albumctl/copyright",
    ] {
        assert!(root.join(file).is_file(), "{file} is missing");
    }
    let installed = root.join("usr/bin/albumctl");
    let album = crate::world::fixture_album();
    let mut select = world.through(Command::new(installed), ["select", "--top", "8"]);
    let seen: crate::world::Seen = select.arg(album).output().unwrap().into();
    assert_eq!(seen.expect(0).lines().len(), 8);
}

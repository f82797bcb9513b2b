//! What `--version` says: the commit this was built from, where one is known, and the features of the build.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let names = std::env::vars().filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase()));
    let mut features: Vec<String> = names.filter(|name| name != "default").map(|name| name.replace('_', "-")).collect();
    features.sort();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let commit = commit().map_or_else(String::new, |commit| format!("commit {commit}; "));
    // Cargo hands this name on to what it runs: one with our prefix would be taken for a setting.
    println!("cargo::rustc-env=TOLD_VERSION={} ({commit}features: {features})", env("CARGO_PKG_VERSION"));
}

/// Of the repository that this is the root of: a package unpacked inside another repository has none of its own.
fn commit() -> Option<String> {
    let root = env("CARGO_MANIFEST_DIR");
    let same = |top: String| Some(Path::new(&top).canonicalize().ok()? == Path::new(&root).canonicalize().ok()?);
    git(&["rev-parse", "--show-toplevel"]).and_then(same).filter(|same| *same)?;
    let moves = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists());
    moves.iter().for_each(|log| println!("cargo::rerun-if-changed={log}"));
    git(&["rev-parse", "--short=10", "HEAD"])
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).current_dir(env("CARGO_MANIFEST_DIR")).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

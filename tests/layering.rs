//! Imports go down only. The order below is the one drawn in `src/lib.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms each room may know, beside itself and the leaves.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("cli", &["commands", "hub", "report", "ui"]),
    (
        "commands",
        &[
            "cli", "analyses", "cluster", "config", "context", "journal", "library", "pipeline", "photo", "portrait",
            "quality", "report", "scale", "select", "store", "train", "eval", "hub", "nn", "kernels", "failure",
            "error", "ui", "reading",
        ],
    ),
    (
        "library",
        &[
            "analyses",
            "cluster",
            "config",
            "failure",
            "hub",
            "kernels",
            "photo",
            "pipeline",
            "portrait",
            "quality",
            "report",
            "select",
            "store",
            "telemetry",
            "reading",
        ],
    ),
    ("analyses", &["cluster", "config", "hub", "pipeline", "portrait", "quality", "select", "store"]),
    (
        "context",
        &[
            "cli",
            "config",
            "error",
            "hub",
            "journal",
            "photo",
            "pipeline",
            "report",
            "select",
            "store",
            "telemetry",
            "ui",
            "threads",
        ],
    ),
    ("pipeline", &["photo", "store", "telemetry", "failure", "contain"]),
    ("hub", &["cluster", "photo", "portrait", "nn", "kernels", "quality", "contain", "reading"]),
    ("train", &["eval", "kernels", "nn", "photo", "quality", "report", "reading"]),
    ("eval", &[]),
    ("nn", &["kernels", "photo"]),
    ("kernels", &[]),
    ("store", &["photo", "sqlite"]),
    ("journal", &["photo", "select"]),
    ("photo", &["contain", "reading"]),
    ("portrait", &[]),
    ("report", &["journal", "photo", "portrait", "quality", "select", "ui", "reading"]),
    ("cluster", &["kernels"]),
    ("scale", &["contain", "kernels", "reading", "threads"]),
    ("select", &[]),
    ("config", &["photo", "quality", "reading"]),
    ("sqlite", &[]),
    ("ui", &["error"]),
    ("failure", &["report"]),
    ("quality", &[]),
    ("contain", &[]),
    ("error", &["reading"]),
    ("telemetry", &[]),
    ("pixels", &[]),
    ("atomic", &[]),
    ("escape", &[]),
    ("reading", &[]),
    ("threads", &[]),
];

/// Known to everybody.
const LEAVES: &[&str] = &["pixels", "atomic", "escape"];

/// Lines that look up, each with its reason.
const DOORS: &[(&str, &str)] = &[
    // Programs look for the hub's face in the hub. It stands above the pipeline all the same, and nothing in the hub
    // uses it: this line only says where the door is.
    ("hub/mod.rs", "pub use crate::library::ModelHub;"),
];

#[test]
fn imports_go_down_only() {
    let rules: BTreeMap<&str, &[&str]> = MAY_KNOW.iter().copied().collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for file in rust_files(&source) {
        let below = file.strip_prefix(&source).unwrap();
        let room = below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if matches!(room, "lib" | "main") {
            continue;
        }
        let allowed = rules.get(room).unwrap_or_else(|| panic!("no rule for the room `{room}`"));
        let mut text = fs::read_to_string(&file).unwrap();
        for (_, door) in DOORS.iter().filter(|(place, _)| Path::new(place) == below) {
            assert_eq!(text.matches(door).count(), 1, "{}: `{door}` is not there any more", below.display());
            text = text.replace(door, "");
        }
        for known in rooms_named_in(&text) {
            let fine = known == room || LEAVES.contains(&known.as_str()) || allowed.contains(&known.as_str());
            assert!(fine, "{}: `{room}` must not know `{known}`", below.display());
            checked += 1;
        }
    }
    assert!(checked > 30, "the check must find the imports it is about");
}

/// Every `crate::room` outside of tests.
fn rooms_named_in(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let without_comments =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    without_comments
        .split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        .filter(|room| !room.is_empty())
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

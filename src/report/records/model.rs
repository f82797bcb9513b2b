//! Lines of `models`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::{Cell, Record, Tone};

/// A line of `models list`, `models info` and `models add`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ModelRecord {
    /// `name@version`.
    pub model: String,
    pub name: String,
    pub version: String,
    pub title: String,
    pub task: String,
    pub architecture: String,
    /// Whether albumctl can run it; others can be kept and verified.
    pub runs: bool,
    /// `not_downloaded`, `downloading` (by a running process), `partial`, `unverified`, `validating` (by a running process),
    /// `ready`, `loaded` (in use by a running process) or `error`, read from the disk.
    pub status: &'static str,
    /// The cause if the status is `error`, else null.
    pub error: Option<String>,
    /// The size of all its files; null if the manifest does not know.
    pub bytes: Option<u64>,
    /// The bytes of its files that are here, complete or not.
    pub bytes_here: u64,
    pub license: String,
    /// The kind of licence: `permissive`, `weak-copyleft`, `copyleft`, `agpl`, `non-commercial`, `unknown`.
    pub terms: String,
    pub devices: Vec<String>,
    pub tags: Vec<String>,
    pub quality: Vec<ModelQuality>,
    pub aliases: Vec<String>,
    /// The origin; null if not stated.
    pub origin: Option<String>,
    /// `built-in`, or the path of your manifest.
    pub manifest: String,
    /// Software that its publisher requires; not needed here.
    pub dependencies: Vec<String>,
    /// The date of its publisher's last change; null if not stated.
    pub last_updated: Option<String>,
    /// The time of the last use, in UTC; null if it is not here.
    pub last_used: Option<String>,
    /// The number of uses; 0 if it is not here.
    pub access_count: u64,
    /// The share of `cache_max_size_gb` that its files take; null without a limit.
    pub utilization: Option<f64>,
    pub files: Vec<ModelFile>,
}

/// A quality figure, its dataset, and its source.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ModelQuality {
    pub metric: String,
    pub value: f64,
    pub data: String,
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ModelFile {
    pub name: String,
    pub size: Option<u64>,
    pub sha256: Option<String>,
    /// `manifest`, or `first pull` if you accepted it; null if there is none yet.
    pub sha256_from: Option<&'static str>,
    pub status: &'static str,
    pub bytes_here: u64,
    /// Null if it is not here or built in.
    pub path: Option<String>,
    pub sources: Vec<String>,
}

impl ModelRecord {
    /// The full text for people.
    pub fn in_full(&self) -> String {
        use std::fmt::Write;
        let mut text = format!("{}: {}\n  licence  {} ({})", self.model, self.title, self.license, self.terms);
        for (name, value) in [("origin", self.origin.as_deref()), ("manifest", Some(self.manifest.as_str()))] {
            if let Some(value) = value {
                let _ = write!(text, "\n  {name:<8} {value}");
            }
        }
        if !self.dependencies.is_empty() {
            let _ = write!(text, "\n  needs    {}", self.dependencies.join(", "));
        }
        if let Some(updated) = &self.last_updated {
            let _ = write!(text, "\n  updated  {updated}");
        }
        if let Some(used) = &self.last_used {
            let times = if self.access_count == 1 { "once".to_owned() } else { format!("{} times", self.access_count) };
            let _ = write!(text, "\n  used     {times}, last {used}");
        }
        if let Some(share) = self.utilization.filter(|share| *share > 0.0) {
            let _ = write!(text, "\n  takes    {:.1} % of the room for models", 100.0 * share);
        }
        for ModelQuality { metric, value, data, source } in &self.quality {
            let _ = write!(text, "\n  quality  {metric} {value} on {data} ({source})");
        }
        for file in &self.files {
            let size = file.size.map_or("size unknown".to_owned(), |size| format!("{size} bytes"));
            let hash = file.sha256.as_ref().map_or("sha256 unknown".to_owned(), |sha256| format!("sha256 {sha256}"));
            let _ = write!(text, "\n  file     {}: {}, {size}, {hash}", file.name, file.status);
            for source in &file.sources {
                let _ = write!(text, "\n    from   {source}");
            }
            if let Some(path) = &file.path {
                let _ = write!(text, "\n    at     {path}");
            }
        }
        text
    }
}

fn megabytes(bytes: Option<u64>) -> Cell {
    bytes.map_or_else(|| Cell::faint("-"), |bytes| Cell::plain(&format!("{:.1}", bytes as f64 / 1e6)))
}

/// The start of a hash, enough to distinguish files by eye.
fn short(sha256: &str) -> Cell {
    Cell::faint(&sha256[..sha256.len().min(16)])
}

fn status_cell(status: &str) -> Cell {
    let tone = match status {
        "ready" | "loading" | "loaded" => Tone::Good,
        "error" => Tone::Poor,
        "not_downloaded" => Tone::Faint,
        _ => Tone::Fair,
    };
    Cell { text: status.replace('_', " "), tone }
}

impl Record for ModelRecord {
    const HEADINGS: &'static [&'static str] = &["model", "task", "status", ">MB", "licence", "title…"];

    fn cells(&self) -> Vec<Cell> {
        let status = if self.runs { status_cell(self.status) } else { Cell::faint("listed only") };
        vec![
            Cell::plain(&self.model),
            Cell::plain(&self.task),
            status,
            megabytes(self.bytes.or(Some(self.bytes_here).filter(|bytes| *bytes > 0))),
            Cell::faint(&self.terms),
            Cell::plain(&self.title),
        ]
    }
}

/// A line of `models pull` and `models import`: a file that is now here.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PulledRecord {
    pub model: String,
    pub file: String,
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
    /// The bytes that were transferred over the network.
    pub transferred: u64,
    pub already_there: bool,
    /// Whether the hash was accepted now, because the manifest has none.
    pub trusted_now: bool,
}

impl Record for PulledRecord {
    const HEADINGS: &'static [&'static str] = &["model", "file", ">MB", "sha256"];

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::plain(&self.model), Cell::plain(&self.file), megabytes(Some(self.bytes)), short(&self.sha256)]
    }
}

/// A line of `models verify`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VerifiedRecord {
    /// Null for a file that belongs to no manifest.
    pub model: Option<String>,
    pub file: String,
    /// `good`, `bad` or `missing`.
    pub verdict: &'static str,
    /// Null if no hash is known.
    pub sha256: Option<String>,
    /// The actual sha256 of a bad file.
    pub found: Option<String>,
    /// What happened to a bad file.
    pub fate: Option<String>,
}

impl Record for VerifiedRecord {
    const HEADINGS: &'static [&'static str] = &["model", "file", "verdict", "sha256"];

    fn cells(&self) -> Vec<Cell> {
        let tone = match self.verdict {
            "good" => Tone::Good,
            "bad" => Tone::Poor,
            _ => Tone::Fair,
        };
        vec![
            self.model.as_ref().map_or_else(|| Cell::faint("-"), Cell::plain),
            Cell::path(&self.file),
            Cell { text: self.verdict.to_owned(), tone },
            self.sha256.as_deref().map_or_else(|| Cell::faint("-"), short),
        ]
    }
}

/// A line of `models rm` and `models gc`: a removed file.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RemovedRecord {
    /// Null for a file that belongs to no model.
    pub model: Option<String>,
    pub path: String,
    pub bytes: u64,
    pub why: String,
    /// False with `--dry-run`.
    pub applied: bool,
}

impl Record for RemovedRecord {
    const HEADINGS: &'static [&'static str] = &["model", "file", ">MB", "why…"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.model.as_ref().map_or_else(|| Cell::faint("-"), Cell::plain),
            Cell::path(&self.path),
            megabytes(Some(self.bytes)),
            Cell::faint(&self.why),
        ]
    }
}

/// A line of `models path`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ModelPathRecord {
    pub model: String,
    pub file: String,
    pub path: String,
}

impl Record for ModelPathRecord {
    const HEADINGS: &'static [&'static str] = &["model", "file", "path"];

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::plain(&self.model), Cell::plain(&self.file), Cell::plain(&self.path)]
    }
}

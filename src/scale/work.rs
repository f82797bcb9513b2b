//! The work folder of a fit: its plan, the centroids before and after every iteration, and a telemetry line for each. A fit
//! can always be resumed from it, whenever it was killed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::ScaleError;
use super::files;
use super::seeding::Init;
use base::npy;
use base::reading;

/// The identity of a fit; only a fit with the same plan can be resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitPlan {
    pub revision: u32,
    pub clusters: usize,
    pub dim: usize,
    pub rows: u64,
    pub init: Init,
    /// The hash of the given initial centroids, if any.
    pub given: Option<String>,
    pub seed: u64,
    pub normalize: bool,
    pub mini_batch: Option<u64>,
    /// The hash of names, sizes and row counts of all files.
    pub data: String,
}

/// The content of the plan file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PlanFile {
    #[serde(flatten)]
    plan: FitPlan,
    scale_bits: i32,
}

/// A line of `telemetry.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Iteration {
    /// Counted from 0; its result is in `iter_{iteration + 1}`.
    pub iteration: u64,
    pub rows: u64,
    /// The sum of squared distances to the centroids at its start.
    pub inertia: f64,
    /// The total movement of the centroids.
    pub shift: f64,
    /// The number of empty clusters that were reseeded.
    pub reseeded: usize,
    pub seconds: f64,
}

/// The centroids of an iteration and, for mini-batches, the number of rows each has seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub iteration: u64,
    pub centroids: Vec<f32>,
    pub seen: Vec<u64>,
}

#[derive(Debug)]
pub struct Work {
    folder: PathBuf,
    plan: FitPlan,
}

impl Work {
    /// Opens the folder for a plan; refuses the folder of another fit.
    pub fn open(folder: &Path, plan: FitPlan) -> Result<(Self, Option<i32>), ScaleError> {
        fs::create_dir_all(folder).map_err(ScaleError::io(folder))?;
        let work = Self { folder: folder.to_owned(), plan };
        let path = work.plan_file();
        let text = match reading::read_text(&path, reading::TEXT) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((work, None)),
            Err(error) => return Err(ScaleError::io(&path)(error)),
        };
        let other = |difference: String| ScaleError::OtherFit { path: work.folder.clone(), difference };
        let kept: PlanFile = serde_json::from_str(&text).map_err(|error| other(format!("fit.json: {error}")))?;
        if kept.plan != work.plan {
            return Err(other(difference(&kept.plan, &work.plan)));
        }
        Ok((work, Some(kept.scale_bits)))
    }

    /// Called after the survey: from here on the folder belongs to this plan.
    pub fn begin(&self, scale_bits: i32) -> Result<(), ScaleError> {
        let kept = PlanFile { plan: self.plan.clone(), scale_bits };
        let path = self.plan_file();
        let text = serde_json::to_vec_pretty(&kept).map_err(|error| ScaleError::io(&path)(error.into()))?;
        files::write(&path, &text)
    }

    fn plan_file(&self) -> PathBuf {
        self.folder.join("fit.json")
    }

    fn centroids_file(&self, iteration: u64) -> PathBuf {
        self.folder.join(format!("iter_{iteration}")).join("centroids.npy")
    }

    fn telemetry_file(&self) -> PathBuf {
        self.folder.join("telemetry.jsonl")
    }

    /// Saves the centroids at the start of an iteration. Their file is written last, so it implies all others.
    pub fn save(&self, snapshot: &Snapshot) -> Result<(), ScaleError> {
        let path = self.centroids_file(snapshot.iteration);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(ScaleError::io(folder))?;
        if self.plan.mini_batch.is_some() {
            let seen = snapshot.seen.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
            files::write(&folder.join("seen.npy"), &npy("<u8", &[snapshot.seen.len()], &seen))?;
        }
        let bytes: Vec<u8> = snapshot.centroids.iter().flat_map(|x| x.to_le_bytes()).collect();
        files::write(&path, &npy("<f4", &[self.plan.clusters, self.plan.dim], &bytes))
    }

    pub fn load(&self, iteration: u64) -> Option<Snapshot> {
        let path = self.centroids_file(iteration);
        let shape = [self.plan.clusters, self.plan.dim];
        let bytes = reading::read(&path, reading::MODEL).ok()?;
        let words = npy_data(&bytes, "<f4", &shape)?;
        let centroids: Vec<f32> = words.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let mut seen = vec![0; self.plan.clusters];
        if self.plan.mini_batch.is_some() {
            let bytes = reading::read(&path.with_file_name("seen.npy"), reading::MODEL).ok()?;
            let words = npy_data(&bytes, "<u8", &shape[..1])?;
            seen = words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        }
        centroids.iter().all(|x| x.is_finite()).then_some(Snapshot { iteration, centroids, seen })
    }

    /// The last complete iteration.
    pub fn latest(&self) -> Option<Snapshot> {
        let entries = fs::read_dir(&self.folder).ok()?;
        let number = |name: &str| name.strip_prefix("iter_")?.parse::<u64>().ok();
        let mut iterations: Vec<u64> =
            entries.flatten().filter_map(|entry| number(entry.file_name().to_str()?)).collect();
        iterations.sort_unstable();
        iterations.into_iter().rev().find_map(|iteration| self.load(iteration))
    }

    /// The telemetry lines; a truncated line and everything after it is dropped.
    pub fn telemetry(&self) -> Vec<Iteration> {
        let text = reading::read_text(&self.telemetry_file(), reading::LIST).unwrap_or_default();
        text.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Drops the lines from `iteration` on, which will be written again.
    pub fn forget_from(&self, iteration: u64) -> Result<Vec<Iteration>, ScaleError> {
        let mut lines = self.telemetry();
        lines.retain(|line| line.iteration < iteration);
        let text = lines.iter().try_fold(Vec::new(), |mut text, line| {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
            Ok::<_, serde_json::Error>(text)
        });
        let path = self.telemetry_file();
        files::write(&path, &text.map_err(|error| ScaleError::io(&path)(error.into()))?)?;
        Ok(lines)
    }

    pub fn tell(&self, line: &Iteration) -> Result<(), ScaleError> {
        let path = self.telemetry_file();
        let mut text = serde_json::to_vec(line).map_err(|error| ScaleError::io(&path)(error.into()))?;
        text.push(b'\n');
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).map_err(ScaleError::io(&path))?;
        file.write_all(&text).map_err(ScaleError::io(&path))
    }
}

fn difference(kept: &FitPlan, asked: &FitPlan) -> String {
    let fields =
        |plan: &FitPlan| serde_json::to_value(plan).ok().and_then(|v| v.as_object().cloned()).unwrap_or_default();
    let (kept, asked) = (fields(kept), fields(asked));
    let differs = kept.iter().find(|(key, value)| asked.get(*key) != Some(value));
    differs.map_or_else(String::new, |(key, value)| match key.as_str() {
        "data" => "other data files".to_owned(),
        _ => format!("{key} {value}, not {}", asked.get(key).unwrap_or(&serde_json::Value::Null)),
    })
}

fn npy(kind: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let mut bytes = npy::header(kind, shape);
    bytes.extend(data);
    bytes
}

/// The data of an array with this type and shape; `None` for anything else.
fn npy_data<'a>(bytes: &'a [u8], kind: &str, shape: &[usize]) -> Option<&'a [u8]> {
    let expected = npy(kind, shape, &[]);
    let item = kind.get(2..)?.parse::<usize>().ok()?;
    let data = bytes.strip_prefix(expected.as_slice())?;
    (data.len() == shape.iter().product::<usize>() * item).then_some(data)
}

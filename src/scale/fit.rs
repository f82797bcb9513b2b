//! k-means: survey the data, seed, iterate until the centroids converge, measure the result.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::assignments::Assignments;
use super::error::ScaleError;
use super::features::Reading;
use super::model::Model;
use super::nearest::{Centroids, Nearest};
use super::pass::Engine;
use super::sample::Sample;
use super::sampling::{Drawn, Draws, mixed};
use super::scan_pool::ScanPool;
use super::seeding::{self, Init};
use super::source::{Group, Source, absolute};
use super::step::{Partial, Scale, shift};
use super::work::{FitPlan, Iteration, Snapshot, Work};

#[derive(Debug, Clone)]
pub struct Options {
    pub clusters: usize,
    pub init: Init,
    /// Initial centroids, one row after the other.
    pub given: Option<Vec<f32>>,
    pub max_iterations: u64,
    /// Stop when the centroids together move less than this.
    pub tolerance: f64,
    pub seed: u64,
    pub normalize: bool,
    /// Rows per iteration, in whole row groups, instead of all.
    pub mini_batch: Option<u64>,
    pub work: PathBuf,
    /// Whether to store the cluster of every row in the work folder before each iteration.
    pub write_assignments: bool,
    pub threads: usize,
    /// Rows per batch; `None` chooses by the cache size.
    pub batch_rows: Option<usize>,
}

/// Progress events of a fit.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    Seeding,
    /// The fit resumes an earlier run.
    Resumed {
        iteration: u64,
    },
    Iterated(&'a Iteration),
    Measuring,
}

struct Fit<'a> {
    options: &'a Options,
    engine: &'a dyn Engine,
    groups: Vec<Group>,
    scale: Scale,
    work: Work,
    assignments: Option<Assignments<'a>>,
}

pub fn fit(
    source: &Source,
    options: &Options,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(&Event),
) -> Result<Model, ScaleError> {
    let batch_rows = options.batch_rows.unwrap_or_else(|| Reading::rows_for(source.dim));
    let reading = Reading { ids: false, normalize: options.normalize, batch_rows };
    let keep = || Assignments::new(source, options.normalize, options.threads, &options.work, stop);
    let assignments = options.write_assignments.then(keep).transpose()?;
    run(&ScanPool::new(source, reading, options.threads, stop)?, options, assignments, tell)
}

/// Fits on any engine, with a bit-identical model. Assignments can be stored on this machine only.
pub fn fit_on(engine: &dyn Engine, options: &Options, tell: &mut dyn FnMut(&Event)) -> Result<Model, ScaleError> {
    run(engine, options, None, tell)
}

fn run(
    engine: &dyn Engine,
    options: &Options,
    assignments: Option<Assignments<'_>>,
    tell: &mut dyn FnMut(&Event),
) -> Result<Model, ScaleError> {
    let source = engine.source();
    if options.clusters as u64 > source.rows {
        return Err(ScaleError::TooFewRows { clusters: options.clusters, rows: source.rows.to_string() });
    }
    let groups = source.groups();
    let (mut fit, first) = begin(engine, options, groups, tell)?;
    fit.assignments = assignments;
    let (last, converged) = fit.iterate(first, tell)?;
    tell(&Event::Measuring);
    fit.measure(last, converged)
}

/// Resumes from the work folder, or surveys the data and seeds.
fn begin<'a>(
    engine: &'a dyn Engine,
    options: &'a Options,
    groups: Vec<Group>,
    tell: &mut dyn FnMut(&Event),
) -> Result<(Fit<'a>, Snapshot), ScaleError> {
    let existed = options.work.exists();
    let (work, kept) = Work::open(&options.work, plan(engine.source(), options))?;
    if let Some(bits) = kept
        && let Some(snapshot) = work.latest()
    {
        tell(&Event::Resumed { iteration: snapshot.iteration });
        return Ok((Fit { options, engine, groups, scale: Scale::from_bits(bits), work, assignments: None }, snapshot));
    }
    tell(&Event::Seeding);
    let seeded = seed(options, engine, &groups);
    let (scale, centroids) = seeded.inspect_err(|_| {
        if !existed {
            // Nothing was written yet; a folder that is not empty stays.
            let _ = std::fs::remove_dir(&options.work);
        }
    })?;
    work.begin(scale.bits())?;
    let snapshot = Snapshot { iteration: 0, centroids, seen: vec![0; options.clusters] };
    work.save(&snapshot)?;
    Ok((Fit { options, engine, groups, scale, work, assignments: None }, snapshot))
}

fn seed(options: &Options, engine: &dyn Engine, groups: &[Group]) -> Result<(Scale, Vec<f32>), ScaleError> {
    let survey = seeding::survey(engine, groups, options.init, options.clusters, options.seed)?;
    let scale = Scale::new(engine.source().rows, survey.longest);
    let centroids = match &options.given {
        Some(given) => given.clone(),
        None => survey.seed(engine, groups, (options.init, options.clusters, options.seed), scale)?,
    };
    Ok((scale, centroids))
}

fn plan(source: &Source, options: &Options) -> FitPlan {
    let mut data = blake3::Hasher::new();
    for file in &source.files {
        let path = absolute(&file.path);
        data.update(path.as_os_str().as_encoded_bytes());
        data.update(&[0]);
        data.update(&file.bytes.to_le_bytes());
        data.update(&file.rows().to_le_bytes());
    }
    let given = options.given.as_ref().map(|values| {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        blake3::hash(&bytes).to_hex().to_string()
    });
    FitPlan {
        revision: 1,
        clusters: options.clusters,
        dim: source.dim,
        rows: source.rows,
        init: options.init,
        given,
        seed: options.seed,
        normalize: options.normalize,
        mini_batch: options.mini_batch,
        data: data.finalize().to_hex().to_string(),
    }
}

impl Fit<'_> {
    /// Iterates until the centroids converge; returns the last ones and whether they converged.
    fn iterate(&self, mut now: Snapshot, tell: &mut dyn FnMut(&Event)) -> Result<(Snapshot, bool), ScaleError> {
        self.work.forget_from(now.iteration)?;
        // Whether a killed run had converged follows from its last two centroids.
        let mut rests = now.iteration > 0
            && self.work.load(now.iteration - 1).is_some_and(|before| self.rests(&before.centroids, &now.centroids));
        let mut batches = MiniBatches::new(&self.groups, self.options);
        batches.skip(now.iteration);
        while !rests && now.iteration < self.options.max_iterations {
            let started = Instant::now();
            if let Some(assignments) = &self.assignments {
                assignments.write(now.iteration, &self.nearest(&now.centroids))?;
            }
            let (next, mut line) = match batches.next() {
                Some(groups) => self.step_toward(&now, &groups)?,
                None => self.step(&now)?,
            };
            line.shift = shift(&now.centroids, &next.centroids);
            line.seconds = started.elapsed().as_secs_f64();
            // Written before the centroids: a surplus line is dropped when a killed run resumes, a missing one could not be
            // restored.
            self.work.tell(&line)?;
            self.work.save(&next)?;
            tell(&Event::Iterated(&line));
            rests = self.rests(&now.centroids, &next.centroids);
            now = next;
        }
        Ok((now, rests))
    }

    fn rests(&self, before: &[f32], after: &[f32]) -> bool {
        let shift = shift(before, after);
        shift == 0.0 || shift < self.options.tolerance
    }

    /// One iteration: assigns all rows to their nearest centroids and moves the centroids to the means.
    fn step(&self, now: &Snapshot) -> Result<(Snapshot, Iteration), ScaleError> {
        let nearest = self.nearest(&now.centroids);
        let mut whole = self.engine.step(&nearest, self.scale, &self.groups)?;
        let update = whole.finish(nearest.centroids());
        let mut line = line(now.iteration, &update.counts, update.inertia);
        let mut centroids = update.centroids;
        if !update.empty.is_empty() {
            line.reseeded = self.reseed(&nearest, &mut whole, &update.empty)?;
            centroids = whole.finish(nearest.centroids()).centroids;
        }
        Ok((Snapshot { iteration: now.iteration + 1, centroids, seen: now.seen.clone() }, line))
    }

    /// One mini-batch iteration: each centroid moves toward the mean of its rows in the batch, the less the more rows it has
    /// seen.
    fn step_toward(&self, now: &Snapshot, groups: &[Group]) -> Result<(Snapshot, Iteration), ScaleError> {
        let nearest = self.nearest(&now.centroids);
        let batch = self.engine.step(&nearest, self.scale, groups)?;
        let inertia = batch.finish(nearest.centroids()).inertia;
        let mut next = Snapshot { iteration: now.iteration + 1, ..now.clone() };
        for (cluster, centroid) in next.centroids.chunks_exact_mut(self.engine.source().dim).enumerate() {
            let count = batch.counts()[cluster];
            if count > 0 {
                next.seen[cluster] += count;
                let rate = count as f64 / next.seen[cluster] as f64;
                for (c, mean) in centroid.iter_mut().zip(batch.mean(cluster)) {
                    *c = (f64::from(*c) + rate * (mean - f64::from(*c))) as f32;
                }
            }
        }
        Ok((next, line(now.iteration, batch.counts(), inertia)))
    }

    /// Gives empty clusters the rows farthest from their centroids, as scikit-learn does. Returns how many.
    fn reseed(&self, nearest: &Nearest, whole: &mut Partial, empty: &[usize]) -> Result<usize, ScaleError> {
        let farthest = Sample::Farthest { wanted: 2 * empty.len(), nearest };
        let farthest = self.engine.sample(&farthest, &self.groups)?;
        let mut waiting = empty.iter();
        let mut reseeded = 0;
        for Drawn { row, cluster, .. } in farthest.into_rows() {
            // A cluster keeps its last row.
            if whole.counts()[cluster] > 1 {
                let Some(&to) = waiting.next() else { break };
                whole.move_row(cluster, to, &row);
                reseeded += 1;
            }
        }
        Ok(reseeded)
    }

    /// The last pass: sizes and inertia for the final centroids.
    fn measure(&self, last: Snapshot, converged: bool) -> Result<Model, ScaleError> {
        let nearest = self.nearest(&last.centroids);
        let whole = self.engine.step(&nearest, self.scale, &self.groups)?;
        let update = whole.finish(nearest.centroids());
        Ok(Model {
            centroids: Centroids::new(self.engine.source().dim, last.centroids),
            sizes: update.counts,
            normalize: self.options.normalize,
            rows: self.engine.source().rows,
            iterations: last.iteration,
            converged,
            inertia: update.inertia,
            seed: self.options.seed,
        })
    }

    fn nearest(&self, centroids: &[f32]) -> Nearest {
        Nearest::new(Centroids::new(self.engine.source().dim, centroids.to_vec()))
    }
}

fn line(iteration: u64, counts: &[u64], inertia: f64) -> Iteration {
    Iteration { iteration, rows: counts.iter().sum(), inertia, shift: 0.0, reseeded: 0, seconds: 0.0 }
}

/// Row groups in random order, reshuffled after each round.
struct MiniBatches<'a> {
    groups: &'a [Group],
    rows: Option<u64>,
    seed: u64,
    epoch: u64,
    waiting: Vec<Group>,
}

impl<'a> MiniBatches<'a> {
    fn new(groups: &'a [Group], options: &Options) -> Self {
        Self { groups, rows: options.mini_batch, seed: options.seed, epoch: 0, waiting: Vec::new() }
    }

    /// The groups of the next mini-batch; `None` without mini-batches.
    fn next(&mut self) -> Option<Vec<Group>> {
        let wanted = self.rows?;
        let (mut batch, mut rows) = (Vec::new(), 0);
        while rows < wanted {
            let Some(group) = self.waiting.pop() else {
                if !batch.is_empty() && batch.len() >= self.groups.len() {
                    break;
                }
                self.epoch += 1;
                self.waiting = self.groups.to_vec();
                Draws::new(mixed(self.seed) ^ self.epoch).shuffle(&mut self.waiting);
                continue;
            };
            rows += group.rows;
            batch.push(group);
        }
        Some(batch)
    }

    fn skip(&mut self, iterations: u64) {
        for _ in 0..iterations {
            self.next();
        }
    }
}

/// The default work folder, beside the model.
pub fn work_beside(model: &Path) -> PathBuf {
    let mut name = model.file_name().unwrap_or_default().to_owned();
    name.push(".work");
    model.with_file_name(name)
}

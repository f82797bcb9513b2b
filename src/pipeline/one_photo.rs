//! The way of one photo: stamp, store, bytes, pixels, findings.

use std::path::Path;
use std::time::{Duration, Instant};

use super::facts::{self, PhotoFacts};
use super::isolation::Decoding;
use super::job::Job;
use super::seen::Seen;
use super::{Analysed, Analysis, Picture};
use crate::failure::{Failure, Stage};
use crate::photo_report::PhotoReport;
use crate::store::{Fingerprint, Store};
use photo::identity::{self, Bytes, ContentId, PictureId, Stamp};
use photo::{self, Limits, MemoryBudget, Scale};

/// A photo's outcome and what of it is new to the store.
pub struct Finished {
    pub analysed: Analysed,
    pub stamp: Option<Stamp>,
    /// What was found just now, each with the index of its analysis.
    pub computed: Vec<(usize, Vec<u8>)>,
    pub facts_payload: Option<Vec<u8>>,
}

/// The fingerprints of one job, each bound to the way its pictures are decoded.
pub struct Keys {
    pub facts: Fingerprint,
    pub analyses: Vec<Fingerprint>,
}

impl Keys {
    pub fn of(job: &Job<'_>) -> Self {
        let scale = match job.wanted().scale() {
            Scale::Full => "whole".to_owned(),
            Scale::AtLeast(side) => format!("at least {side}"),
        };
        let reduced = job.medium.map_or_else(|| "as decoded".to_owned(), |side| format!("within {side}"));
        let decoder = photo::REVISION;
        let bind = |analysis: &&dyn Analysis| {
            Fingerprint::of([decoder, &scale, &reduced, analysis.name(), &analysis.fingerprint().to_string()])
        };
        Self { facts: facts_key(), analyses: job.analyses.iter().map(bind).collect() }
    }
}

fn facts_key() -> Fingerprint {
    Fingerprint::of([photo::REVISION, facts::REVISION])
}

pub fn process(
    job: &Job<'_>,
    keys: &Keys,
    budget: &MemoryBudget,
    decoding: &mut Decoding,
    path: &Path,
) -> Result<Finished, Failure> {
    let fail = |stage, code, cause: String| Failure { path: path.to_owned(), stage, code, cause };
    let read_failed = |error: identity::ReadError| fail(Stage::Read, error.code(), error.to_string());

    let stamp = job.files.stamp(path).map_err(read_failed)?;
    if let Some(stamp) = stamp
        && let Some(content) = job.store.content(path, &stamp)
    {
        let known = Known::ask(job, keys, path, content);
        if let Some(finished) = known.complete(job, Some(stamp), true) {
            return Ok(finished);
        }
    }
    // Held until the photo's pixels are gone.
    let place = budget.place();
    place.grow(stamp.map_or(0, |stamp| stamp.size.min(job.limits.max_file_bytes)));
    let Bytes { bytes, stamp } =
        job.telemetry.time("read", || job.files.read(path, job.limits.max_file_bytes)).map_err(read_failed)?;
    let content = job.telemetry.time("identify", || ContentId::of(&bytes));
    let known = Known::ask(job, keys, path, content);
    if known.is_complete() {
        return known.complete(job, stamp, false).ok_or_else(|| fail(Stage::Read, "io", "vanished".into()));
    }
    let begun = Instant::now();
    let seen = decoding.see(&place, bytes, &job.wanted());
    let resizing = seen.as_ref().map_or(Duration::ZERO, |seen| seen.resizing);
    job.telemetry.add("decode", begun.elapsed().saturating_sub(resizing), 1);
    let Seen { facts, picture, resizing } = seen.map_err(|refused| fail(Stage::Decode, refused.code, refused.cause))?;
    job.telemetry.add("resize", resizing, 1);
    place.shrink(picture.bytes());
    known.compute(job, &facts, &picture, stamp).map_err(|error| fail(Stage::Analyse, "analysis", format!("{error:#}")))
}

/// A photo's content alone: from its stamp where the store knows it, else from its bytes.
pub fn identify(path: &Path, store: &Store, limits: &Limits) -> Result<ContentId, identity::ReadError> {
    let stamp = identity::stamp(path)?;
    match store.content(path, &stamp) {
        Some(content) => Ok(content),
        None => identity::content(path, limits.max_file_bytes),
    }
}

/// By what a photo's picture is known: from the store, else from its bytes.
pub fn picture_of(
    path: &Path,
    content: ContentId,
    store: &Store,
    limits: &Limits,
) -> Result<PictureId, identity::ReadError> {
    let facts = store.finding(&content, &facts_key()).and_then(|json| serde_json::from_slice::<PhotoFacts>(&json).ok());
    match facts.and_then(|facts| facts.picture()) {
        Some(picture) => Ok(picture),
        None => Ok(photo::picture_of(&identity::read(path, limits.max_file_bytes)?.bytes, limits)),
    }
}

/// What the store has of one photo.
struct Known {
    facts: Option<PhotoFacts>,
    report: PhotoReport,
    /// Analyses whose part of the report is missing, by index.
    missing: Vec<usize>,
}

impl Known {
    fn ask(job: &Job<'_>, keys: &Keys, path: &Path, content: ContentId) -> Self {
        let facts = job.store.finding(&content, &keys.facts).and_then(|json| serde_json::from_slice(&json).ok());
        let mut report = PhotoReport { content: Some(content), ..PhotoReport::of(path) };
        let mut recall = |index: &usize| {
            let finding = job.store.finding(&content, &keys.analyses[*index]);
            finding.and_then(|finding| job.analyses[*index].recall(&finding, &mut report)).is_none()
        };
        let missing = (0..job.analyses.len()).filter(|index| recall(index)).collect();
        Self { facts, report, missing }
    }

    fn is_complete(&self) -> bool {
        self.facts.is_some() && self.missing.is_empty()
    }

    fn complete(self, job: &Job<'_>, stamp: Option<Stamp>, stamp_known: bool) -> Option<Finished> {
        let mut report = self.report;
        self.facts.filter(|_| self.missing.is_empty())?.tell(job.medium, &mut report);
        // A stamp the store already has need not be written again.
        let stamp = stamp.filter(|_| !stamp_known);
        let analysed = Analysed { report, from_store: true };
        Some(Finished { analysed, stamp, computed: Vec::new(), facts_payload: None })
    }

    fn compute(
        self,
        job: &Job<'_>,
        facts: &PhotoFacts,
        picture: &Picture,
        stamp: Option<Stamp>,
    ) -> anyhow::Result<Finished> {
        let facts_payload = Some(serde_json::to_vec(facts)?);
        let mut report = self.report;
        facts.tell(job.medium, &mut report);
        let mut computed = Vec::with_capacity(self.missing.len());
        for index in self.missing {
            let analysis = job.analyses[index];
            job.telemetry.time(analysis.name(), || analysis.analyse(picture, &mut report))?;
            computed.push((index, analysis.keep(&report)?));
        }
        let analysed = Analysed { report, from_store: false };
        Ok(Finished { analysed, stamp, computed, facts_payload })
    }
}

/// Runs one photo so that nothing it does, a panic included, reaches another photo.
pub fn isolated(
    job: &Job<'_>,
    keys: &Keys,
    budget: &MemoryBudget,
    decoding: &mut Decoding,
    path: &Path,
) -> Result<Finished, Failure> {
    base::contain::contained(|| process(job, keys, budget, decoding, path)).unwrap_or_else(|panic| {
        Err(Failure {
            path: path.to_owned(),
            stage: Stage::Analyse,
            code: "panicked",
            cause: format!("a defect in albumctl: {panic}"),
        })
    })
}

//! The steps for one photo: stamp, store, bytes, pixels, findings.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::decode::{DecodeFailure, DecodedPhoto, Regions, scale_for};
use super::facts::{self, PhotoFacts};
use super::isolation::PhotoDecoder;
use super::job::Job;
use super::lookup::Known;
use super::{AnalysedPhoto, Analysis, Picture};
use crate::failure::{Failure, Stage};
use crate::photo_report::PhotoReport;
use crate::store::{Fingerprint, Store};
use photo::identity::{self, Bytes, ContentId, PictureId, Stamp};
use photo::{self, Limits, MemoryBudget, Region, Scale};

/// A photo's report and the data that the store does not have yet.
pub struct FinishedPhoto {
    pub analysed: AnalysedPhoto,
    pub stamp: Option<Stamp>,
    /// New findings, each with the index of its analysis.
    pub computed: Vec<(usize, Vec<u8>)>,
    pub facts_payload: Option<Vec<u8>>,
}

/// The fingerprints of one job's findings. Each also covers how the pictures are decoded.
pub struct StoreKeys {
    pub facts: Fingerprint,
    pub analyses: Vec<Fingerprint>,
}

impl StoreKeys {
    pub fn of(job: &Job<'_>) -> Self {
        let key = |analysis: &&dyn Analysis| finding_key(*analysis, job.medium);
        Self { facts: facts_key(), analyses: job.analyses.iter().map(key).collect() }
    }

    /// The stored findings without which a photo must be decoded.
    pub fn needed(&self, job: &Job<'_>) -> Vec<Fingerprint> {
        let analyses = job.analyses.iter().zip(&self.analyses);
        let needed =
            analyses.filter(|(analysis, _)| analysis.is_stored() && !analysis.is_optional()).map(|(_, key)| key);
        std::iter::once(&self.facts).chain(needed).copied().collect()
    }
}

/// The fingerprint of an analysis of photos that are measured at `medium`.
pub fn finding_key(analysis: &dyn Analysis, medium: Option<u32>) -> Fingerprint {
    let scale = match scale_for(medium) {
        Scale::Full => "whole".to_owned(),
        Scale::AtLeast(side) => format!("at least {side}"),
    };
    let reduced = medium.map_or_else(|| "as decoded".to_owned(), |side| format!("within {side}"));
    Fingerprint::of([photo::REVISION, &scale, &reduced, analysis.name(), &analysis.fingerprint().to_string()])
}

fn facts_key() -> Fingerprint {
    Fingerprint::of([photo::REVISION, facts::REVISION])
}

pub fn process(
    job: &Job<'_>,
    keys: &StoreKeys,
    budget: &MemoryBudget,
    decoder: &mut PhotoDecoder,
    path: &Path,
    known: Option<Known>,
) -> Result<FinishedPhoto, Failure> {
    let fail = |stage, code, cause: String| Failure { path: path.to_owned(), stage, code, cause };
    let read_failed = |error: identity::ReadError| fail(Stage::Read, error.code(), error.to_string());

    let Known { stamp, content, mut findings } = known.unwrap_or_else(|| Known::nothing(job.files.stamp(path)));
    let stamp = stamp.map_err(read_failed)?;
    if let Some(content) = content {
        let stored = Stored::of(job, keys, path, content, |key| findings.remove(key));
        if let Some(finished) = stored.complete(job, stamp, true) {
            return Ok(finished);
        }
    }
    // Reserves memory until the photo's pixels are dropped.
    let reservation = budget.reserve();
    reservation.grow(stamp.map_or(0, |stamp| stamp.size.min(job.limits.max_file_bytes)));
    let Bytes { bytes, stamp } =
        job.telemetry.time("read", || job.files.read(path, job.limits.max_file_bytes)).map_err(read_failed)?;
    let content = job.telemetry.time("identify", || ContentId::of(&bytes));
    let stored = Stored::of(job, keys, path, content, |key| job.store.finding(&content, key));
    if stored.is_complete() {
        return stored.complete(job, stamp, false).ok_or_else(|| fail(Stage::Read, "io", "vanished".into()));
    }
    let begun = Instant::now();
    let options = job.decode_options();
    let decoded = decoder.decode(&reservation, &bytes, &options);
    let resizing = decoded.as_ref().map_or(Duration::ZERO, |decoded| decoded.resizing);
    job.telemetry.add("decode", begun.elapsed().saturating_sub(resizing), 1);
    let DecodedPhoto { facts, picture, resizing } =
        decoded.map_err(|refused| fail(Stage::Decode, refused.code, refused.cause))?;
    job.telemetry.add("resize", resizing, 1);
    // Regions may be decoded from the bytes later.
    let bytes = if options.keep_decoded_size { bytes } else { Vec::new() };
    reservation.shrink(picture.bytes() + bytes.len() as u64);
    let is_whole = (picture.decoded.width(), picture.decoded.height()) == (facts.width, facts.height);
    let mut closer = |regions: &[Region]| {
        if is_whole {
            return Ok(regions.iter().map(|region| photo::cut(&picture.decoded, *region)).collect());
        }
        let begun = Instant::now();
        let decoded = decoder.decode_regions(&reservation, &bytes, regions, &options);
        job.telemetry.add("decode", begun.elapsed(), 0);
        match decoded {
            // The photo itself needs less memory where it is decoded at a reduced size.
            Err(DecodeFailure { code: "too_large", .. }) => Ok(vec![None; regions.len()]),
            outcome => outcome,
        }
    };
    stored
        .compute(job, &facts, &picture, stamp, &mut closer)
        .map_err(|error| fail(Stage::Analyse, "analysis", format!("{error:#}")))
}

/// Returns a photo's content id: from the store where its stamp is unchanged, otherwise from its bytes.
pub fn identify(path: &Path, store: &Store, limits: &Limits) -> Result<ContentId, identity::ReadError> {
    let stamp = identity::stamp(path)?;
    match store.content(path, &stamp) {
        Some(content) => Ok(content),
        None => identity::content(path, limits.max_file_bytes),
    }
}

/// Returns the identity of a photo's picture: from the store, otherwise from its bytes.
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

/// The stored facts and findings of one photo.
struct Stored {
    facts: Option<PhotoFacts>,
    report: PhotoReport,
    /// Analyses whose part of the report is missing, by index.
    missing: Vec<usize>,
}

impl Stored {
    fn of(
        job: &Job<'_>,
        keys: &StoreKeys,
        path: &Path,
        content: ContentId,
        mut finding: impl FnMut(&Fingerprint) -> Option<Vec<u8>>,
    ) -> Self {
        let facts = finding(&keys.facts).and_then(|json| serde_json::from_slice(&json).ok());
        let mut report = PhotoReport { content: Some(content), ..PhotoReport::of(path) };
        let mut restore = |index: &usize| {
            let analysis = job.analyses[*index];
            if !analysis.is_stored() {
                return analysis.recall(&content, &mut report).is_none();
            }
            let finding = finding(&keys.analyses[*index]);
            finding.and_then(|finding| analysis.restore(&finding, &mut report)).is_none()
        };
        let (optional, needed): (Vec<usize>, Vec<usize>) =
            (0..job.analyses.len()).partition(|index| job.analyses[*index].is_optional());
        let missing: Vec<usize> = needed.into_iter().filter(|index| restore(index)).collect();
        let optional = if facts.is_some() && missing.is_empty() { Vec::new() } else { optional };
        let optional: Vec<usize> = optional.into_iter().filter(|index| restore(index)).collect();
        Self { facts, report, missing: [missing, optional].concat() }
    }

    fn is_complete(&self) -> bool {
        self.facts.is_some() && self.missing.is_empty()
    }

    fn complete(self, job: &Job<'_>, stamp: Option<Stamp>, stamp_known: bool) -> Option<FinishedPhoto> {
        let mut report = self.report;
        self.facts.filter(|_| self.missing.is_empty())?.fill(job.medium, &mut report);
        // A stamp that the store already has is not written again.
        let stamp = stamp.filter(|_| !stamp_known);
        let analysed = AnalysedPhoto { report, from_store: true };
        Some(FinishedPhoto { analysed, stamp, computed: Vec::new(), facts_payload: None })
    }

    fn compute(
        self,
        job: &Job<'_>,
        facts: &PhotoFacts,
        picture: &Picture,
        stamp: Option<Stamp>,
        closer: &mut dyn FnMut(&[Region]) -> Result<Regions, DecodeFailure>,
    ) -> anyhow::Result<FinishedPhoto> {
        let facts_payload = Some(serde_json::to_vec(facts)?);
        let mut report = self.report;
        facts.fill(job.medium, &mut report);
        let mut computed = Vec::with_capacity(self.missing.len());
        for index in self.missing {
            let analysis = job.analyses[index];
            if !analysis.is_filled(&report) {
                job.telemetry.time(analysis.name(), || analysis.analyse(picture, &mut report))?;
            }
            let regions = analysis.regions(&report);
            if !regions.is_empty() {
                let failed = |failure: DecodeFailure| anyhow!("decoding its faces at full size: {}", failure.cause);
                let pixels = closer(&regions).map_err(failed)?;
                analysis.look_closer(&pixels, &mut report);
            }
            if analysis.is_stored() {
                computed.push((index, analysis.encode(&report)?));
            }
        }
        let analysed = AnalysedPhoto { report, from_store: false };
        Ok(FinishedPhoto { analysed, stamp, computed, facts_payload })
    }
}

/// Turns a panic while a photo is processed into that photo's failure, so that no other photo is affected.
pub fn contained(
    path: &Path,
    process: impl FnOnce() -> Result<FinishedPhoto, Failure>,
) -> Result<FinishedPhoto, Failure> {
    base::contain::contained(process).unwrap_or_else(|panic| {
        Err(Failure {
            path: path.to_owned(),
            stage: Stage::Analyse,
            code: "panicked",
            cause: format!("a defect in albumctl: {panic}"),
        })
    })
}

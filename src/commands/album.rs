//! The steps that `cluster`, `select` and `analyze` share: analysing photos, and reading the output of `analyze`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;

use super::open_models::Networks;
use super::people::{self, PeopleNeed};
use super::photos::{self, Tally};
use super::query::QueryArgs;
use super::sequences::Sequences;
use crate::analyses::{Features, Thumbnails};
use crate::config::AlbumClustering;
use crate::context::Context;
use crate::error::CommandError;
use crate::library::groups;
use crate::library::model_selection::AlbumModels;
use crate::library::sequences;
use crate::library::{Groups, ModelHub};
use crate::photo_report::PhotoReport;
use crate::pipeline::{self, Analysis, WhereDecoded};
use crate::report::records::AnalyzeRecord;
use base::reading::Stream;
use judge::cluster::{Calibration, Method};
use photo::scan::{self, Scan};

/// The options for grouping; options that are not given come from the configuration.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Groups")]
pub struct GroupArgs {
    /// The method of grouping photos of one scene
    #[arg(long, value_name = "METHOD", value_parser = PossibleValuesParser::new(Method::NAMES))]
    pub method: Option<String>,

    /// Minimum size of a group; at 1 every photo has one
    #[arg(long, value_name = "N")]
    pub min_cluster_size: Option<usize>,

    /// What happens to photos without a group
    #[arg(long, value_name = "WHAT", value_parser = PossibleValuesParser::new(groups::NOISE_WORDS))]
    pub noise: Option<String>,
}

impl GroupArgs {
    /// Refuses unknown methods before any photo is read.
    pub fn check(&self, context: &Context) -> Result<(), CommandError> {
        let settings = self.settings(context);
        groups::method(&settings, &Calibration::default()).map(drop).map_err(CommandError::usage)?;
        groups::noise(&settings).map(drop).map_err(CommandError::usage)
    }

    /// The configured settings, overridden by the given options.
    pub fn settings(&self, context: &Context) -> AlbumClustering {
        let configured = context.settings().album.clustering.clone();
        AlbumClustering {
            method: self.method.clone().unwrap_or(configured.method),
            min_cluster_size: self.min_cluster_size.unwrap_or(configured.min_cluster_size),
            handle_noise: self.noise.clone().unwrap_or(configured.handle_noise),
            ..configured
        }
    }
}

/// The reports on the photos, and the models that made them.
#[derive(Debug)]
pub struct Gathered {
    pub reports: Vec<PhotoReport>,
    pub tally: Tally,
    pub models: AlbumModels,
    is_from_file: bool,
}

/// When the embeddings of photos that the store knows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingsRead {
    AtOnce,
    /// Of many photos, when something needs them. An unchanged library needs few, and all of them take two fifths of its
    /// memory.
    WhenNeeded,
}

/// What is looked for on photos besides what every album needs.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    pub people: PeopleNeed,
    pub query: &'a QueryArgs,
    pub sequences: Sequences,
    pub embeddings: EmbeddingsRead,
}

/// The size limit of a thumbnail in bytes, for a number of photos.
pub type Budget = fn(usize) -> usize;

impl Gathered {
    /// Reads the output of `analyze`; with a size limit, makes thumbnails of the photos that still exist.
    pub fn from_file(
        file: &Path,
        thumbnails: Option<Budget>,
        networks: &Networks<'_>,
        context: &Context,
    ) -> Result<Self, CommandError> {
        let (hub, mut absent) = (&networks.hub, networks);
        // A file brings its ratings along.
        let models = hub.choice_models(&mut absent)?;
        let mut reports = read(file, context)?;
        let failed = thumbnails.map_or(Ok(0), |budget| add_thumbnails(&mut reports, budget, hub, context))?;
        let tally = Tally { done: reports.len(), from_store: reports.len(), failed, ..Tally::default() };
        Ok(Self { reports, tally, models, is_from_file: true })
    }

    /// Analyses the photos.
    pub fn from_photos(
        scan: &Scan,
        sought: Sought<'_>,
        thumbnails: Option<Budget>,
        networks: &Networks<'_>,
        context: &Context,
    ) -> Result<Self, CommandError> {
        let (hub, mut absent) = (&networks.hub, networks);
        let mut models = hub.album_models(&mut absent)?;
        models.people = people::recognition_as(sought.people, networks, context)?;
        models.sketching = sought.sequences.analysis();
        if sought.query.is_given() {
            models.classification = sought.query.classification(networks, context)?;
            models.text = hub.text_if_here()?;
            models.objects = hub.objects_if_here()?;
            models.description = sought.query.description(None, networks, context)?;
        }
        let budget = thumbnails.map(|budget| budget(scan.photos.len()));
        let (mut reports, tally) = gather(scan, &models, sought.embeddings, budget, hub, context)?;
        if let Some(recognising) = &models.people {
            people::tell_apart(&mut reports, recognising, context)?;
        }
        Ok(Self { reports, tally, models, is_from_file: false })
    }

    /// Groups the photos. Embeddings that were left in the store are read only if it does not know the groups.
    pub fn groups(
        &mut self,
        settings: &AlbumClustering,
        hub: &ModelHub,
        context: &Context,
    ) -> Result<Groups, CommandError> {
        let made_by = self.models.features.as_ref().filter(|_| !self.is_from_file);
        let are_left = made_by.filter(|_| self.reports.iter().any(|report| report.embedding.is_none()));
        if let Some(features) = are_left {
            if let Some(groups) = hub.stored_groups(&self.reports, features, settings)? {
                return Ok(groups);
            }
            let failed = add_embeddings(&mut self.reports, features, hub, context)?;
            (self.tally.done, self.tally.failed) = (self.tally.done - failed, self.tally.failed + failed);
        }
        Ok(hub.cluster_with(&self.reports, made_by, settings)?)
    }
}

/// Adds the embeddings of the photos that lack one. Returns how many became unreadable meanwhile, whose reports are gone.
fn add_embeddings(
    reports: &mut Vec<PhotoReport>,
    features: &Features,
    hub: &ModelHub,
    context: &Context,
) -> Result<usize, CommandError> {
    hub.read_embeddings(reports, features);
    let lacking = reports.iter().filter(|report| report.embedding.is_none());
    let photos = lacking.map(|report| scan::Photo { path: report.path.clone(), raws: Vec::new() }).collect();
    let scan = Scan { photos, ..Scan::default() };
    if scan.photos.is_empty() {
        return Ok(0);
    }
    let mut next = 0;
    let tally = photos::analyse(&scan, &[features.analysis()], hub.medium(), hub, context, |photo, seen| {
        // Both are in the order of the scan.
        while let Some(report) = reports.get_mut(next) {
            next += 1;
            if report.path == photo.path {
                report.embedding = seen.embedding;
                break;
            }
        }
        Ok(())
    })?;
    photos::unless_interrupted(context)?;
    reports.retain(|report| report.embedding.is_some());
    Ok(tally.failed)
}

/// Analyses the photos; also makes thumbnails if given their size limit in bytes.
pub fn gather(
    scan: &Scan,
    models: &AlbumModels,
    embeddings: EmbeddingsRead,
    thumbnails: Option<usize>,
    hub: &ModelHub,
    context: &Context,
) -> Result<(Vec<PhotoReport>, Tally), CommandError> {
    let thumbnails = thumbnails.map(|budget| Thumbnails { budget });
    let has_store = context.store().file().is_some();
    let is_large = scan.photos.len() >= groups::KEPT_FROM;
    let embeddings_later = has_store && is_large && embeddings == EmbeddingsRead::WhenNeeded;
    // The sketches of a whole library would take more memory than all the rest.
    let sketches_later = has_store && models.sketching.is_some();
    let mut analyses = models.analyses_for_scores();
    let features = models.features.as_ref().map(|features| WhereDecoded(features.analysis()));
    let sketching = models.sketching.as_ref().map(|sketching| WhereDecoded(sketching));
    for (analysis, later) in [(&features, embeddings_later), (&sketching, sketches_later)] {
        analyses.extend(analysis.as_ref().map(|analysis| if later { analysis as &dyn Analysis } else { analysis.0 }));
    }
    analyses.extend(thumbnails.as_ref().map(|thumbnails| thumbnails as &dyn Analysis));
    let mut reports = Vec::with_capacity(scan.photos.len());
    context.ui.detail(&format!("Analyzing batch of {} images", scan.photos.len()));
    let tally = photos::analyse(scan, &analyses, hub.medium(), hub, context, |_, report| {
        let sketch = report.sketch.filter(|_| !sketches_later);
        reports.push(PhotoReport { sketch, ..report });
        Ok(())
    })?;
    if sketches_later {
        sequences::sketch(&mut reports, hub);
    }
    Ok((reports, tally))
}

/// Opens a file for reading by lines; `-` is standard input.
pub fn lines<'a>(file: &Path, context: &'a Context) -> Result<Stream<'a>, CommandError> {
    if file == Path::new("-") {
        context.reads_stdin()?;
        return Ok(Stream::standard_input(context.stop()));
    }
    context.reads(file)?;
    let opened = Stream::open(file, context.stop());
    opened.with_context(|| format!("cannot read {}", file.display())).map_err(CommandError::usage)
}

/// Reads the output of `analyze` from a file; `-` is standard input.
pub fn read(file: &Path, context: &Context) -> Result<Vec<PhotoReport>, CommandError> {
    let name = file.display();
    let records = lines(file, context)?;
    let mut reports = Vec::new();
    for (number, line) in records.lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {name}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let record: AnalyzeRecord = serde_json::from_str(&line)
            .with_context(|| format!("{name}, line {}: not a line of `albumctl analyze`", number + 1))
            .map_err(CommandError::usage)?;
        let mut report = record.into_report();
        let identify = || pipeline::identify(&report.path, context.store(), &context.limits()).ok();
        report.content = report.content.or_else(identify);
        reports.push(report);
    }
    Ok(reports)
}

/// Adds thumbnails to reports read from a file, for photos that still exist and are unchanged. Returns how many could not
/// be read.
fn add_thumbnails(
    reports: &mut [PhotoReport],
    budget: Budget,
    hub: &ModelHub,
    context: &Context,
) -> Result<usize, CommandError> {
    let thumbnails = Thumbnails { budget: budget(reports.len()) };
    let there = reports.iter().filter(|photo| photo.path.is_file());
    let there = there.map(|photo| scan::Photo { path: photo.path.clone(), raws: Vec::new() }).collect();
    let scan = Scan { photos: there, ..Scan::default() };
    let mut pictures: HashMap<PathBuf, PhotoReport> = HashMap::new();
    let tally = photos::analyse(&scan, &[&thumbnails], hub.medium(), hub, context, |_, report| {
        pictures.insert(report.path.clone(), report);
        Ok(())
    })?;
    let mut without = 0;
    for photo in reports.iter_mut() {
        let same = pictures.get(&photo.path).filter(|seen| photo.content.is_none() || photo.content == seen.content);
        photo.thumbnail = same.and_then(|seen| seen.thumbnail.clone());
        without += usize::from(photo.thumbnail.is_none());
    }
    if without > tally.failed {
        let gone = photos::counted(without - tally.failed, "photo");
        context
            .ui
            .note(&format!("{gone} moved or changed since they were analysed: the page is without their pictures"));
    }
    Ok(tally.failed)
}

//! Running models on photos.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::model_selection::SkipMissing;
use super::source::{InMemory, PhotoSource};
use super::{ModelHub, ModelHubError};
use crate::analyses::DegradationAnalysis;
use crate::failure::Failure;
use crate::photo_report::{AestheticRating, PhotoReport};
use crate::pipeline::{self, AnalysedPhoto, Analysis, Job};
use hub::faces::Landmarks;
use hub::{HubError, ModelChoice};
use judge::portrait::Portrait;
use judge::quality::Quality;
use photo::identity::Files;
use photo::scan::Photo;

/// The name of a photo in memory, for reports and errors.
const IN_MEMORY: &str = "(in memory)";

/// A photo, given by its path or as bytes.
#[derive(Debug, Clone)]
pub enum PhotoInput<'a> {
    Path(Cow<'a, Path>),
    Bytes(&'a [u8]),
}

/// The reports of many photos.
#[derive(Debug)]
pub struct Batch {
    /// In the order of the input; a photo that cannot be read does not affect the others.
    pub photos: Vec<Result<PhotoReport, Failure>>,
    /// Missing models, each with how to get it. The built-in model has replaced those for rating and grouping; findings of
    /// the others are missing.
    pub left_out: Vec<HubError>,
}

/// Further analyses of a batch besides scores and faces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    /// The feature vector for grouping.
    pub features: bool,
    /// The group of each photo, `cluster_id`, by the configured method. Includes the features.
    pub groups: bool,
    /// The strength of each flaw of [`networks::mini::DEGRADATIONS`], by the built-in model.
    pub degradations: bool,
}

/// The progress of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// `analyze_images` or `extract_features`.
    pub operation: &'static str,
    /// Photos done, this one included.
    pub done: usize,
    pub total: usize,
    pub photo: &'a Path,
}

impl ModelHub {
    /// Measures technical quality: sharpness, exposure, colourfulness, contrast, and an overall value.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let sharp = hub.score("fixtures/album/DSC_0102.jpg")?;
    /// let blurred = hub.score(&std::fs::read("fixtures/album/DSC_0101.jpg")?)?;
    /// assert!(sharp.overall > blurred.overall);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn score<'a>(&self, photo: impl Into<PhotoInput<'a>>) -> Result<Quality, ModelHubError> {
        let report = self.ask_one(photo.into(), self.medium(), &[&self.scoring()])?;
        report.quality.ok_or(ModelHubError::Unanswered)
    }

    /// Predicts how beautiful people find the photo, from 1 to 10. Where no model trained on AVA is available, the built-in
    /// model predicts how they rate its quality.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let sharp = hub.aesthetics("fixtures/album/DSC_0102.jpg")?;
    /// let blurred = hub.aesthetics("fixtures/album/DSC_0101.jpg")?;
    /// assert!(sharp.score > blurred.score && sharp.model.starts_with("album-mini@"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aesthetics<'a>(&self, photo: impl Into<PhotoInput<'a>>) -> Result<AestheticRating, ModelHubError> {
        let rating = self.rating(&mut SkipMissing::default())?;
        self.ask_one(photo.into(), self.medium(), &[&rating])?.aesthetic.ok_or(ModelHubError::Unanswered)
    }

    /// Finds faces and judges whether the photo is a portrait, whether eyes are open and whether people smile. The error
    /// for missing models says how to get them.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let error = hub.portrait("fixtures/album/DSC_0102.jpg").unwrap_err().to_string();
    /// assert!(error.contains("albumctl models pull faces"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn portrait<'a>(&self, photo: impl Into<PhotoInput<'a>>) -> Result<Portrait, ModelHubError> {
        let finding = self.face_finding(Landmarks::Attention)?;
        self.ask_one(photo.into(), self.medium(), &[&finding])?
            .portrait
            .map(|found| *found)
            .ok_or(ModelHubError::Unanswered)
    }

    /// Computes a feature vector for each photo, by the configured model or the scene layout.
    pub fn features<P: AsRef<Path>>(&self, photos: &[P]) -> Result<Batch, ModelHubError> {
        let mut missing = SkipMissing::default();
        let features = self.features_model(&mut missing)?;
        let photos = self.ask_all(photos, &[features.analysis()], "extract_features", |_| ())?;
        Ok(Batch { photos, left_out: missing.0 })
    }

    /// Runs all available analyses on one photo.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let report = hub.analyse("fixtures/album/DSC_0102.jpg")?;
    /// assert_eq!((report.width, report.height), (1200, 1600));
    /// assert!(report.quality.is_some() && report.aesthetic.is_some_and(|rating| rating.score > 1.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn analyse<'a>(&self, photo: impl Into<PhotoInput<'a>>) -> Result<PhotoReport, ModelHubError> {
        let models = self.album_models(&mut SkipMissing::default())?;
        self.ask_one(photo.into(), self.medium(), &models.analyses())
    }

    /// Runs all available analyses on many photos in parallel, with those of [`Extras`] that are set.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::{Extras, Options};
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let photos = ["fixtures/album/DSC_0101.jpg", "fixtures/album/none.jpg", "fixtures/album/DSC_0102.jpg"];
    /// let mut steps = Vec::new();
    /// let extras = Extras { groups: true, ..Extras::default() };
    /// let batch = hub.analyse_batch(&photos, extras, |step| steps.push((step.done, step.total)))?;
    /// assert_eq!(steps, [(1, 3), (2, 3), (3, 3)]);
    /// assert!(batch.photos[0].is_ok() && batch.photos[1].is_err());
    /// let last = batch.photos[2].as_ref().unwrap();
    /// assert_eq!((last.path.to_str(), last.cluster_id.is_some()), (Some(photos[2]), true));
    /// for missing in &batch.left_out {
    ///     println!("done without: {missing}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn analyse_batch<P: AsRef<Path>>(
        &self,
        photos: &[P],
        extras: Extras,
        progress: impl FnMut(Progress<'_>),
    ) -> Result<Batch, ModelHubError> {
        let mut missing = SkipMissing::default();
        let mut models = self.album_models(&mut missing)?;
        if !extras.features && !extras.groups {
            models.features = None;
        }
        let built_in =
            || DegradationAnalysis::new(self.network(ModelChoice::Name(hub::MINI))?).map_err(ModelHubError::from);
        let degradations = extras.degradations.then(built_in).transpose()?;
        let mut analyses = models.analyses();
        analyses.extend(degradations.as_ref().map(|degradations| degradations as &dyn Analysis));
        let mut photos = self.ask_all(photos, &analyses, "analyze_images", progress)?;
        if extras.groups {
            self.fill_groups(&mut photos)?;
        }
        Ok(Batch { photos, left_out: missing.0 })
    }

    fn fill_groups(&self, photos: &mut [Result<PhotoReport, Failure>]) -> Result<(), ModelHubError> {
        let mut reports: Vec<&mut PhotoReport> = photos.iter_mut().filter_map(|photo| photo.as_mut().ok()).collect();
        let groups = self.cluster(&reports)?;
        for (report, label) in reports.iter_mut().zip(groups.clustering.labels) {
            report.cluster_id = Some(label);
        }
        Ok(())
    }

    /// Runs photos through the pipeline and calls `each` in their order, until it returns `Break` or the run is stopped.
    /// `medium` is the long side at which photos are measured; without it they are measured at full size.
    pub fn look_at(
        &self,
        photos: &[Photo],
        analyses: &[&dyn Analysis],
        medium: Option<u32>,
        each: impl FnMut(&Photo, Result<AnalysedPhoto, Failure>) -> ControlFlow<()>,
    ) {
        self.run_pipeline(&PhotoSource, photos, analyses, medium, each);
    }

    /// The configured long side at which photos are measured.
    pub fn medium(&self) -> Option<u32> {
        Some(self.settings().thumbnail_sizes.medium)
    }

    fn run_pipeline(
        &self,
        files: &dyn Files,
        photos: &[Photo],
        analyses: &[&dyn Analysis],
        medium: Option<u32>,
        each: impl FnMut(&Photo, Result<AnalysedPhoto, Failure>) -> ControlFlow<()>,
    ) {
        let (settings, run) = (self.settings(), &self.run);
        let on_card = analyses.iter().any(|analysis| analysis.runs_on_card());
        let job = Job {
            photos,
            files,
            analyses,
            store: &run.store,
            telemetry: &run.telemetry,
            limits: settings.photo_limits(),
            medium,
            threads: if on_card { settings.threads_with_gpu() } else { settings.threads() },
            stop: &run.stop,
            isolation: run.isolation,
        };
        pipeline::run(&job, each);
        self.warn_of_fallbacks();
    }

    pub fn ask_one(
        &self,
        photo: PhotoInput<'_>,
        medium: Option<u32>,
        analyses: &[&dyn Analysis],
    ) -> Result<PhotoReport, ModelHubError> {
        let mut answer = None;
        let take = |_: &Photo, outcome| {
            answer = Some(outcome);
            ControlFlow::Continue(())
        };
        match photo {
            PhotoInput::Path(path) => self.look_at(&named(&[path]), analyses, medium, take),
            PhotoInput::Bytes(bytes) => {
                self.run_pipeline(&InMemory(bytes), &named(&[IN_MEMORY]), analyses, medium, take);
            }
        }
        let photo = answer.ok_or(ModelHubError::Interrupted)?.map_err(ModelHubError::Photo)?;
        Ok(photo.report)
    }

    fn ask_all<P: AsRef<Path>>(
        &self,
        photos: &[P],
        analyses: &[&dyn Analysis],
        operation: &'static str,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Vec<Result<PhotoReport, Failure>>, ModelHubError> {
        let mut outcomes = Vec::with_capacity(photos.len());
        self.look_at(&named(photos), analyses, self.medium(), |photo, outcome| {
            outcomes.push(outcome.map(|photo| photo.report));
            progress(Progress { operation, done: outcomes.len(), total: photos.len(), photo: &photo.path });
            ControlFlow::Continue(())
        });
        self.unless_stopped()?;
        Ok(outcomes)
    }

    pub(super) fn unless_stopped(&self) -> Result<(), ModelHubError> {
        if self.stop().load(Ordering::Relaxed) { Err(ModelHubError::Interrupted) } else { Ok(()) }
    }
}

pub(super) fn named<P: AsRef<Path>>(paths: &[P]) -> Vec<Photo> {
    paths.iter().map(|path| Photo { path: path.as_ref().to_owned(), raws: Vec::new() }).collect()
}

impl<'a> From<&'a Path> for PhotoInput<'a> {
    fn from(path: &'a Path) -> Self {
        Self::Path(path.into())
    }
}

impl<'a> From<&'a PathBuf> for PhotoInput<'a> {
    fn from(path: &'a PathBuf) -> Self {
        Self::Path(path.into())
    }
}

impl From<PathBuf> for PhotoInput<'_> {
    fn from(path: PathBuf) -> Self {
        Self::Path(path.into())
    }
}

impl<'a> From<&'a str> for PhotoInput<'a> {
    fn from(path: &'a str) -> Self {
        Self::Path(Path::new(path).into())
    }
}

impl<'a> From<&'a [u8]> for PhotoInput<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for PhotoInput<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

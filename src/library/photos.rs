//! Asking the models about photos.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::asking::LeftOut;
use super::source::{InMemory, PhotoSource};
use super::{ModelHub, ModelHubError};
use crate::analyses::Degrading;
use crate::failure::Failure;
use crate::photo_report::{PhotoReport, Rated};
use crate::pipeline::{self, Analysed, Analysis, Job};
use hub::faces::Landmarks;
use hub::{HubError, Which};
use judge::portrait::Portrait;
use judge::quality::Quality;
use photo::identity::Files;
use photo::scan::Photo;

/// What photos that are in memory are called in reports and errors.
const IN_MEMORY: &str = "(in memory)";

/// A photo by its path, or its bytes.
#[derive(Debug, Clone)]
pub enum PhotoInput<'a> {
    Path(Cow<'a, Path>),
    Bytes(&'a [u8]),
}

/// What is known of many photos.
#[derive(Debug)]
pub struct Batch {
    /// In the order asked for; a photo that cannot be read hinders no other.
    pub photos: Vec<Result<PhotoReport, Failure>>,
    /// Models that are not here; each says how to get it. The built-in one rated in the place of those that rate, and
    /// nothing was asked of the others.
    pub left_out: Vec<HubError>,
}

/// What is asked of a batch beside scores and faces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    /// The vector that photos are grouped by.
    pub features: bool,
    /// The group of one scene of each photo, `cluster_id`, as configured. Brings the features along.
    pub groups: bool,
    /// How strong each flaw of [`networks::mini::DEGRADATIONS`] is, by the built-in model.
    pub degradations: bool,
}

/// How far a batch is.
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
    /// Technical quality: sharpness, exposure, colourfulness, contrast, and all in one number.
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

    /// How beautiful people would find it, on 1–10. Where no model trained on AVA is here the built-in one says how they
    /// would judge its quality.
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
    pub fn aesthetics<'a>(&self, photo: impl Into<PhotoInput<'a>>) -> Result<Rated, ModelHubError> {
        let rating = self.rating(&mut LeftOut::default())?;
        self.ask_one(photo.into(), self.medium(), &[&rating])?.aesthetic.ok_or(ModelHubError::Unanswered)
    }

    /// Faces, portrait or not, eyes, smile. Without its models the error says how to get them.
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
        self.ask_one(photo.into(), self.medium(), &[&finding])?.portrait.ok_or(ModelHubError::Unanswered)
    }

    /// A vector for each photo, by the configured model or the built-in description of scenes.
    pub fn features<P: AsRef<Path>>(&self, photos: &[P]) -> Result<Batch, ModelHubError> {
        let mut left_out = LeftOut::default();
        let features = self.features_model(&mut left_out)?;
        let photos = self.ask_all(photos, &[features.analysis()], "extract_features", |_| ())?;
        Ok(Batch { photos, left_out: left_out.0 })
    }

    /// Everything about one photo that the models here can tell.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let report = hub.analyse("fixtures/album/DSC_0102.jpg")?;
    /// assert_eq!((report.width, report.height), (1200, 1600));
    /// assert!(report.quality.is_some() && report.aesthetic.is_some_and(|rated| rated.score > 1.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn analyse<'a>(&self, photo: impl Into<PhotoInput<'a>>) -> Result<PhotoReport, ModelHubError> {
        let models = self.album_models(&mut LeftOut::default())?;
        self.ask_one(photo.into(), self.medium(), &models.analyses())
    }

    /// Everything about many photos, on all cores, and what of [`Extras`] is asked for.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::{Extras, Options};
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let photos = ["fixtures/album/DSC_0101.jpg", "fixtures/album/none.jpg", "fixtures/album/DSC_0102.jpg"];
    /// let mut heard = Vec::new();
    /// let extras = Extras { groups: true, ..Extras::default() };
    /// let batch = hub.analyse_batch(&photos, extras, |step| heard.push((step.done, step.total)))?;
    /// assert_eq!(heard, [(1, 3), (2, 3), (3, 3)]);
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
        let mut left_out = LeftOut::default();
        let mut models = self.album_models(&mut left_out)?;
        if !extras.features && !extras.groups {
            models.features = None;
        }
        let built_in = || Degrading::new(self.network(Which::Named(hub::MINI))?).map_err(ModelHubError::from);
        let degrading = extras.degradations.then(built_in).transpose()?;
        let mut analyses = models.analyses();
        analyses.extend(degrading.as_ref().map(|degrading| degrading as &dyn Analysis));
        let mut photos = self.ask_all(photos, &analyses, "analyze_images", progress)?;
        if extras.groups {
            self.tell_groups(&mut photos)?;
        }
        Ok(Batch { photos, left_out: left_out.0 })
    }

    fn tell_groups(&self, photos: &mut [Result<PhotoReport, Failure>]) -> Result<(), ModelHubError> {
        let mut reports: Vec<&mut PhotoReport> = photos.iter_mut().filter_map(|photo| photo.as_mut().ok()).collect();
        let groups = self.cluster(&reports)?;
        for (report, label) in reports.iter_mut().zip(groups.clustering.labels) {
            report.cluster_id = Some(label);
        }
        Ok(())
    }

    /// Photos through the pipeline, in the order asked for, until `each` ends it or somebody asks to stop. `medium` is the
    /// long side at which photos are measured; without it they are measured as they are.
    pub fn look_at(
        &self,
        photos: &[Photo],
        analyses: &[&dyn Analysis],
        medium: Option<u32>,
        each: impl FnMut(&Photo, Result<Analysed, Failure>) -> ControlFlow<()>,
    ) {
        self.look_in(&PhotoSource, photos, analyses, medium, each);
    }

    /// The size at which photos are measured unless somebody asks for another.
    pub fn medium(&self) -> Option<u32> {
        Some(self.settings().thumbnail_sizes.medium)
    }

    fn look_in(
        &self,
        files: &dyn Files,
        photos: &[Photo],
        analyses: &[&dyn Analysis],
        medium: Option<u32>,
        each: impl FnMut(&Photo, Result<Analysed, Failure>) -> ControlFlow<()>,
    ) {
        let (settings, around) = (self.settings(), &self.surroundings);
        let on_card = analyses.iter().any(|analysis| analysis.runs_on_card());
        let job = Job {
            photos,
            files,
            analyses,
            store: &around.store,
            telemetry: &around.telemetry,
            limits: settings.photo_limits(),
            medium,
            threads: if on_card { settings.threads_beside_a_card() } else { settings.threads() },
            stop: &around.stop,
            isolation: around.isolation,
        };
        pipeline::run(&job, each);
        self.tell_fallbacks();
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
                self.look_in(&InMemory(bytes), &named(&[IN_MEMORY]), analyses, medium, take);
            }
        }
        let analysed = answer.ok_or(ModelHubError::Interrupted)?.map_err(ModelHubError::Photo)?;
        Ok(analysed.report)
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
            outcomes.push(outcome.map(|analysed| analysed.report));
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

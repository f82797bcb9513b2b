//! Asking the models about photos.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::{ModelHub, ModelHubError, grouping};
use crate::analyses::{Comparing, Embedding, FaceFinding, Features, Found, Layout, Panel, Rating, Scoring};
use crate::failure::Failure;
use crate::pipeline::{self, Analysed, Analysis, Isolation, Job};
use hub::{Comparator, HubError, Judgement, Network};
use judge::cluster::{self, Clustering, Embeddings, Input};
use judge::portrait::Portrait;
use judge::quality::Quality;
use photo::identity::Disk;
use photo::scan::Photo;

/// The models whose scores are those of the original system.
const AESTHETIC_MODEL: &str = "ava-resnet50";
const COMPARISON_MODEL: &str = "siamese-resnet50";

/// What is known of one photo.
#[derive(Debug, Clone)]
pub struct ImageMetrics {
    pub path: PathBuf,
    /// Upright size of the original.
    pub width: u32,
    pub height: u32,
    /// Local time of the shot as EXIF gives it.
    pub taken_at: Option<String>,
    pub quality: Quality,
    pub aesthetic: Option<Rated>,
    /// None without its models.
    pub portrait: Option<Portrait>,
    /// Only where features were asked for.
    pub embedding: Option<Vec<f32>>,
    taken_ms: Option<i64>,
}

/// How beautiful people would find a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Rated {
    /// On 1–10.
    pub score: f32,
    /// `name@version` of the network that said so.
    pub model: String,
}

/// What is known of many photos.
#[derive(Debug)]
pub struct Batch {
    /// In the order asked for; a photo that cannot be read hinders no other.
    pub photos: Vec<Result<ImageMetrics, Failure>>,
    /// Models that are not here; each says how to get it. The built-in one rated in the place of those that rate, and
    /// nothing was asked of the others.
    pub left_out: Vec<HubError>,
    /// `name@version` of what made the embeddings, where they were asked for.
    pub features_model: Option<String>,
}

/// Photos as vectors, fit for grouping.
#[derive(Debug)]
pub struct Embedded {
    pub paths: Vec<PathBuf>,
    pub embeddings: Embeddings,
    /// `name@version` of what made them.
    pub model: String,
    /// Photos that could not be read.
    pub failures: Vec<Failure>,
    times: Vec<Option<i64>>,
}

/// Photos in groups of one scene.
#[derive(Debug)]
pub struct Album {
    pub paths: Vec<PathBuf>,
    pub clustering: Clustering,
}

/// Which of two photos is better.
#[derive(Debug, Clone, PartialEq)]
pub struct Preference {
    /// The probability that the first is the better one; 0.5 is a tie.
    pub first_is_better: f64,
    /// `name@version` of the network that said so.
    pub model: String,
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
    /// let blurred = hub.score("fixtures/album/DSC_0101.jpg")?;
    /// assert!(sharp.overall > blurred.overall);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn score(&self, photo: impl AsRef<Path>) -> Result<Quality, ModelHubError> {
        let scoring = self.scoring();
        let findings = self.ask_one(photo.as_ref(), &[&scoring])?.findings;
        Scoring::read(&findings[0]).map_err(ModelHubError::Finding)
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
    /// assert!(sharp.score > blurred.score && sharp.model == "album-mini@3");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aesthetics(&self, photo: impl AsRef<Path>) -> Result<Rated, ModelHubError> {
        let rating = self.rating(&mut Vec::new())?;
        let findings = self.ask_one(photo.as_ref(), &[&rating])?.findings;
        let score = Rating::read_judgement(&findings[0]).map_err(ModelHubError::Finding)?.score;
        Ok(Rated { score, model: rating.network.reference() })
    }

    /// Which of two photos is better: by the network trained to compare, or without it by the built-in one.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let preference = hub.compare("fixtures/album/DSC_0102.jpg", "fixtures/album/DSC_0101.jpg")?;
    /// assert!(preference.first_is_better > 0.5 && preference.model == "album-mini@3");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compare(&self, first: impl AsRef<Path>, second: impl AsRef<Path>) -> Result<Preference, ModelHubError> {
        let photos = [first.as_ref(), second.as_ref()];
        let configured = self.settings().quality_assessment.siamese_checkpoint.as_deref();
        let comparator = self.open_or_built_in::<Comparator>(configured, COMPARISON_MODEL, &mut Vec::new())?;
        let comparing = Comparing::new(comparator)?;
        let [first, second] = photos.map(|photo| self.ask_one(photo, &[&comparing]));
        let read = |analysed: Analysed| Comparing::read(&analysed.findings[0]);
        let probability = comparing.network.prefer(&read(first?), &read(second?))?;
        Ok(Preference { first_is_better: probability.into(), model: comparing.network.reference() })
    }

    /// Faces, portrait or not, eyes, smile. Without its models the error says how to get them.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let error = hub.portrait("fixtures/album/DSC_0102.jpg").unwrap_err().to_string();
    /// assert!(error.contains("albumctl models pull mediapipe-face-full-range"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn portrait(&self, photo: impl AsRef<Path>) -> Result<Portrait, ModelHubError> {
        let finding = FaceFinding { faces: self.faces()? };
        let findings = self.ask_one(photo.as_ref(), &[&finding])?.findings;
        FaceFinding::read(&findings[0]).map_err(ModelHubError::Finding)
    }

    /// A vector for each photo, by the configured model or the built-in description of scenes.
    pub fn features<P: AsRef<Path>>(&self, photos: &[P]) -> Result<Embedded, ModelHubError> {
        let features = self.configured_features()?;
        let (mut paths, mut rows, mut times, mut failures) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut dim = 0;
        self.ask(photos, &[features.analysis()], |photo, outcome| match outcome {
            Ok(analysed) => {
                let row = Embedding::read(&analysed.findings[0]);
                dim = row.len();
                rows.extend(row);
                paths.push(photo.to_owned());
                times.push(analysed.facts.taken_ms);
            }
            Err(failure) => failures.push(failure),
        });
        let embeddings = Embeddings::new(&rows, dim)?;
        Ok(Embedded { paths, embeddings, model: features.reference(), failures, times })
    }

    /// Groups of the same scene, by the configured method.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let photos = ["DSC_0101", "DSC_0102", "DSC_0109", "DSC_0111"].map(|name| format!("fixtures/album/{name}.jpg"));
    /// let album = hub.cluster(hub.features(&photos)?)?;
    /// assert_eq!(album.clustering.labels.len(), album.paths.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cluster(&self, features: Embedded) -> Result<Album, ModelHubError> {
        let Embedded { paths, embeddings, times, .. } = features;
        let settings = &self.settings().album.clustering;
        let (method, noise) = (grouping::method(settings)?, grouping::noise(settings)?);
        let clustering = cluster::cluster(&Input::new(&embeddings, &times), &method, noise)?;
        Ok(Album { paths, clustering })
    }

    /// Everything about one photo that the models here can tell.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let metrics = hub.analyse("fixtures/album/DSC_0102.jpg")?;
    /// assert_eq!((metrics.width, metrics.height), (1200, 1600));
    /// assert!(metrics.quality.overall > 0.0 && metrics.aesthetic.is_some_and(|rated| rated.score > 1.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn analyse(&self, photo: impl AsRef<Path>) -> Result<ImageMetrics, ModelHubError> {
        let mut batch = self.analyse_batch(&[photo], false, |_, _| ())?;
        batch.photos.remove(0).map_err(ModelHubError::Photo)
    }

    /// Everything about many photos, on all cores. `progress` hears how many of how many are done.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let photos = ["fixtures/album/DSC_0101.jpg", "fixtures/album/none.jpg", "fixtures/album/DSC_0102.jpg"];
    /// let mut heard = Vec::new();
    /// let batch = hub.analyse_batch(&photos, true, |done, all| heard.push((done, all)))?;
    /// assert_eq!(heard, [(1, 3), (2, 3), (3, 3)]);
    /// assert!(batch.photos[0].is_ok() && batch.photos[1].is_err());
    /// assert_eq!(batch.photos[2].as_ref().unwrap().path.to_str(), Some(photos[2]));
    /// for missing in &batch.left_out {
    ///     println!("done without: {missing}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn analyse_batch<P: AsRef<Path>>(
        &self,
        photos: &[P],
        include_features: bool,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Batch, ModelHubError> {
        let mut left_out = Vec::new();
        let rating = self.rating(&mut left_out)?;
        let faces = if_here(self.faces(), &mut left_out)?.map(|faces| FaceFinding { faces });
        let features = include_features.then(|| self.configured_features()).transpose()?;
        let panel = Panel {
            scoring: self.scoring(),
            features: features.as_ref().map(Features::analysis),
            rating: Some(&rating),
            faces: faces.as_ref(),
        };
        let model = rating.network.reference();
        let mut outcomes = Vec::with_capacity(photos.len());
        let mut broken = None;
        self.ask(photos, &panel.analyses(), |photo, outcome| {
            let metrics = outcome.map(|analysed| match panel.read(&analysed.findings) {
                Ok((found, _)) => Some(ImageMetrics::new(photo, &analysed, found, &model)),
                Err(error) => {
                    broken = Some(error);
                    None
                }
            });
            outcomes.extend(metrics.transpose());
            progress(outcomes.len(), photos.len());
        });
        match broken {
            Some(error) => Err(ModelHubError::Finding(error)),
            None => {
                Ok(Batch { photos: outcomes, left_out, features_model: features.map(|features| features.reference()) })
            }
        }
    }

    /// Groups the photos of a batch whose features were asked for; one that could not be read is in none.
    pub fn cluster_batch(&self, batch: &Batch) -> Result<Album, ModelHubError> {
        let (mut paths, mut rows, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let mut dim = 0;
        for metrics in batch.photos.iter().flatten() {
            let Some(row) = &metrics.embedding else { continue };
            dim = row.len();
            rows.extend_from_slice(row);
            paths.push(metrics.path.clone());
            times.push(metrics.taken_ms);
        }
        let model = batch.features_model.clone().unwrap_or_default();
        self.cluster(Embedded { paths, embeddings: Embeddings::new(&rows, dim)?, model, failures: Vec::new(), times })
    }

    fn scoring(&self) -> Scoring {
        Scoring { weights: self.settings().quality_assessment.weights }
    }

    fn rating(&self, left_out: &mut Vec<HubError>) -> Result<Rating, ModelHubError> {
        let configured = self.settings().quality_assessment.ava_checkpoint.as_deref();
        Ok(Rating::new(self.open_or_built_in(configured, AESTHETIC_MODEL, left_out)?)?)
    }

    /// The built-in model in the place of one that is not here.
    fn open_or_built_in<N: Network>(
        &self,
        configured: Option<&Path>,
        name: &str,
        left_out: &mut Vec<HubError>,
    ) -> Result<N, ModelHubError> {
        match if_here(self.open_configured(configured, name), left_out)? {
            Some(network) => Ok(network),
            None => self.open_configured(None, hub::MINI),
        }
    }

    fn configured_features(&self) -> Result<Features, ModelHubError> {
        let settings = &self.settings().album.clustering;
        let file = settings.feature_checkpoint.as_deref();
        if file.is_none() && Features::is_built_in(&settings.feature_method) {
            return Ok(Features::Layout(Layout));
        }
        Ok(Features::Network(Embedding::new(self.open_configured(file, &settings.feature_method)?)?))
    }

    fn ask_one(&self, photo: &Path, analyses: &[&dyn Analysis]) -> Result<Analysed, ModelHubError> {
        let mut answer = None;
        self.ask(&[photo], analyses, |_, outcome| answer = Some(outcome));
        let unanswered = || anyhow::anyhow!("{}: nothing was found", photo.display());
        answer.ok_or_else(|| ModelHubError::Finding(unanswered()))?.map_err(ModelHubError::Photo)
    }

    /// Photos through the pipeline, in the order asked for.
    fn ask<P: AsRef<Path>>(
        &self,
        photos: &[P],
        analyses: &[&dyn Analysis],
        mut each: impl FnMut(&Path, Result<Analysed, Failure>),
    ) {
        let photo = |path: &P| Photo { path: path.as_ref().to_owned(), raws: Vec::new() };
        let settings = self.settings();
        let job = Job {
            photos: &photos.iter().map(photo).collect::<Vec<_>>(),
            files: &Disk,
            analyses,
            store: &self.store,
            telemetry: &self.telemetry,
            limits: settings.photo_limits(),
            medium: Some(settings.thumbnail_sizes.medium),
            threads: settings.threads(),
            stop: &self.stop,
            // That takes the binary, which programs that use the library are not.
            isolation: Isolation::Off,
        };
        pipeline::run(&job, |photo, outcome| {
            each(&photo.path, outcome);
            ControlFlow::Continue(())
        });
    }
}

impl ImageMetrics {
    fn new(path: &Path, analysed: &Analysed, found: Found, rated_by: &str) -> Self {
        let rated = |judgement: Judgement| Rated { score: judgement.score, model: rated_by.to_owned() };
        Self {
            path: path.to_owned(),
            width: analysed.facts.width,
            height: analysed.facts.height,
            taken_at: analysed.facts.taken_at.clone(),
            quality: found.quality,
            aesthetic: found.aesthetic.map(rated),
            portrait: found.faces,
            embedding: found.embedding,
            taken_ms: analysed.facts.taken_ms,
        }
    }
}

/// Does without a model that is not here; anything else that is wrong with it is an error.
fn if_here<T>(model: Result<T, ModelHubError>, left_out: &mut Vec<HubError>) -> Result<Option<T>, ModelHubError> {
    match model {
        Ok(model) => Ok(Some(model)),
        Err(ModelHubError::Hub(missing @ HubError::Missing { .. })) => {
            left_out.push(missing);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

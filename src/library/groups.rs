//! Groups of one scene, by the configured method with the parameters that were measured for albums.

use std::borrow::Borrow;

use super::{ModelHub, ModelHubError};
use crate::config::AlbumClustering;
use crate::photo_report::PhotoReport;
use judge::cluster::{self, Calibration, Clustering, Embeddings, Input, Method, Moment, Noise};
use photo::Taken;

/// What `album.clustering.handle_noise` may say.
pub const NOISE_WORDS: [&str; 3] = ["as_individual_clusters", "group_together", "exclude"];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("album.clustering.{key}: `{word}` is not one of {known}")]
pub struct UnknownWord {
    key: &'static str,
    word: String,
    known: String,
}

/// Photos in groups of one scene.
#[derive(Debug)]
pub struct Groups {
    pub embeddings: Embeddings,
    pub clustering: Clustering,
    pub method: &'static str,
}

impl ModelHub {
    /// Groups photos whose features were asked for, as configured.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let photos = ["DSC_0101", "DSC_0102", "DSC_0109", "DSC_0111"].map(|name| format!("fixtures/album/{name}.jpg"));
    /// let reports: Result<Vec<_>, _> = hub.features(&photos)?.photos.into_iter().collect();
    /// let groups = hub.cluster(&reports.unwrap())?;
    /// assert_eq!(groups.clustering.labels.len(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cluster(&self, photos: &[impl Borrow<PhotoReport>]) -> Result<Groups, ModelHubError> {
        self.cluster_with(photos, &self.settings().album.clustering)
    }

    /// The same with other settings.
    pub fn cluster_with(
        &self,
        photos: &[impl Borrow<PhotoReport>],
        settings: &AlbumClustering,
    ) -> Result<Groups, ModelHubError> {
        let photos: Vec<&PhotoReport> = photos.iter().map(Borrow::borrow).collect();
        let embedded = || photos.iter().filter_map(|photo| photo.embedding.as_ref());
        let calibration =
            embedded().next().map_or_else(Calibration::default, |embedded| Calibration::of(&embedded.model));
        let (method, noise) = (method(settings, &calibration)?, noise(settings)?);
        let vector = |photo: &PhotoReport| photo.embedding.as_ref().map_or(0, |embedded| embedded.vector.len());
        let dim = photos.first().map_or(0, |photo| vector(photo));
        if let Some(odd) = photos.iter().find(|photo| vector(photo) != dim) {
            return Err(ModelHubError::Lengths { path: odd.path.clone() });
        }
        let rows: Vec<f32> = embedded().flat_map(|embedded| &embedded.vector).copied().collect();
        let embeddings = Embeddings::new(&rows, dim)?;
        let times: Vec<Option<Moment>> = photos.iter().map(|photo| moment(photo)).collect();
        let clock = calibration.clock.filter(|_| settings.use_times);
        let input = Input { clock, ..Input::new(&embeddings, &times) };
        let clustering = self.telemetry().time("cluster_images", || cluster::cluster(&input, &method, noise))?;
        Ok(Groups { embeddings, clustering, method: method.name() })
    }
}

fn moment(photo: &PhotoReport) -> Option<Moment> {
    photo.taken_at.map(|taken| match taken {
        Taken::Moment(_) => Moment::at(taken.sort_key()),
        Taken::Day(_) => Moment::of_day(taken.sort_key()),
    })
}

pub fn method(settings: &AlbumClustering, calibration: &Calibration) -> Result<Method, UnknownWord> {
    let word = &settings.method;
    let unknown = || UnknownWord { key: "method", word: word.clone(), known: Method::NAMES.join(", ") };
    let mut method = Method::calibrated(word, calibration).ok_or_else(unknown)?;
    configure(&mut method, settings.min_cluster_size, settings);
    Ok(method)
}

pub fn noise(settings: &AlbumClustering) -> Result<Noise, UnknownWord> {
    let word = settings.handle_noise.as_str();
    let unknown = |_| UnknownWord { key: "handle_noise", word: word.to_owned(), known: NOISE_WORDS.join(", ") };
    serde_json::from_value(word.into()).map_err(unknown)
}

/// Lays what is configured over what was measured.
fn configure(method: &mut Method, size: usize, settings: &AlbumClustering) {
    fn lay<T: Copy>(over: &mut T, configured: Option<T>) {
        if let Some(value) = configured {
            *over = value;
        }
    }
    match method {
        Method::Hdbscan(params) => {
            params.min_cluster_size = size;
            params.min_samples = settings.min_samples.or(params.min_samples);
            lay(&mut params.epsilon, settings.epsilon);
        }
        Method::Hybrid(params) => {
            params.min_cluster_size = size;
            lay(&mut params.min_samples, settings.min_samples);
            lay(&mut params.cluster_selection_epsilon, settings.epsilon);
        }
        Method::Dbscan(params) => {
            lay(&mut params.min_samples, settings.min_samples);
            lay(&mut params.eps, settings.epsilon);
        }
        Method::Agglomerative(params) => {
            params.min_cluster_size = size;
            lay(&mut params.distance_threshold, settings.distance_threshold);
        }
        Method::Kmeans(params) => lay(&mut params.n_clusters, settings.n_clusters),
        Method::Burst(params) => {
            lay(&mut params.gap_ms, settings.gap_seconds.map(|seconds| (seconds * 1000.0) as i64));
            lay(&mut params.similarity, settings.similarity);
        }
        Method::Hierarchical(params) => {
            configure(&mut params.level1, size, settings);
        }
    }
}

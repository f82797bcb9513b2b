//! Grouping photos by scene, with the configured method and the parameters calibrated for albums.

use std::borrow::Borrow;
use std::sync::Arc;

use super::{ModelHub, ModelHubError};
use crate::config::AlbumClustering;
use crate::photo_report::PhotoReport;
use judge::cluster::{self, Calibration, Clustering, Embeddings, Input, Method, Moment, Noise};
use photo::Taken;

/// The values of `album.clustering.handle_noise`.
pub const NOISE_WORDS: [&str; 3] = ["as_individual_clusters", "group_together", "exclude"];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("album.clustering.{key}: `{word}` is not one of {known}")]
pub struct UnknownWord {
    key: &'static str,
    word: String,
    known: String,
}

/// Photos grouped by scene.
#[derive(Debug)]
pub struct Groups {
    pub embeddings: Embeddings,
    pub clustering: Clustering,
    pub method: &'static str,
}

impl ModelHub {
    /// Groups photos by their features with the configured method. The reports must contain features.
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

    /// Groups photos like [`cluster`](Self::cluster) with other settings.
    pub fn cluster_with(
        &self,
        photos: &[impl Borrow<PhotoReport>],
        settings: &AlbumClustering,
    ) -> Result<Groups, ModelHubError> {
        let photos: Vec<&PhotoReport> = photos.iter().map(Borrow::borrow).collect();
        let computed = || photos.iter().filter_map(|photo| photo.embedding.as_ref());
        let calibration =
            computed().next().map_or_else(Calibration::default, |embedding| Calibration::of(&embedding.model));
        let (method, noise) = (method(settings, &calibration)?, noise(settings)?);
        let vector = |photo: &PhotoReport| photo.embedding.as_ref().map_or(0, |embedding| embedding.vector.len());
        let dim = photos.first().map_or(0, |photo| vector(photo));
        if let Some(odd) = photos.iter().find(|photo| vector(photo) != dim) {
            return Err(ModelHubError::EmbeddingLength { path: odd.path.clone() });
        }
        let rows = computed().map(|embedding| Arc::clone(&embedding.vector)).collect();
        let embeddings = Embeddings::shared(rows, dim)?;
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

/// Overrides the calibrated parameters with the configured ones.
fn configure(method: &mut Method, size: usize, settings: &AlbumClustering) {
    fn override_with<T: Copy>(parameter: &mut T, configured: Option<T>) {
        if let Some(value) = configured {
            *parameter = value;
        }
    }
    match method {
        Method::Hdbscan(params) => {
            params.min_cluster_size = size;
            params.min_samples = settings.min_samples.or(params.min_samples);
            override_with(&mut params.epsilon, settings.epsilon);
        }
        Method::Hybrid(params) => {
            params.min_cluster_size = size;
            override_with(&mut params.min_samples, settings.min_samples);
            override_with(&mut params.cluster_selection_epsilon, settings.epsilon);
        }
        Method::Dbscan(params) => {
            override_with(&mut params.min_samples, settings.min_samples);
            override_with(&mut params.eps, settings.epsilon);
        }
        Method::Agglomerative(params) => {
            params.min_cluster_size = size;
            override_with(&mut params.distance_threshold, settings.distance_threshold);
        }
        Method::Kmeans(params) => override_with(&mut params.n_clusters, settings.n_clusters),
        Method::Burst(params) => {
            override_with(&mut params.gap_ms, settings.gap_seconds.map(|seconds| (seconds * 1000.0) as i64));
            override_with(&mut params.similarity, settings.similarity);
        }
        Method::Hierarchical(params) => {
            configure(&mut params.level1, size, settings);
        }
    }
}

//! Grouping photos by scene, with the configured method and the parameters calibrated for albums.

use std::borrow::Borrow;
use std::sync::Arc;

use super::{ModelHub, ModelHubError};
use crate::config::AlbumClustering;
use crate::photo_report::PhotoReport;
use crate::store::Fingerprint;
use judge::cluster::{
    self, Calibration, ClusterError, Clustering, Embeddings, Input, Method, MethodOutput, Moment, Noise,
};
use photo::Taken;
use photo::identity::ContentId;

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
        let output = self.telemetry().time("cluster_images", || self.stored_or_computed(&input, &method))?;
        let clustering = cluster::place_noise(output, &method, noise);
        Ok(Groups { embeddings, clustering, method: method.name() })
    }

    /// The groups of many photos are kept in the results store, so that a library that has not changed is not grouped again.
    fn stored_or_computed(&self, input: &Input, method: &Method) -> Result<MethodOutput, ClusterError> {
        if input.embeddings.len() < STORED_FROM {
            return cluster::method_output(input, method);
        }
        let store = &self.run.store;
        let (content, analysis) = store_key(input, method);
        let stored = store.finding(&content, &analysis).and_then(|json| serde_json::from_slice(&json).ok());
        if let Some(output) = stored {
            return Ok(output);
        }
        let output = cluster::method_output(input, method)?;
        if let Ok(json) = serde_json::to_vec(&output) {
            store.keep_finding(content, analysis, &json);
        }
        Ok(output)
    }
}

/// The number of photos from which grouping them takes longer than writing the groups down.
const STORED_FROM: usize = 2_000;

/// BLAKE3 hashes several blocks at once if it is given that many bytes.
const HASHED_AT_ONCE: usize = 1 << 16;

/// To be changed whenever the same photos give other groups.
const REVISION: &str = "groups/1";

/// Everything that determines the groups: what is grouped, as a content, and how.
fn store_key(input: &Input, method: &Method) -> (ContentId, Fingerprint) {
    let mut hasher = blake3::Hasher::new();
    let mut bytes = Vec::new();
    for (row, time) in input.times.iter().enumerate() {
        bytes.extend(input.embeddings.row(row).iter().flat_map(|number| number.to_le_bytes()));
        let [earliest, latest] = time.map_or([i64::MAX, i64::MIN], Moment::bounds);
        bytes.extend([earliest, latest].into_iter().flat_map(i64::to_le_bytes));
        if bytes.len() >= HASHED_AT_ONCE {
            hasher.update(&bytes);
            bytes.clear();
        }
    }
    hasher.update(&bytes);
    let dim = input.embeddings.dim();
    let how = serde_json::json!({ "method": method, "clock": input.clock, "dim": dim }).to_string();
    (ContentId(*hasher.finalize().as_bytes()), Fingerprint::of([REVISION, &how]))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Options;
    use crate::photo_report::PhotoEmbedding;
    use base::random::SplitMix;
    use std::path::Path;

    /// As many photos as are kept in the store, in no order, of some hundred scenes.
    fn photos() -> Vec<PhotoReport> {
        let mut chance = SplitMix(7);
        let scenes: Vec<Vec<f32>> =
            (0..100).map(|_| (0..32).map(|_| chance.fraction() as f32 - 0.5).collect()).collect();
        let photo = |index: usize| {
            let near = |value: &f32| value + 0.1 * (chance.fraction() as f32 - 0.5);
            let vector: Vec<f32> = scenes[index % scenes.len()].iter().map(near).collect();
            let model = "scene-layout@2".to_owned();
            let embedding = Some(PhotoEmbedding { vector: vector.into(), model });
            PhotoReport { embedding, ..PhotoReport::of(Path::new(&index.to_string())) }
        };
        (0..STORED_FROM).map(photo).collect()
    }

    #[test]
    fn groups_of_many_photos_are_kept_until_a_photo_changes() {
        let folder = tempfile::tempdir().unwrap();
        let options = |results| Options {
            models_dir: Some(folder.path().join("models")),
            results,
            ..Options::built_in().unwrap()
        };
        let without_store = ModelHub::open(options(None)).unwrap();
        let hub = ModelHub::open(options(Some(folder.path().join("results")))).unwrap();
        let mut photos = photos();
        let labels = |hub: &ModelHub, photos: &[PhotoReport]| hub.cluster(photos).unwrap().clustering;
        let computed = labels(&without_store, &photos);
        assert!(computed.groups() > 1);
        assert_eq!(labels(&hub, &photos), computed);
        assert_eq!(labels(&hub, &photos), computed, "from the store");

        // What the store holds is what a run gets.
        let embeddings: Vec<f32> =
            photos.iter().flat_map(|it| it.embedding.as_ref().unwrap().vector.to_vec()).collect();
        let embeddings = Embeddings::new(&embeddings, 32).unwrap();
        let calibration = Calibration::of("scene-layout@2");
        let settings = &hub.settings().album.clustering;
        let times = vec![None; photos.len()];
        let input =
            Input { clock: calibration.clock.filter(|_| settings.use_times), ..Input::new(&embeddings, &times) };
        let (content, analysis) = store_key(&input, &method(settings, &calibration).unwrap());
        let one_group =
            serde_json::json!({ "labels": vec![0; photos.len()], "details": { "persistence": {}, "extra": {} } });
        hub.run.store.keep_finding(content, analysis, &serde_json::to_vec(&one_group).unwrap());
        assert_eq!(labels(&hub, &photos).groups(), 1);

        let other = photos[1].embedding.clone();
        photos[0].embedding = other;
        assert_eq!(labels(&hub, &photos), labels(&without_store, &photos));
    }
}

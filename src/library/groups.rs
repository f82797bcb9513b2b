//! Grouping photos by scene, with the configured method and the parameters calibrated for albums.

use std::borrow::Borrow;
use std::sync::Arc;

use rayon::prelude::*;

use super::{ModelHub, ModelHubError};
use crate::analyses::Features;
use crate::config::AlbumClustering;
use crate::photo_report::PhotoReport;
use crate::pipeline;
use crate::store::Fingerprint;
use judge::cluster::{self, Calibration, Clock, Clustering, Embeddings, Input, Method, MethodOutput, Moment, Noise};
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
    /// `None` where the store knew the groups, and the reports are without embeddings.
    pub embeddings: Option<Embeddings>,
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
        self.cluster_with(photos, None, &self.settings().album.clustering)
    }

    /// Groups photos like [`cluster`](Self::cluster) with other settings. `made_by`: what gave them their features; the
    /// groups of many such photos are kept in the results store, so that a library that has not changed is not grouped
    /// again.
    pub fn cluster_with(
        &self,
        photos: &[impl Borrow<PhotoReport>],
        made_by: Option<&Features>,
        settings: &AlbumClustering,
    ) -> Result<Groups, ModelHubError> {
        let photos: Vec<&PhotoReport> = photos.iter().map(Borrow::borrow).collect();
        let computed = || photos.iter().filter_map(|photo| photo.embedding.as_ref());
        let calibration =
            computed().next().map_or_else(Calibration::default, |embedding| Calibration::of(&embedding.model));
        let grouping = Grouping::of(settings, &calibration)?;
        let vector = |photo: &PhotoReport| photo.embedding.as_ref().map_or(0, |embedding| embedding.vector.len());
        let dim = photos.first().map_or(0, |photo| vector(photo));
        if let Some(odd) = photos.iter().find(|photo| vector(photo) != dim) {
            return Err(ModelHubError::EmbeddingLength { path: odd.path.clone() });
        }
        let rows = computed().map(|embedding| Arc::clone(&embedding.vector)).collect();
        let embeddings = Embeddings::shared(rows, dim)?;
        let times: Vec<Option<Moment>> = photos.iter().map(|photo| moment(photo)).collect();
        let input = Input { clock: grouping.clock, ..Input::new(&embeddings, &times) };
        let output = self.telemetry().time("cluster_images", || {
            let key = made_by.and_then(|features| self.store_key(&photos, features, &grouping));
            if let Some(output) = key.as_ref().and_then(|key| self.stored_output(key)) {
                return Ok(output);
            }
            let output = cluster::method_output(&input, &grouping.method)?;
            if let (Some((content, analysis)), Ok(json)) = (key, serde_json::to_vec(&output)) {
                self.run.store.keep_finding(content, analysis, &json);
            }
            Ok::<_, ModelHubError>(output)
        })?;
        Ok(grouping.groups(output, Some(embeddings)))
    }

    /// The groups of photos if the results store knows them, for which no embedding is needed.
    pub fn stored_groups(
        &self,
        photos: &[PhotoReport],
        made_by: &Features,
        settings: &AlbumClustering,
    ) -> Result<Option<Groups>, ModelHubError> {
        let grouping = Grouping::of(settings, &Calibration::of(&made_by.reference()))?;
        let photos: Vec<&PhotoReport> = photos.iter().collect();
        let output = self.telemetry().time("cluster_images", || {
            self.store_key(&photos, made_by, &grouping).and_then(|key| self.stored_output(&key))
        });
        Ok(output.map(|output| grouping.groups(output, None)))
    }

    /// Reads the embeddings that the results store has of photos without one, by their contents: the files need not be
    /// looked at again.
    pub fn read_embeddings(&self, photos: &mut [PhotoReport], made_by: &Features) {
        let analysis = made_by.analysis();
        let key = pipeline::finding_key(analysis, self.medium());
        photos.par_chunks_mut(READ_AT_ONCE).for_each(|photos| {
            let lacking = photos.iter().filter(|photo| photo.embedding.is_none());
            let contents: Vec<ContentId> = lacking.filter_map(|photo| photo.content).collect();
            let findings = self.run.store.findings(&contents, &[key]);
            for photo in photos.iter_mut().filter(|photo| photo.embedding.is_none()) {
                let finding = photo.content.and_then(|content| findings.get(&content)?.get(&key));
                // What cannot be restored is computed again like what is not there.
                let _ = finding.and_then(|finding| analysis.restore(finding, photo));
            }
        });
    }

    fn stored_output(&self, (content, analysis): &(ContentId, Fingerprint)) -> Option<MethodOutput> {
        self.run.store.finding(content, analysis).and_then(|json| serde_json::from_slice(&json).ok())
    }

    /// Everything that determines the groups of many photos: their contents and times, as a content, and how they are
    /// compared and grouped. `None` for few photos, and where the content of one is not known.
    fn store_key(
        &self,
        photos: &[&PhotoReport],
        made_by: &Features,
        grouping: &Grouping,
    ) -> Option<(ContentId, Fingerprint)> {
        if photos.len() < KEPT_FROM {
            return None;
        }
        let mut bytes = Vec::with_capacity(photos.len() * (size_of::<ContentId>() + 2 * size_of::<i64>()));
        for photo in photos {
            bytes.extend(photo.content?.0);
            let [earliest, latest] = moment(photo).map_or([i64::MAX, i64::MIN], Moment::bounds);
            bytes.extend([earliest, latest].into_iter().flat_map(i64::to_le_bytes));
        }
        let features = pipeline::finding_key(made_by.analysis(), self.medium()).to_string();
        let Grouping { method, clock, .. } = grouping;
        let how = serde_json::json!({ "method": method, "clock": clock }).to_string();
        Some((ContentId::of(&bytes), Fingerprint::of([REVISION, &features, &how])))
    }
}

/// The number of photos from which grouping them takes longer than looking the groups up.
pub const KEPT_FROM: usize = 300;

/// The number of photos whose embeddings are read from the store at once.
const READ_AT_ONCE: usize = 256;

/// To be changed whenever the same photos give other groups.
const REVISION: &str = "groups/2";

/// How photos are grouped.
struct Grouping {
    method: Method,
    noise: Noise,
    clock: Option<Clock>,
}

impl Grouping {
    fn of(settings: &AlbumClustering, calibration: &Calibration) -> Result<Self, UnknownWord> {
        let clock = calibration.clock.filter(|_| settings.use_times);
        Ok(Self { method: method(settings, calibration)?, noise: noise(settings)?, clock })
    }

    fn groups(&self, output: MethodOutput, embeddings: Option<Embeddings>) -> Groups {
        let clustering = cluster::place_noise(output, &self.method, self.noise);
        Groups { embeddings, clustering, method: self.method.name() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyses::SceneLayoutAnalysis;
    use crate::library::Options;
    use crate::photo_report::PhotoEmbedding;
    use base::random::SplitMix;
    use judge::cluster::scene_layout;
    use std::path::Path;

    const FEATURES: Features = Features::SceneLayout(SceneLayoutAnalysis);

    /// As many photos as have their groups in the store, in no order, of some hundred scenes.
    fn photos() -> Vec<PhotoReport> {
        let mut chance = SplitMix(7);
        let scenes: Vec<Vec<f32>> =
            (0..100).map(|_| (0..32).map(|_| chance.fraction() as f32 - 0.5).collect()).collect();
        let photo = |index: usize| {
            let near = |value: &f32| value + 0.1 * (chance.fraction() as f32 - 0.5);
            let vector: Vec<f32> = scenes[index % scenes.len()].iter().map(near).collect();
            let embedding = Some(PhotoEmbedding { vector: vector.into(), model: FEATURES.reference() });
            let content = Some(ContentId::of(&index.to_le_bytes()));
            PhotoReport { content, embedding, ..PhotoReport::of(Path::new(&index.to_string())) }
        };
        (0..KEPT_FROM).map(photo).collect()
    }

    fn hub(folder: &Path) -> ModelHub {
        let options = Options {
            models_dir: Some(folder.join("models")),
            results: Some(folder.join("results")),
            ..Options::built_in().unwrap()
        };
        ModelHub::open(options).unwrap()
    }

    #[test]
    fn groups_of_many_photos_are_known_without_embeddings_until_a_photo_changes() {
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(folder.path());
        let settings = &hub.settings().album.clustering;
        let mut photos = photos();
        let known = |photos: &[PhotoReport]| hub.stored_groups(photos, &FEATURES, settings).unwrap();
        assert!(known(&photos).is_none());

        let grouped = hub.cluster_with(&photos, Some(&FEATURES), settings).unwrap().clustering;
        assert!(grouped.groups() > 1);
        assert_eq!(hub.cluster_with(&photos, Some(&FEATURES), settings).unwrap().clustering, grouped, "from the store");
        assert_eq!(hub.cluster(&photos).unwrap().clustering, grouped, "without it");
        photos.iter_mut().for_each(|photo| photo.embedding = None);
        assert_eq!(known(&photos).unwrap().clustering, grouped);

        let others = AlbumClustering { method: "burst".into(), ..settings.clone() };
        assert!(hub.stored_groups(&photos, &FEATURES, &others).unwrap().is_none(), "another method");
        let mut later = photos.clone();
        later[3].taken_at = "2026-05-04T10:00:00".parse().ok();
        assert!(later[3].taken_at.is_some() && known(&later).is_none(), "another time");
        photos[0].content = photos[1].content;
        assert!(known(&photos).is_none(), "another content");
        photos[0].content = None;
        assert!(known(&photos).is_none(), "an unknown content");
    }

    #[test]
    fn groups_are_taken_from_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(folder.path());
        let settings = &hub.settings().album.clustering;
        let photos = photos();
        let grouping = Grouping::of(settings, &Calibration::of(&FEATURES.reference())).unwrap();
        let (content, analysis) = hub.store_key(&photos.iter().collect::<Vec<_>>(), &FEATURES, &grouping).unwrap();
        let one_group =
            serde_json::json!({ "labels": vec![0; photos.len()], "details": { "persistence": {}, "extra": {} } });
        hub.run.store.keep_finding(content, analysis, &serde_json::to_vec(&one_group).unwrap());
        assert_eq!(hub.cluster_with(&photos, Some(&FEATURES), settings).unwrap().clustering.groups(), 1);
        // Embeddings of unknown origin, such as those of a file, are grouped as they are.
        assert!(hub.cluster(&photos).unwrap().clustering.groups() > 1);
    }

    #[test]
    fn embeddings_are_read_by_content_and_what_is_not_sound_stays_away() {
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(folder.path());
        let key = pipeline::finding_key(FEATURES.analysis(), hub.medium());
        let keep = |number: u8, numbers: &[f32]| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            hub.run.store.keep_finding(ContentId([number; 32]), key, &bytes);
        };
        keep(0, &[0.5; scene_layout::DIM]);
        keep(1, &[0.5; 3]);
        keep(3, &[0.5; scene_layout::DIM]);
        let of_content =
            |number| PhotoReport { content: Some(ContentId([number; 32])), ..PhotoReport::of(Path::new("")) };
        let mut photos = [0, 1, 2, 3].map(of_content);
        let own = PhotoEmbedding { vector: vec![1.0].into(), model: "own@1".to_owned() };
        photos[3].embedding = Some(own.clone());
        hub.read_embeddings(&mut photos, &FEATURES);
        let read = PhotoEmbedding { vector: vec![0.5; scene_layout::DIM].into(), model: FEATURES.reference() };
        assert_eq!(photos.map(|photo| photo.embedding), [Some(read), None, None, Some(own)]);
    }
}

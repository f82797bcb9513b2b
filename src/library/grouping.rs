//! The configured method of grouping, with the parameters that were measured for albums where nothing else is said.

use crate::config::AlbumClustering;
use judge::cluster::{Method, Noise};

/// What `album.clustering.handle_noise` may say.
pub const NOISE_WORDS: [&str; 3] = ["as_individual_clusters", "group_together", "exclude"];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("album.clustering.{key}: `{word}` is not one of {known}")]
pub struct UnknownWord {
    key: &'static str,
    word: String,
    known: String,
}

pub fn method(settings: &AlbumClustering) -> Result<Method, UnknownWord> {
    let word = &settings.method;
    let unknown = || UnknownWord { key: "method", word: word.clone(), known: Method::NAMES.join(", ") };
    let mut method = Method::by_name(word).ok_or_else(unknown)?;
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
        Method::Agglomerative(params) => lay(&mut params.distance_threshold, settings.distance_threshold),
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

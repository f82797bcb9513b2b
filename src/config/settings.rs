//! The types of `configs/global_config.yaml`, key for key.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, Sources, resolve};
use judge::portrait::{EyesBy, LandmarkRounding};
use judge::quality;
use judge::select::Junk;
use photo;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub device: String,
    pub num_workers: usize,
    pub isolate: Isolate,
    pub cache_dir: Option<PathBuf>,
    pub results_max_size_gb: f64,
    pub models_dir: Option<PathBuf>,
    pub cache_max_size_gb: f64,
    pub license_policy: String,
    pub thumbnail_sizes: ThumbnailSizes,
    pub limits: Limits,
    pub quality_assessment: QualityAssessment,
    pub portrait_analysis: PortraitAnalysis,
    pub album: Album,
}

impl Settings {
    /// The built-in settings alone.
    pub fn built_in() -> Result<Self, ConfigError> {
        Ok(resolve(&Sources::default())?.settings)
    }

    /// The configured number of threads, or one per core.
    pub fn threads(&self) -> usize {
        match self.num_workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }

    /// The configured number of threads, or four per core: most of them wait for the GPU, which is fastest with many
    /// photos in flight (tests/bench/results/card.md).
    pub fn threads_with_gpu(&self) -> usize {
        if self.num_workers == 0 { 4 * self.threads() } else { self.num_workers }
    }

    /// The limits on a photo's size and decoding.
    pub fn photo_limits(&self) -> photo::Limits {
        photo::Limits {
            max_pixels: (self.limits.max_megapixels * 1e6) as u64,
            max_file_bytes: (self.limits.max_file_mb * 1e6) as u64,
            max_seconds: self.limits.max_seconds,
            max_alloc: (self.limits.max_decode_mb * 1e6) as u64,
        }
    }
}

/// Whether photos are decoded in worker processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolate {
    /// Where a process can be started.
    Auto,
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThumbnailSizes {
    pub medium: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub max_megapixels: f64,
    pub max_file_mb: f64,
    pub max_seconds: f64,
    pub max_decode_mb: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityAssessment {
    pub ava_checkpoint: Option<PathBuf>,
    pub siamese_checkpoint: Option<PathBuf>,
    pub weights: quality::Weights,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortraitAnalysis {
    pub face_detection_confidence: f64,
    pub portrait_face_ratio_threshold: f64,
    pub portrait_center_offset_threshold: f64,
    pub eye_open_ear_threshold: f64,
    pub smile_width_threshold: f64,
    pub smile_elevation_threshold: f64,
    pub landmark_rounding: LandmarkRounding,
    pub eyes: EyesBy,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Album {
    pub quality: AlbumQuality,
    pub portrait: AlbumPortrait,
    pub clustering: AlbumClustering,
    pub selection: AlbumSelection,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlbumQuality {
    pub min_iqa_score: f64,
    pub min_ava_score: f64,
    pub min_sharpness: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlbumPortrait {
    pub require_eyes_open: bool,
    pub groups: bool,
    pub face_quality_weight: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlbumClustering {
    pub method: String,
    pub feature_method: String,
    pub feature_checkpoint: Option<PathBuf>,
    pub min_cluster_size: usize,
    pub min_samples: Option<usize>,
    pub epsilon: Option<f64>,
    pub distance_threshold: Option<f64>,
    pub n_clusters: Option<usize>,
    pub gap_seconds: Option<f64>,
    pub similarity: Option<f64>,
    pub use_times: bool,
    pub handle_noise: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlbumSelection {
    pub images_per_cluster: usize,
    pub ava_weight: f64,
    pub iqa_weight: f64,
    pub portrait_weight: f64,
    pub use_siamese_tiebreaker: bool,
    pub tiebreak_margin: f64,
    pub blink_margin: f64,
    pub face_sharpness_margin: f64,
    pub diversity_threshold: f64,
    pub category_distance: f64,
    pub junk: Junk,
    pub min_relevance: f64,
    pub relevance_weight: f64,
    pub relevance_model: Option<String>,
}

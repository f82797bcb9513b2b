//! Lines of `kmeans` and `dedup`.

use schemars::JsonSchema;
use serde::Serialize;

use super::select::Written;
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};

/// `kmeans fit` and `kmeans info`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct KmeansModelRecord {
    /// The model's file.
    pub model: String,
    pub clusters: usize,
    /// Numbers in a row.
    pub dim: usize,
    /// Rows it was fitted to.
    pub rows: u64,
    pub iterations: u64,
    /// Whether the centroids had come to rest.
    pub converged: bool,
    /// Sum of the squared distances of those rows to their centroids.
    pub inertia: f64,
    /// Rows are divided by their length first.
    pub normalize: bool,
    pub seed: u64,
    /// Rows in each cluster.
    pub sizes: Vec<u64>,
}

/// `kmeans assign` of vectors on standard input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct NearestRecord {
    pub cluster: usize,
    /// Euclidean, to the cluster's centroid.
    pub distance: f64,
}

/// A row, or a photo, of `dedup`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DuplicateRecord {
    /// The id as a path: of features from `embed` and of photos it is one.
    #[serde(flatten)]
    pub path: PhotoPath,
    pub id: String,
    /// False when it duplicates a row that stays.
    pub kept: bool,
    /// The id of that row; null for one that stays.
    pub duplicate_of: Option<String>,
    /// The cosine with that row; null when photos are compared by their hashes.
    pub cosine: Option<f64>,
    /// Bits of 64 in which the perceptual hashes differ; null when features are compared.
    pub differing_bits: Option<u32>,
    /// What was, or in a dry run would be, written of a photo that stays.
    pub written: Vec<Written>,
}

impl Record for KmeansModelRecord {
    const HEADINGS: &'static [&'static str] =
        &["model", ">clusters", ">dim", ">rows", ">iterations", "at rest", ">inertia", ">smallest", ">largest"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::path(&self.model),
            Cell::plain(&self.clusters),
            Cell::plain(&self.dim),
            Cell::plain(&self.rows),
            Cell::plain(&self.iterations),
            Cell::plain(if self.converged { "yes" } else { "no" }),
            Cell::plain(&format!("{:.6e}", self.inertia)),
            Cell::plain(self.sizes.iter().min().unwrap_or(&0)),
            Cell::plain(self.sizes.iter().max().unwrap_or(&0)),
        ]
    }
}

impl Record for NearestRecord {
    const HEADINGS: &'static [&'static str] = &[">cluster", ">distance"];

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::plain(&self.cluster), Cell::plain(&format!("{:.6}", self.distance))]
    }
}

impl Record for DuplicateRecord {
    const HEADINGS: &'static [&'static str] = &["photo", "stays", "duplicate of", ">likeness"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::path(&self.id),
            Cell::plain(if self.kept { "yes" } else { "no" }),
            self.duplicate_of.as_ref().map_or_else(|| Cell::faint("-"), Cell::path),
            match (self.cosine, self.differing_bits) {
                (Some(cosine), _) => Cell::plain(&format!("{cosine:.4}")),
                (None, Some(bits)) => Cell::plain(&format!("{bits} of 64 bits differ")),
                (None, None) => Cell::faint("-"),
            },
        ]
    }

    fn below(&self) -> Vec<String> {
        self.written.iter().filter_map(Written::planned).collect()
    }
}

//! Lines of `kmeans` and `dedup`.

use schemars::JsonSchema;
use serde::Serialize;

use super::select::Written;
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};

/// `kmeans fit` and `kmeans info`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct KmeansModelRecord {
    /// The path of the model.
    pub model: String,
    pub clusters: usize,
    /// The dimension of a row.
    pub dim: usize,
    /// The number of rows it was fitted to.
    pub rows: u64,
    pub iterations: u64,
    /// Whether the fit converged.
    pub converged: bool,
    /// The sum of squared distances of the rows to their centroids.
    pub inertia: f64,
    /// Whether rows are normalised to length 1.
    pub normalize: bool,
    pub seed: u64,
    /// The number of rows in each cluster.
    pub sizes: Vec<u64>,
}

/// `kmeans assign` of vectors on standard input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct NearestRecord {
    pub cluster: usize,
    /// The Euclidean distance to the centroid.
    pub distance: f64,
}

/// A row, or a photo, of `dedup`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DuplicateRecord {
    /// The id as a path, which it is for photos and for features from `embed`.
    #[serde(flatten)]
    pub path: PhotoPath,
    pub id: String,
    /// False if it duplicates a row that is kept.
    pub kept: bool,
    /// The id of that row; null for one that is kept.
    pub duplicate_of: Option<String>,
    /// The cosine similarity to that row; null if perceptual hashes are compared.
    pub cosine: Option<f64>,
    /// The number of differing bits of the 64-bit perceptual hashes; null if features are compared.
    pub differing_bits: Option<u32>,
    /// The files written for a kept photo; in a dry run, those that would be written.
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

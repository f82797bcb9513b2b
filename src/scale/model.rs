//! A fitted model on disk: centroids and cluster sizes as safetensors, the rest as its metadata.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::error::ScaleError;
use super::files;
use super::nearest::Centroids;

/// The only metadata entry: several would be written in random order, so that equal models would differ as files.
const ENTRY: &str = "albumctl.kmeans.1";
/// The prefix of the entry in any version, by which our models are recognised.
pub const MODEL_MARK: &str = "albumctl.kmeans.";

/// The metadata of a model.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Facts {
    normalize: bool,
    rows: u64,
    iterations: u64,
    converged: bool,
    inertia: f64,
    seed: u64,
}

#[derive(Debug)]
pub struct Model {
    pub centroids: Centroids,
    /// The number of training rows nearest to each centroid.
    pub sizes: Vec<u64>,
    /// Whether rows are normalised to length 1 before they are compared.
    pub normalize: bool,
    pub rows: u64,
    pub iterations: u64,
    pub converged: bool,
    /// The sum of squared distances of the training rows to these centroids.
    pub inertia: f64,
    pub seed: u64,
}

impl Model {
    pub fn save(&self, path: &Path) -> Result<(), ScaleError> {
        let wrong =
            |cause: safetensors::SafeTensorError| ScaleError::Model { path: path.into(), cause: cause.to_string() };
        let centroids: Vec<u8> = self.centroids.values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let sizes: Vec<u8> = self.sizes.iter().flat_map(|n| (*n as i64).to_le_bytes()).collect();
        let shape = vec![self.centroids.len(), self.centroids.dim];
        let tensors = [
            ("centroids", TensorView::new(Dtype::F32, shape, &centroids).map_err(wrong)?),
            ("sizes", TensorView::new(Dtype::I64, vec![self.sizes.len()], &sizes).map_err(wrong)?),
        ];
        let facts = Facts {
            normalize: self.normalize,
            rows: self.rows,
            iterations: self.iterations,
            converged: self.converged,
            inertia: self.inertia,
            seed: self.seed,
        };
        let facts = serde_json::to_string(&facts).map_err(|error| ScaleError::io(path)(error.into()))?;
        let bytes = safetensors::serialize(tensors, Some(HashMap::from([(ENTRY.to_owned(), facts)]))).map_err(wrong)?;
        files::write(path, &bytes)
    }

    pub fn load(path: &Path) -> Result<Self, ScaleError> {
        let bytes = files::read(path)?;
        Self::read(&bytes).map_err(|cause| ScaleError::Model { path: path.into(), cause })
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        let unreadable = |error: safetensors::SafeTensorError| format!("not a model: {error}");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let facts = header.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        let facts = facts.ok_or("not a k-means model of albumctl")?;
        let facts: Facts = serde_json::from_str(facts).map_err(|error| format!("its metadata: {error}"))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let centroids = tensors.tensor("centroids").map_err(unreadable)?;
        let &[clusters, dim] = centroids.shape() else {
            return Err("centroids are no matrix".into());
        };
        let sizes = tensors.tensor("sizes").map_err(unreadable)?;
        let kinds = (centroids.dtype(), sizes.dtype(), sizes.shape());
        if clusters == 0 || dim == 0 || kinds != (Dtype::F32, Dtype::I64, &[clusters]) {
            return Err("centroids and sizes do not fit together".into());
        }
        let values: Vec<f32> =
            centroids.data().as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        if values.iter().any(|x| !x.is_finite()) {
            return Err("a centroid is not finite".into());
        }
        let sizes = sizes.data().as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Ok(Self {
            centroids: Centroids::new(dim, values),
            sizes,
            normalize: facts.normalize,
            rows: facts.rows,
            iterations: facts.iterations,
            converged: facts.converged,
            inertia: facts.inertia,
            seed: facts.seed,
        })
    }
}

//! A fitted model on disk: centroids and cluster sizes as safetensors, the rest as its metadata.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::error::ScaleError;
use super::nearest::Centroids;
use super::work::write_whole;

const FORMAT: &str = "albumctl-kmeans-1";

#[derive(Debug)]
pub struct Model {
    pub centroids: Centroids,
    /// Rows of the training data nearest to each centroid.
    pub sizes: Vec<u64>,
    /// Rows are divided by their length before they are compared.
    pub normalize: bool,
    pub rows: u64,
    pub iterations: u64,
    pub converged: bool,
    /// Sum of squared distances of the training rows to these centroids.
    pub inertia: f64,
    pub seed: u64,
}

impl Model {
    pub fn save(&self, path: &Path) -> Result<(), ScaleError> {
        let wrong = |cause: safetensors::SafeTensorError| ScaleError::Model { path: path.into(), cause: cause.to_string() };
        let centroids: Vec<u8> = self.centroids.values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let sizes: Vec<u8> = self.sizes.iter().flat_map(|n| (*n as i64).to_le_bytes()).collect();
        let shape = vec![self.centroids.len(), self.centroids.dim];
        let tensors = [
            ("centroids", TensorView::new(Dtype::F32, shape, &centroids).map_err(wrong)?),
            ("sizes", TensorView::new(Dtype::I64, vec![self.sizes.len()], &sizes).map_err(wrong)?),
        ];
        let bytes = safetensors::serialize(tensors, Some(self.metadata())).map_err(wrong)?;
        write_whole(path, &bytes)
    }

    fn metadata(&self) -> HashMap<String, String> {
        let pairs = [
            ("format", FORMAT.to_owned()),
            ("normalize", self.normalize.to_string()),
            ("rows", self.rows.to_string()),
            ("iterations", self.iterations.to_string()),
            ("converged", self.converged.to_string()),
            ("inertia", self.inertia.to_string()),
            ("seed", self.seed.to_string()),
        ];
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    pub fn load(path: &Path) -> Result<Self, ScaleError> {
        let bytes = std::fs::read(path).map_err(ScaleError::io(path))?;
        Self::read(&bytes).map_err(|cause| ScaleError::Model { path: path.into(), cause })
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        let unreadable = |error: safetensors::SafeTensorError| format!("not a model: {error}");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        if metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err("not a k-means model of albumctl".into());
        }
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
        let values: Vec<f32> = centroids.data().as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        if values.iter().any(|x| !x.is_finite()) {
            return Err("a centroid is not finite".into());
        }
        let sizes = sizes.data().as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Ok(Self {
            centroids: Centroids::new(dim, values),
            sizes,
            normalize: field(&metadata, "normalize")?,
            rows: field(&metadata, "rows")?,
            iterations: field(&metadata, "iterations")?,
            converged: field(&metadata, "converged")?,
            inertia: field(&metadata, "inertia")?,
            seed: field(&metadata, "seed")?,
        })
    }
}

fn field<T: std::str::FromStr>(metadata: &HashMap<String, String>, name: &str) -> Result<T, String> {
    metadata.get(name).and_then(|text| text.parse().ok()).ok_or_else(|| format!("no usable `{name}` in its metadata"))
}

//! The files of a training run, all replaced atomically: the checkpoint to resume from, the history and the settings.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::Var;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::adam::{Adam, set, values};
use super::epoch::Epoch;
use base::atomic;
use base::reading;
use networks::checkpoint::InMemory;

/// The progress of a run, stored in its checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Number of finished epochs.
    pub epoch: u64,
    pub steps: u64,
    /// The best validation metric so far, and its epoch.
    pub best: Option<f64>,
    pub best_epoch: u64,
    /// The identity of the recipe and the data, which must not change when a run is resumed.
    pub recipe: String,
    pub history: Vec<Epoch>,
}

/// The metadata key that identifies a checkpoint.
pub const KEY: &str = "albumctl.progress";
/// File names of a run.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
pub const MODEL: &str = "best.safetensors";
pub const METRICS: &str = "metrics.jsonl";
pub const CURVE: &str = "curve.svg";
/// The effective recipe, and the command line.
pub const RECIPE: &str = "recipe.yaml";
pub const COMMAND: &str = "command.txt";
/// The metrics of the finished run.
pub const RESULTS: &str = "results.json";
/// Folder of the predictions for the validation set, one file per epoch.
pub const PREDICTIONS: &str = "predictions";

/// The numbers as a file of weights holds them.
pub fn bytes(values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; size_of_val(values)];
    bytes.as_chunks_mut::<4>().0.iter_mut().zip(values).for_each(|(to, value)| *to = value.to_le_bytes());
    bytes
}

/// Writes variables, optimizer state and running means.
pub fn save(path: &Path, vars: &BTreeMap<String, Var>, adam: &Adam, progress: &Progress) -> Result<(), TrainError> {
    let mut all: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, var) in vars {
        let shape = var.dims().to_vec();
        all.push((format!("value/{name}"), shape.clone(), bytes(&values(var)?)));
        if let Some(moments) = adam.state.get(name) {
            for (kind, values) in [("first", &moments.first), ("second", &moments.second), ("mean", &moments.mean)] {
                all.push((format!("{kind}/{name}"), shape.clone(), bytes(values)));
            }
        }
    }
    let progress = serde_json::to_string(progress).map_err(|error| TrainError::at(path, error))?;
    write(path, &all, Dtype::F32, (KEY, progress))
}

/// Writes tensors to a file, atomically.
pub fn write(
    path: &Path,
    tensors: &[(String, Vec<usize>, Vec<u8>)],
    dtype: Dtype,
    about: (&str, String),
) -> Result<(), TrainError> {
    let views = tensors
        .iter()
        .map(|(name, shape, data)| Ok((name.as_str(), TensorView::new(dtype, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| TrainError::at(path, error))?;
    // Only one key, because the order of several would vary from file to file.
    let about = HashMap::from([(about.0.to_owned(), about.1)]);
    let file = safetensors::serialize(views, Some(about)).map_err(|error| TrainError::at(path, error))?;
    replace(path, &file)
}

/// The metadata key of an exported model.
pub const ABOUT: &str = "albumctl";

/// The metadata of an exported model; `None` if the file is missing or has none.
pub fn about(path: &Path) -> Option<String> {
    let file = reading::read(path, reading::MODEL).ok()?;
    let (_, header) = SafeTensors::read_metadata(&file).ok()?;
    header.metadata().as_ref()?.get(ABOUT).cloned()
}

/// Reads the tensors of a file, which must all have half precision.
pub fn read_half(path: &Path) -> Result<InMemory, TrainError> {
    let file = reading::read(path, reading::MODEL).map_err(|error| TrainError::at(path, error))?;
    let tensors = SafeTensors::deserialize(&file).map_err(|error| TrainError::at(path, error))?;
    let mut found = InMemory::default();
    for (name, tensor) in tensors.tensors() {
        if tensor.dtype() != Dtype::F16 {
            return Err(TrainError::at(path, format!("`{name}` is not in half precision")));
        }
        let values = tensor.data().as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32());
        found.tensors.insert(name, (tensor.shape().to_vec(), values.collect()));
    }
    Ok(found)
}

/// Replaces a file atomically: after a kill either the old or the new content is there.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), TrainError> {
    atomic::write(path, content).map_err(|error| TrainError::at(path, error))
}

/// Writes the metrics file and the chart, once there is a finished epoch.
pub fn write_history(folder: &Path, title: &str, progress: &Progress) -> Result<(), TrainError> {
    if progress.history.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> =
        progress.history.iter().map(|epoch| serde_json::to_string(epoch).unwrap_or_default()).collect();
    replace(&folder.join(METRICS), (lines.join("\n") + "\n").as_bytes())?;
    replace(&folder.join(CURVE), super::curve::svg(title, &progress.history).as_bytes())
}

/// Writes the effective recipe and the command line.
pub fn write_settings(folder: &Path, recipe: &impl Serialize, command: &str) -> Result<(), TrainError> {
    let path = folder.join(RECIPE);
    let text = serde_yaml::to_string(recipe).map_err(|error| TrainError::at(&path, error))?;
    replace(&path, text.as_bytes())?;
    replace(&folder.join(COMMAND), format!("{command}\n").as_bytes())
}

/// Loads a checkpoint into the variables and the optimizer; `None` if there is none yet.
pub fn load(path: &Path, vars: &BTreeMap<String, Var>, adam: &mut Adam) -> Result<Option<Progress>, TrainError> {
    let file = match reading::read(path, reading::MODEL) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TrainError::at(path, error)),
    };
    let (_, header) = SafeTensors::read_metadata(&file).map_err(|error| TrainError::at(path, error))?;
    let progress = header.metadata().as_ref().and_then(|about| about.get(KEY)).cloned();
    let progress = progress.ok_or_else(|| TrainError::at(path, "this is not a checkpoint of a training run"))?;
    let progress: Progress = serde_json::from_str(&progress).map_err(|error| TrainError::at(path, error))?;
    let tensors = SafeTensors::deserialize(&file).map_err(|error| TrainError::at(path, error))?;
    let read = |name: String, len: usize| -> Result<Vec<f32>, TrainError> {
        let tensor = tensors.tensor(&name).map_err(|error| TrainError::at(path, error))?;
        let values: Vec<f32> = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if values.len() == len {
            return Ok(values);
        }
        Err(TrainError::at(path, format!("`{name}` has {} numbers instead of {len}", values.len())))
    };
    for (name, var) in vars {
        let len = var.elem_count();
        set(var, read(format!("value/{name}"), len)?)?;
        if let Some(moments) = adam.state.get_mut(name) {
            moments.first = read(format!("first/{name}"), len)?;
            moments.second = read(format!("second/{name}"), len)?;
            moments.mean = read(format!("mean/{name}"), len)?;
        }
    }
    adam.steps = progress.steps;
    Ok(Some(progress))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_run_goes_on_where_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoint.safetensors");
        let var = |values: Vec<f32>| Var::from_vec(values, 3, &Device::Cpu).expect("a variable");
        let vars: BTreeMap<String, Var> = [("x".to_owned(), var(vec![1.0, 2.0, 3.0]))].into();
        let mut adam = Adam::new(&vars).expect("state");
        adam.state.get_mut("x").expect("x").second = vec![0.5; 3];
        let progress = Progress { epoch: 3, steps: 70, best: Some(0.5), ..Progress::default() };
        save(&path, &vars, &adam, &progress).expect("written");
        let others: BTreeMap<String, Var> = [("x".to_owned(), var(vec![0.0; 3]))].into();
        let mut other = Adam::new(&others).expect("state");
        assert_eq!(load(&path, &others, &mut other).expect("read"), Some(progress));
        assert_eq!((&other.state, other.steps), (&adam.state, 70));
        assert_eq!(values(&others["x"]).expect("values"), [1.0, 2.0, 3.0]);
        assert!(load(&folder.path().join("none"), &others, &mut other).expect("nothing there").is_none());
        std::fs::write(&path, b"cut short").expect("written");
        assert!(load(&path, &others, &mut other).is_err());
    }
}

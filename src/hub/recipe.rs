//! The configuration of a trained checkpoint: from its metadata, else from the shapes of its tensors.

use serde_json::Value;

use super::manifest::NetworkSpec;
use networks::checkpoint::{Checkpoint, WeightsError};
use networks::head::{Bend, HeadConfig};
use networks::preprocess::{Preprocess, Resize};
use networks::rating::Output;
use networks::weights::WeightsFile;
use photo::resize::Filter;

/// Maximum input side; published networks take a few hundred pixels.
const LARGEST_SIDE: u32 = 4096;

/// The configuration of a checkpoint. The original stores the network's part under `model`, or at the top level.
#[derive(Debug)]
pub struct Recipe<'a> {
    file: &'a WeightsFile,
    config: Value,
}

impl<'a> Recipe<'a> {
    pub fn of(file: &'a WeightsFile) -> Self {
        Self { file, config: file.config().unwrap_or(Value::Null) }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        let nested = self.config.get("model").and_then(|model| model.get(key));
        nested.or_else(|| self.config.get(key)).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    fn error(&self, why: String) -> WeightsError {
        WeightsError::Config { file: self.file.file(), why }
    }

    /// The layers of a head with tensors `part.0`, `part.3` …
    pub fn head(&self, part: &str, inputs: usize) -> Result<HeadConfig, WeightsError> {
        let width = |i: usize| Some(*self.file.shape(&format!("{part}.{}.weight", 3 * i))?.first()?);
        let mut widths: Vec<usize> = (0..).map_while(width).collect();
        let Some(outputs) = widths.pop() else {
            return Err(WeightsError::Missing { file: self.file.file(), name: format!("{part}.0.weight") });
        };
        let hidden = match self.get("mlp_hidden_dims").and_then(Value::as_array) {
            Some(dims) => dims.iter().map(|dim| dim.as_u64().map(|dim| dim as usize)).collect::<Option<Vec<_>>>(),
            None => Some(widths),
        };
        let hidden = hidden.ok_or_else(|| self.error("config: `mlp_hidden_dims` is no list of sizes".into()))?;
        if hidden.contains(&0) || outputs == 0 {
            return Err(self.error(format!("a head of {hidden:?} hidden and {outputs} outputs is none")));
        }
        let bend = if self.text("activation") == Some("tanh") { Bend::Tanh } else { Bend::Relu };
        let dropout = self.get("dropout").and_then(Value::as_f64).unwrap_or(0.0) as f32;
        Ok(HeadConfig { inputs, hidden, outputs, bend, dropout })
    }

    /// The kind of output of an aesthetic network: from the configuration, else from its width.
    pub fn output(&self, head: &HeadConfig) -> Result<Output, WeightsError> {
        let output = match self.text("output_mode") {
            Some("regression") => Output::Regression,
            Some("distribution") => Output::Distribution,
            Some(other) => return Err(self.error(format!("config: output_mode `{other}` is not known"))),
            None if head.outputs == 1 => Output::Regression,
            None => Output::Distribution,
        };
        if output.width() != head.outputs {
            return Err(self.error(format!(
                "{output:?} wants {} outputs, the head has {}",
                output.width(),
                head.outputs
            )));
        }
        Ok(output)
    }

    /// The class names of a classifier, in output order.
    pub fn classes(&self, head: &HeadConfig) -> Result<Vec<String>, WeightsError> {
        let classes = self.get("classes").and_then(Value::as_array);
        let classes: Option<Vec<String>> =
            classes.and_then(|all| all.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        let classes = classes.ok_or_else(|| self.error("config: `classes` is no list of names".into()))?;
        if classes.len() == head.outputs {
            return Ok(classes);
        }
        Err(self.error(format!("config: {} classes for {} outputs", classes.len(), head.outputs)))
    }

    /// Whether it belongs to a classifier.
    pub fn tells_classes(&self) -> bool {
        self.get("classes").is_some()
    }

    /// The backbone of a ranker.
    pub fn backbone(&self) -> Result<Backbone, WeightsError> {
        let by_names = if self.file.shape("backbone.fc6.weight").is_some() { "vgg16" } else { "resnet50" };
        match self.text("cnn_backbone").or_else(|| self.text("backbone")).unwrap_or(by_names) {
            "resnet50" => Ok(Backbone::Resnet),
            "vgg16" => Ok(Backbone::Vgg16),
            other => Err(self.error(format!("config: backbone `{other}` is not known; resnet50 or vgg16"))),
        }
    }

    /// The manifest's preprocessing, with the changes of the training run.
    pub fn preprocess(&self, spec: &NetworkSpec) -> Result<Preprocess, WeightsError> {
        let mut preprocess = spec.preprocess.clone();
        if let Some(transform) = self.config.get("transform").filter(|value| value.is_object()) {
            let side = |key: &str| transform.get(key).and_then(Value::as_u64).map(|side| side as u32);
            let (Resize::ShortSide(resized) | Resize::Square(resized)) = &mut preprocess.resize;
            *resized = side("resize_size").unwrap_or(*resized);
            preprocess.crop = side("crop_size").or(preprocess.crop);
            for (key, to) in [("normalize_mean", &mut preprocess.mean), ("normalize_std", &mut preprocess.std)] {
                if let Some(values) = transform.get(key).and_then(Value::as_array) {
                    let values: Option<Vec<f32>> = values.iter().map(|v| v.as_f64().map(|v| v as f32)).collect();
                    let values = values.and_then(|values| <[f32; 3]>::try_from(values).ok());
                    *to = values.ok_or_else(|| self.error(format!("config: `{key}` is no list of three numbers")))?;
                }
            }
        }
        let (Resize::ShortSide(side) | Resize::Square(side)) = preprocess.resize;
        if side > LARGEST_SIDE {
            return Err(self.error(format!("config: pictures are resized to {side}; at most {LARGEST_SIDE} are taken")));
        }
        preprocess.check().map_err(|why| self.error(format!("config: transform: {why}")))?;
        Ok(preprocess)
    }

    /// The preprocessing of a ranker, from the flags of its training.
    pub fn ranker_preprocess(&self, spec: &NetworkSpec) -> Result<Preprocess, WeightsError> {
        let flag = |key: &str| self.get(key).and_then(Value::as_bool);
        let fixed_scale = Preprocess { resize: Resize::ShortSide(224), crop: Some(224), ..spec.preprocess.clone() };
        let standard = Preprocess { resize: Resize::ShortSide(256), filter: Filter::Bilinear, ..fixed_scale.clone() };
        match self.text("transform_type").unwrap_or("auto") {
            "auto" => Ok(match flag("use_paper_preprocessing") {
                Some(false) if flag("use_external_dataloader") != Some(true) => standard,
                Some(_) => fixed_scale,
                None => spec.preprocess.clone(),
            }),
            "paper" | "external" => Ok(fixed_scale),
            "standard" => Ok(standard),
            other => Err(self.error(format!("config: transform_type `{other}` is not supported"))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backbone {
    Resnet,
    Vgg16,
}

//! A ResNet with a head, as it is trained and as it is written.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor, Var};
use candle_nn::{ModuleT, VarBuilder, VarMap};
use safetensors::tensor::Dtype;

use super::Job;
use super::recipe::OutputMode;
use crate::nn::checkpoint::Checkpoint;
use crate::nn::head::{Bend, Head, HeadConfig};
use crate::nn::resnet::{Naming, ResNet};
use crate::train::TrainError;
use crate::train::adam::{set, values};
use crate::train::checkpoint::{self, Progress};
use crate::train::flaws::{self, HEADS};
use crate::train::labels::Target;
use crate::train::rng::Rng;

/// The variables and what is made of them.
pub struct Network {
    pub vars: BTreeMap<String, Var>,
    backbone: ResNet,
    head: Head,
    config: HeadConfig,
    /// What the head is called in a file.
    part: &'static str,
}

impl Network {
    pub fn new(job: &Job<'_>) -> Result<Self, TrainError> {
        let recipe = job.recipe;
        let (part, outputs) = match job.items.first().map(|item| (&item.target, item.files.len())) {
            Some((Target::Class(_), 2)) => ("mlp", 2),
            Some((Target::Class(_), _)) => ("head", job.classes.len()),
            Some((Target::Faults, _)) => ("head", HEADS.len()),
            _ if recipe.output_mode == OutputMode::Distribution => ("head", 10),
            _ => ("head", 1),
        };
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, DType::F32, &job.device);
        let depth = recipe.depth();
        let backbone = ResNet::new(depth, Naming::Torchvision, &vb.pp("backbone"))?;
        let config = HeadConfig {
            inputs: depth.features(),
            hidden: recipe.mlp_hidden_dims.clone(),
            outputs,
            bend: Bend::Relu,
            dropout: recipe.dropout,
        };
        let head = Head::new(&config, &vb.pp(part))?;
        let vars: BTreeMap<String, Var> =
            map.data().lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone().into_iter().collect();
        // candle draws from a source that cannot be repeated: everything is drawn again.
        let mut rng = Rng::at(recipe.seed, [0, 9]);
        for (name, var) in &vars {
            let fan_in: usize = var.dims().iter().skip(1).product();
            let one = name.ends_with("running_var") || (name.ends_with("weight") && var.rank() == 1);
            let value = match var.rank() {
                1 => vec![if one { 1.0 } else { 0.0 }; var.elem_count()],
                _ => (0..var.elem_count()).map(|_| rng.normal() * (2.0 / fan_in as f32).sqrt()).collect(),
            };
            set(var, value)?;
        }
        // Ratings begin in the middle of their scale.
        if outputs == 1
            && let Some((_, var)) = vars.iter().rfind(|(name, _)| name.starts_with("head.") && name.ends_with("bias"))
        {
            set(var, vec![5.5])?;
        }
        let network = Self { vars, backbone, head, config, part };
        if let Some(start) = job.start {
            network.begin_with(start)?;
        }
        Ok(network)
    }

    /// Takes the backbone's weights, whatever stands before their names.
    fn begin_with(&self, start: &dyn Checkpoint) -> Result<(), TrainError> {
        for (name, var) in self.vars.iter().filter(|(name, _)| name.starts_with("backbone.")) {
            let bare = name.trim_start_matches("backbone.");
            let found = [name.as_str(), bare].into_iter().find(|name| start.shape(name).as_deref() == Some(var.dims()));
            let Some(found) = found else {
                return Err(TrainError::at(
                    &start.file(),
                    format!("no tensor `{bare}` of shape {:?} to begin with", var.dims()),
                ));
            };
            set(var, start.read(found).map_err(|error| TrainError::at(&start.file(), error))?)?;
        }
        Ok(())
    }

    pub fn forward(&self, photos: &[Tensor], train: bool) -> candle_core::Result<Tensor> {
        let features =
            photos.iter().map(|x| self.backbone.forward_t(x, train)).collect::<candle_core::Result<Vec<_>>>()?;
        match &features[..] {
            [first, second] => self.head.forward_t(&(first - second)?, train),
            [only] => self.head.forward_t(only, train),
            _ => candle_core::bail!("items of one photo, or two"),
        }
    }
}

/// Weights and configuration as `aesthetics --model` and `compare --model` read them.
pub fn export(network: &Network, job: &Job<'_>, progress: &Progress) -> Result<(), TrainError> {
    let recipe = job.recipe;
    let mut all = Vec::new();
    for (name, var) in &network.vars {
        let bytes = values(var)?.iter().flat_map(|v| v.to_le_bytes()).collect();
        all.push((name.clone(), var.dims().to_vec(), bytes));
    }
    let mode = if recipe.output_mode == OutputMode::Distribution { "distribution" } else { "regression" };
    let mut config = serde_json::json!({
        "model": {
            "backbone": recipe.backbone,
            "mlp_hidden_dims": network.config.hidden,
            "dropout": recipe.dropout,
            "activation": "relu",
        },
        "transform": { "resize_size": recipe.resize, "crop_size": recipe.crop },
    });
    if network.part == "mlp" {
        config["model"]["cnn_backbone"] = "resnet50".into();
        config["model"]["transform_type"] = "standard".into();
    } else if job.items.first().is_some_and(|item| item.target == Target::Faults) {
        config["heads"] = serde_json::json!(HEADS);
        config["degradation_weights"] = serde_json::json!(flaws::WEIGHTS);
    } else if job.classes.is_empty() {
        config["model"]["output_mode"] = mode.into();
    } else {
        config["classes"] = serde_json::json!(job.classes);
    }
    config["name"] = recipe.name.clone().into();
    config["epoch"] = progress.epoch.into();
    checkpoint::write(&job.out.join("best.safetensors"), &all, Dtype::F32, ("config", config.to_string()))
}

//! The network: its variables, forward pass and export.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Tensor, Var};
use candle_nn::{Module as _, ModuleT, VarBuilder, VarMap};
use safetensors::tensor::Dtype;

use super::Job;
use super::recipe::{Backbone, OutputMode};
use crate::TrainError;
use crate::adam::{set, values};
use crate::checkpoint::{self, Progress, bytes};
use crate::labels::Target;
use crate::rng::Rng;
use networks::checkpoint::Checkpoint;
use networks::head::{Bend, Head, HeadConfig};
use networks::multihead::{self, DEGRADATIONS, MultiHead};
use networks::resnet::{Depth, Naming, ResNet};
use networks::singlehead::SingleHead;
use networks::weights::WeightsFile;

/// A network and its trainable variables.
pub struct Network {
    pub vars: BTreeMap<String, Var>,
    body: Body,
}

enum Body {
    Pooled { backbone: ResNet, head: Head, config: HeadConfig, head_kind: HeadKind },
    MultiHead(MultiHead),
    SingleHead(SingleHead),
}

/// What the head predicts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HeadKind {
    Ratings,
    Classes,
    /// Which of two photos is better.
    Preference,
}

impl HeadKind {
    /// The prefix of its tensors in a file.
    fn name(self) -> &'static str {
        if self == Self::Preference { "mlp" } else { "head" }
    }
}

impl Network {
    pub fn new(job: &Job<'_>) -> Result<Self, TrainError> {
        let recipe = job.recipe;
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, DType::F32, &job.device);
        let first_item = job.items.first().map(|item| (&item.target, item.files.len()));
        let quality = matches!(first_item, Some((Target::Faults | Target::Strengths(_) | Target::Quality(_), _)));
        let one_label = matches!(first_item, Some((Target::Quality(_), _)));
        let refused = |why: &str| TrainError::Recipe { file: recipe.name.clone().into(), why: why.to_owned() };
        let depth = match recipe.backbone {
            Backbone::Resnet18 if !quality => Some(Depth::Eighteen),
            Backbone::Resnet50 if !quality => Some(Depth::Fifty),
            Backbone::MultiHead if one_label => {
                return Err(refused("`backbone: multi-head` needs four labels per photo, `single-head` needs one"));
            }
            Backbone::MultiHead | Backbone::SingleHead if quality => None,
            _ => {
                return Err(refused(
                    "`backbone: multi-head` and `single-head` are for `train quality` only, which needs one of them",
                ));
            }
        };
        let body = if recipe.backbone == Backbone::SingleHead {
            Body::SingleHead(SingleHead::new(&vb)?)
        } else if let Some(depth) = depth {
            let (head_kind, outputs) = match first_item {
                Some((Target::Class(_), 2)) => (HeadKind::Preference, 2),
                Some((Target::Class(_), _)) => (HeadKind::Classes, job.classes.len()),
                _ if recipe.output_mode == OutputMode::Distribution => (HeadKind::Ratings, 10),
                _ => (HeadKind::Ratings, 1),
            };
            let config = HeadConfig {
                inputs: depth.features(),
                hidden: recipe.mlp_hidden_dims.clone(),
                outputs,
                bend: Bend::Relu,
                dropout: recipe.dropout,
            };
            let backbone = ResNet::new(depth, Naming::Torchvision, &vb.pp("backbone"))?;
            Body::Pooled { backbone, head: Head::new(&config, &vb.pp(head_kind.name()))?, config, head_kind }
        } else {
            Body::MultiHead(MultiHead::new(recipe.dropout, &vb)?)
        };
        let vars: BTreeMap<String, Var> =
            map.data().lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone().into_iter().collect();
        // candle's initialisation is not reproducible, so all variables are drawn again.
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
        // A head for ratings starts at the middle of the scale 1–10.
        if matches!(&body, Body::Pooled { config, .. } if config.outputs == 1)
            && let Some((_, var)) = vars.iter().rfind(|(name, _)| name.starts_with("head.") && name.ends_with("bias"))
        {
            set(var, vec![5.5])?;
        }
        let network = Self { vars, body };
        if let Some(start) = job.start {
            network.load_backbone(start)?;
        }
        Ok(network)
    }

    /// Loads the backbone's weights, with or without the prefix `backbone.`.
    fn load_backbone(&self, start: &dyn Checkpoint) -> Result<(), TrainError> {
        for (name, var) in self.vars.iter().filter(|(name, _)| name.starts_with("backbone.")) {
            let without_prefix = name.trim_start_matches("backbone.");
            let found = [name.as_str(), without_prefix]
                .into_iter()
                .find(|name| start.shape(name).as_deref() == Some(var.dims()));
            let Some(found) = found else {
                return Err(TrainError::at(
                    &start.file(),
                    format!("no tensor `{without_prefix}` of shape {:?} to start from", var.dims()),
                ));
            };
            set(var, start.read(found).map_err(|error| TrainError::at(&start.file(), error))?)?;
        }
        Ok(())
    }

    /// Loads the weights of an exported model.
    pub fn load(&self, model: &Path) -> Result<(), TrainError> {
        let file = WeightsFile::open(model).map_err(|error| TrainError::at(model, error))?;
        for (name, var) in &self.vars {
            set(var, file.read(name).map_err(|error| TrainError::at(model, error))?)?;
        }
        Ok(())
    }

    pub fn forward(&self, photos: &[Tensor], train: bool) -> candle_core::Result<Tensor> {
        match (&self.body, photos) {
            (Body::Pooled { backbone, head, .. }, [first, second]) => {
                let apart = backbone.forward_t(first, train)? - backbone.forward_t(second, train)?;
                head.forward_t(&apart?, train)
            }
            (Body::Pooled { backbone, head, .. }, [only]) => head.forward_t(&backbone.forward_t(only, train)?, train),
            (Body::MultiHead(network), [only]) => network.forward_t(only, train),
            (Body::SingleHead(network), [only]) => network.forward(only),
            _ => candle_core::bail!("an item has one photo, or two"),
        }
    }
}

/// Writes weights and configuration for `aesthetics`, `compare`, `classify` and `score --degradations` to read with
/// `--model`.
pub fn export(network: &Network, job: &Job<'_>, progress: &Progress) -> Result<(), TrainError> {
    let recipe = job.recipe;
    let mut all = Vec::new();
    for (name, var) in &network.vars {
        all.push((name.clone(), var.dims().to_vec(), bytes(&values(var)?)));
    }
    let mut config = serde_json::json!({
        "name": recipe.name,
        "made_by": "albumctl",
        "epoch": progress.epoch,
        "model": { "backbone": recipe.backbone },
        "transform": { "resize_size": recipe.resize, "crop_size": recipe.crop },
    });
    match &network.body {
        Body::MultiHead(_) => {
            all.push(("degradation_weights".into(), vec![DEGRADATIONS.len()], bytes(&multihead::WEIGHTS)));
            config["heads"] = serde_json::json!(DEGRADATIONS);
        }
        Body::SingleHead(_) => {}
        Body::Pooled { config: head, head_kind, .. } => {
            let model = &mut config["model"];
            model["mlp_hidden_dims"] = serde_json::json!(head.hidden);
            model["dropout"] = serde_json::json!(recipe.dropout);
            model["activation"] = "relu".into();
            match head_kind {
                HeadKind::Preference => {
                    model["cnn_backbone"] = "resnet50".into();
                    // The original system fed pairs as crops of the whole short side.
                    model["transform_type"] = if recipe.crop == recipe.resize { "paper" } else { "standard" }.into();
                }
                HeadKind::Ratings => {
                    model["output_mode"] = serde_json::json!(recipe.output_mode);
                    // Votes come from AVA; other ratings have scales of their own.
                    if matches!(job.items.first().map(|item| &item.target), Some(Target::Votes(_))) {
                        config["trained_on"] = "ava".into();
                    }
                }
                HeadKind::Classes => config["classes"] = serde_json::json!(job.classes),
            }
        }
    }
    checkpoint::write(&job.out.join(checkpoint::MODEL), &all, Dtype::F32, ("config", config.to_string()))
}

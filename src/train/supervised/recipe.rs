//! What the run of a large network is told in YAML.

use serde::{Deserialize, Serialize};

use crate::TrainError;

/// The recipe of a large network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeRecipe {
    pub name: String,
    pub backbone: Backbone,
    /// For ratings: regression or distribution.
    #[serde(default)]
    pub output_mode: OutputMode,
    /// Hidden layers of the head.
    #[serde(default)]
    pub mlp_hidden_dims: Vec<usize>,
    #[serde(default)]
    pub dropout: f32,
    pub resize: u32,
    pub crop: u32,
    pub augment: Augment,
    /// Of the backbone; the head's is so many times as high.
    pub learning_rate: f32,
    /// The share of it that the last epoch comes down to, along half a cosine; without it, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_rate: Option<f32>,
    pub head_factor: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_gradient: Option<f32>,
    pub weight_decay: f32,
    pub batch: usize,
    pub epochs: u64,
    pub patience: u64,
    pub seed: u64,
    /// Share of the series that is held out and judged after every epoch, which chooses the best.
    pub held_out: f64,
    /// Share of the series that nothing is chosen by: judged once, at the end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub test: f64,
    /// For pairs.
    #[serde(default)]
    pub min_agreement: f64,
    /// Where labels count reviewers, at least so many; without it, two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_reviewers: Option<usize>,
    /// For pairs derived from scores: how far apart those lie.
    #[serde(default)]
    pub margin: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    Resnet18,
    Resnet50,
    /// The whole network of the multi-head quality model; for flaws, and nothing else is.
    MultiHead,
    /// The whole network of the single-head quality model: quality over all.
    SingleHead,
}

impl Backbone {
    /// Whether it is a whole network that judges quality.
    pub fn judges_quality(self) -> bool {
        matches!(self, Self::MultiHead | Self::SingleHead)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    #[default]
    Regression,
    Distribution,
}

/// What is done to photos that are learned from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    pub random_crop: bool,
    pub flip: f32,
    pub brightness: f32,
    pub contrast: f32,
    pub saturation: f32,
}

impl Augment {
    pub const NONE: Self = Self { random_crop: false, flip: 0.0, brightness: 0.0, contrast: 0.0, saturation: 0.0 };
}

fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

impl LargeRecipe {
    pub fn parse(file: &std::path::Path, yaml: &str) -> Result<Self, TrainError> {
        let bad = |why: String| TrainError::Recipe { file: file.to_owned(), why };
        let recipe: Self = serde_yaml::from_str(yaml).map_err(|error| bad(error.to_string()))?;
        recipe.checked(file)
    }

    /// The recipe, if it can be followed.
    pub fn checked(self, file: &std::path::Path) -> Result<Self, TrainError> {
        let bad = |why: &str| TrainError::Recipe { file: file.to_owned(), why: why.to_owned() };
        let recipe = self;
        if recipe.backbone.judges_quality() && recipe.crop != recipe.resize {
            return Err(bad("a quality network sees whole photos: `crop` is the same as `resize`"));
        }
        if recipe.final_rate.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err(bad("`final_rate` is a share from 0 to 1"));
        }
        if recipe.crop < 32 || recipe.crop > recipe.resize || recipe.batch < 2 || recipe.epochs == 0 {
            return Err(bad("`crop` lies between 32 and `resize`, `batch` is 2 or more, `epochs` 1 or more"));
        }
        let shares = recipe.held_out > 0.0 && recipe.test >= 0.0 && recipe.held_out + recipe.test < 1.0;
        if !shares || recipe.mlp_hidden_dims.contains(&0) {
            return Err(bad("`held_out` and `test` are shares that leave something, hidden layers have a width"));
        }
        if recipe.learning_rate.is_nan() || recipe.learning_rate <= 0.0 {
            return Err(bad("`learning_rate` is greater than 0"));
        }
        Ok(recipe)
    }

    /// How fast the backbone learns in an epoch, counted from 0.
    pub fn rate(&self, epoch: u64) -> f32 {
        let Some(last) = self.final_rate else { return self.learning_rate };
        let way = std::f32::consts::PI * epoch as f32 / self.epochs as f32;
        self.learning_rate * (last + (1.0 - last) * f32::midpoint(1.0, way.cos()))
    }

    /// What must not change between two stretches of a run.
    pub fn identity(&self, items: usize) -> String {
        let lasting = Self { epochs: 0, patience: 0, learning_rate: 0.0, ..self.clone() };
        format!("{} {items}", serde_json::to_string(&lasting).unwrap_or_default())
    }
}

//! The YAML recipe of a large network's training run.

use serde::{Deserialize, Serialize};

use crate::TrainError;

/// The recipe of a large network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeRecipe {
    pub name: String,
    pub backbone: Backbone,
    /// The output for ratings: regression or distribution.
    #[serde(default)]
    pub output_mode: OutputMode,
    /// Widths of the head's hidden layers.
    #[serde(default)]
    pub mlp_hidden_dims: Vec<usize>,
    #[serde(default)]
    pub dropout: f32,
    pub resize: u32,
    pub crop: u32,
    pub augment: Augment,
    /// The backbone's learning rate; the head's is `head_factor` times as high.
    pub learning_rate: f32,
    /// Cosine decay: the share of the learning rate that the last epochs approach. Without it the rate is constant.
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
    /// Share of the series in the validation set, by which the best epoch is chosen.
    pub held_out: f64,
    /// Share of the series in the test set, evaluated once at the end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub test: f64,
    /// The smallest share of reviewers that must agree on a pair.
    #[serde(default)]
    pub min_agreement: f64,
    /// The smallest number of reviewers of a pair, if the labels count them; two by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_reviewers: Option<usize>,
    /// The smallest difference of scores that makes a pair, if pairs are derived from scores.
    #[serde(default)]
    pub margin: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    Resnet18,
    Resnet50,
    /// The multi-head quality network, which predicts the strengths of four flaws.
    MultiHead,
    /// The single-head quality network, which predicts the overall quality.
    SingleHead,
}

impl Backbone {
    /// Whether it is a quality network rather than a backbone with a head.
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

/// Augmentation of the training photos.
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

    /// Checks the values; returns the recipe if they are valid.
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
            return Err(bad(
                "`held_out` and `test` are shares that leave a training set, and hidden layers are wider than 0",
            ));
        }
        if recipe.learning_rate.is_nan() || recipe.learning_rate <= 0.0 {
            return Err(bad("`learning_rate` is greater than 0"));
        }
        Ok(recipe)
    }

    /// The backbone's learning rate in an epoch, counted from 0.
    pub fn learning_rate_of(&self, epoch: u64) -> f32 {
        let Some(last) = self.final_rate else { return self.learning_rate };
        let angle = std::f32::consts::PI * epoch as f32 / self.epochs as f32;
        self.learning_rate * (last + (1.0 - last) * f32::midpoint(1.0, angle.cos()))
    }

    /// What must not change when a run is resumed.
    pub fn identity(&self, items: usize) -> String {
        let unchanging = Self { epochs: 0, patience: 0, learning_rate: 0.0, ..self.clone() };
        format!("{} {items}", serde_json::to_string(&unchanging).unwrap_or_default())
    }
}

//! The YAML recipe of the small network's training run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TrainError;

/// The recipe of the small network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MiniRecipe {
    pub name: String,
    pub version: String,
    pub data: MiniData,
    /// Number of folds that photos are divided into; a burst stays in one fold.
    pub folds: u64,
    /// The fold that is the validation set, counted from 0; without it all photos are training photos.
    pub held_out: Option<u64>,
    pub seed: u64,
    pub epochs: u64,
    /// Number of epochs at the end over which the learning rate decays to almost 0.
    pub decay_epochs: u64,
    /// Early stopping: the best epoch on the validation set is kept, and the run ends after this many epochs without a
    /// better one. Without it the last epoch is kept; since no epoch is chosen, the validation metrics are unbiased.
    pub patience: Option<u64>,
    pub learning_rate: f32,
    pub weight_decay: f32,
    pub warmup_steps: u64,
    /// Decay of the running mean of the weights, per step.
    pub mean_keep: f32,
    pub longest_gradient: f32,
    /// Dropout of the heads' inputs, and of their shared hidden layer.
    pub dropout: [f32; 2],
    /// The smallest side of the random square crops.
    pub crop: u32,
    /// Number of clean and of degraded views per photo. Their features are computed only once.
    #[serde(rename = "looks")]
    pub views: usize,
    /// Number of drawn pictures of each kind that is no photograph.
    pub drawn: usize,
    pub batch: BatchRecipe,
    pub losses: Losses,
    /// How the trunk is trained further; without it, it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<TrunkRecipe>,
    /// Number of steps between two checkpoints.
    pub checkpoint_steps: u64,
    /// The comparison head is trained last, on the finished network, so its recipe is no part of the network's
    /// identity.
    #[serde(rename = "referee", skip_serializing)]
    pub comparison_head: ComparisonRecipe,
}

/// The recipe of the trunk, which is trained end to end with heads that were trained on its features before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkRecipe {
    pub epochs: u64,
    /// Of the trunk; it decays to almost 0 until the end.
    pub learning_rate: f32,
    /// Factor on it for the heads.
    pub head_factor: f32,
    /// Number of blocks at the beginning that stay as they are.
    pub frozen_blocks: usize,
    /// Weight of the loss by which features stay near those before.
    pub stay: f64,
    pub batch: BatchRecipe,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MiniData {
    /// `file,mos`
    pub labels: PathBuf,
    pub photos: PathBuf,
    /// `file,group,mos`: takes of one scene, larger.
    pub bursts: Option<BurstData>,
    /// File name prefix of the series of test shots, in which neighbours by number show the same scene.
    pub series: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BurstData {
    pub labels: PathBuf,
    pub photos: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRecipe {
    /// Number of single photos.
    pub singles: usize,
    /// Number of runs of neighbours from the series, and the length of a run.
    pub runs: usize,
    pub run: usize,
    /// Number of degraded variants of these photos.
    pub variants: usize,
    /// Number of drawn pictures.
    pub drawn: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    pub opinion: f64,
    pub correlation: f64,
    pub order: f64,
    pub preference: f64,
    pub degraded_order: f64,
    pub degradation: f64,
    pub kind: f64,
}

impl TrunkRecipe {
    /// The recipe of the network with the values of this one.
    pub fn applied_to(self, recipe: &MiniRecipe) -> MiniRecipe {
        let Self { epochs, learning_rate, batch, .. } = self;
        MiniRecipe { epochs, decay_epochs: epochs, learning_rate, batch, ..recipe.clone() }
    }
}

impl BatchRecipe {
    const fn is_possible(self) -> bool {
        let clean = self.singles + self.runs * self.run;
        clean >= 4 && self.variants > 0 && self.variants <= self.singles
    }

    /// A batch of `photos` photos with the same runs; the rest are singles.
    #[must_use]
    pub fn of(self, photos: usize) -> Self {
        let singles = photos.saturating_sub(self.runs * self.run);
        Self { singles, variants: self.variants.min(singles), ..self }
    }
}

/// The recipe of the comparison head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparisonRecipe {
    pub steps: u64,
    pub learning_rate: f32,
    pub weight_decay: f32,
    /// Dropout of its inputs, and of its hidden layer.
    pub dropout: [f32; 2],
    /// Number of single photos that degraded copies are made of, in addition to all takes.
    pub singles: usize,
    /// Number of degraded copies of each.
    pub copies: usize,
    /// Number of single photos that tilted copies and copies off centre are made of.
    pub framed: usize,
    pub losses: ComparisonLosses,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparisonLosses {
    /// Weights of the pairs of takes of a burst, and of neighbours of the series.
    pub takes: f64,
    pub series: f64,
    /// Weights of the pairs of a take, or a single photo, and its degraded copy.
    pub degraded_takes: f64,
    pub degraded: f64,
    /// Weights of the pairs of a level copy and a tilted one, and of a centred copy and one off centre.
    pub tilted: f64,
    pub off_centre: f64,
}

impl MiniRecipe {
    pub fn parse(file: &Path, yaml: &str) -> Result<Self, TrainError> {
        let recipe: Self = serde_yaml::from_str(yaml)
            .map_err(|error| TrainError::Recipe { file: file.to_owned(), why: error.to_string() })?;
        recipe.checked(file)
    }

    /// Checks the values; returns the recipe if they are valid.
    pub fn checked(self, file: &Path) -> Result<Self, TrainError> {
        let bad = |why: &str| TrainError::Recipe { file: file.to_owned(), why: why.to_owned() };
        let recipe = self;
        if recipe.epochs == 0 || recipe.folds < 2 || recipe.held_out.is_some_and(|fold| fold >= recipe.folds) {
            return Err(bad(
                "at least one epoch and two folds are needed, and `held_out` is one of the folds, counted from 0",
            ));
        }
        if recipe.patience.is_some() && recipe.held_out.is_none() {
            return Err(bad("`patience` chooses an epoch by the validation fold: name one as `held_out`"));
        }
        if !(64..=224).contains(&recipe.crop) {
            return Err(bad("`crop` lies between 64 and 224"));
        }
        if recipe.views == 0 || recipe.drawn == 0 {
            return Err(bad("`looks` (views of each photo) and `drawn` (pictures of each kind) are at least 1"));
        }
        if !recipe.batch.is_possible() || recipe.trunk.is_some_and(|trunk| !trunk.batch.is_possible()) {
            return Err(bad("a batch has at least 4 photos, and from 1 variant to as many as it has singles"));
        }
        let comparison_head = recipe.comparison_head;
        let of_trunk = recipe.trunk.map_or(recipe.learning_rate, |trunk| trunk.learning_rate);
        if [recipe.learning_rate, of_trunk, comparison_head.learning_rate]
            .iter()
            .any(|rate| !(*rate > 0.0 && *rate < 1.0))
        {
            return Err(bad("`learning_rate` lies between 0 and 1"));
        }
        if recipe.trunk.is_some_and(|trunk| !(trunk.head_factor > 0.0 && trunk.stay >= 0.0)) {
            return Err(bad("`head_factor` is above 0, `stay` at least 0"));
        }
        if recipe.dropout.iter().chain(&comparison_head.dropout).any(|share| !(0.0..1.0).contains(share)) {
            return Err(bad("`dropout` lies between 0 and 1"));
        }
        Ok(recipe)
    }

    /// The recipe with all fields, as it is written for a later run to read.
    pub fn in_full(&self) -> serde_json::Value {
        let mut all = serde_json::json!(self);
        all["referee"] = serde_json::json!(self.comparison_head);
        all
    }

    /// What must not change when a run is resumed: everything but its length and its learning rate, which a user lowers
    /// when the loss explodes.
    pub fn identity(&self) -> String {
        let unchanging = Self {
            epochs: 0,
            decay_epochs: 0,
            patience: None,
            checkpoint_steps: 0,
            learning_rate: 0.0,
            ..self.clone()
        };
        serde_json::to_string(&unchanging).unwrap_or_default()
    }
}

//! What a training run is told in YAML.

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
    /// Photos are dealt to so many folds, bursts whole; the one that is held out is judged after every epoch.
    pub folds: u64,
    /// Without one, everything is learned from.
    pub held_out: Option<u64>,
    pub seed: u64,
    pub epochs: u64,
    /// The last so many epochs bring the learning rate down to nothing.
    pub decay_epochs: u64,
    /// With it the best epoch on the fold is kept, and the run ends when so many brought nothing better. Without it the
    /// last epoch is kept: nothing is chosen, so the fold judges fairly.
    pub patience: Option<u64>,
    pub learning_rate: f32,
    pub weight_decay: f32,
    pub warmup_steps: u64,
    /// Share of the running mean of the weights that stays at each step.
    pub mean_keep: f32,
    pub longest_gradient: f32,
    /// Of what the heads read, and of the layer that they share.
    pub dropout: [f32; 2],
    /// The least side of the squares that are cut from the photos.
    pub crop: u32,
    /// So often each photo is looked at, and as often with faults: the trunk stays as it is, so looks can be kept.
    pub looks: usize,
    /// So many pictures of each kind that is no photograph are drawn.
    pub drawn: usize,
    pub batch: BatchRecipe,
    pub losses: Losses,
    /// Steps between two checkpoints.
    pub checkpoint_steps: u64,
    /// Learns last, on the finished network: another one does not make the network another.
    #[serde(skip_serializing)]
    pub referee: RefereeRecipe,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MiniData {
    /// `file,mos`
    pub labels: PathBuf,
    pub photos: PathBuf,
    /// `file,group,mos`: takes of one scene, larger.
    pub bursts: Option<BurstData>,
    /// Photos whose names begin so are test shots in series: neighbours in number are takes of a scene.
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
    /// Photos that stand alone.
    pub singles: usize,
    /// Runs of neighbours from the series, and how long they are.
    pub runs: usize,
    pub run: usize,
    /// Of all these, so many come a second time: cut otherwise, and most of them degraded.
    pub variants: usize,
    /// Pictures that are no photographs.
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

impl BatchRecipe {
    /// The same runs in a batch of so many photos; what is left stands alone.
    #[must_use]
    pub fn of(self, photos: usize) -> Self {
        let singles = photos.saturating_sub(self.runs * self.run);
        Self { singles, variants: self.variants.min(singles), ..self }
    }
}

/// How comparing is learned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefereeRecipe {
    pub steps: u64,
    pub learning_rate: f32,
    pub weight_decay: f32,
    /// Of what it hears, and of its hidden layer.
    pub dropout: [f32; 2],
    /// Photos that stand alone and are degraded, beside all takes.
    pub singles: usize,
    /// Degraded copies of each.
    pub copies: usize,
    pub losses: RefereeLosses,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefereeLosses {
    /// Takes of a burst in the order of their scores, and neighbours of a series.
    pub takes: f64,
    pub series: f64,
    /// Takes and single photos before degraded copies.
    pub degraded_takes: f64,
    pub degraded: f64,
}

impl MiniRecipe {
    pub fn parse(file: &Path, yaml: &str) -> Result<Self, TrainError> {
        let recipe: Self = serde_yaml::from_str(yaml)
            .map_err(|error| TrainError::Recipe { file: file.to_owned(), why: error.to_string() })?;
        recipe.checked(file)
    }

    /// The recipe, if it can be followed.
    pub fn checked(self, file: &Path) -> Result<Self, TrainError> {
        let bad = |why: &str| TrainError::Recipe { file: file.to_owned(), why: why.to_owned() };
        let recipe = self;
        let batch = recipe.batch;
        let clean = batch.singles + batch.runs * batch.run;
        if recipe.epochs == 0 || recipe.folds < 2 || recipe.held_out.is_some_and(|fold| fold >= recipe.folds) {
            return Err(bad("at least one epoch, two folds, and `held_out` one of them, counted from 0"));
        }
        if recipe.patience.is_some() && recipe.held_out.is_none() {
            return Err(bad("`patience` chooses an epoch by a fold that is held out: name one as `held_out`"));
        }
        if !(64..=224).contains(&recipe.crop) {
            return Err(bad("`crop` lies between 64 and 224"));
        }
        if recipe.looks == 0 || recipe.drawn == 0 {
            return Err(bad("each photo is looked at once at least (`looks`), and a picture of each kind is `drawn`"));
        }
        if clean < 4 || batch.variants > batch.singles || batch.variants == 0 {
            return Err(bad("a batch has 4 photos at least, and from 1 variant to as many as it has singles"));
        }
        let referee = recipe.referee;
        if [recipe.learning_rate, referee.learning_rate].iter().any(|rate| !(*rate > 0.0 && *rate < 1.0)) {
            return Err(bad("`learning_rate` lies between 0 and 1"));
        }
        if recipe.dropout.iter().chain(&referee.dropout).any(|share| !(0.0..1.0).contains(share)) {
            return Err(bad("`dropout` lies between 0 and 1"));
        }
        Ok(recipe)
    }

    /// All of it, to be read again.
    pub fn in_full(&self) -> serde_json::Value {
        let mut all = serde_json::json!(self);
        all["referee"] = serde_json::json!(self.referee);
        all
    }

    /// What must not change between two stretches of a run: all but how long it lasts and how fast it learns, which one
    /// lowers when a loss explodes.
    pub fn identity(&self) -> String {
        let lasting = Self {
            epochs: 0,
            decay_epochs: 0,
            patience: None,
            checkpoint_steps: 0,
            learning_rate: 0.0,
            ..self.clone()
        };
        serde_json::to_string(&lasting).unwrap_or_default()
    }
}

//! Trains models on labelled photos: data loading, augmentation, losses, the training loop, checkpoints and curves.
//!
//! A run keeps its state in a folder and resumes from there after it was killed. [`eval`] is pure: it turns predictions
//! and labels into metrics with confidence intervals. This crate must never know the command line or the model hub.

pub mod adam;
pub mod arrays;
pub mod checkpoint;
pub mod curve;
pub mod degrade;
pub mod drawn;
pub mod epoch;
pub mod eval;
pub mod flaws;
pub mod labels;
pub mod loss;
pub mod mini;
pub mod photos;
pub mod plot;
pub mod recipe;
pub mod review_table;
pub mod rng;
pub mod supervised;
pub mod watermark;
pub mod whitening;

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("{}: recipe: {why}", file.display())]
    Recipe { file: PathBuf, why: String },
    #[error("{}: labels: {why}", file.display())]
    Labels { file: PathBuf, why: String },
    #[error("{}: {why} ({others} more of {of} photos cannot be read either)", path.display())]
    Photos { path: PathBuf, why: String, others: usize, of: usize },
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("{items} usable labelled items are too few: at least four are needed")]
    TooFew { items: usize },
    #[error("all items belong to one series, and a series is held out as a whole: nothing is left to train on")]
    OneSeries,
    #[error("{}: this run was started with another recipe or other data: use those again, or name another folder", path.display())]
    Changed { path: PathBuf },
    #[error(
        "epoch {epoch}, step {step}: the loss is no number any more; lower `learning_rate` and start again: the run \
         resumes from its last checkpoint, which is intact"
    )]
    NotFinite { epoch: u64, step: u64 },
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl TrainError {
    #[allow(clippy::needless_pass_by_value, reason = "so that it can be passed to `map_err`")]
    fn at(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), why: why.to_string() }
    }
}

/// How a training run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All epochs of the recipe were trained.
    Done,
    /// Early stopping: the validation metric did not improve for `patience` epochs.
    Early,
    /// Interrupted by the user; the same command resumes it.
    Stopped,
}

//! Models of our own: photos with labels in, weights out. Loop, data, augmentation, losses, checkpoints, curves.
//!
//! A run lives in a folder and goes on there after a kill. [`eval`] is pure: predictions and truths to figures with
//! intervals. It must never know the command line or the model hub.

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
    #[error("{items} labelled items that count are too few, four are the least")]
    TooFew { items: usize },
    #[error("all items belong to one series, which is held out whole: nothing is left to learn from")]
    OneSeries,
    #[error("{}: another recipe or other data made this run; go on with those, or name another folder", path.display())]
    Changed { path: PathBuf },
    #[error(
        "epoch {epoch}, step {step}: the loss is no number any more; lower `learning_rate` and start again: the run goes \
         on from the last checkpoint, which is whole"
    )]
    NotFinite { epoch: u64, step: u64 },
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl TrainError {
    #[allow(clippy::needless_pass_by_value, reason = "errors are handed over as they come")]
    fn at(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), why: why.to_string() }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All epochs are done.
    Done,
    /// Nothing got better for as many epochs as the recipe is patient.
    Early,
    /// Somebody asked it to; it goes on when started again.
    Stopped,
}

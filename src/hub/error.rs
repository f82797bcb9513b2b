//! Errors that prevent the use of a model, and the way out.

use std::path::PathBuf;

use super::cache::CacheError;
use super::catalogue::CatalogueError;
use super::device::DeviceError;
use super::faces::FacesError;
use super::manifest::{ManifestError, Task};
use networks::checkpoint::WeightsError;
use networks::graph::GraphError;

#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("no model is called `{name}`; there are {known}")]
    Unknown { name: String, known: String },
    #[error("model `{name}` does not do this: it is for {task}")]
    WrongTask { name: String, task: String },
    #[error("model `{model}` gives features only: no part of its network answers this")]
    NoHead { model: String },
    #[error("model `{reference}` can be kept and verified, but albumctl does not run it yet")]
    DoesNotRun { reference: String },
    #[error("{}", missing(models))]
    Missing { models: Vec<Missing> },
    #[error("{}: {source}", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{}: a file of no known network for {}", path.display(), task.name())]
    Unrecognised { path: PathBuf, task: Task },
    #[error("model `{model}` does not read `{code}`; it reads {}", known.join(", "))]
    Language { model: String, code: String, known: Vec<&'static str> },
    #[error("model `{model}` does not run on {here}; its manifest names {}", devices.join(", "))]
    NotOnDevice { model: String, here: &'static str, devices: Vec<String> },
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error("model `{model}`: {source}")]
    Run { model: String, source: candle_core::Error },
    #[error("model `{model}` compares features of {expected} numbers, not {found}")]
    Features { model: String, expected: usize, found: usize },
    #[error("model `{model}`: {source}")]
    Graph { model: String, source: GraphError },
    #[error("model `{model}`: its tokenizer: {why}")]
    Tokenizer { model: String, why: String },
    #[error("{}: {source}", folder.display())]
    Faces { folder: PathBuf, source: FacesError },
}

/// A missing model: which file is missing, where it belongs, and how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub name: String,
    /// `name@version`, for `models pull`.
    pub reference: String,
    /// `ava_resnet50.pt (96454336 bytes, sha256 1f07…)`, with what is known.
    pub file: String,
    pub folder: PathBuf,
    /// The command that makes it available.
    pub mend: String,
    /// Whether any source is known.
    pub reachable: bool,
    /// The argument of `models pull` that also fetches what belongs with it.
    pub pulled_by: String,
}

fn missing(models: &[Missing]) -> String {
    let run = |mend: &str| if mend.starts_with('`') { format!("run {mend}") } else { mend.to_owned() };
    let said: Vec<String> =
        models.iter().map(|one| format!("model `{}` is not here: {} is missing", one.name, one.file)).collect();
    match models {
        [] => String::new(),
        [one] => format!("{} in {}; put it there, or {}", said[0], one.folder.display(), run(&one.mend)),
        [one, ..] => {
            let mend = if models.iter().all(|one| one.reachable) {
                let mut names: Vec<&str> = models.iter().map(|one| one.pulled_by.as_str()).collect();
                names.dedup();
                let names = names.join(" ");
                format!(
                    "run `albumctl models pull {names}`, or `albumctl models import FILE…` where there is no network"
                )
            } else {
                models.iter().map(|one| run(&one.mend)).collect::<Vec<_>>().join("; ")
            };
            format!("{}; put the files into {}, or {mend}", said.join("; "), one.folder.display())
        }
    }
}

//! Opening models for commands: which model, on which device, and what happens when it is missing.

use std::path::Path;

use super::{models, photos};
use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind};
use crate::library::model_selection::{Fallback, OnMissingModel};
use crate::library::{ModelHub, ModelHubError};
use hub::catalogue::CatalogueError;
use hub::{HubError, Missing, ModelChoice, TaskNetwork};
use judge::cluster::ClusterError;
use kernels::{Cpu, Engine, Precision};
use networks::weights::WeightsFile;

#[derive(Debug, clap::Args)]
pub struct NetworkArgs {
    /// The model, by name or by path of a weight file, instead of the configured one
    #[arg(long, value_name = "NAME|FILE")]
    pub model: Option<String>,

    /// The precision of sums where the device offers a choice: fast is accurate to about three digits
    #[arg(long, value_enum, value_name = "HOW", default_value = "full")]
    pub precision: PrecisionArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PrecisionArg {
    Full,
    Fast,
}

/// The model hub, opened for a command. Missing models are fetched, skipped or end the run, depending on the options.
#[derive(Debug)]
pub struct Networks<'a> {
    pub hub: ModelHub,
    context: &'a Context,
}

impl NetworkArgs {
    /// The model to open: the `--model` argument, otherwise the configured file, otherwise the configured name.
    pub fn which<'a>(&'a self, file: Option<&'a Path>, name: &'a str) -> ModelChoice<'a> {
        match (&self.model, file) {
            (Some(typed), _) => ModelChoice::typed(typed),
            (None, Some(file)) => ModelChoice::Path(file),
            (None, None) => ModelChoice::Name(name),
        }
    }
}

impl<'a> Networks<'a> {
    pub fn new(args: &NetworkArgs, context: &'a Context) -> Result<Self, CommandError> {
        let precision = match args.precision {
            PrecisionArg::Full => Precision::Full,
            PrecisionArg::Fast => Precision::Fast,
        };
        Ok(Self { hub: context.model_hub(precision)?, context })
    }

    /// Opens the model hub for commands without options about networks.
    pub fn configured(context: &'a Context) -> Result<Self, CommandError> {
        Self::new(&NetworkArgs { model: None, precision: PrecisionArg::Full }, context)
    }

    /// Opens a model. A missing one is fetched with `--pull`; otherwise the error says how to get it.
    pub fn open<N: TaskNetwork>(&self, which: ModelChoice<'_>) -> Result<N, CommandError> {
        self.get(|| self.hub.network(which))
    }

    /// Returns the file of a model's weights.
    pub fn weights(&self, which: ModelChoice<'_>) -> Result<WeightsFile, CommandError> {
        self.get(|| self.hub.weights(which))
    }

    /// Opens a model. The built-in model replaces a missing one unless that was named by the user; `purpose` says in the
    /// note about it what the model is for.
    pub fn open_or_built_in<N: TaskNetwork>(
        &self,
        named: bool,
        which: ModelChoice<'_>,
        purpose: &str,
    ) -> Result<N, CommandError> {
        if named || matches!(which, ModelChoice::Path(_)) {
            return self.open(which);
        }
        self.hub.open_or_built_in(which, purpose, &mut &*self)
    }

    pub fn get<T>(&self, ask: impl Fn() -> Result<T, ModelHubError>) -> Result<T, CommandError> {
        let got = match ask() {
            Err(ModelHubError::Hub(HubError::Missing { models })) if self.context.pull => {
                self.fetch(&models)?;
                ask()
            }
            answer => answer,
        };
        got.map_err(|error| self.refused(error))
    }

    fn fetch(&self, models: &[Missing]) -> Result<(), CommandError> {
        let names: Vec<&str> = models.iter().map(|missing| missing.reference.as_str()).collect();
        models::fetch_missing(&names, self.context)
    }

    /// Without a models folder, the error for a missing model says how to name one.
    fn refused(&self, error: ModelHubError) -> CommandError {
        match error {
            ModelHubError::Hub(HubError::Missing { .. }) if self.hub.has_no_folder() => Context::no_models_dir(),
            error => error.into(),
        }
    }
}

impl OnMissingModel for &Networks<'_> {
    type Error = CommandError;

    fn on_missing(&mut self, missing: HubError, fallback: &Fallback) -> Result<bool, CommandError> {
        let context = self.context;
        let models = match &missing {
            HubError::Missing { models } => models.as_slice(),
            _ => &[],
        };
        if context.pull && models.iter().all(|one| one.reachable) {
            return match self.fetch(models) {
                Ok(()) => Ok(true),
                Err(error) if context.strict || error.kind == CommandErrorKind::Interrupted => Err(error),
                Err(error) => {
                    context.ui.warn(&format!("{error}\n{fallback}"));
                    Ok(false)
                }
            };
        }
        if context.strict {
            return Err(self.refused(missing.into()));
        }
        if self.hub.has_no_folder() {
            context.ui.note(&format!("no folder for models is known (--models-dir DIR); {fallback}"));
        } else {
            context.ui.detail(&format!("{missing}; {fallback}"));
            context.missing_models.add(models, fallback);
        }
        Ok(false)
    }
}

/// The engine and device for training: full precision, and the configured device.
pub fn engine_and_device(context: &Context) -> Result<(Engine, candle_core::Device), CommandError> {
    let (device, fallback) = context.device().map_err(CommandError::usage)?.settle().map_err(CommandError::usage)?;
    if let Some(fallback) = fallback {
        context.ui.note(&fallback);
    }
    let cpu = Cpu::chosen().map_err(CommandError::usage)?;
    Ok((Engine { cpu, precision: Precision::Full }, device))
}

impl From<HubError> for CommandError {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Unknown { .. } => {
                Self::usage(error).hint("no such file exists either; `albumctl models list` shows the names")
            }
            HubError::WrongTask { .. }
            | HubError::NoHead { .. }
            | HubError::DoesNotRun { .. }
            | HubError::Language { .. }
            | HubError::NotOnDevice { .. }
            | HubError::Device(_)
            | HubError::Catalogue(CatalogueError::UnknownVersion { .. }) => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}

/// Errors that the user can correct are wrong usage.
impl From<ModelHubError> for CommandError {
    fn from(error: ModelHubError) -> Self {
        match error {
            ModelHubError::Hub(error) => error.into(),
            ModelHubError::Interrupted => photos::interrupted(),
            ModelHubError::NoFolder { .. } => Context::no_models_dir(),
            ModelHubError::UnknownWord(_)
            | ModelHubError::EmbeddingLength { .. }
            | ModelHubError::Cluster(ClusterError::Parameter { .. })
            | ModelHubError::Select(_)
            | ModelHubError::Licence(_)
            | ModelHubError::Device(_)
            | ModelHubError::Cpu(_) => Self::usage(error),
            error => Self::failed(error),
        }
    }
}

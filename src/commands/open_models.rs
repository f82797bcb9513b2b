//! What the commands with networks share: which model, on which device, how it is got, and what is said about it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;

use super::models;
use crate::config;
use crate::context::Context;
use crate::error::{CommandError, Kind};
use hub::cache::Cache;
use hub::catalogue::CatalogueError;
use hub::{DeviceChoice, Hub, HubConfig, HubError, Network, Which};
use kernels::{Cpu, Engine, Precision};

#[derive(Debug, clap::Args)]
pub struct NetworkArgs {
    /// The model, by name or by path of a weights file, instead of the configured one
    #[arg(long, value_name = "NAME|FILE")]
    pub model: Option<String>,

    /// How exact sums are where the processor offers a choice: fast is good to about three digits
    #[arg(long, value_enum, value_name = "HOW", default_value = "full")]
    pub precision: PrecisionArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PrecisionArg {
    Full,
    Fast,
}

/// A hub, and what it has to say.
#[derive(Debug)]
pub struct Networks {
    pub hub: Hub,
    notes: Arc<Mutex<Vec<String>>>,
    /// An empty folder in the place of one for models, where nothing says where those lie: what is built in runs.
    nowhere: Option<tempfile::TempDir>,
}

impl NetworkArgs {
    /// The model: as typed, else the configured file, else the configured name.
    pub fn which<'a>(&'a self, file: Option<&'a Path>, name: &'a str) -> Which<'a> {
        match (&self.model, file) {
            (Some(typed), _) if typed.contains(['/', '\\', '.']) => Which::File(Path::new(typed)),
            (Some(typed), _) => Which::Named(typed),
            (None, Some(file)) => Which::File(file),
            (None, None) => Which::Named(name),
        }
    }
}

impl Networks {
    pub fn new(args: &NetworkArgs, context: &Context) -> Result<Self, CommandError> {
        let device = device_choice(context)?;
        let precision = match args.precision {
            PrecisionArg::Full => Precision::Full,
            PrecisionArg::Fast => Precision::Fast,
        };
        let engine = Engine { cpu: Cpu::chosen().map_err(CommandError::usage)?, precision };
        let notes: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&notes);
        let note = move |note: &str| heard.lock().unwrap_or_else(PoisonError::into_inner).push(note.to_owned());
        let nowhere = context.models_dir().is_none().then(tempfile::tempdir).transpose();
        let nowhere = nowhere.context("no folder for temporary files").map_err(CommandError::failed)?;
        let cache = match &nowhere {
            Some(folder) => Cache::new(folder.path(), None),
            None => context.model_cache()?,
        };
        let own_manifests = config::own_manifests();
        let config = HubConfig { own_manifests, engine, device, ..HubConfig::new(cache) };
        let networks = Self { hub: Hub::new(config, note).map_err(refused)?, notes, nowhere };
        networks.tell(context);
        Ok(networks)
    }

    /// The model. One that is not here is fetched first where `--pull` allows it, else the error says how to get it.
    pub fn open<N: Network>(&self, which: Which<'_>, context: &Context) -> Result<N, CommandError> {
        self.get(|| self.hub.open(which), context)
    }

    /// The same for a model that can be done without, which is said, or with `--strict` ends the run.
    pub fn open_or_without<N: Network>(
        &self,
        which: Which<'_>,
        instead: &str,
        context: &Context,
    ) -> Result<Option<N>, CommandError> {
        self.get_or_without(|| self.hub.open(which), instead, context)
    }

    /// The same with the built-in model in the place of one that is not here.
    pub fn open_or_built_in<N: Network>(
        &self,
        which: Which<'_>,
        does: &str,
        context: &Context,
    ) -> Result<N, CommandError> {
        let instead = format!("the built-in {} {does} instead", hub::MINI);
        match self.open_or_without(which, &instead, context)? {
            Some(model) => Ok(model),
            None => self.open(Which::Named(hub::MINI), context),
        }
    }

    pub fn get<T>(&self, ask: impl Fn() -> Result<T, HubError>, context: &Context) -> Result<T, CommandError> {
        let got = match ask() {
            Err(HubError::Missing { models }) if context.pull => {
                let names: Vec<&str> = models.iter().map(|missing| missing.reference.as_str()).collect();
                models::fetch_missing(&names, context)?;
                ask()
            }
            answer => answer,
        };
        self.tell(context);
        got.map_err(|error| self.refused(error))
    }

    /// Where nothing says where models lie, the way out is to say so.
    fn refused(&self, error: HubError) -> CommandError {
        match (&self.nowhere, error) {
            (Some(_), HubError::Missing { .. }) => Context::no_models_dir(),
            (_, error) => refused(error),
        }
    }

    pub fn get_or_without<T>(
        &self,
        ask: impl Fn() -> Result<T, HubError>,
        instead: &str,
        context: &Context,
    ) -> Result<Option<T>, CommandError> {
        let missing = match ask() {
            Err(missing @ HubError::Missing { .. }) => missing,
            answer => {
                self.tell(context);
                return answer.map(Some).map_err(refused);
            }
        };
        if context.pull {
            return match self.get(ask, context) {
                Ok(model) => Ok(Some(model)),
                Err(error) if context.strict || error.kind == Kind::Interrupted => Err(error),
                Err(error) => {
                    context.ui.warn(&format!("{error}\n{instead}"));
                    Ok(None)
                }
            };
        }
        if context.strict {
            return Err(self.refused(missing));
        }
        match &self.nowhere {
            Some(_) => context.ui.note(&format!("no folder for models is known (--models-dir DIR); {instead}")),
            None => context.ui.note(&format!("{missing}; {instead}")),
        }
        Ok(None)
    }

    /// Passes on what the hub had to say since.
    pub fn tell(&self, context: &Context) {
        for note in self.notes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            context.ui.detail(&note);
        }
        for fallback in self.hub.take_fallbacks() {
            context.ui.note(&fallback);
        }
    }
}

fn device_choice(context: &Context) -> Result<DeviceChoice, CommandError> {
    context.settings().device.parse().map_err(CommandError::usage)
}

/// What training runs on: the processor's path at full precision, and the configured device.
pub fn engine_and_device(context: &Context) -> Result<(Engine, candle_core::Device), CommandError> {
    let (device, fallback) = device_choice(context)?.settle().map_err(CommandError::usage)?;
    if let Some(fallback) = fallback {
        context.ui.note(&fallback);
    }
    let cpu = Cpu::chosen().map_err(CommandError::usage)?;
    Ok((Engine { cpu, precision: Precision::Full }, device))
}

/// A model that is not there, or a file that is none.
pub fn refused(error: HubError) -> CommandError {
    match error {
        HubError::Unknown { .. }
        | HubError::WrongTask { .. }
        | HubError::DoesNotRun { .. }
        | HubError::NotOnDevice { .. }
        | HubError::Device(_)
        | HubError::Catalogue(CatalogueError::UnknownVersion { .. }) => CommandError::usage(error),
        _ => CommandError::failed(error),
    }
}

//! What the commands with networks share: which model, on which device, and what is said about it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::context::Context;
use crate::error::CommandError;
use crate::hub::{DeviceChoice, Hub, HubConfig, HubError};
use crate::kernels::{Cpu, Engine, Precision};

/// Weights that may stay in memory together.
const MEMORY: usize = 2 << 30;

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
}

/// A model by name, or by path where it looks like one.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    Named(&'a str),
    File(&'a Path),
}

impl NetworkArgs {
    /// The model: as typed, else the configured file, else the configured name.
    pub fn wanted<'a>(&'a self, file: Option<&'a Path>, name: &'a str) -> Wanted<'a> {
        match (&self.model, file) {
            (Some(typed), _) if typed.contains(['/', '\\', '.']) => Wanted::File(Path::new(typed)),
            (Some(typed), _) => Wanted::Named(typed),
            (None, Some(file)) => Wanted::File(file),
            (None, None) => Wanted::Named(name),
        }
    }
}

impl Networks {
    pub fn new(args: &NetworkArgs, context: &Context) -> Result<Self, CommandError> {
        let settings = context.settings();
        let choice: DeviceChoice = settings.device.parse().map_err(CommandError::usage)?;
        let device = choice.resolve().map_err(CommandError::usage)?;
        let precision = match args.precision {
            PrecisionArg::Full => Precision::Full,
            PrecisionArg::Fast => Precision::Fast,
        };
        let engine = Engine { cpu: Cpu::chosen().map_err(CommandError::usage)?, precision };
        let models_dir = context.models_dir().ok_or_else(|| {
            let cause = anyhow::anyhow!("no folder for models: neither XDG_DATA_HOME nor HOME is set");
            CommandError::usage(cause).hint("name one with --models-dir DIR")
        })?;
        let notes: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&notes);
        let note = move |note: &str| heard.lock().unwrap_or_else(PoisonError::into_inner).push(note.to_owned());
        let config = HubConfig { models_dir, engine, device, memory: MEMORY };
        let hub = Hub::new(config, note).map_err(CommandError::failed)?;
        Ok(Self { hub, notes })
    }

    /// Passes on what the hub had to say since.
    pub fn tell(&self, context: &Context) {
        for note in self.notes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            context.ui.detail(&note);
        }
    }
}

/// A model that is not there, or a file that is none.
pub fn refused(error: HubError) -> CommandError {
    match error {
        HubError::Unknown { .. } | HubError::WrongTask { .. } => CommandError::usage(error),
        _ => CommandError::failed(error),
    }
}

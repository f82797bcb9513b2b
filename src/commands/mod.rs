//! A file a subcommand: its arguments, and a `run` that wires rooms together and computes nothing.

pub mod completions;
pub mod config;
pub mod dedup;
pub mod device;
mod features;
pub mod kmeans;
pub mod man;
mod photos;
pub mod schema;
pub mod score;

use crate::cli::Command;
use crate::context::Context;
use crate::error::{CommandError, Ending};

pub fn run(command: &Command, context: &Context) -> Result<Ending, CommandError> {
    match command {
        Command::Score(args) => score::run(args, context),
        Command::Kmeans(args) => kmeans::run(args, context),
        Command::Dedup(args) => dedup::run(args, context),
        Command::Device(args) => device::run(args, context),
        Command::Config(args) => config::run(args, context),
        Command::Schema(args) => schema::run(args, context),
        Command::Completions(args) => completions::run(args, context),
        Command::Man(args) => man::run(args, context),
    }
}

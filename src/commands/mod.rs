//! A file a subcommand: its arguments, and a `run` that wires rooms together and computes nothing.

pub mod aesthetics;
mod album;
pub mod analyze;
mod anywhere;
pub mod classify;
pub mod cluster;
pub mod compare;
pub mod completions;
pub mod config;
pub mod decide;
pub mod dedup;
mod deliver;
pub mod device;
pub mod embed;
mod engine;
pub mod eval;
mod experts;
mod features;
pub mod kmeans;
pub mod man;
pub mod models;
pub mod networks;
pub mod node;
mod outputs;
mod photos;
pub mod portrait;
pub mod schema;
pub mod score;
pub mod select;
mod since;
pub mod train;
mod trust;

use crate::cli::Command;
use crate::context::Context;
use crate::error::{CommandError, Ending};

pub fn run(command: &Command, context: &Context) -> Result<Ending, CommandError> {
    if !matches!(command, Command::Embed(_) | Command::Kmeans(_)) {
        anywhere::lines_stay_here(context)?;
    }
    outputs::claim(command, context)?;
    match command {
        Command::Score(args) => score::run(args, context),
        Command::Portrait(args) => portrait::run(args, context),
        Command::Models(args) => models::run(args, context),
        Command::Classify(args) => classify::run(args, context),
        Command::Cluster(args) => cluster::run(args, context),
        Command::Select(args) => select::run(args, context),
        Command::Decide(args) => decide::run(args, context),
        Command::Analyze(args) => analyze::run(args, context),
        Command::Aesthetics(args) => aesthetics::run(args, context),
        Command::Embed(args) => embed::run(args, context),
        Command::Compare(args) => compare::run(args, context),
        Command::Kmeans(args) => kmeans::run(args, context),
        Command::Dedup(args) => dedup::run(args, context),
        Command::Node(args) => node::run(args, context),
        Command::Train(args) => train::run(args, context),
        Command::Eval(args) => eval::run(args, context),
        Command::Device(args) => device::run(args, context),
        Command::Config(args) => config::run(args, context),
        Command::Schema(args) => schema::run(args, context),
        Command::Completions(args) => completions::run(args, context),
        Command::Man(args) => man::run(args, context),
    }
}

//! The command line: the list of commands, and which file runs each.

pub mod examples;
mod global_options;
mod outputs;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::arguments::Global;

use crate::commands::{
    self, aesthetics, analyze, classify, cluster, compare, completions, config, decide, dedup, detect, device, embed,
    eval, kmeans, man, models, node, ocr, people, portrait, review, schema, score, search, select, taste, train,
};
use crate::context::Context;
use crate::error::{CommandError, Ending};

const AFTER_HELP: &str = "\
Exit codes:
  0    all done
  1    failed, no usable result
  2    usage or configuration
  3    done, but some photos failed
  130  interrupted; what was finished is kept and printed, no choice is made, no file replaced

Data goes to stdout, everything else to stderr. Photos are only ever read, and no
output takes the place of a photo, a model or what a run reads. Earlier results
give way only to those of a whole run that has some.";

/// Names the photos of a folder that belong in the album, and says why.
#[derive(Debug, Parser)]
#[command(name = "albumctl", version = env!("TOLD_VERSION"), about, after_help = AFTER_HELP, max_term_width = 100)]
#[command(arg_required_else_help = true, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Score(score::Args),
    Portrait(portrait::Args),
    Aesthetics(aesthetics::Args),
    Embed(embed::Args),
    Compare(compare::Args),
    Classify(classify::Args),
    People(people::Args),
    Detect(detect::Args),
    Ocr(ocr::Args),
    Cluster(cluster::Args),
    Select(select::Args),
    Search(search::Args),
    Analyze(analyze::Args),
    Decide(decide::Args),
    Review(review::Args),
    Taste(taste::Args),
    Models(models::Args),
    Kmeans(kmeans::Args),
    Dedup(dedup::Args),
    Node(node::Args),
    Train(train::Args),
    Eval(eval::Args),
    Device(device::Args),
    Config(config::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// The command line with its examples.
pub fn command_line() -> clap::Command {
    examples::added(global_options::hide_ineffective(Cli::command()), "")
}

/// Parses the arguments, the program's name first.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut matches = command_line().try_get_matches_from(words)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|refusal| refusal.format(&mut command_line()))
}

/// Answers a shell that asks for completions; `false` where none asks.
pub fn answer_shell(words: impl IntoIterator<Item = OsString>) -> Result<bool, clap::Error> {
    completions::answer(words, command_line)
}

/// Runs the command.
pub fn run(command: &Command, context: &Context) -> Result<Ending, CommandError> {
    if !matches!(command, Command::Embed(_) | Command::Kmeans(_)) {
        commands::lines_stay_here(context)?;
    }
    outputs::claim(command, context)?;
    let ending = dispatch(command, context)?;
    if matches!(ending, Ending::AllDone | Ending::SomeFailed) {
        context.report_missing_models();
    }
    Ok(ending)
}

fn dispatch(command: &Command, context: &Context) -> Result<Ending, CommandError> {
    match command {
        Command::Score(args) => score::run(args, context),
        Command::Portrait(args) => portrait::run(args, context),
        Command::Models(args) => models::run(args, context),
        Command::Classify(args) => classify::run(args, context),
        Command::People(args) => people::run(args, context),
        Command::Detect(args) => detect::run(args, context),
        Command::Ocr(args) => ocr::run(args, context),
        Command::Cluster(args) => cluster::run(args, context),
        Command::Select(args) => select::run(args, context),
        Command::Search(args) => search::run(args, context),
        Command::Decide(args) => decide::run(args, context),
        Command::Review(args) => review::run(args, context),
        Command::Taste(args) => taste::run(args, context),
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
        Command::Man(args) => man::run(args, global_options::hide_ineffective(Cli::command()), examples::of, context),
    }
}

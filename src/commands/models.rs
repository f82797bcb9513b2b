//! `albumctl models`: what models there are, and having the right bytes of them here.

mod add;
mod gc;
mod holdings;
mod import;
mod info;
mod path;
mod pull;
mod rm;
mod verify;

use std::str::FromStr;

use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::hub::policy::LicencePolicy;

/// Models: list, fetch, check and remove them
///
/// Nothing is ever downloaded unless asked for here (or by --pull). Files are kept by their sha256 and verified before
/// they are used.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(info::ListArgs),
    Info(info::InfoArgs),
    Pull(pull::Args),
    Verify(verify::Args),
    Import(import::Args),
    Add(add::Args),
    Rm(rm::Args),
    Gc(gc::Args),
    Path(path::Args),
}

/// What the user accepts; shared by the commands that bring files here.
#[derive(Debug, clap::Args)]
struct Acceptance {
    /// Refuse licences: any, permissive, or a list such as no-agpl,no-non-commercial,no-unknown
    /// (else the configuration's license_policy)
    #[arg(long, value_name = "POLICY", value_parser = LicencePolicy::from_str)]
    license_policy: Option<LicencePolicy>,

    /// Accept a file whose sha256 no manifest knows, and hold it to that hash from then on
    #[arg(long)]
    trust_first: bool,
}

impl Acceptance {
    fn policy(&self, context: &Context) -> Result<LicencePolicy, CommandError> {
        let configured = || context.settings().license_policy.parse().map_err(CommandError::usage);
        self.license_policy.clone().map_or_else(configured, Ok)
    }
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    match &args.command {
        Command::List(args) => info::list(args, context),
        Command::Info(args) => info::info(args, context),
        Command::Pull(args) => pull::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Import(args) => import::run(args, context),
        Command::Add(args) => add::run(args, context),
        Command::Rm(args) => rm::run(args, context),
        Command::Gc(args) => gc::run(args, context),
        Command::Path(args) => path::run(args, context),
    }
}

/// How a run over several things ended.
fn ending(done: usize, failed: usize) -> Ending {
    match (done, failed) {
        (_, 0) => Ending::AllDone,
        (0, _) => Ending::NoneUsable,
        _ => Ending::SomeFailed,
    }
}

//! `albumctl models`: lists, fetches, verifies and removes models.

mod add;
mod gc;
mod import;
mod info;
mod model_library;
mod path;
mod pull;
mod rm;
mod verify;

use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::Record;
use crate::report::output::Output;
use hub::manifest::Manifest;
use hub::policy::LicencePolicy;

/// Models: list, fetch, check and remove them
///
/// Nothing is ever downloaded unless requested here or by --pull. Files are stored by their sha256 and verified before use.
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

/// The options of commands that add model files.
#[derive(Debug, clap::Args)]
struct Acceptance {
    /// Accept a file whose sha256 no manifest has, and require that hash from then on
    #[arg(long)]
    trust_first: bool,
}

/// Shows the licence of a model before its files are added, or refuses it by the licence policy.
fn admit(manifest: &Manifest, context: &Context) -> Result<(), CommandError> {
    let policy: LicencePolicy = context.settings().license_policy.parse().map_err(CommandError::usage)?;
    let terms = policy.check(&manifest.reference(), &manifest.license).map_err(CommandError::failed)?;
    context.ui.note(&format!("{}: licence {} ({terms})", manifest.reference(), manifest.license));
    Ok(())
}

pub use pull::missing as fetch_missing;

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

/// Closes the output; without a success, the file of an earlier run is not replaced.
fn close<R: Record>(output: Output<R>, done: usize, context: &Context) -> anyhow::Result<()> {
    if context.stopped() {
        output.finish_part(&context.ui).map(drop)
    } else if done == 0 {
        output.finish_empty(&context.ui).map(drop)
    } else {
        output.finish(&context.ui)
    }
}

/// The ending of a run with these counts.
fn ending(done: usize, failed: usize) -> Ending {
    match (done, failed) {
        (_, 0) => Ending::AllDone,
        (0, _) => Ending::NoneUsable,
        _ => Ending::SomeFailed,
    }
}

//! `albumctl completions`: prints what makes a shell ask this binary for completions, and answers the shell.

mod candidates;
mod shells;

use std::ffi::OsString;

use clap_complete::env::{CompleteEnv, Shells};

use crate::context::Context;
use crate::error::{CommandError, Ending};

/// The variable by which a shell asks, and names itself.
const VARIABLE: &str = "ALBUMCTL_COMPLETE";

/// Print shell completions, which know commands, options, models, configuration keys, devices and methods
///
/// The script asks the `albumctl` on the PATH at every Tab, so it needs no renewal when albumctl changes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let shells = shells();
    let name = args.shell.to_string();
    let shell =
        shells.completer(&name).ok_or_else(|| CommandError::usage(anyhow::anyhow!("unknown shell `{name}`")))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "albumctl", "albumctl", "albumctl", &mut script).map_err(anyhow::Error::from)?;
    context.write_text(&format!("{}\n", String::from_utf8_lossy(&script).trim()))?;
    Ok(Ending::AllDone)
}

/// Answers a shell that asks for completions; `false` where none asks.
pub fn answer(
    words: impl IntoIterator<Item = OsString>,
    command_line: impl Fn() -> clap::Command,
) -> Result<bool, clap::Error> {
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(|| candidates::added(command_line(), ""))
        .var(VARIABLE)
        .shells(shells())
        .try_complete(words, here.as_deref())
}

fn shells() -> Shells<'static> {
    use clap_complete::env::{Elvish, Fish, Powershell};
    Shells(&[&shells::Bash, &Elvish, &Fish, &Powershell, &shells::Zsh])
}

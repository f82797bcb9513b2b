//! `albumctl completions`: prints the completion script of a shell.

use crate::context::Context;
use crate::error::{CommandError, Ending};

/// Print shell completions, e.g. `albumctl completions bash > ~/.local/share/bash-completion/completions/albumctl`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub fn run(args: &Args, mut command: clap::Command, context: &Context) -> Result<Ending, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "albumctl", &mut script);
    context.write_text(&String::from_utf8_lossy(&script))?;
    Ok(Ending::AllDone)
}

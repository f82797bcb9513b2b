//! `albumctl completions`: what the shell needs to complete our words.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::context::Context;
use crate::error::{CommandError, Ending};

/// Shell completions, e.g. `albumctl completions bash > ~/.local/share/bash-completion/completions/albumctl`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "albumctl", &mut script);
    context.write_text(&String::from_utf8_lossy(&script))?;
    Ok(Ending::AllDone)
}

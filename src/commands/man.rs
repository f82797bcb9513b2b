//! `albumctl man`: the manual, in roff, made from the same text as `--help`.

use crate::context::Context;
use crate::error::{CommandError, Ending};

/// The manual page; `albumctl man score` for one command, e.g. `albumctl man | man -l -`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub fn run(args: &Args, mut root: clap::Command, context: &Context) -> Result<Ending, CommandError> {
    root.build();
    let page = match &args.command {
        None => root,
        Some(name) => {
            let unknown = || CommandError::usage(anyhow::anyhow!("no command `{name}`"));
            root.find_subcommand(name).ok_or_else(unknown)?.clone()
        }
    };
    let title = page.get_display_name().unwrap_or("albumctl").to_owned();
    let mut roff = Vec::new();
    clap_mangen::Man::new(page).title(title).render(&mut roff)?;
    context.write_text(&String::from_utf8_lossy(&roff))?;
    Ok(Ending::AllDone)
}

//! `albumctl config`: shows the resolved configuration with the origin of each value.

use clap::Subcommand;

use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::SettingRecord;

/// Show the resolved configuration
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum ConfigCommand {
    /// Show every key with its value and the source of the value
    Show,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let ConfigCommand::Show = args.command;
    let mut output = context.output::<SettingRecord>()?;
    for (key, value, origin) in &context.config.leaves {
        let record = SettingRecord { key: key.clone(), value: value.clone(), origin: origin.to_string() };
        output.write(&context.ui, &record)?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

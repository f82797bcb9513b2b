//! `albumctl schema`: prints the JSON Schemas of the records.

use serde_json::{Map, Value};

use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::schema;

/// JSON Schema of the lines that a command writes
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub struct Args {
    /// The command, e.g. score or "config show"; all of them when left out
    #[arg(value_name = "COMMAND", num_args = 0..)]
    command: Vec<String>,

    /// Print the version of the fields, like 1.0: the second number grows when fields are added, the first when one is
    /// removed
    #[arg(long, conflicts_with = "command")]
    version: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    if args.version {
        context.write_text(&format!("{}\n", schema::VERSION))?;
        return Ok(Ending::AllDone);
    }
    let all = schema::all();
    let wanted = args.command.join(" ");
    let document = if wanted.is_empty() {
        Value::Object(all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect::<Map<_, _>>())
    } else {
        let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let found = all.into_iter().find(|(name, _)| *name == wanted);
        let unknown = || CommandError::usage(anyhow::anyhow!("no command `{wanted}` writes records"));
        found.ok_or_else(|| unknown().hint(format!("these do: {names}")))?.1
    };
    let text = serde_json::to_string_pretty(&document).map_err(anyhow::Error::from)?;
    context.write_text(&format!("{text}\n"))?;
    Ok(Ending::AllDone)
}

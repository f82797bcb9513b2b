//! The files a command writes, checked before it begins.

use super::Command;
use crate::commands::{cluster, embed, select};
use crate::context::{Context, place_refused};
use crate::error::CommandError;
use crate::report::place::{Content, Outputs, PlaceError};
use scale::is_remote;

/// Registers the outputs of the run; refuses one that would replace a photo, a model, another output or the configuration.
pub fn claim(command: &Command, context: &Context) -> Result<(), CommandError> {
    let mut outputs = Outputs::default();
    let add_all = |outputs: &mut Outputs| -> Result<(), PlaceError> {
        if let Some(file) = context.output_file().filter(|file| !is_remote(file)) {
            outputs.add("-o", file, output_content(command, context))?;
        }
        match command {
            Command::Select(select::Args { deliver, .. }) => deliver.claim(outputs)?,
            Command::Cluster(cluster::Args { stats: Some(file), .. }) => outputs.add("--stats", file, Content::Text)?,
            Command::Kmeans(args) => args.claim(outputs)?,
            Command::Train(args) => args.claim(outputs)?,
            _ => {}
        }
        context.telemetry_file().map_or(Ok(()), |file| outputs.add("--telemetry", file, Content::Text))
    };
    add_all(&mut outputs).map_err(place_refused)?;
    context.claim(outputs)
}

/// The kind of content that `-o` receives.
fn output_content(command: &Command, context: &Context) -> Content {
    match command {
        Command::Embed(_) => embed::table_file(context).map_or(Content::Text, |(table, _)| table.content()),
        Command::Kmeans(args) if args.writes_labels() => Content::Parquet,
        _ => Content::Text,
    }
}

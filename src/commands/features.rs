//! The options and errors that commands over feature files share.

use std::path::PathBuf;

use super::addresses::refuse_offline;
use crate::context::Context;
use crate::error::CommandError;
use scale::{ScaleError, Source, expand, is_remote, read_list};

#[derive(Debug, clap::Args)]
pub struct DataArgs {
    /// Parquet files or .npy matrices, or patterns with *, ?, [..] and **; builds with `object-stores` take s3:// and
    /// https:// too
    #[arg(long, value_name = "GLOB", num_args = 1.., conflicts_with = "data_file")]
    data: Vec<String>,

    /// A list of files or patterns, one per line
    #[arg(long, value_name = "LIST")]
    data_file: Option<PathBuf>,

    /// The ids of the rows of one .npy matrix, a list of texts or integers; without it, ids are row numbers
    #[arg(long, value_name = "FILE.npy")]
    ids: Option<PathBuf>,
}

impl DataArgs {
    pub fn is_empty(&self) -> bool {
        self.data.is_empty() && self.data_file.is_none()
    }
}

pub fn open(args: &DataArgs, context: &Context) -> Result<Source, CommandError> {
    refuse_offline(&args.data, context)?;
    refuse_offline(args.data_file.as_slice(), context)?;
    let paths = match &args.data_file {
        Some(list) => read_list(list, context.stop()),
        None if args.data.is_empty() => {
            let unnamed = anyhow::anyhow!("no data was named");
            return Err(CommandError::usage(unnamed).hint("--data 'features/*.parquet', or --data-file LIST"));
        }
        None => expand(&args.data),
    };
    let paths = paths?;
    args.data_file.iter().chain(&paths).filter(|file| !is_remote(file)).try_for_each(|file| context.reads(file))?;
    let source = Source::open(&paths)?;
    let Some(ids) = &args.ids else { return Ok(source) };
    if !matches!(source.files.as_slice(), [one] if one.is_array()) {
        let refusal = anyhow::anyhow!("--ids goes with one .npy file; Parquet files have a column `id`");
        return Err(CommandError::usage(refusal));
    }
    refuse_offline(&[ids], context)?;
    if !is_remote(ids) {
        context.reads(ids)?;
    }
    Ok(source.with_ids(ids)?)
}

/// Turns an interruption by the user into `None`.
pub fn unless_stopped<T>(outcome: Result<T, ScaleError>) -> Result<Option<T>, CommandError> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(ScaleError::Stopped) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl From<ScaleError> for CommandError {
    fn from(error: ScaleError) -> Self {
        match error {
            ScaleError::NoFile { .. }
            | ScaleError::Pattern { .. }
            | ScaleError::ObjectStore { .. }
            | ScaleError::TooFewRows { .. }
            | ScaleError::OtherFit { .. } => Self::usage(error),
            ScaleError::Stopped => Self::interrupted(error),
            _ => Self::failed(error),
        }
    }
}

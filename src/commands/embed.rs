//! `albumctl embed`: computes an embedding vector for each photo.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::addresses::{lines_stay_here, refuse_offline};
#[cfg(not(feature = "distributed"))]
use super::engine::Cluster;
use super::engine::EngineArgs;
use super::open_models::{NetworkArgs, Networks};
use super::photos;
use crate::analyses::{EmbeddingAnalysis, Features};
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::ModelHubError;
use crate::report::output::whole_file;
use crate::report::place::Content;
use crate::report::records::EmbedRecord;
use crate::report::{npy, parquet};
use scale::{files, is_remote};

mod find;
#[cfg(feature = "distributed")]
mod parts;

/// Compute embedding vectors, to standard output or to a .parquet or .npy file
///
/// With -o FILE.parquet the columns are `id` (the path) and `feature`; with -o FILE.npy the rows are in the order of the
/// photos. With --engine ballista://… executors read the photos and write parts into the folder -o DIR; existing parts are
/// kept. Builds with `object-stores` also take photos and folders in buckets (s3://bucket/folder, recognised by their
/// names), single photos on web servers, and URLs for -o.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub network: NetworkArgs,

    #[command(flatten)]
    pub engine: EngineArgs,

    /// On a cluster: approximate number of photos per part
    #[arg(long, value_name = "N", help_heading = "Where the work is done", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
    pub part_photos: u64,
}

/// A file of numbers instead of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Parquet,
    Npy,
}

impl Table {
    pub fn content(self) -> Content {
        match self {
            Self::Parquet => Content::Parquet,
            Self::Npy => Content::Npy,
        }
    }
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let cluster = args.engine.cluster(context)?;
    refuse_offline(context.output_file().as_slice(), context)?;
    let networks = Networks::new(&args.network, context)?;
    let settings = &context.settings().album.clustering;
    let name = Features::network(&settings.feature_method).unwrap_or(&settings.feature_method);
    let which = args.network.which(settings.feature_checkpoint.as_deref(), name);
    let embedder = networks.open_or_built_in(args.network.model.is_some(), which, "describes photos")?;
    let embedding = EmbeddingAnalysis::new(embedder)?;
    let found = find::find(&args.photos, context)?;
    let scan = &found.scan;
    if let Some(cluster) = cluster {
        return on_cluster(&cluster, args, &embedding, &found, context);
    }
    let hub = &networks.hub;
    let Some((table, file)) = table_file(context) else {
        lines_stay_here(context)?;
        let mut output = context.output::<EmbedRecord>()?;
        let tally = photos::analyse(scan, &[&embedding], hub.medium(), hub, context, |_, report| {
            let embedding = report.embedding.ok_or(ModelHubError::Unanswered)?;
            Ok(output.write(&context.ui, &EmbedRecord::new(&report.path, embedding))?)
        })?;
        tally.close(output, context)?;
        return Ok(tally.end("embed", context));
    };
    let mut rows: Vec<(String, Vec<f32>)> = Vec::new();
    let tally = photos::analyse(scan, &[&embedding], hub.medium(), hub, context, |_, report| {
        let embedding = report.embedding.ok_or(ModelHubError::Unanswered)?;
        rows.push((report.path.to_string_lossy().into_owned(), embedding.vector.to_vec()));
        Ok(())
    })?;
    if tally.interrupted || (rows.is_empty() && files::exists(&file)) {
        tally.warn_not_written(context);
    } else {
        write_table(table, &file, rows)?;
    }
    Ok(tally.end("embed", context))
}

#[cfg(feature = "distributed")]
use parts::on_cluster;

#[cfg(not(feature = "distributed"))]
fn on_cluster(
    cluster: &Cluster<'_>,
    _: &Args,
    _: &EmbeddingAnalysis,
    _: &find::FoundPhotos,
    _: &Context,
) -> Result<Ending, CommandError> {
    Err(super::engine::feature_missing(cluster.address))
}

/// The file of `-o` if its extension names a table of numbers.
pub fn table_file(context: &Context) -> Option<(Table, PathBuf)> {
    let file = context.output_file()?;
    let table = match file.extension()?.to_str()? {
        "parquet" => Table::Parquet,
        "npy" => Table::Npy,
        _ => return None,
    };
    Some((table, file.to_owned()))
}

fn write_table(table: Table, file: &Path, rows: Vec<(String, Vec<f32>)>) -> anyhow::Result<()> {
    let write = |out: &mut (dyn Write + Send)| match table {
        Table::Parquet => Ok(parquet::write(out, &rows)?),
        Table::Npy => {
            let vectors: Vec<Vec<f32>> = rows.into_iter().map(|(_, vector)| vector).collect();
            let dim = vectors.first().map_or(0, Vec::len);
            Ok(npy::write(out, dim, &vectors)?)
        }
    };
    if !is_remote(file) {
        return whole_file(file, table.content(), write);
    }
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    Ok(files::write(file, &bytes)?)
}

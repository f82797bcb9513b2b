//! `albumctl embed`: a vector for each photo.

use std::path::{Path, PathBuf};

use super::networks::{self, NetworkArgs, Networks, Wanted};
use super::photos;
use crate::cli::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::hub::{Embedder, HubError};
use crate::pipeline::{Analysis, Picture};
use crate::report::output::whole_file;
use crate::report::records::EmbedRecord;
use crate::report::{npy, parquet};
use crate::store::Fingerprint;

/// Embedding vectors, to standard output or to a .parquet or .npy file
///
/// With -o FILE.parquet the columns are `id` (the path) and `feature`; with -o FILE.npy rows stand in the order of the
/// photos.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub network: NetworkArgs,
}

/// A file of numbers instead of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Parquet,
    Npy,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::new(&args.network, context)?;
    let settings = &context.settings().album.clustering;
    let embedder = match args.network.wanted(settings.feature_checkpoint.as_deref(), &settings.feature_method) {
        Wanted::Named(name) => networks.hub.embedder(name),
        Wanted::File(file) => networks.hub.embedder_file(file),
    };
    let embedding = Embedding::new(embedder.map_err(networks::refused)?).map_err(networks::refused)?;
    let scan = photos::find(&args.photos, context)?;
    let medium = Some(context.settings().thumbnail_sizes.medium);
    let Some((table, file)) = table_file(context) else {
        let mut output = context.output::<EmbedRecord>()?;
        let tally = photos::analyse(&scan, &[&embedding], medium, context, |photo, analysed| {
            networks.tell(context);
            let vector = Embedding::read(&analysed.findings[0]);
            let record = EmbedRecord::new(&photo.path, &embedding.embedder.reference(), vector);
            Ok(output.write(&context.ui, &record)?)
        })?;
        networks.tell(context);
        output.finish(&context.ui)?;
        return Ok(tally.end("embed", context));
    };
    let mut rows: Vec<(String, Vec<f32>)> = Vec::new();
    let tally = photos::analyse(&scan, &[&embedding], medium, context, |photo, analysed| {
        networks.tell(context);
        rows.push((photo.path.to_string_lossy().into_owned(), Embedding::read(&analysed.findings[0])));
        Ok(())
    })?;
    networks.tell(context);
    write_table(table, &file, rows)?;
    Ok(tally.end("embed", context))
}

/// Where `-o` names a file of numbers.
fn table_file(context: &Context) -> Option<(Table, PathBuf)> {
    let file = context.output_file()?;
    let table = match file.extension()?.to_str()? {
        "parquet" => Table::Parquet,
        "npy" => Table::Npy,
        _ => return None,
    };
    Some((table, file.to_owned()))
}

fn write_table(table: Table, file: &Path, rows: Vec<(String, Vec<f32>)>) -> anyhow::Result<()> {
    whole_file(file, |out| match table {
        Table::Parquet => Ok(parquet::write(out, &rows)?),
        Table::Npy => {
            let vectors: Vec<Vec<f32>> = rows.into_iter().map(|(_, vector)| vector).collect();
            let dim = vectors.first().map_or(0, Vec::len);
            Ok(npy::write(out, dim, &vectors)?)
        }
    })
}

/// The vector as an analysis of the pipeline.
#[derive(Debug)]
pub struct Embedding {
    pub embedder: Embedder,
    identity: String,
}

impl Embedding {
    pub fn new(embedder: Embedder) -> Result<Self, HubError> {
        let identity = embedder.identity()?;
        Ok(Self { embedder, identity })
    }

    pub fn read(finding: &[u8]) -> Vec<f32> {
        finding.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }
}

impl Analysis for Embedding {
    fn name(&self) -> &'static str {
        "extract_features"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(["embedding/1", &self.identity])
    }

    fn analyse(&self, picture: &Picture) -> anyhow::Result<Vec<u8>> {
        let vectors = self.embedder.embed(std::slice::from_ref(picture.medium()))?;
        Ok(vectors.concat().iter().flat_map(|v| v.to_le_bytes()).collect())
    }
}

//! `albumctl cluster`: groups of the same scene.

use std::path::PathBuf;

use anyhow::Context as _;

use super::album::{self, GroupArgs};
use super::album_models::AlbumModels;
use super::photos;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::output::whole_file;
use crate::report::photo_path::PhotoPath;
use crate::report::place::Content;
use crate::report::records::ClusterRecord;

/// Groups of the same scene: bursts and takes
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub groups: GroupArgs,

    /// Write what the method says of itself, sizes and parameters, as JSON
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    args.groups.method(context)?;
    let scan = photos::find(&args.photos, context)?;
    let models = AlbumModels::for_groups(context)?;
    let (known, tally) = album::gather(&scan, &models, None, context)?;
    photos::unless_interrupted(context)?;
    let grouped = album::group(&known, &args.groups, context)?;
    photos::unless_interrupted(context)?;
    let mut output = context.output::<ClusterRecord>()?;
    for (i, photo) in known.iter().enumerate() {
        let record = ClusterRecord {
            path: PhotoPath::of(&photo.path),
            cluster_id: grouped.clustering.labels[i],
            cluster_size: grouped.clustering.size_of(i),
            is_noise: grouped.clustering.is_noise[i],
            method: grouped.method.to_owned(),
            taken_at: photo.facts.taken_at.clone(),
        };
        output.write(&context.ui, &record).context("cannot write the results")?;
    }
    tally.close(output, context)?;
    if let Some(file) = args.stats.as_ref().filter(|file| tally.done > 0 || !file.exists()) {
        let stats = grouped.clustering.stats.to_json();
        whole_file(file, Content::Text, |out| Ok(serde_json::to_writer_pretty(out, &stats)?))?;
    }
    let groups = photos::counted(grouped.clustering.groups(), "group");
    context.ui.detail(&format!("{groups}, {} in none", grouped.clustering.stats.noise));
    Ok(tally.end("cluster", context))
}

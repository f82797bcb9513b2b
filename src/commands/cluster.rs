//! `albumctl cluster`: groups photos of the same scene.

use std::path::PathBuf;

use super::album::{self, EmbeddingsRead, GroupArgs};
use super::open_models::Networks;
use super::photos;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::output::whole_file;
use crate::report::photo_path::PhotoPath;
use crate::report::place::Content;
use crate::report::records::ClusterRecord;

/// Group photos of the same scene: bursts and takes
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub groups: GroupArgs,

    /// Write statistics of the method, such as sizes and parameters, as JSON
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    args.groups.check(context)?;
    let scan = photos::find(&args.photos, context)?;
    let networks = Networks::configured(context)?;
    let hub = &networks.hub;
    let models = hub.group_models(&mut &networks)?;
    let (reports, tally) = album::gather(&scan, &models, EmbeddingsRead::AtOnce, None, hub, context)?;
    photos::unless_interrupted(context)?;
    let groups = hub.cluster_with(&reports, models.features.as_ref(), &args.groups.settings(context))?;
    photos::unless_interrupted(context)?;
    let mut output = context.output::<ClusterRecord>()?;
    for (i, report) in reports.iter().enumerate() {
        let record = ClusterRecord {
            path: PhotoPath::of(&report.path),
            cluster_id: groups.clustering.labels[i],
            cluster_size: groups.clustering.size_of(i),
            is_noise: groups.clustering.is_noise[i],
            method: groups.method.to_owned(),
            taken_at: report.taken_at_text(),
            taken_from: report.taken_from,
        };
        output.write(&context.ui, &record)?;
    }
    tally.close(output, context)?;
    if let Some(file) = args.stats.as_ref().filter(|file| tally.done > 0 || !file.exists()) {
        let stats = groups.clustering.stats.to_json();
        whole_file(file, Content::Text, |out| Ok(serde_json::to_writer_pretty(out, &stats)?))?;
    }
    let counted = photos::counted(groups.clustering.groups(), "group");
    context.ui.detail(&format!("{counted}, {} in none", groups.clustering.stats.noise));
    Ok(tally.end("cluster", context))
}

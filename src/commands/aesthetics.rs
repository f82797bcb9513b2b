//! `albumctl aesthetics`: predicts how beautiful people find a photo.

use super::open_models::{NetworkArgs, Networks};
use super::photos;
use crate::analyses::RatingAnalysis;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::ModelHubError;
use crate::library::model_selection::{AESTHETIC_MODEL, RATES};
use crate::report::records::AestheticsRecord;

/// Rate photos by a learned aesthetic score, 1 to 10
///
/// Photos are rated at a long side of 1024 pixels, smaller ones at their own size. Without a model trained on AVA, the
/// built-in model estimates how people would rate their quality, and a note says so.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub network: NetworkArgs,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::new(&args.network, context)?;
    let settings = context.settings();
    let which = args.network.which(settings.quality_assessment.ava_checkpoint.as_deref(), AESTHETIC_MODEL);
    let rating = RatingAnalysis::new(networks.open_or_built_in(args.network.model.is_some(), which, RATES)?)?;
    let scan = photos::find(&args.photos, context)?;
    let mut output = context.output::<AestheticsRecord>()?;
    let hub = &networks.hub;
    let tally = photos::analyse(&scan, &[&rating], hub.medium(), hub, context, |_, report| {
        let rating = report.aesthetic.ok_or(ModelHubError::Unanswered)?;
        Ok(output.write(&context.ui, &AestheticsRecord::new(&report.path, rating))?)
    })?;
    tally.close(output, context)?;
    Ok(tally.end("aesthetics", context))
}

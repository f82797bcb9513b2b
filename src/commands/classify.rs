//! `albumctl classify`: predicts the kind of a picture, or its class by a model of the user's own.

use super::open_models::{NetworkArgs, Networks};
use super::photos;
use crate::analyses::ClassificationAnalysis;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::ModelHubError;
use crate::report::records::ClassifyRecord;
use hub::Network as _;

/// What kind of picture it is, or which class of a model of your own
///
/// The built-in model tells photographs from screenshots, documents, receipts, charts, drawings and memes. `albumctl train
/// classifier` makes a model of your own from a folder of photos for each class; name its best.safetensors.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub network: NetworkArgs,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::new(&args.network, context)?;
    let classification = ClassificationAnalysis::new(networks.open(args.network.which(None, hub::MINI))?)?;
    let classes = classification.network.classes()?;
    let scan = photos::find(&args.photos, context)?;
    let mut output = context.output::<ClassifyRecord>()?;
    let hub = &networks.hub;
    let tally = photos::analyse(&scan, &[&classification], hub.medium(), hub, context, |_, report| {
        let probabilities = report.classes.unwrap_or_default();
        let record = ClassifyRecord::new(&report.path, &classes, &probabilities, classification.network.reference())
            .ok_or(ModelHubError::Unanswered)?;
        Ok(output.write(&context.ui, &record)?)
    })?;
    tally.close(output, context)?;
    Ok(tally.end("classify", context))
}

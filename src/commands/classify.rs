//! `albumctl classify`: predicts the kind of a picture, or its class by a model of the user's own.

use super::open_models::{NetworkArgs, Networks};
use super::photos;
use crate::analyses::ClassificationAnalysis;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::ModelHubError;
use crate::report::records::ClassifyRecord;

/// Classify pictures: what they show, their kind, or classes of a model of your own
///
/// efficientnet-lite0 knows the 1000 classes of ImageNet; `albumctl models pull classes` fetches it. Without it, or with
/// `--model album-mini`, the built-in model distinguishes photographs, screenshots, documents, receipts, charts, drawings
/// and memes. `albumctl train classifier` trains a model of your own from a folder of photos for each class; give its
/// best.safetensors to --model. A `.pth` of torchvision's ResNet-50 is taken there, too, with the classes of ImageNet.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub network: NetworkArgs,

    /// The number of classes in a photo's `labels`, likeliest first
    #[arg(short = 'n', long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub top: u16,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::new(&args.network, context)?;
    let (named, which) = (args.network.model.is_some(), args.network.which(None, hub::CLASSIFIER));
    let network = networks.open_or_built_in(named, which, "tells kinds of pictures")?;
    let classifying = ClassificationAnalysis::new(network)?;
    let scan = photos::find(&args.photos, context)?;
    let mut output = context.output::<ClassifyRecord>()?;
    let hub = &networks.hub;
    let tally = photos::analyse(&scan, &[&classifying], hub.medium(), hub, context, |_, report| {
        let classified = report.classified.as_ref();
        let record = classified.and_then(|classified| ClassifyRecord::new(&report.path, classified, args.top.into()));
        let record = record.ok_or(ModelHubError::Unanswered)?;
        Ok(output.write(&context.ui, &record)?)
    })?;
    tally.close(output, context)?;
    Ok(tally.end("classify", context))
}

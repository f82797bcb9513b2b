//! `albumctl classify`: which of your own classes a photo belongs to.

use super::open_models::{NetworkArgs, Networks, PrecisionArg};
use super::photos;
use crate::analyses::Classifying;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::ModelHubError;
use crate::report::records::ClassifyRecord;
use hub::{Network as _, Which};

/// Which class a photo belongs to, by a model of your own
///
/// `albumctl train classifier` makes one from a folder of photos for each class.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// The classifier: its name, or best.safetensors of its run
    #[arg(long, value_name = "NAME|FILE")]
    pub model: String,

    /// How exact sums are where the processor offers a choice: fast is good to about three digits
    #[arg(long, value_enum, value_name = "HOW", default_value = "full")]
    pub precision: PrecisionArg,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::new(&NetworkArgs { model: None, precision: args.precision }, context)?;
    let classifying = Classifying::new(networks.open(Which::typed(&args.model))?)?;
    let classes = classifying.network.classes()?;
    let scan = photos::find(&args.photos, context)?;
    let mut output = context.output::<ClassifyRecord>()?;
    let hub = &networks.hub;
    let tally = photos::analyse(&scan, &[&classifying], hub.medium(), hub, context, |_, report| {
        let likely = report.classes.unwrap_or_default();
        let record = ClassifyRecord::new(&report.path, &classes, &likely, classifying.network.reference())
            .ok_or(ModelHubError::Unanswered)?;
        Ok(output.write(&context.ui, &record)?)
    })?;
    tally.close(output, context)?;
    Ok(tally.end("classify", context))
}

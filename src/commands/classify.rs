//! `albumctl classify`: which of your own classes a photo belongs to.

use std::path::PathBuf;

use super::open_models::{self, NetworkArgs, Networks, PrecisionArg};
use super::photos;
use crate::analyses::Classifying;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::ClassifyRecord;
use hub::{Network as _, Which};

/// Which class a photo belongs to, by a model of your own
///
/// `albumctl train classifier` makes one from a folder of photos for each class.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// The classifier: best.safetensors of its run
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,

    /// How exact sums are where the processor offers a choice: fast is good to about three digits
    #[arg(long, value_enum, value_name = "HOW", default_value = "full")]
    pub precision: PrecisionArg,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::new(&NetworkArgs { model: None, precision: args.precision }, context)?;
    let classifying =
        Classifying::new(networks.open(Which::File(&args.model), context)?).map_err(open_models::refused)?;
    let classes = classifying.network.classes().map_err(open_models::refused)?;
    let scan = photos::find(&args.photos, context)?;
    let mut output = context.output::<ClassifyRecord>()?;
    let medium = Some(context.settings().thumbnail_sizes.medium);
    let tally = photos::analyse(&scan, &[&classifying], medium, context, |photo, analysed| {
        networks.tell(context);
        let likely = Classifying::read(&analysed.findings[0]);
        let record = ClassifyRecord::new(&photo.path, &classes, &likely, classifying.network.reference())
            .ok_or_else(|| anyhow::anyhow!("stored classes cannot be read"))?;
        Ok(output.write(&context.ui, &record)?)
    })?;
    networks.tell(context);
    tally.close(output, context)?;
    Ok(tally.end("classify", context))
}

//! `albumctl aesthetics`: how beautiful people would find a photo.

use super::open_models::{self, NetworkArgs, Networks};
use super::photos;
use crate::analyses::Rating;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::AestheticsRecord;
use hub::Network as _;

/// The model whose ratings are those of the original system.
pub const MODEL: &str = "ava-resnet50";
/// What the built-in model does in its place.
pub const RATES: &str = "rates";

/// Learned aesthetic score on 1 to 10
///
/// Photos are rated at a long side of 1024 pixels, smaller ones as they are. Without a model trained on AVA the built-in
/// one says how people would judge their quality, which is said.
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
    let which = args.network.which(settings.quality_assessment.ava_checkpoint.as_deref(), MODEL);
    let model = match &args.network.model {
        Some(_) => networks.open(which, context)?,
        None => networks.open_or_built_in(which, RATES, context)?,
    };
    let rating = Rating::new(model).map_err(open_models::refused)?;
    let scan = photos::find(&args.photos, context)?;
    let mut output = context.output::<AestheticsRecord>()?;
    let medium = Some(settings.thumbnail_sizes.medium);
    let tally = photos::analyse(&scan, &[&rating], medium, context, |photo, analysed| {
        networks.tell(context);
        let score = Rating::read_judgement(&analysed.findings[0])?.score;
        let record =
            AestheticsRecord::new(&photo.path, score, rating.network.reference(), rating.network.trained_on_ava());
        Ok(output.write(&context.ui, &record)?)
    })?;
    networks.tell(context);
    tally.close(output, context)?;
    Ok(tally.end("aesthetics", context))
}

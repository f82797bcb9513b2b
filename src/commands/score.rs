//! `albumctl score`: technical quality.

use super::open_models::{self, NetworkArgs, Networks, PrecisionArg};
use super::photos;
use crate::analyses::{Degrading, Scoring};
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::pipeline::{Analysed, Analysis};
use crate::report::Record;
use crate::report::records::{DegradedRecord, FlawedRecord, ScoreRecord};
use hub::Network as _;

/// Technical quality: sharpness, exposure, colourfulness, contrast, and all in one number
///
/// Photos are measured at a long side of 1024 pixels, smaller ones as they are, and by the values the file holds, before
/// any colour conversion: so did the original.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// Measure originals at their own size, however large
    #[arg(long)]
    pub full_resolution: bool,

    /// Also say what is wrong: blur, noise, colour cast, exposure and JPEG, each 0 to 1, as the built-in model sees them
    #[arg(long)]
    pub degradations: bool,

    /// Another model to say what is wrong, by name or by path: one of `train quality` names colour cast, blur, watermark
    /// and noise
    #[arg(long, value_name = "NAME|FILE", requires = "degradations")]
    pub model: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    if !args.degradations {
        return measured(args, None, context, |score, _| Ok(score));
    }
    let network = NetworkArgs { model: args.model.clone(), precision: PrecisionArg::Full };
    let networks = Networks::new(&network, context)?;
    let model = networks.open(network.which(None, hub::MINI), context)?;
    let degrading = Degrading::new(model).map_err(open_models::refused)?;
    let found = |analysed: &Analysed| {
        networks.tell(context);
        let found = Degrading::read(&analysed.findings[1]).try_into();
        found.map_err(|_| anyhow::anyhow!("stored degradations cannot be read"))
    };
    let name = || degrading.network.reference();
    if degrading.network.is_multi_head() {
        measured(args, Some(&degrading), context, |score, analysed| {
            Ok(FlawedRecord::new(score, found(analysed)?, name()))
        })
    } else {
        measured(args, Some(&degrading), context, |score, analysed| {
            Ok(DegradedRecord::new(score, found(analysed)?, name()))
        })
    }
}

/// Measures every photo, and writes what is made of it and of what else was asked.
fn measured<R: Record>(
    args: &Args,
    degrading: Option<&Degrading>,
    context: &Context,
    record: impl Fn(ScoreRecord, &Analysed) -> anyhow::Result<R>,
) -> Result<Ending, CommandError> {
    let scan = photos::find(&args.photos, context)?;
    let settings = context.settings();
    let medium = (!args.full_resolution).then_some(settings.thumbnail_sizes.medium);
    let scoring = Scoring { weights: settings.quality_assessment.weights };
    let analyses: Vec<&dyn Analysis> =
        [&scoring as &dyn Analysis].into_iter().chain(degrading.map(|degrading| degrading as &dyn Analysis)).collect();
    let mut output = context.output::<R>()?;
    let tally = photos::analyse(&scan, &analyses, medium, context, |photo, analysed| {
        let quality = Scoring::read(&analysed.findings[0])?;
        let (width, height) = (analysed.facts.width, analysed.facts.height);
        let long_side = width.max(height);
        let measured_at = medium.map_or(long_side, |side| long_side.min(side));
        let score = ScoreRecord::new(&photo.path, &quality, (width, height), measured_at);
        Ok(output.write(&context.ui, &record(score, &analysed)?)?)
    })?;
    tally.close(output, context)?;
    Ok(tally.end("score", context))
}

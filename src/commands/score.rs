//! `albumctl score`: technical quality.

use super::networks::{self, NetworkArgs, Networks, PrecisionArg};
use super::photos;
use crate::analyses::{Degrading, Scoring};
use crate::cli::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::hub::{Degradations, Network as _, Which, built_in};
use crate::photo::scan::Photo;
use crate::pipeline::Analysed;
use crate::report::records::{self, DegradedRecord, ScoreRecord};

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
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let scan = photos::find(&args.photos, context)?;
    let settings = context.settings();
    let medium = (!args.full_resolution).then_some(settings.thumbnail_sizes.medium);
    let scoring = Scoring { weights: settings.quality_assessment.weights };
    let record = |photo: &Photo, analysed: &Analysed| -> anyhow::Result<ScoreRecord> {
        let quality = Scoring::read(&analysed.findings[0])?;
        let (width, height) = (analysed.facts.width, analysed.facts.height);
        let long_side = width.max(height);
        let measured_at = medium.map_or(long_side, |side| long_side.min(side));
        Ok(ScoreRecord::new(&photo.path, &quality, (width, height), measured_at))
    };
    if args.degradations {
        let networks = Networks::new(&NetworkArgs { model: None, precision: PrecisionArg::Full }, context)?;
        let model: Degradations = networks.open(Which::Named(built_in::MINI), context)?;
        let degrading = Degrading::new(model).map_err(networks::refused)?;
        let mut output = context.output::<DegradedRecord>()?;
        let tally = photos::analyse(&scan, &[&scoring, &degrading], medium, context, |photo, analysed| {
            networks.tell(context);
            let [blur, noise, color_cast, exposure, jpeg] = Degrading::read(&analysed.findings[1])[..] else {
                return Err(anyhow::anyhow!("stored degradations cannot be read").into());
            };
            let record = DegradedRecord {
                score: record(photo, &analysed)?,
                degradations: records::Degradations { blur, noise, color_cast, exposure, jpeg },
                degradation_model: degrading.network.reference(),
            };
            Ok(output.write(&context.ui, &record)?)
        })?;
        output.finish(&context.ui)?;
        return Ok(tally.end("score", context));
    }
    let mut output = context.output::<ScoreRecord>()?;
    let tally = photos::analyse(&scan, &[&scoring], medium, context, |photo, analysed| {
        Ok(output.write(&context.ui, &record(photo, &analysed)?)?)
    })?;
    output.finish(&context.ui)?;
    Ok(tally.end("score", context))
}

//! `albumctl score`: technical quality.

use super::photos;
use crate::analyses::Scoring;
use crate::cli::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::ScoreRecord;

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
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let scan = photos::find(&args.photos, context)?;
    let settings = context.settings();
    let medium = (!args.full_resolution).then_some(settings.thumbnail_sizes.medium);
    let scoring = Scoring { weights: settings.quality_assessment.weights };
    let mut output = context.output::<ScoreRecord>()?;
    let tally = photos::analyse(&scan, &[&scoring], medium, context, |photo, analysed| {
        let quality = Scoring::read(&analysed.findings[0])?;
        let (width, height) = (analysed.facts.width, analysed.facts.height);
        let long_side = width.max(height);
        let measured_at = medium.map_or(long_side, |side| long_side.min(side));
        let record = ScoreRecord::new(&photo.path, &quality, (width, height), measured_at);
        Ok(output.write(&context.ui, &record)?)
    })?;
    output.finish(&context.ui)?;
    Ok(tally.end("score", context))
}

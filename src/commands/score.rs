//! `albumctl score`: technical quality.

use anyhow::Context as _;

use super::photos;
use crate::cli::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::pipeline::{Analysis, Picture};
use crate::quality::{self, Quality, Weights};
use crate::report::records::ScoreRecord;
use crate::store::Fingerprint;

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

/// The technical measures as an analysis of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Scoring {
    pub weights: Weights,
}

impl Scoring {
    /// Raised when the measures change.
    const REVISION: &'static str = "quality/1";

    pub fn read(finding: &[u8]) -> anyhow::Result<Quality> {
        serde_json::from_slice(finding).context("a stored quality cannot be read")
    }
}

impl Analysis for Scoring {
    fn name(&self) -> &'static str {
        "score_quality"
    }

    fn fingerprint(&self) -> Fingerprint {
        let Weights { sharpness, exposure, colorfulness, contrast } = self.weights;
        let weights = [sharpness, exposure, colorfulness, contrast].map(|weight| weight.to_string());
        Fingerprint::of([Self::REVISION].into_iter().chain(weights.iter().map(String::as_str)))
    }

    fn analyse(&self, picture: &Picture) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&quality::measure(picture.medium_as_stored(), &self.weights))?)
    }
}

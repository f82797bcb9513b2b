//! `albumctl score`: technical quality.

use super::open_models::{NetworkArgs, Networks, PrecisionArg};
use super::photos::{self, PhotoSet};
use crate::analyses::{DegradationAnalysis, present};
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::{ModelHub, ModelHubError, PhotoInput};
use crate::photo_report::PhotoReport;
use crate::pipeline::Analysis;
use crate::report::Record;
use crate::report::records::{DegradedRecord, FlawedRecord, QualityRecord, ScoreRecord};
use hub::{DegradationsKind, TaskNetwork as _};
use kernels::Precision;

/// Measure technical quality: sharpness, exposure, colourfulness, contrast, and an overall value
///
/// Photos are measured at a long side of 1024 pixels, smaller ones at their own size, by the values in the file before any
/// colour conversion, as in the original. `score -` also takes the bytes of one photo.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// Measure originals at full size, however large
    #[arg(long)]
    pub full_resolution: bool,

    /// Also measure degradations: blur, noise, colour cast, exposure and JPEG, each 0 to 1, by the built-in model
    #[arg(long)]
    pub degradations: bool,

    /// Another model for the degradations, by name or by path: those of `train quality` measure colour cast, blur, watermark
    /// and noise
    #[arg(long, value_name = "NAME|FILE", requires = "degradations")]
    pub model: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    if !args.degradations {
        let hub = context.model_hub(Precision::Full)?;
        return measured(args, None, &hub, context, |score, _| Ok(score));
    }
    let network = NetworkArgs { model: args.model.clone(), precision: PrecisionArg::Full };
    let networks = Networks::new(&network, context)?;
    let hub = &networks.hub;
    let degradations = DegradationAnalysis::new(networks.open(network.which(None, hub::MINI))?)?;
    let name = || degradations.network.reference();
    match degradations.network.kind() {
        DegradationsKind::MultiHead => measured(args, Some(&degradations), hub, context, |score, report| {
            Ok(FlawedRecord::new(score, numbers(report)?, name()))
        }),
        DegradationsKind::SingleHead => measured(args, Some(&degradations), hub, context, |score, report| {
            let [overall_quality] = numbers(report)?;
            Ok(QualityRecord { score, overall_quality, degradation_model: name() })
        }),
        DegradationsKind::Mini => measured(args, Some(&degradations), hub, context, |score, report| {
            Ok(DegradedRecord::new(score, numbers(report)?, name()))
        }),
    }
}

/// The network's output, which must have `N` numbers.
fn numbers<const N: usize>(report: &PhotoReport) -> Result<[f32; N], ModelHubError> {
    let output = report.degradations.as_deref();
    output.and_then(|output| output.try_into().ok()).ok_or(ModelHubError::Unanswered)
}

/// Measures every photo and writes the record that `record` makes of it.
fn measured<R: Record>(
    args: &Args,
    degradations: Option<&DegradationAnalysis>,
    hub: &ModelHub,
    context: &Context,
    record: impl Fn(ScoreRecord, &PhotoReport) -> Result<R, ModelHubError>,
) -> Result<Ending, CommandError> {
    let photo_set = photos::find_or_read(&args.photos, context)?;
    let medium = if args.full_resolution { None } else { hub.medium() };
    let scoring = hub.scoring();
    let analyses = present([Some(&scoring), degradations.map(|degradations| degradations as &dyn Analysis)]);
    let scan = match photo_set {
        PhotoSet::Files(scan) => scan,
        PhotoSet::Bytes(photo) => {
            let mut report = hub.ask_one(PhotoInput::Bytes(&photo), medium, &analyses)?;
            report.path = "-".into();
            let mut output = context.output::<R>()?;
            let score = ScoreRecord::of(&report).ok_or(ModelHubError::Unanswered)?;
            output.write(&context.ui, &record(score, &report)?)?;
            output.finish(&context.ui)?;
            return Ok(Ending::AllDone);
        }
    };
    let mut output = context.output::<R>()?;
    let tally = photos::analyse(&scan, &analyses, medium, hub, context, |_, report| {
        let score = ScoreRecord::of(&report).ok_or(ModelHubError::Unanswered)?;
        Ok(output.write(&context.ui, &record(score, &report)?)?)
    })?;
    tally.close(output, context)?;
    Ok(tally.end("score", context))
}

//! `albumctl detect`: finds objects.

use std::path::PathBuf;

use super::annotated_copies::AnnotatedCopies;
use super::open_models::Networks;
use super::photos;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::ModelHubError;
use crate::photo_report::PhotoObjects;
use crate::report::annotate::annotate_objects;
use crate::report::records::DetectRecord;
use networks::objects::{LEAST_SCORE, Object};

/// Find objects in photos: people, animals, vehicles, things of a household
///
/// ssd-mobilenet-v2 knows the 80 classes of COCO; `albumctl models pull objects` fetches it, about 70 MB. It sees the whole
/// photo in a square of 300 pixels, so small objects are missed. yolov8n and yolov8s find smaller ones; import their files from
/// ultralytics first (`albumctl models info yolov8n`).
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// The model, by name: ssd-mobilenet-v2, yolov8n or yolov8s
    #[arg(long, value_name = "NAME", default_value = hub::OBJECT_FINDER)]
    pub model: String,

    /// The least score of an object, 0.05 to 1
    #[arg(long, value_name = "SCORE", default_value_t = PhotoObjects::SURE, value_parser = score)]
    pub min_score: f32,

    /// Write copies with boxes, labels and scores drawn in to this folder
    #[arg(long, value_name = "DIR")]
    pub annotate: Option<PathBuf>,
}

fn score(text: &str) -> Result<f32, String> {
    let score = text.parse().ok().filter(|score| (LEAST_SCORE..=1.0).contains(score));
    score.ok_or_else(|| format!("it lies between {LEAST_SCORE} and 1"))
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::configured(context)?;
    let hub = &networks.hub;
    let finding = networks.get(|| hub.object_finding(&args.model))?;
    let scan = photos::find_beside(&args.photos, args.annotate.as_deref(), context)?;
    let mut copies = args.annotate.as_deref().map(|folder| AnnotatedCopies::new(folder, "objects")).transpose()?;
    let mut output = context.output::<DetectRecord>()?;
    let mut tally = photos::analyse(&scan, &[&finding], hub.medium(), hub, context, |_, report| {
        let found = report.objects.as_ref().ok_or(ModelHubError::Unanswered)?;
        if let Some(copies) = &mut copies {
            let sure: Vec<&Object> = found.with(args.min_score).collect();
            copies.write(&report.path, hub.medium(), context, |pixels| Ok(annotate_objects(pixels, &sure)));
        }
        Ok(output.write(&context.ui, &DetectRecord::new(&report.path, found, args.min_score))?)
    })?;
    copies.map_or(Ok(()), |copies| copies.finish(&mut tally, context))?;
    tally.close(output, context)?;
    Ok(tally.end("detect", context))
}

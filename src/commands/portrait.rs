//! `albumctl portrait`: finds faces and judges eyes and smiles.

use std::path::PathBuf;

use super::annotated_copies::AnnotatedCopies;
use super::open_models::Networks;
use super::photos;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::ModelHubError;
use crate::report::annotate::annotate;
use crate::report::records::PortraitRecord;
use hub::faces::Landmarks;

/// Analyse faces: portrait or not, eyes open, smile
///
/// Eyes are open, closed, laughing, looking down, or unknown; a photo's eyes are open if those of all prominent faces are.
/// Photos are analysed at full size; large JPEG files at a half, a quarter or an eighth of it, with a long side of at least
/// 1024 pixels. `null` means unknown: the face is too small, in profile, behind dark glasses, or uncertain.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// Analyse originals at full size, however large
    #[arg(long)]
    pub full_resolution: bool,

    /// Use the mesh without attention: faster, with other values for eyes and smiles
    #[arg(long)]
    pub fast: bool,

    /// Write copies with boxes, eye and mouth points and the result drawn in to this folder
    #[arg(long, value_name = "DIR")]
    pub annotate: Option<PathBuf>,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let mode = if args.fast { Landmarks::Fast } else { Landmarks::Attention };
    let networks = Networks::configured(context)?;
    let finding = networks.get(|| networks.hub.face_finding(mode))?;
    let finding = networks.hub.with_expressions(finding, mode, &mut &networks)?;
    let scan = photos::find_beside(&args.photos, args.annotate.as_deref(), context)?;
    let medium = (!args.full_resolution).then_some(context.settings().thumbnail_sizes.medium);
    let mut copies = args.annotate.as_deref().map(|folder| AnnotatedCopies::new(folder, "faces")).transpose()?;
    let mut output = context.output::<PortraitRecord>()?;
    let mut tally = photos::analyse(&scan, &[&finding], medium, &networks.hub, context, |_, report| {
        if let Some(copies) = &mut copies {
            // The store holds no landmarks, so the photo is analysed again.
            let draw = |pixels| finding.faces.analyse(&pixels).map(|found| annotate(pixels, &found));
            copies.write(&report.path, medium, context, |pixels| Ok(draw(pixels)?));
        }
        let portrait = report.portrait.ok_or(ModelHubError::Unanswered)?;
        Ok(output.write(&context.ui, &PortraitRecord::new(&report.path, *portrait))?)
    })?;
    copies.map_or(Ok(()), |copies| copies.finish(&mut tally, context))?;
    tally.close(output, context)?;
    Ok(tally.end("portrait", context))
}

//! `albumctl analyze`: everything at once.

use anyhow::Context as _;

use super::album::{self, GroupArgs, Grouped, Known};
use super::album_models::AlbumModels;
use super::photos;
use super::select::{ChoiceArgs, candidates, choose};
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending, Kind};
use crate::report::photo_path::PhotoPath;
use crate::report::records::AnalyzeRecord;
use judge::select::{self, Between, Photo, Rules, Verdict};

/// Everything about each photo at once: scores, embedding, group, and whether it would be picked
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub choice: ChoiceArgs,

    #[command(flatten)]
    pub groups: GroupArgs,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    args.groups.method(context)?;
    let scan = photos::find(&args.photos, context)?;
    let models = AlbumModels::new(context)?;
    let (known, mut tally) = album::gather(&scan, &models, None, context)?;
    let grouped = album::group(&known, &args.groups, context)?;
    let photos = candidates(&known, &grouped, &context.decisions()?);
    let rules = args.choice.rules(context);
    let mut verdicts = match choose(&known, &photos, &rules, &grouped, &models, context) {
        Err(CommandError { kind: Kind::Interrupted, .. }) => {
            tally.interrupted = true;
            measured(&photos, &rules)?
        }
        chosen => chosen?,
    };
    // Lines come in the order of the scan, as from every command that looks at photos.
    verdicts.sort_by_key(|verdict| verdict.photo);
    let mut output = context.output::<AnalyzeRecord>()?;
    for ((known, photo), verdict) in known.into_iter().zip(&photos).zip(verdicts) {
        output.write(&context.ui, &record(known, photo, verdict, &grouped)).context("cannot write the results")?;
    }
    tally.close(output, context)?;
    Ok(tally.end("analyze", context))
}

/// What is known without a choice, which is not made among a part of the photos.
fn measured(photos: &[Photo], rules: &Rules) -> Result<Vec<Verdict>, CommandError> {
    let between = Between { better: None, distance: &|_, _| None };
    let mut verdicts = select::select(photos, rules, between).map_err(CommandError::usage)?;
    for verdict in &mut verdicts {
        (verdict.rank, verdict.tiebreak) = (None, None);
        "Not judged: the run was interrupted before all photos were looked at.".clone_into(&mut verdict.reason);
    }
    Ok(verdicts)
}

fn record(known: Known, photo: &Photo, verdict: Verdict, grouped: &Grouped) -> AnalyzeRecord {
    let (selected, portrait, found) = (verdict.selected(), known.portrait.ok(), known.faces);
    let about = found.as_ref();
    AnalyzeRecord {
        path: PhotoPath::of(&known.path),
        iqa_score: known.quality.overall,
        sharpness: known.quality.sharpness,
        exposure: known.quality.exposure,
        colorfulness: known.quality.colorfulness,
        contrast: known.quality.contrast,
        sharpness_raw: known.quality.sharpness_raw,
        colorfulness_raw: known.quality.colorfulness_raw,
        width: known.facts.width,
        height: known.facts.height,
        measured_at: known.measured_at,
        aesthetic_score: known.aesthetic.ok(),
        ava_score: known.aesthetic.ok().filter(|_| known.trained_on_ava),
        aesthetic_model: known.aesthetic_model,
        has_face: about.map(|found| found.has_face),
        num_faces: about.map(|found| found.num_faces),
        is_portrait: portrait.map(|portrait| portrait.is_portrait),
        eyes_open: portrait.and_then(|portrait| portrait.eyes_open),
        is_smiling: portrait.and_then(|portrait| portrait.is_smiling),
        smile_score: portrait.and_then(|portrait| portrait.smile_score),
        eye_aspect_ratio: about.and_then(|found| found.eye_aspect_ratio),
        face_ratio: about.and_then(|found| found.face_ratio),
        center_offset: about.and_then(|found| found.center_offset),
        portrait_score: verdict.parts.portrait.value,
        portrait_model: about.map(|found| found.portrait_model.clone()),
        faces: found.map(|found| found.faces),
        model: known.model,
        dim: known.embedding.len(),
        embedding: known.embedding,
        cluster_id: grouped.clustering.labels[verdict.photo],
        cluster_size: grouped.clustering.size_of(verdict.photo),
        is_noise: grouped.clustering.is_noise[verdict.photo],
        method: grouped.method.to_owned(),
        taken_at: known.facts.taken_at,
        rank: verdict.rank,
        selected,
        composite_score: verdict.composite,
        parts: verdict.parts.into(),
        tiebreak: verdict.tiebreak.map(Into::into),
        reason: verdict.reason,
        decision: photo.decision.map(Into::into),
        content: known.content.map(|content| content.to_string()),
    }
}

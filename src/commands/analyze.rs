//! `albumctl analyze`: runs all analyses, grouping and selection.

use super::album::{self, EmbeddingsRead, GroupArgs};
use super::open_models::Networks;
use super::people::{self, PeopleNeed};
use super::photos;
use super::select::{ChoiceArgs, choose};
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind, Ending};
use crate::library::ModelHubError;
use crate::report::records::AnalyzeRecord;
use judge::select::{self, Comparator, Photo, Rules, Verdict};
use photo::companions::Companions;

/// Analyse each photo: scores, embedding, group, and whether it would be picked
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
    args.groups.check(context)?;
    args.choice.check(context)?;
    let scan = photos::find(&args.photos, context)?;
    let networks = Networks::configured(context)?;
    let hub = &networks.hub;
    let mut models = hub.album_models(&mut &networks)?;
    models.text = hub.text_if_here()?;
    models.objects = hub.objects_if_here()?;
    models.sketching = args.choice.sequences.analysis();
    models.classification = args.choice.query.classification(&networks, context)?;
    models.description = args.choice.query.description(None, &networks, context)?;
    let need =
        if args.choice.coverage.people_need() == PeopleNeed::None { PeopleNeed::IfHere } else { PeopleNeed::Required };
    models.people = people::recognition_as(need, &networks, context)?;
    let (mut reports, mut tally) = album::gather(&scan, &models, EmbeddingsRead::AtOnce, None, hub, context)?;
    if let Some(recognising) = &models.people {
        people::tell_apart(&mut reports, recognising, context)?;
    }
    args.choice.sequences.mark(&mut reports);
    let groups = hub.cluster_with(&reports, models.features.as_ref(), &args.groups.settings(context))?;
    let rules = args.choice.rules_for(&reports, context)?;
    let (photos, _) = args.choice.candidates(&reports, &groups, &rules, &context.decisions()?, &models, context)?;
    let chosen = choose(&reports, &photos, &rules, &groups, &models, &networks, &mut tally, context);
    let mut verdicts = match chosen {
        Err(CommandError { kind: CommandErrorKind::Interrupted, .. }) => {
            tally.interrupted = true;
            measured(&photos, &rules)?
        }
        chosen => chosen?,
    };
    // Lines are in scan order, as from every command over photos.
    verdicts.sort_by_key(|verdict| verdict.photo);
    let (mut output, mut companions) = (context.output::<AnalyzeRecord>()?, Companions::default());
    for (report, verdict) in reports.into_iter().zip(verdicts) {
        let record = AnalyzeRecord::new(report, &photos, verdict, (&groups.clustering, groups.method), &mut companions)
            .ok_or(ModelHubError::Unanswered)?;
        output.write(&context.ui, &record)?;
    }
    tally.close(output, context)?;
    Ok(tally.end("analyze", context))
}

/// Verdicts without a selection, for an interrupted run: nothing is selected from a part of the photos.
fn measured(photos: &[Photo], rules: &Rules) -> Result<Vec<Verdict>, CommandError> {
    let comparator = Comparator { better: None, distance: &|_, _| None };
    let mut verdicts = select::select(photos, rules, comparator).map_err(CommandError::usage)?;
    for verdict in &mut verdicts {
        (verdict.rank, verdict.tiebreak) = (None, None);
        "Not judged: the run was interrupted before all photos were looked at.".clone_into(&mut verdict.reason);
    }
    Ok(verdicts)
}

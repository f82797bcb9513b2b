//! `albumctl people`: recognises people on photos and manages them.

use std::collections::HashMap;

use super::open_models::Networks;
use super::photos;
use crate::analyses::PeopleAnalysis;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::journal::{LookedAt, PeopleError, PhotoId};
use crate::library::ModelHubError;
use crate::photo_report::PhotoReport;
use crate::report::records::{KnownPersonRecord, PeopleRecord};
use kernels::Precision;

/// Recognise people: similar faces are a person, whom you name
///
/// Persons get a permanent number (p3). A face that was seen only once is unknown. For each face its box, 128 numbers and
/// its person are stored in $XDG_DATA_HOME/albumctl/people.sqlite, readable only by you and on this machine only, until you
/// forget them. None of this happens before `albumctl models pull people`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub photos: PhotoArgs,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List all persons, each with a photo
    List,
    /// Name a person
    Name(NameArgs),
    /// Merge several persons into the first
    Merge(MergeArgs),
    /// Make a new person of a person's faces on these photos
    Split(SplitArgs),
    /// Delete the data of a person, or with --all of everyone
    Forget(ForgetArgs),
}

#[derive(Debug, clap::Args)]
pub struct NameArgs {
    /// The person: a number such as p3, or the current name
    #[arg(value_name = "PERSON")]
    pub person: String,

    /// The new name
    #[arg(value_name = "NAME")]
    pub name: String,
}

#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// The person that remains, by number or name
    #[arg(value_name = "PERSON")]
    pub person: String,

    /// The persons to merge into it
    #[arg(value_name = "OTHER", required = true)]
    pub others: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct SplitArgs {
    /// The person with a wrong face, by number or name
    #[arg(value_name = "PERSON")]
    pub person: String,

    #[command(flatten)]
    pub photos: PhotoArgs,
}

#[derive(Debug, clap::Args)]
pub struct ForgetArgs {
    /// The person to forget, by number or name
    ///
    /// Photos that were analysed are not searched for these faces again.
    #[arg(value_name = "PERSON", required_unless_present = "all")]
    pub persons: Vec<String>,

    /// Delete the whole file, with all data about people
    #[arg(long, conflicts_with = "persons")]
    pub all: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let changed = match &args.command {
        None => return look(args, context),
        Some(Command::List) => context.people_to_read()?.map_or(Ok(Vec::new()), |people| people.persons())?,
        Some(Command::Name(args)) => vec![context.people()?.name(&args.person, &args.name)?],
        Some(Command::Merge(args)) => vec![context.people()?.merge(&args.person, &args.others)?],
        Some(Command::Split(args)) => context.people()?.split(&args.person, &ids(&args.photos, context)?)?.into(),
        Some(Command::Forget(args)) => return forget(args, context),
    };
    let mut output = context.output::<KnownPersonRecord>()?;
    for person in changed {
        output.write(&context.ui, &person.into())?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

fn look(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::configured(context)?;
    let recognising = recognition(&networks, context)?;
    let scan = photos::find(&args.photos, context)?;
    let hub = &networks.hub;
    let mut reports = Vec::new();
    let tally = photos::analyse(&scan, &[&recognising], hub.medium(), hub, context, |_, report| {
        reports.push(report);
        Ok(())
    })?;
    tell_apart(&mut reports, &recognising, context)?;
    let mut output = context.output::<PeopleRecord>()?;
    for report in &reports {
        let record = PeopleRecord::new(report, recognising.reference()).ok_or(ModelHubError::Unanswered)?;
        output.write(&context.ui, &record)?;
    }
    tally.close(output, context)?;
    Ok(tally.end("people", context))
}

/// Whether a command needs face recognition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeopleNeed {
    None,
    /// If the models are here.
    IfHere,
    Required,
}

/// Opens face recognition, if needed.
pub fn recognition_as(
    need: PeopleNeed,
    networks: &Networks<'_>,
    context: &Context,
) -> Result<Option<PeopleAnalysis>, CommandError> {
    match need {
        PeopleNeed::None => Ok(None),
        PeopleNeed::Required => recognition(networks, context).map(Some),
        PeopleNeed::IfHere => match networks.hub.people() {
            Err(ModelHubError::Hub(hub::HubError::Missing { .. })) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(_) => recognition(networks, context).map(Some),
        },
    }
}

/// Opens face recognition with the people known from earlier runs. The error says how to get the models.
fn recognition(networks: &Networks<'_>, context: &Context) -> Result<PeopleAnalysis, CommandError> {
    let people = networks.get(|| networks.hub.people())?;
    let known = context.people_to_read()?.map_or_else(|| Ok(HashMap::new()), |file| file.known(&people.identity()))?;
    Ok(PeopleAnalysis::new(people, known))
}

/// Stores new faces, and assigns all faces to persons.
pub fn tell_apart(
    reports: &mut [PhotoReport],
    recognising: &PeopleAnalysis,
    context: &Context,
) -> Result<(), CommandError> {
    let looked: Vec<LookedAt<'_>> = reports
        .iter()
        .filter_map(|report| Some(LookedAt { photo: report.id()?, path: &report.path, faces: report.people.as_ref()? }))
        .collect();
    if looked.iter().all(|photo| photo.faces.is_empty()) && context.people_to_read()?.is_none() {
        return Ok(());
    }
    let mut people = context.people()?;
    context.telemetry.time("link_people", || people.record(recognising.identity(), &looked))?;
    let mut known = people.known(recognising.identity())?;
    for report in reports.iter_mut().filter(|report| report.people.is_some()) {
        let faces = report.content.and_then(|content| known.get_mut(&content));
        report.people = faces.map(|faces| faces.clone());
    }
    Ok(())
}

/// The identities of the named photos.
fn ids(args: &PhotoArgs, context: &Context) -> Result<Vec<PhotoId>, CommandError> {
    let hub = context.model_hub(Precision::Full)?;
    let scan = photos::scan(&photos::named(args, context)?, args, context)?;
    let mut ids = Vec::new();
    let tally = photos::analyse(&scan, &[], hub.medium(), &hub, context, |_, report| {
        ids.extend(report.id());
        Ok(())
    })?;
    photos::unless_interrupted(context)?;
    if tally.failed > 0 && ids.is_empty() {
        return Err(CommandError::failed(anyhow::anyhow!("no photo could be read")));
    }
    Ok(ids)
}

fn forget(args: &ForgetArgs, context: &Context) -> Result<Ending, CommandError> {
    let mut gone = Vec::new();
    if args.all {
        // A damaged file goes, too.
        gone = context.people_to_read().ok().flatten().and_then(|people| people.persons().ok()).unwrap_or_default();
        let was_there = context.forget_people()?;
        context.ui.note(if was_there { "nothing is known of people any more" } else { "nothing was known of people" });
    } else {
        let mut people = context.people()?;
        for person in &args.persons {
            gone.push(people.forget(person)?);
        }
    }
    let mut output = context.output::<KnownPersonRecord>()?;
    for person in gone {
        output.write(&context.ui, &person.into())?;
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

impl From<PeopleError> for CommandError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Journal(error) => error.into(),
            error => Self::usage(error),
        }
    }
}
